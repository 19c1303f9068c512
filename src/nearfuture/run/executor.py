"""Run a configuration to its end: read the lineage, run its head.

    while the plan is not finished:
        train the head from its latest whole checkpoint to the next planned stop, or
        carry out the intervention that is due: collect from the guide, branch, continue at the rollback point

A fresh start, a resume after a kill and a rollback are the same code. Every process runs it; the main one writes.

Not here: the decisions (`nearfuture.run.settings.plan`), the trainer (`nearfuture.train`), what people see
(`nearfuture.run.show`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from nearfuture.guidance.collect import Given
from nearfuture.guidance.harvest import Known
from nearfuture.guidance.held_out import Answers, answer
from nearfuture.method.lineage import Lineage, Segment
from nearfuture.method.trigger import State
from nearfuture.record.ledger import write_ledger
from nearfuture.record.records import RunRecords
from nearfuture.run.auto import autonpo
from nearfuture.run.auto.controller import fired_state
from nearfuture.run.auto.probe import Bench
from nearfuture.run.build import RunContext, base_model
from nearfuture.run.checkpoints import Policies, saved_policies
from nearfuture.run.guides import Guides
from nearfuture.run.rows import plain_rows, rows_by_id
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import (
    TRIGGERED,
    Compare,
    Confirm,
    Finish,
    Train,
    guidance_end,
    next_stage,
)
from nearfuture.run.show import Display
from nearfuture.run.stretch import Stretch, may_go_back
from nearfuture.run.whole import WholeCheckpoints
from nearfuture.tasks import Task
from nearfuture.train import TRLEngine, callbacks, checkpoint, processes
from nearfuture.train.exact import CONTROLLER, state_file
from nearfuture.types import Intervention, Kind, NoSignalError, PolicyRef

Outcome = Literal["finished", "paused", "interrupted"]


class Interrupted(Exception):  # noqa: N818 (no error: the run can be continued)
    """A signal came inside a stage; a checkpoint is saved."""


class Executor:
    """One run in its folder. The folder must hold `lineage.json`; see `nearfuture.run.start`."""

    def __init__(self, config: Configuration, task: Task, display: Display) -> None:
        self.context, self.config = RunContext.of(config, task, display), config
        self.folder = self.context.folder
        self.lineage = Lineage.read(self.folder.lineage)
        self.interrupt = callbacks.OnInterrupt()
        self.checkpoints = WholeCheckpoints(self.folder, display.warning, self._train_again)
        self.guides = Guides(self.context, self.checkpoints)

    def run(self, *, one_stage: bool = False) -> Outcome:
        """Run to the horizon, to the end of the current stage, or to an interrupt with a checkpoint saved."""
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
        start = self.checkpoints.resume_point(self.lineage)
        reached = 0 if start is None else start[0]
        if reached == stage.until:  # a kill came between the checkpoint of its last step and its end in the lineage
            self._end_segment(reached, stage.reason)
            return
        if self._fired_before_a_kill(head, reached):
            self._end_segment(reached, TRIGGERED)
            return
        self._event("segment_started" if reached == head.start_step else "resumed", reached)
        step, has_fired = self._train_from(start, stage)
        if step == stage.until:
            self._end_segment(step, stage.reason)
        elif has_fired:
            self._end_segment(step, TRIGGERED)

    def _train_from(self, start: tuple[int, Path] | None, stage: Train) -> tuple[int, bool]:
        """Train the head from a checkpoint; return the step it has reached, and whether the trigger fired there."""
        self.guides.collect_damaged_again(self.lineage)
        return Stretch(self.context, self.guides, self.lineage, stage, self.interrupt).train(start)

    def _end_segment(self, step: int, reason: str) -> None:
        self._save_lineage(self.lineage.end_head(step, reason))
        self._event("segment_ended", step, reason=reason)

    def _event(self, event: str, step: int, **facts: Any) -> None:
        """Write an event of the head."""
        total_steps = self.lineage.total_steps(step)
        self.folder.event(event, segment=self.lineage.head.id, step=step, total_steps=total_steps, **facts)

    def _fired_before_a_kill(self, head: Segment, reached: int) -> bool:
        """True if the trigger fired at the last checkpoint, and a kill came before that was recorded."""
        path = state_file(self.folder.path / head.checkpoint(reached), CONTROLLER)
        if not may_go_back(self.config, self.lineage) or reached in head.passed_triggers or not path.exists():
            return False
        return bool(json.loads(path.read_text())["trigger"]["state"] == State.FIRED)

    def _train_again(self, policy: PolicyRef) -> None:
        """Train a segment as the head that it once was, from its last whole checkpoint to the damaged one.

        Raises:
            Interrupted: a signal came; a checkpoint on the way is saved.
        """
        present, self.lineage = self.lineage, self.lineage.until(policy.segment).extend_head()
        stage = next_stage(self.lineage, self.config)
        assert isinstance(stage, Train), "a head that has not ended is trained"
        try:
            start = self.checkpoints.resume_point(self.lineage, policy.step)
            while start is None or start[0] < policy.step:
                self._train_from(start, Train(policy.step, stage.reason))
                if self.interrupt.is_interrupted:
                    raise Interrupted
                start = self.checkpoints.resume_point(self.lineage, policy.step)
        finally:
            self.lineage = present

    def _confirm(self, step: int) -> None:
        """Handle a trigger that has fired: probe, weigh, and go back or go on."""
        config, task, head = self.config, self.context.task, self.lineage.head
        rows = rows_by_id(self.context.train_rows)
        checkpoints = {
            saved.step: self.checkpoints.whole(saved) for saved in saved_policies(self.folder.path, self.lineage)
        }
        if step not in checkpoints:
            checkpoint.read_state(self.folder.path / head.checkpoint(step))
        scratch = self.folder.path / head.folder
        with Policies(config, task, self.context.train_rows, checkpoints, scratch) as policies:
            steps = [0, *(s for s in checkpoints if s < step)]
            way_back = autonpo.decide(
                autonpo.Fired(
                    self.lineage,
                    fired_state(checkpoints[step]),
                    steps,
                    config.training.max_pass_rate,
                    config.run.guide_num_samples,
                    config.training.num_generations,
                ),
                Bench(policies.load, rows, task.verify, config.training.seed, config.run.guide_batch_size),
                config.autonpo,
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
            self._intervene(intervention, asked, way_back.given, way_back.known)
        except NoSignalError as error:  # what the probe counted as solved cannot be trained on
            self._event("declined", step, reason=str(error))
            self._save_lineage(self.lineage.extend_head(passed_trigger=step))

    def _compare(self, step: int) -> None:
        """Continue from the better of both branches once the replay has reached the step of the trigger."""
        head = self.lineage.head
        assert head.intervention is not None
        guide = head.intervention.guide
        here = PolicyRef(head.id, step, head.checkpoint(step))
        facts = autonpo.compare(self._answers(here), self._answers(guide))
        self._event("accepted", step, **facts)
        is_kept = facts["kept"] == "guided"
        self._save_lineage(self.lineage.extend_head(passed_trigger=step) if is_kept else self.lineage.return_to(guide))

    def _answers(self, policy: PolicyRef) -> Answers:
        """Let a policy answer the held-out prompts, with the same draws for every policy compared at its step."""
        output_dir = self.folder.path / self.lineage.head.folder
        with self.guides.policy(policy, output_dir) as trainer:
            return answer(
                TRLEngine(trainer),
                plain_rows(self.context.task.evaluation),
                self.context.task.verify,
                num_samples=self.config.autonpo.accept_num_samples,
                batch_size=self.config.run.guide_batch_size,
                seed=trainer.args.seed + policy.step,
            )

    def _intervene(
        self,
        intervention: Intervention,
        rows: list[dict[str, Any]] | None = None,
        given: Given | None = None,
        known: Known | None = None,
    ) -> None:
        """Collect guidance from the guide (for `rows`, or the whole window to be replayed), then branch."""
        if self.lineage.head.end_step is None:  # the base weights guide themselves: nothing was trained
            self._end_segment(self.lineage.head.start_step, intervention.kind)
        old, branched = self.lineage.head, self.lineage.branch(intervention)
        new = branched.head
        start = self.lineage.ref(intervention.start_step)
        if start is not None:
            self.checkpoints.whole(start)
        num_guidance = 0
        if self.guides.injects:
            counts = self.guides.collect(self.lineage, intervention, self.folder.path / new.folder, rows, given, known)
            num_guidance = counts.num_solved
        if start is not None:
            checkpoint.read_state(self.folder.path / start.path)  # nobody has deleted it in the meantime
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
        """Write the final policy in the Hugging Face layout, the ledger and the last event."""
        step = self.config.max_steps
        ref = self.lineage.ref(step)
        assert ref is not None
        if not processes.from_main(self.checkpoints.is_final_whole):
            source = self.checkpoints.whole(ref)
            if self.folder.is_main:
                self.checkpoints.write_final(source, step, base_model(self.config, self.context.task))
        self.folder.event("finished", segment=ref.segment, step=step, total_steps=self.lineage.total_steps(step))
        if self.folder.is_main:
            write_ledger(RunRecords.load(self.folder.path))
        processes.wait_for_everyone()
