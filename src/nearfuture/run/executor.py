"""Runs a configuration to its end: read the lineage, run its head.

    while the plan is not finished:
        train the head from its latest whole checkpoint to the next planned stop, or
        carry out the intervention that is due: collect from the guide, branch, go on at the rollback point

A fresh start, a resume after a kill and a rollback are the same code. Every process runs it; the main one writes.

Not here: the decisions (`nearfuture.run.plan`), the trainer (`nearfuture.train`), what people see
(`nearfuture.run.show`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from nearfuture.algo.lineage import Lineage, Segment
from nearfuture.algo.trigger import State
from nearfuture.guidance import CollectionCounts, GuidanceCache, WindowedCache, collect_guidance
from nearfuture.guidance.collect import Given
from nearfuture.run import autonpo, build
from nearfuture.run.config import Configuration
from nearfuture.run.controller import Controller
from nearfuture.run.folder import RunFolder
from nearfuture.run.ledger import write_ledger
from nearfuture.run.plan import AUTO_KIND, TRIGGERED, Confirm, Finish, Train, next_stage, rollback_steps
from nearfuture.run.policies import Policies, find_checkpoints
from nearfuture.run.recorder import Recorder
from nearfuture.run.records import RunRecords
from nearfuture.run.show import Display
from nearfuture.tasks import Task, judge
from nearfuture.train import NPOTrainer, TRLEngine, callbacks, checkpoint, processes
from nearfuture.train.exact import STATE_FILE
from nearfuture.train.factory import release
from nearfuture.types import Intervention, PolicyRef, Verdict

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
DEFAULT_GATE, DEFAULT_SEED = 0.6, 42  # of NPOConfig and TrainingArguments


class Executor:
    """One run in its folder. The folder must hold `lineage.json`; see `nearfuture.run.start`."""

    def __init__(self, config: Configuration, task: Task, display: Display) -> None:
        self.config, self.task, self.display = config, task, display
        self.folder = RunFolder(config.run.run_dir, is_main=processes.is_main())
        self.lineage = Lineage.read(self.folder.lineage)
        self.train_rows = build.training_rows(task)
        self.interrupt = callbacks.OnInterrupt()

    def run(self) -> Outcome:
        """Carry the run to its horizon, or to an interrupt with a checkpoint saved."""
        with self.interrupt.listening():
            while not isinstance(stage := next_stage(self.lineage, self.config), Finish):
                if isinstance(stage, Train):
                    self._train(stage)
                    if self.interrupt.is_interrupted:
                        return "interrupted"
                elif isinstance(stage, Confirm):
                    self._confirm(stage.step)
                else:
                    self._intervene(stage)
            self._finish()
        return "finished"

    def _train(self, stage: Train) -> None:
        """Train the head from its latest whole checkpoint to the planned stop."""
        head = self.lineage.head
        if head.end_step is not None:
            self._save_lineage(self.lineage.extend_head())
        start = self._resume_point(head)
        reached = 0 if start is None else start[0]
        if self._fired_before_a_kill(head, reached):
            self._end_segment(reached, TRIGGERED)
            return
        self._event("segment_started" if reached == head.start_step else "resumed", reached)
        self.display.segment(self.lineage, reached, stage.until, self.config.max_steps)
        record = Recorder(self.config, self.task, self.folder, self.display, self.lineage)
        trainer = self._trainer(head, stage, reached, record)
        record.start()
        if start is None:
            if record.evaluates:
                record.evaluate(trainer, 0)
            trainer.train()
        else:
            trainer.train(resume_from_checkpoint=str(start[1]))
        step = trainer.state.global_step
        self.folder.sync()
        release(trainer)
        if step == stage.until:
            self._end_segment(step, stage.reason)
        elif self._controller is not None and self._controller.has_fired:
            self._end_segment(step, TRIGGERED)

    def _end_segment(self, step: int, reason: str) -> None:
        self._save_lineage(self.lineage.end_head(step, reason))
        self._event("segment_ended", step, reason=reason)

    def _event(self, event: str, step: int, **facts: Any) -> None:
        """Write an event of the head."""
        total_steps = self.lineage.total_steps(step)
        self.folder.event(event, segment=self.lineage.head.id, step=step, total_steps=total_steps, **facts)

    def _fired_before_a_kill(self, head: Segment, reached: int) -> bool:
        """True where the trigger fired at the last checkpoint, and a kill came before that was written down."""
        path = self.folder.path / head.checkpoint(reached) / STATE_FILE
        if self.config.autonpo.mode == "off" or reached in head.passed_triggers or not path.exists():
            return False
        return bool(json.loads(path.read_text())["trigger"]["state"] == State.FIRED)

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

    def _trainer(self, head: Segment, stage: Train, reached: int, record: Recorder) -> NPOTrainer:
        every, run = self.config.run.eval_every, self.config.run
        save_at = rollback_steps(self.config)
        hooks = [
            callbacks.NeedSignal(run.no_signal_patience),
            callbacks.StopWhen(self._is_triggered),
            callbacks.OnLog(record.step),
            callbacks.AtStep(
                lambda step: record.evaluates and (step % every == 0 or step == stage.until),
                lambda step: record.evaluate(trainer, step),
            ),
            callbacks.StopAt(stage.until, save_at),
            self.interrupt,
        ]
        # Only plain training towards the horizon is watched: a scout or a guide has its end already.
        watches = self.config.autonpo.mode != "off" and stage.reason == "horizon"
        self._controller = self._watch(head, reached) if watches else None
        trainer: NPOTrainer = build.build_trainer(
            self.config,
            self.task,
            self.train_rows,
            self.folder.path / head.folder,
            callbacks=hooks,
            guidance=self._source(head),
            on_group=record.sample,
            on_pass_rates=(lambda ids, rates: self._observe_batch(trainer, ids, rates)) if watches else None,
        )
        trainer.pinned_steps = save_at
        trainer.stateful = self._controller
        return trainer

    def _watch(self, head: Segment, reached: int) -> Controller:
        """The controller of a segment; one that AutoNPO began inherits the trigger that fired."""
        gate = float(self.config.training.get("max_pass_rate", DEFAULT_GATE))
        fired = None
        if head.intervention is not None and head.intervention.kind == AUTO_KIND and reached == head.start_step:
            fired = autonpo.fired_state(self.folder.path / head.intervention.guide.path)["trigger"]
        return Controller(self.config.autonpo, gate, fired=fired, back_to=head.start_step)

    def _is_triggered(self, step: int, logs: dict[str, Any]) -> bool:
        if self._controller is None:
            return False
        has_fired = self._controller.observe_step(step, logs)
        logs |= self._controller.metrics()
        return has_fired

    def _observe_batch(self, trainer: NPOTrainer, prompt_ids: list[str], pass_rates: list[float]) -> None:
        assert self._controller is not None
        self._controller.observe_batch(trainer.state.global_step + 1, prompt_ids, pass_rates)

    def _source(self, head: Segment) -> WindowedCache | None:
        if head.intervention is None:
            return None
        cache = GuidanceCache.open(self.folder.path / head.folder / "guidance")
        return WindowedCache(cache, head.intervention.start_step, head.intervention.end_step)

    def _confirm(self, step: int) -> None:
        """The trigger has fired: probe, weigh, and go back or go on."""
        config, auto, head = self.config, self.config.autonpo, self.lineage.head
        rows = {row["prompt_id"]: dict(row) for row in self.train_rows}
        checkpoints = find_checkpoints(self.folder.path)
        if step not in checkpoints:
            checkpoint.read_state(self.folder.path / head.checkpoint(step))
        scratch = self.folder.path / head.folder
        with Policies(config, self.task, self.train_rows, checkpoints, scratch) as policies:
            decision = autonpo.decide(
                self.lineage,
                autonpo.fired_state(checkpoints[step]),
                [0, *(s for s in checkpoints if s < step)],
                policies.load,
                rows,
                self._verify,
                auto,
                lambda event, **facts: self._event(event, step, **facts),
                seed=int(config.training.get("seed", DEFAULT_SEED)),
                batch_size=config.run.guide_batch_size,
                max_pass_rate=float(config.training.get("max_pass_rate", DEFAULT_GATE)),
            )
        if decision.back_to is None:
            self._save_lineage(self.lineage.extend_head(passed_trigger=step))
            return
        guide = PolicyRef(head.id, step, head.checkpoint(step))
        end = step if config.run.guidance_lifetime == "segment" else None
        intervention = Intervention(AUTO_KIND, guide, decision.back_to, end, decision.evidence)
        self._intervene(intervention, [rows[prompt_id] for prompt_id in decision.prompt_ids], decision.probe.given())

    def _intervene(
        self, intervention: Intervention, rows: list[dict[str, Any]] | None = None, given: Given | None = None
    ) -> None:
        """Collect guidance from the guide (for `rows`, or the whole window to be replayed), then branch."""
        old, branched = self.lineage.head, self.lineage.branch(intervention)
        new = branched.head
        counts = self._collect(intervention, self.folder.path / new.folder / "guidance", rows, given)
        step = intervention.guide.step
        facts = {"kind": intervention.kind, "segment": old.id, "step": step, "total_steps": new.total_steps_before}
        self.folder.event(
            "rollback",
            **facts,
            from_segment=old.id,
            from_step=step,
            to_segment=new.id,
            to_step=intervention.start_step,
            num_guidance=counts.num_solved,
            **{"rollback_distance": step - intervention.start_step, **intervention.evidence},
        )
        self.folder.sync()
        self._save_lineage(branched)

    def _collect(
        self, intervention: Intervention, folder: Path, rows: list[dict[str, Any]] | None, given: Given | None
    ) -> CollectionCounts:
        guide, run = intervention.guide, self.config.run
        trainer = self._policy(guide, folder.parent)
        engine = TRLEngine(trainer)
        if rows is None:
            window = trainer.prompts_between(intervention.start_step, guide.step)
            rows = [self.train_rows[i] for i in window]
        learner = self._learner(intervention, folder.parent) if run.guide_select == "closest" else None
        self.folder.event("collection_started", kind=intervention.kind, segment=guide.segment, step=guide.step)
        self.display.collecting(guide, len(rows))
        cache = collect_guidance(
            engine,
            rows,
            self._verify,
            folder,
            guide=guide,
            num_samples=run.guide_num_samples,
            select=run.guide_select,
            batch_size=run.guide_batch_size,
            seed=trainer.args.seed,
            learner_score=None if learner is None else TRLEngine(learner).score,
            learner=None if learner is None else self.lineage.ref(intervention.start_step),
            verifier_version=self.task.verifier_version,
            given=given,
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

    def _verify(self, text: str, row: dict[str, Any]) -> Verdict:
        return judge(self.task.verify, text, row)

    def _save_lineage(self, lineage: Lineage) -> None:
        self.lineage = lineage
        if self.folder.is_main:
            lineage.write(self.folder.lineage)
        processes.wait_for_everyone()

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
