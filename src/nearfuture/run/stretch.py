"""One stretch of training: the head of the lineage from a checkpoint to a stop, watched and recorded.

Not here: which stretch is due (`nearfuture.run.settings.plan`), what follows it (`nearfuture.run.executor`), its rows
(`nearfuture.run.recorder`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfuture.guidance.harvest import Harvest
from nearfuture.method.lineage import Lineage
from nearfuture.run.auto import autonpo
from nearfuture.run.auto.controller import Controller, fired_state
from nearfuture.run.build import RunContext
from nearfuture.run.guides import Guides
from nearfuture.run.recorder import Recorder
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import REPLAYED, Train, rollback_steps, stages_ahead
from nearfuture.train import NPOTrainer, callbacks, reporters
from nearfuture.train.distill import Distiller
from nearfuture.train.exact import CONTROLLER
from nearfuture.train.factory import release
from nearfuture.types import Intervention, Kind


def may_go_back(config: Configuration, lineage: Lineage) -> bool:
    """True if a trigger is examined: AutoNPO is on, and its budget is not spent."""
    return config.autonpo.mode != "off" and not autonpo.is_spent(lineage, config.autonpo)


class Stretch:
    """Trains the head of a lineage for a stage.

    Args:
        context: the run's context.
        guides: where guidance and guides come from.
        lineage: the lineage whose head is trained.
        stage: the step at which to stop, and why.
        interrupt: stops it at a signal.
    """

    def __init__(
        self, context: RunContext, guides: Guides, lineage: Lineage, stage: Train, interrupt: callbacks.OnInterrupt
    ) -> None:
        self.context, self.config, self.guides = context, context.config, guides
        self.lineage, self.head, self.stage, self.interrupt = lineage, lineage.head, stage, interrupt
        self.record = Recorder(context, lineage)
        self.controller: Controller | None = None

    def train(self, start: tuple[int, Path] | None) -> tuple[int, bool]:
        """Train from a checkpoint (None: the base weights); return the step reached, and whether the trigger fired."""
        reached = 0 if start is None else start[0]
        self.context.display.segment(self.lineage, reached, self.stage.until)
        self.controller = self._watch(reached) if self._is_watched else None
        trainer = self._trainer()
        if start is None:
            trainer.train()
        else:
            trainer.trusted = start[1]
            trainer.train(resume_from_checkpoint=str(start[1]))
        step = trainer.state.global_step
        controller = self.controller
        has_fired = controller is not None and controller.has_fired and may_go_back(self.config, self.lineage)
        if has_fired and self.record.evaluates and not self.record.is_due(self.stage, step):
            self.record.evaluate(trainer, step)  # what an intervention brings is read at this step
        self.context.folder.sync()
        release(trainer)
        return step, has_fired

    def _trainer(self) -> NPOTrainer:
        save_at = rollback_steps(self.config)
        hooks = [
            callbacks.OnBegin(self.record.start),
            callbacks.NeedSignal(self.config.run.no_signal_patience),
            callbacks.StopWhen(self._is_triggered),
            callbacks.OnLog(self.record.step),
            callbacks.AtStep(
                lambda step: self.record.is_due(self.stage, step),
                lambda step: self.record.evaluate(trainer, step),
            ),
            callbacks.StopAt(self.stage.until, save_at),
            self.interrupt,
        ]
        if self.record.evaluates:
            hooks.append(callbacks.AtStart(lambda step: self.record.evaluate(trainer, step)))
        elif self.head.id == 0 and self._pays_for_guides:
            hooks.append(callbacks.AtStart(lambda _: self.record.look(trainer)))
        trainer: NPOTrainer = self.context.trainer(
            self.context.folder.path / self.head.folder,
            callbacks=hooks,
            guidance=self.guides.source(self.lineage),
            distiller=self._distiller(),
            on_group=self.record.sample,
            on_pass_rates=None if self.controller is None else lambda *seen: self._observe_batch(trainer, *seen),
        )
        trainer.shows_group = self.record.shows
        trainer.pinned_steps = save_at
        if self.config.run.guidance_harvest and trainer.harvester is None:
            trainer.set_harvest(Harvest())
        if reporters.reporters_of(trainer):
            context = self.context
            reporters.follow(trainer, context.identity, context.folder.path, self.lineage.total_steps, self._told)
        if self.controller is not None:
            trainer.stateful = {**trainer.stateful, CONTROLLER: self.controller}
        return trainer

    def _told(self, step: int) -> dict[str, Any]:
        """What reporters are told about a step: its position, and the intervention if it is the first after one."""
        head = self.head
        where: dict[str, Any] = {"npo/step": step, "npo/segment": head.id}
        if head.intervention is None or step != head.start_step + 1:
            return where
        guide, end = head.intervention.guide, head.intervention.end_step
        until = "" if end is None else f" until step {end}"
        words = f"{head.intervention.kind}: back to step {head.start_step}, guided by step {guide.step}{until}"
        return {**where, "npo/intervention": words}

    @property
    def _is_watched(self) -> bool:
        """True for a stretch that leads to the horizon; the end of a scout or a guide is already fixed."""
        return self.config.autonpo.mode != "off" and self.stage.reason in ("horizon", REPLAYED)

    @property
    def _pays_for_guides(self) -> bool:
        """True if a policy of the run is asked for guidance, or may be."""
        is_planned = any(isinstance(stage, Intervention) for _, stage in stages_ahead(self.config))
        return self.guides.injects and (is_planned or self.config.autonpo.mode == "act")

    def _watch(self, reached: int) -> Controller:
        """Return the segment's controller; in a segment that AutoNPO began, it inherits the trigger that fired."""
        fired, intervention, start = None, self.head.intervention, self.head.start_step
        if intervention is not None and intervention.kind == Kind.AUTO and reached == start:
            fired = fired_state(self.guides.weights(intervention.guide))["trigger"]
        return Controller(self.config.autonpo, self.config.training.max_pass_rate, fired=fired, back_to=start)

    def _is_triggered(self, step: int, logs: dict[str, Any]) -> bool:
        if self.controller is None:
            return False
        has_fired = self.controller.observe_step(step, logs)
        logs |= self.controller.metrics()
        return has_fired and may_go_back(self.config, self.lineage)

    def _observe_batch(self, trainer: NPOTrainer, prompt_ids: list[str], pass_rates: list[float]) -> None:
        assert self.controller is not None
        self.controller.observe_batch(trainer.state.global_step + 1, prompt_ids, pass_rates)

    def _distiller(self) -> Distiller | None:
        """Return the head's guide to be loaded beside the policy, if it distils."""
        intervention = self.head.intervention
        if not self.config.training.distill_coef or intervention is None:
            return None
        return Distiller.load(self.guides.weights(intervention.guide), intervention.start_step, intervention.end_step)
