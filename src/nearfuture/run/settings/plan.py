"""What a run does next, as a function of its lineage and its configuration.

    resampling   control: the base weights guide themselves, branch at step 0
    early        train the scout to `scout_steps`, collect, branch at step 0
    late         train to `guide_step`, collect, branch at `rollback_to`
    auto         when the trigger has fired: confirm with a probe, then collect and branch, or continue
                 when the replay has reached that step: compare both branches, where the configuration asks for it
    then         train to the horizon

Not here: doing it (`nearfuture.run.executor`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nearfuture.method.lineage import Lineage
from nearfuture.run.settings.config import Configuration
from nearfuture.types import Intervention, Kind, PolicyRef

TRIGGERED = "trigger"
REPLAYED = "replayed"
BASE = PolicyRef(0, 0, "")
"""The base weights as a guide."""


@dataclass(frozen=True)
class Train:
    """Train the head until `until`; `reason` says why it ends there."""

    until: int
    reason: str


@dataclass(frozen=True)
class Confirm:
    """The trigger fired at `step`, where the head stopped: is there something to gain, and how far back?"""

    step: int


@dataclass(frozen=True)
class Compare:
    """The replay has reached the step it was begun at: is the guided branch better than the abandoned tail?"""

    step: int


@dataclass(frozen=True)
class Finish:
    """The head stands at the horizon."""


Stage = Train | Confirm | Compare | Intervention | Finish


def next_stage(lineage: Lineage, config: Configuration) -> Stage:
    """Decide the next stage of a run.

    Args:
        lineage: what was trained so far; the head may be running (`end_step` None) or have ended.
        config: the run's configuration.

    Returns:
        Train, a trigger to confirm, branches to compare, an intervention that is due (the head stands at its guide), or
        Finish.
    """
    if (waiting := _auto_stage(lineage, config)) is not None:
        return waiting
    run, done = config.run, {s.intervention.kind for s in lineage.segments if s.intervention is not None}
    reached = lineage.head.end_step
    if run.resample_steps and Kind.RESAMPLING not in done:
        return Intervention(Kind.RESAMPLING, BASE, 0, guidance_end(config, 0, run.resample_steps))
    if run.scout_steps and Kind.EARLY not in done:
        if reached != run.scout_steps:
            return Train(run.scout_steps, "scout")
        return _intervention(Kind.EARLY, lineage, config, run.scout_steps, 0)
    if run.guide_step is not None and Kind.LATE not in done:
        if reached != run.guide_step:
            return Train(run.guide_step, "guide")
        return _intervention(Kind.LATE, lineage, config, run.guide_step, run.rollback_to or 0)
    return Finish() if reached == config.max_steps else Train(config.max_steps, "horizon")


def _auto_stage(lineage: Lineage, config: Configuration) -> Stage | None:
    """What AutoNPO has to do before the run continues, if anything."""
    head = lineage.head
    if head.reason == TRIGGERED:
        assert head.end_step is not None
        return Confirm(head.end_step)
    if config.autonpo.accept == "always" or head.intervention is None or head.intervention.kind != Kind.AUTO:
        return None
    step = head.intervention.guide.step
    if head.reason == REPLAYED:
        return Compare(step)
    is_compared = step in head.passed_triggers
    return None if is_compared else Train(step, REPLAYED)


def _intervention(kind: Kind, lineage: Lineage, config: Configuration, guide_step: int, start: int) -> Intervention:
    guide = lineage.ref(guide_step)
    assert guide is not None
    return Intervention(kind, guide, start, guidance_end(config, start, guide_step))


def guidance_end(config: Configuration, start: int, guide_step: int) -> int | None:
    """The first step without guidance after going back to `start`; None: the gate alone decides."""
    if config.run.guidance_lifetime == "while_gated":
        return None
    return guide_step if config.run.guidance_steps is None else start + config.run.guidance_steps


def only_trains(config: Configuration) -> bool:
    """True where no stage but training can come: no policy is sampled, scored or gone back to."""
    run = config.run
    return not (run.resample_steps or run.scout_steps or run.guide_step is not None or config.autonpo.mode != "off")


def rollback_steps(config: Configuration) -> frozenset[int]:
    """Steps whose checkpoints an intervention needs: never deleted, saved whatever `save_steps` says."""
    run = config.run
    return frozenset(step for step in (run.scout_steps, run.rollback_to, run.guide_step, config.max_steps) if step)


def stages_ahead(config: Configuration) -> Iterator[Train | Intervention]:
    """Yield every stage of a run that begins now, as `next_stage` decides them, if AutoNPO's trigger never fires.

    What is shown before a run and what is forecast of it (`--dry-run`, disk, tokens, progress) iterate this.
    """
    lineage = Lineage.begin()
    while isinstance(stage := next_stage(lineage, config), Train | Intervention):
        yield stage
        lineage = _done(lineage, stage)


def segments_ahead(config: Configuration) -> list[tuple[int, int]]:
    """Return (start, end) of every segment that `stages_ahead` trains, in order."""
    lineage = Lineage.begin()
    for stage in stages_ahead(config):
        lineage = _done(lineage, stage)
    return [(segment.start_step, segment.end_step or 0) for segment in lineage.segments]


def _done(lineage: Lineage, stage: Train | Intervention) -> Lineage:
    """Return the lineage after a stage."""
    running = lineage if lineage.head.end_step is None else lineage.extend_head()
    if isinstance(stage, Train):
        return running.end_head(stage.until, stage.reason)
    if lineage.head.end_step is None:  # the base weights guide themselves: nothing was trained
        lineage = lineage.end_head(lineage.head.start_step, stage.kind)
    return lineage.branch(stage)


def is_evaluated(config: Configuration, step: int, *ends: int | None) -> bool:
    """Whether held-out prompts are asked at a step: every `eval_every` steps, and at the `ends` of a stretch."""
    every = config.run.eval_every
    return every > 0 and (step % every == 0 or step in ends)


def window_end(config: Configuration, intervention: Intervention) -> int:
    """Return the last step whose prompts a guide is asked: those of the window that is replayed."""
    run, start = config.run, intervention.start_step
    return max(intervention.guide.step, start + max(run.guidance_steps or 0, run.resample_steps))
