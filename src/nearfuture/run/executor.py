"""Runs a configuration to its end: read the lineage, run its head.

    while the plan is not finished:
        train the head from its latest whole checkpoint to the next planned stop, or
        carry out the intervention that is due: collect from the guide, branch, go on at the rollback point

A fresh start, a resume after a kill and a rollback are the same code. Every process runs it; the main one writes.

Not here: the decisions (`nearfuture.run.plan`), the trainer (`nearfuture.train`), what people see
(`nearfuture.run.show`).
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Literal

from nearfuture.algo.lineage import Lineage, Segment
from nearfuture.guidance import CollectionCounts, GuidanceCache, WindowedCache, collect_guidance
from nearfuture.run import build
from nearfuture.run.config import Configuration
from nearfuture.run.evaluate import evaluate
from nearfuture.run.folder import RunFolder
from nearfuture.run.ledger import write_ledger
from nearfuture.run.plan import Finish, Train, next_stage, rollback_steps
from nearfuture.run.records import RunRecords
from nearfuture.run.show import Display
from nearfuture.tasks import Task, judge
from nearfuture.train import NPOTrainer, TRLEngine, callbacks, checkpoint, processes
from nearfuture.train.factory import release
from nearfuture.train.groups import Example
from nearfuture.types import Intervention, PolicyRef

Outcome = Literal["finished", "interrupted"]
NOT_IN_FINAL = (
    "optimizer*",
    "scheduler*",
    "rng_state*",
    "trainer_state*",
    "training_args*",
    "rollouts-*",
    checkpoint.MARKER,
)
MAX_SAMPLES_PER_SEGMENT = 6


class Executor:
    """One run in its folder. The folder must hold `lineage.json`; see `nearfuture.run.start`."""

    def __init__(self, config: Configuration, task: Task, display: Display) -> None:
        self.config, self.task, self.display = config, task, display
        self.folder = RunFolder(config.run.run_dir, is_main=processes.is_main())
        self.lineage = Lineage.read(self.folder.lineage)
        self.train_rows = build.training_rows(task)
        self.eval_rows = [dict(row) for row in task.evaluation]
        self.interrupt = callbacks.OnInterrupt()

    def run(self) -> Outcome:
        """Carry the run to its horizon, or to an interrupt with a checkpoint saved."""
        self.interrupt.listen()
        while True:
            stage = next_stage(self.lineage, self.config)
            if isinstance(stage, Finish):
                self._finish()
                return "finished"
            if isinstance(stage, Train):
                self._train(stage)
                if self.interrupt.is_interrupted:
                    return "interrupted"
            else:
                self._intervene(stage)

    def _train(self, stage: Train) -> None:
        """Train the head from its latest whole checkpoint to the planned stop."""
        head = self.lineage.head
        if head.end_step is not None:
            self._save_lineage(self.lineage.extend_head())
        start = self._resume_point(head)
        reached = 0 if start is None else start[0]
        event = "segment_started" if reached == head.start_step else "resumed"
        self.folder.event(event, segment=head.id, step=reached, total_steps=self.lineage.total_steps(reached))
        self.display.segment(self.lineage, reached, stage.until)
        trainer = self._trainer(head, stage)
        self._began = time.perf_counter()
        if start is None:
            if self._evaluates():
                self._evaluate(trainer, 0)
            trainer.train()
        else:
            trainer.train(resume_from_checkpoint=str(start[1]))
        step = trainer.state.global_step
        self.folder.sync()
        release(trainer)
        if not self.interrupt.is_interrupted or step == stage.until:
            self._save_lineage(self.lineage.end_head(step, stage.reason))
            self.folder.event(
                "segment_ended",
                segment=head.id,
                step=step,
                total_steps=self.lineage.total_steps(step),
                reason=stage.reason,
            )

    def _resume_point(self, head: Segment) -> tuple[int, Path] | None:
        """The latest whole checkpoint of the head, else the one it branched from, else None: the base weights."""
        steps = checkpoint.complete_steps(self.folder.path / head.folder)
        if steps:
            return steps[-1], self.folder.path / head.checkpoint(steps[-1])
        ref = None if head.parent is None else self.lineage.segments[head.parent].checkpoint(head.start_step)
        if ref is None:
            return None
        checkpoint.read_state(self.folder.path / ref)
        return head.start_step, self.folder.path / ref

    def _trainer(self, head: Segment, stage: Train) -> NPOTrainer:
        every, run = self.config.run.eval_every, self.config.run
        save_at = rollback_steps(self.config)
        hooks = [
            callbacks.NeedSignal(run.no_signal_patience),
            callbacks.OnLog(self._write_row),
            callbacks.AtStep(
                lambda step: self._evaluates() and (step % every == 0 or step == stage.until),
                lambda step: self._evaluate(trainer, step),
            ),
            callbacks.StopAt(stage.until, save_at),
            self.interrupt,
        ]
        self._num_samples = 0
        trainer = build.build_trainer(
            self.config,
            self.task,
            self.train_rows,
            self.folder.path / head.folder,
            callbacks=hooks,
            guidance=self._source(head),
            on_group=self._write_sample,
        )
        trainer.pinned_steps = save_at
        return trainer

    def _source(self, head: Segment) -> WindowedCache | None:
        if head.intervention is None:
            return None
        cache = GuidanceCache.open(self.folder.path / head.folder / "guidance")
        return WindowedCache(cache, head.intervention.start_step, head.intervention.end_step)

    def _intervene(self, intervention: Intervention) -> None:
        """Collect guidance from the guide for the window to be replayed, then branch."""
        old, branched = self.lineage.head, self.lineage.branch(intervention)
        new = branched.head
        counts = self._collect(intervention, self.folder.path / new.folder / "guidance")
        step = intervention.guide.step
        facts = {"kind": intervention.kind, "segment": old.id, "step": step, "total_steps": new.total_steps_before}
        self.folder.event(
            "rollback",
            **facts,
            from_segment=old.id,
            from_step=step,
            to_segment=new.id,
            to_step=intervention.start_step,
            rollback_distance=step - intervention.start_step,
            num_guidance=counts.num_solved,
        )
        self.folder.sync()
        self._save_lineage(branched)

    def _collect(self, intervention: Intervention, folder: Path) -> CollectionCounts:
        guide, run = intervention.guide, self.config.run
        trainer = self._policy(guide, folder.parent)
        engine = TRLEngine(trainer)
        window = trainer.prompts_between(intervention.start_step, guide.step)
        learner = self._learner(intervention, folder.parent) if run.guide_select == "closest" else None
        self.folder.event("collection_started", kind=intervention.kind, segment=guide.segment, step=guide.step)
        self.display.collecting(guide, len(window))
        cache = collect_guidance(
            engine,
            [self.train_rows[i] for i in window],
            lambda text, row: judge(self.task.verify, text, row),
            folder,
            guide=guide,
            num_samples=run.guide_num_samples,
            select=run.guide_select,
            batch_size=run.guide_batch_size,
            seed=trainer.args.seed,
            learner_score=None if learner is None else TRLEngine(learner).score,
            learner=None if learner is None else self.lineage.ref(intervention.start_step),
            verifier_version=self.task.verifier_version,
            progress=self.display.collected,
        )
        counts = cache.header.counts
        self.folder.event(
            "collected",
            kind=intervention.kind,
            segment=guide.segment,
            step=guide.step,
            total_steps=self.lineage.total_steps(guide.step),
            guide_segment=guide.segment,
            guide_step=guide.step,
            num_prompts=counts.num_prompts,
            num_solved=counts.num_solved,
            num_samples=counts.num_samples,
            num_dropped_no_eos=counts.num_dropped_no_eos,
            num_dropped_too_long=counts.num_dropped_too_long,
            guide_tokens=counts.num_tokens,
            seconds=counts.seconds,
        )
        cache.close()
        release(trainer)
        if learner is not None:
            release(learner)
        return counts

    def _policy(self, ref: PolicyRef | None, output_dir: Path) -> NPOTrainer:
        """A trainer that holds the policy `ref` (None: the base weights), to sample or score with."""
        trainer = build.build_trainer(self.config, self.task, self.train_rows, output_dir)
        if ref is not None:
            checkpoint.read_state(self.folder.path / ref.path)
            trainer._load_from_checkpoint(str(self.folder.path / ref.path))
        trainer.model.to(trainer.args.device)
        return trainer

    def _learner(self, intervention: Intervention, output_dir: Path) -> NPOTrainer:
        return self._policy(self.lineage.ref(intervention.start_step), output_dir)

    def _save_lineage(self, lineage: Lineage) -> None:
        self.lineage = lineage
        if self.folder.is_main:
            lineage.write(self.folder.lineage)
        processes.wait_for_everyone()

    def _evaluates(self) -> bool:
        return bool(self.config.run.eval_every and self.eval_rows)

    def _evaluate(self, trainer: NPOTrainer, step: int) -> None:
        run = self.config.run
        metrics = evaluate(
            TRLEngine(trainer),
            self.eval_rows,
            lambda text, row: judge(self.task.verify, text, row),
            num_samples=run.eval_num_samples,
            batch_size=run.guide_batch_size,
            seed=trainer.args.seed,
        )
        self.folder.append("metrics", {**self._clock(step), **metrics})
        self.display.evaluated(step, metrics)
        self._began = time.perf_counter()

    def _clock(self, step: int) -> dict[str, int]:
        return {"segment": self.lineage.head.id, "step": step, "total_steps": self.lineage.total_steps(step)}

    def _write_row(self, step: int, logs: dict[str, Any]) -> None:
        now = time.perf_counter()
        row = {**self._clock(step), "seconds": now - self._began, **logs}
        self._began = now
        self.folder.append("metrics", row)
        self.display.step(row)

    def _write_sample(self, example: Example) -> None:
        """Keep the first few groups that guidance entered, for the report."""
        self._num_samples += 1
        if self._num_samples > MAX_SAMPLES_PER_SEGMENT:
            return
        verdicts = {1.0: "correct", 0.0: "wrong"}
        self.folder.append(
            "samples",
            {
                **self._clock(example.step),
                "prompt_id": example.prompt_id,
                "prompt": example.prompt,
                "pass_rate": example.pass_rate,
                "rollouts": [{"text": text, "verdict": verdicts.get(v, "not judged")} for text, v in example.rollouts],
                "guidance": {
                    "text": example.guidance_text,
                    "guide_segment": example.guide_segment,
                    "guide_step": example.guide_step,
                },
            },
        )

    def _finish(self) -> None:
        """The final policy in the Hugging Face layout, the ledger, the last event."""
        step = self.config.max_steps
        ref = self.lineage.ref(step)
        assert ref is not None
        if self.folder.is_main and not self.folder.final.exists():
            draft = self.folder.path / "final.tmp"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(self.folder.path / ref.path, draft, ignore=shutil.ignore_patterns(*NOT_IN_FINAL))
            draft.rename(self.folder.final)
        self.folder.event("finished", segment=ref.segment, step=step, total_steps=self.lineage.total_steps(step))
        if self.folder.is_main:
            write_ledger(RunRecords.load(self.folder.path))
        processes.wait_for_everyone()
