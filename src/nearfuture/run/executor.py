"""Runs a configuration to its end: read the lineage, run its head.

    while the plan is not finished:
        train the head from its latest whole checkpoint to the next planned stop, or
        carry out the intervention that is due: collect from the guide, branch, continue at the rollback point

A fresh start, a resume after a kill and a rollback are the same code. Every process runs it; the main one writes.

Not here: the decisions (`nearfuture.run.settings.plan`), the trainer (`nearfuture.train`), what people see
(`nearfuture.run.show`).
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset

from nearfuture.guidance.collect import Given
from nearfuture.guidance.held_out import Answers, answer
from nearfuture.method.lineage import Lineage, Segment
from nearfuture.method.trigger import State
from nearfuture.record.folder import RunFolder
from nearfuture.record.ledger import write_ledger
from nearfuture.record.records import RunRecords
from nearfuture.run import build
from nearfuture.run.auto import autonpo
from nearfuture.run.auto.controller import Controller, fired_state
from nearfuture.run.auto.probe import Bench
from nearfuture.run.checkpoints import Policies, saved_policies
from nearfuture.run.guides import Guides
from nearfuture.run.recorder import Recorder
from nearfuture.run.rows import plain_rows, rows_by_id
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import (
    REPLAYED,
    TRIGGERED,
    Compare,
    Confirm,
    Finish,
    Train,
    guidance_end,
    next_stage,
    rollback_steps,
    stages_ahead,
)
from nearfuture.run.show import Display
from nearfuture.run.whole import WholeCheckpoints, damage_of
from nearfuture.tasks import Task
from nearfuture.train import NPOTrainer, TRLEngine, callbacks, checkpoint, processes
from nearfuture.train.distill import Distiller
from nearfuture.train.exact import CONTROLLER, state_file
from nearfuture.train.factory import release
from nearfuture.types import Intervention, Kind, NoSignalError, PolicyRef, UserError

Outcome = Literal["finished", "paused", "interrupted"]
NOT_IN_FINAL = (
    "optimizer*",
    "pytorch_model_fsdp*",
    "global_step*",  # DeepSpeed's weights and optimizer, in shards
    "latest",
    "zero_to_*.py",
    "scheduler*",
    "rng_state*",
    "trainer_state*",
    "training_args*",
    "rollouts-*",
    checkpoint.MARKER,
)


NUM_LOOKED_AT = 32
"""Prompts that the base policy is asked before a run pays for a guide."""


class Interrupted(Exception):  # noqa: N818 (no error: the run can be continued)
    """A signal came inside a stage; a checkpoint is saved."""


class Executor:
    """One run in its folder. The folder must hold `lineage.json`; see `nearfuture.run.start`."""

    def __init__(self, config: Configuration, task: Task, display: Display) -> None:
        self.config, self.task, self.display = config, task, display
        self.folder = RunFolder(config.run.run_dir, is_main=processes.is_main())
        self.lineage = Lineage.read(self.folder.lineage)
        self.train_rows = build.training_rows(task)
        self.interrupt = callbacks.OnInterrupt()
        self.guides = Guides(config, task, display, self.folder, self.train_rows)
        self.checkpoints = WholeCheckpoints(self.folder, display.warning)

    def run(self, *, one_stage: bool = False) -> Outcome:
        """Carry the run to its horizon, to the end of the present stage, or to an interrupt with a checkpoint saved."""
        with self.interrupt.listening():
            try:
                while not isinstance(stage := next_stage(self.lineage, self.config), Finish):
                    self._carry_out(stage)
                    if self.interrupt.is_interrupted:
                        return "interrupted"
                    if one_stage and not isinstance(next_stage(self.lineage, self.config), Finish):
                        return "paused"
                self._finish()
            except Interrupted:
                return "interrupted"
        return "finished"

    def _carry_out(self, stage: Train | Confirm | Compare | Intervention) -> None:
        if isinstance(stage, Train):
            self._train(stage)
        elif isinstance(stage, Confirm):
            self._confirm(stage.step)
        elif isinstance(stage, Compare):
            self._compare(stage.step)
        else:
            self._intervene(stage)

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
        if reached == stage.until:  # a kill came between the checkpoint of its last step and its end in the lineage
            self._end_segment(reached, stage.reason)
            return
        self._event("segment_started" if reached == head.start_step else "resumed", reached)
        step, has_fired = self._train_from(start, stage)
        if step == stage.until:
            self._end_segment(step, stage.reason)
        elif has_fired:
            self._end_segment(step, TRIGGERED)

    def _train_from(self, start: tuple[int, Path] | None, stage: Train) -> tuple[int, bool]:
        """Train the head from a checkpoint, and return the step it has reached and whether the trigger fired there."""
        self._collect_damaged_again()
        head, reached = self.lineage.head, 0 if start is None else start[0]
        self.display.segment(self.lineage, reached, stage.until, self.config.max_steps)
        record = Recorder(self.config, self.task, self.folder, self.display, self.lineage)
        trainer = self._trainer(head, stage, reached, record)
        record.start()
        if start is None:
            trainer.train()
        else:
            trainer.trusted = start[1]
            trainer.train(resume_from_checkpoint=str(start[1]))
        step = trainer.state.global_step
        has_fired = self._may_go_back and self._controller is not None and self._controller.has_fired
        if has_fired and record.evaluates and not record.is_due(step, stage.until):
            record.evaluate(trainer, step)  # what an intervention brings is read at this step
        self.folder.sync()
        release(trainer)
        return step, has_fired

    def _end_segment(self, step: int, reason: str) -> None:
        self._save_lineage(self.lineage.end_head(step, reason))
        self._event("segment_ended", step, reason=reason)

    def _event(self, event: str, step: int, **facts: Any) -> None:
        """Write an event of the head."""
        total_steps = self.lineage.total_steps(step)
        self.folder.event(event, segment=self.lineage.head.id, step=step, total_steps=total_steps, **facts)

    def _fired_before_a_kill(self, head: Segment, reached: int) -> bool:
        """True where the trigger fired at the last checkpoint, and a kill came before that was written down."""
        path = state_file(self.folder.path / head.checkpoint(reached), CONTROLLER)
        if not self._may_go_back or reached in head.passed_triggers or not path.exists():
            return False
        return bool(json.loads(path.read_text())["trigger"]["state"] == State.FIRED)

    def _resume_point(self, head: Segment, until: int | None = None) -> tuple[int, Path] | None:
        """The latest whole checkpoint of the head, else the one it branched from, else None: the base weights."""
        step = self.checkpoints.latest(head, until)
        if step is not None:
            return step, self.folder.path / head.checkpoint(step)
        if head.parent is None:
            return None
        path = self.lineage.segments[head.parent].checkpoint(head.start_step)
        return head.start_step, self._whole(PolicyRef(head.parent, head.start_step, path))

    def _whole(self, policy: PolicyRef) -> Path:
        """The folder of a checkpoint that is needed; a damaged one is trained again, to the same bits."""
        if policy.step and not self.checkpoints.is_whole(policy):
            self._train_again(policy)
        return self.folder.path / policy.path

    def _train_again(self, policy: PolicyRef) -> None:
        """Train a segment as the head that it was, from its last whole checkpoint to the one that is damaged.

        Raises:
            Interrupted: a signal came; a checkpoint on the way is saved.
        """
        present, self.lineage = self.lineage, self.lineage.until(policy.segment).extend_head()
        stage = next_stage(self.lineage, self.config)
        assert isinstance(stage, Train), "a head that has not ended is trained"
        try:
            start = self._resume_point(self.lineage.head, policy.step)
            while start is None or start[0] < policy.step:
                self._train_from(start, Train(policy.step, stage.reason))
                if self.interrupt.is_interrupted:
                    raise Interrupted
                start = self._resume_point(self.lineage.head, policy.step)
        finally:
            self.lineage = present

    def _collect_damaged_again(self) -> None:
        """Collect guidance on the path to the head again where it is damaged: the same guide writes the same.

        Raises:
            UserError: what AutoNPO asked its guide depends on a probe that is gone.
        """
        for segment, _ in self.lineage.path() if self.guides.injects else ():
            if segment.intervention is None:
                continue
            folder = self.folder.path / segment.folder
            damage = processes.from_main(partial(damage_of, folder / "guidance"))
            if not damage:
                continue
            if segment.intervention.kind == Kind.AUTO:
                raise UserError(f"{damage} A probe chose its prompts, so it cannot be collected again here.")
            self.display.warning(f"{damage} Collecting it again.")
            self.folder.event("guidance_damaged", path=f"{segment.folder}/guidance", reason=damage)
            self._whole(segment.intervention.guide)
            self.guides.collect(self.lineage.until(segment.id - 1), segment.intervention, folder)

    def _trainer(self, head: Segment, stage: Train, reached: int, record: Recorder) -> NPOTrainer:
        run = self.config.run
        ahead = None if head.intervention is None else head.intervention.guide.step
        save_at = rollback_steps(self.config)
        hooks = [
            callbacks.NeedSignal(run.no_signal_patience),
            callbacks.StopWhen(self._is_triggered),
            callbacks.OnLog(record.step),
            callbacks.AtStep(
                lambda step: record.is_due(step, stage.until, ahead),
                lambda step: record.evaluate(trainer, step),
            ),
            callbacks.StopAt(stage.until, save_at),
            self.interrupt,
        ]
        if record.evaluates:
            hooks.append(callbacks.AtStart(lambda step: record.evaluate(trainer, step)))
        elif head.id == 0 and self._pays_for_guides:
            hooks.append(callbacks.AtStart(lambda _: record.look(trainer, _spread(self.train_rows))))
        # A scout or a guide has its end already; what leads to the horizon is watched.
        watches = self.config.autonpo.mode != "off" and stage.reason in ("horizon", REPLAYED)
        self._controller = self._watch(head, reached) if watches else None
        trainer: NPOTrainer = build.build_trainer(
            self.config,
            self.task,
            self.train_rows,
            self.folder.path / head.folder,
            callbacks=hooks,
            guidance=self.guides.source(self.lineage),
            distiller=self._distiller(head),
            on_group=record.sample,
            on_pass_rates=(lambda ids, rates: self._observe_batch(trainer, ids, rates)) if watches else None,
        )
        trainer.shows_group = record.shows
        trainer.pinned_steps = save_at
        if self._controller is not None:
            trainer.stateful = {**trainer.stateful, CONTROLLER: self._controller}
        return trainer

    def _watch(self, head: Segment, reached: int) -> Controller:
        """The controller of a segment; one that AutoNPO began inherits the trigger that fired."""
        gate = self.config.training.max_pass_rate
        fired = None
        if head.intervention is not None and head.intervention.kind == Kind.AUTO and reached == head.start_step:
            fired = fired_state(self._whole(head.intervention.guide))["trigger"]
        return Controller(self.config.autonpo, gate, fired=fired, back_to=head.start_step)

    def _is_triggered(self, step: int, logs: dict[str, Any]) -> bool:
        if self._controller is None:
            return False
        has_fired = self._controller.observe_step(step, logs)
        logs |= self._controller.metrics()
        return has_fired and self._may_go_back

    @property
    def _pays_for_guides(self) -> bool:
        """True where a policy of the run is asked for guidance, or may be."""
        is_planned = any(isinstance(stage, Intervention) for stage in stages_ahead(self.config))
        return self.guides.injects and (is_planned or self.config.autonpo.mode == "act")

    @property
    def _may_go_back(self) -> bool:
        """True where a trigger is looked into: AutoNPO is on, and its budget is not spent."""
        auto = self.config.autonpo
        return auto.mode != "off" and not autonpo.is_spent(self.lineage, auto)

    def _observe_batch(self, trainer: NPOTrainer, prompt_ids: list[str], pass_rates: list[float]) -> None:
        assert self._controller is not None
        self._controller.observe_batch(trainer.state.global_step + 1, prompt_ids, pass_rates)

    def _distiller(self, head: Segment) -> Distiller | None:
        """The guide of the head beside the policy, where it distils."""
        intervention = head.intervention
        if not self.config.training.distill_coef or intervention is None:
            return None
        self._whole(intervention.guide)
        return Distiller.load(self.guides.weights(intervention.guide), intervention.start_step, intervention.end_step)

    def _confirm(self, step: int) -> None:
        """The trigger has fired: probe, weigh, and go back or continue."""
        config, auto, head = self.config, self.config.autonpo, self.lineage.head
        rows = rows_by_id(self.train_rows)
        checkpoints = {saved.step: self._whole(saved) for saved in saved_policies(self.folder.path, self.lineage)}
        if step not in checkpoints:
            checkpoint.read_state(self.folder.path / head.checkpoint(step))
        scratch = self.folder.path / head.folder
        with Policies(config, self.task, self.train_rows, checkpoints, scratch) as policies:
            steps = [0, *(s for s in checkpoints if s < step)]
            way_back = autonpo.decide(
                autonpo.Fired(self.lineage, fired_state(checkpoints[step]), steps, config.training.max_pass_rate),
                Bench(policies.load, rows, self.task.verify, config.training.seed, config.run.guide_batch_size),
                auto,
                lambda event, **facts: self._event(event, step, **facts),
            )
        if way_back is None:
            self._save_lineage(self.lineage.extend_head(passed_trigger=step))
            return
        guide = PolicyRef(head.id, step, head.checkpoint(step))
        end = guidance_end(config, way_back.step, step)
        intervention = Intervention(Kind.AUTO, guide, way_back.step, end, way_back.evidence)
        asked = [rows[prompt_id] for prompt_id in way_back.prompt_ids]
        try:
            self._intervene(intervention, asked, way_back.given)
        except NoSignalError as error:  # what the probe counted as solved cannot be trained on
            self._event("declined", step, reason=str(error))
            self._save_lineage(self.lineage.extend_head(passed_trigger=step))

    def _compare(self, step: int) -> None:
        """The replay has reached the step of the trigger: continue from the better of both branches."""
        head = self.lineage.head
        assert head.intervention is not None
        guide = head.intervention.guide
        here = PolicyRef(head.id, step, head.checkpoint(step))
        facts = autonpo.compare(self._answers(here), self._answers(guide))
        self._event("accepted", step, **facts)
        is_kept = facts["kept"] == "guided"
        self._save_lineage(self.lineage.extend_head(passed_trigger=step) if is_kept else self.lineage.return_to(guide))

    def _answers(self, policy: PolicyRef) -> Answers:
        """What a policy answers to the held-out prompts; the same draws for every policy compared at its step."""
        self._whole(policy)
        trainer = self.guides.policy(policy, self.folder.path / self.lineage.head.folder)
        answers = answer(
            TRLEngine(trainer),
            plain_rows(self.task.evaluation),
            self.task.verify,
            num_samples=self.config.autonpo.accept_num_samples,
            batch_size=self.config.run.guide_batch_size,
            seed=trainer.args.seed + policy.step,
        )
        release(trainer)
        return answers

    def _intervene(
        self, intervention: Intervention, rows: list[dict[str, Any]] | None = None, given: Given | None = None
    ) -> None:
        """Collect guidance from the guide (for `rows`, or the whole window to be replayed), then branch."""
        if self.lineage.head.end_step is None:  # the base weights guide themselves: nothing was trained
            self._end_segment(self.lineage.head.start_step, intervention.kind)
        old, branched = self.lineage.head, self.lineage.branch(intervention)
        new = branched.head
        start = self.lineage.ref(intervention.start_step)
        for policy in (intervention.guide, *([] if start is None else [start])):
            self._whole(policy)
        num_guidance = 0
        if self.guides.injects:
            counts = self.guides.collect(self.lineage, intervention, self.folder.path / new.folder, rows, given)
            num_guidance = counts.num_solved
        if start is not None:
            checkpoint.read_state(self.folder.path / start.path)  # nobody has deleted it meanwhile
        step = intervention.guide.step
        facts = {"kind": intervention.kind, "segment": old.id, "step": step, "total_steps": new.total_steps_before}
        self.folder.event(
            "rollback",
            **facts,
            from_segment=old.id,
            from_step=step,
            to_segment=new.id,
            to_step=intervention.start_step,
            num_guidance=num_guidance,
            **{"rollback_distance": step - intervention.start_step, **intervention.evidence},
        )
        self.folder.sync()
        self._save_lineage(branched)

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
        if not processes.from_main(self._is_final_whole):
            source = self._whole(ref)
            if self.folder.is_main:
                self._write_final(source, step)
        self.folder.event("finished", segment=ref.segment, step=step, total_steps=self.lineage.total_steps(step))
        if self.folder.is_main:
            write_ledger(RunRecords.load(self.folder.path))
        processes.wait_for_everyone()

    def _is_final_whole(self) -> bool:
        """True where the final policy is there as it was written; a damaged one is named, and taken away."""
        try:
            checkpoint.require_whole(self.folder.final)
        except checkpoint.DamagedError as error:
            self.display.warning(f"{error} It is copied again.")
            self.folder.event("final_damaged", reason=str(error))
            shutil.rmtree(self.folder.final)
        return self.folder.final.exists()

    def _write_final(self, source: Path, step: int) -> None:
        draft = self.folder.path / "final.tmp"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source, draft, ignore=shutil.ignore_patterns(*NOT_IN_FINAL))
        checkpoint.mark_complete(draft, {"step": step})
        draft.rename(self.folder.final)


def _spread(rows: Dataset) -> list[dict[str, Any]]:
    """A few prompts from all over the data."""
    return plain_rows(rows, list(range(0, len(rows), max(1, len(rows) // NUM_LOOKED_AT)))[:NUM_LOOKED_AT])
