"""What a run does next, as a function of its lineage and its configuration.

    resampling   control: the base weights guide themselves, branch at step 0
    early        train the scout to `scout_steps`, collect, branch at step 0
    late         train to `guide_step`, collect, branch at `rollback_to`
    auto         when the trigger has fired: confirm with a probe, then collect and branch, or continue;
                 when the replay has reached that step: compare both branches, if the configuration asks for it
    then         train to the horizon

Not here: doing it (`nearfuture.run.executor`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nearfuture.method.lineage import Lineage, Segment
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
    """The trigger fired at `step`, where the head stopped: is there anything to gain, and how far back?"""

    step: int


@dataclass(frozen=True)
class Compare:
    """The replay has reached the step at which it was decided: is the guided branch better than the abandoned tail?"""

    step: int


@dataclass(frozen=True)
class Finish:
    """The head has reached the horizon."""


Stage = Train | Confirm | Compare | Intervention | Finish


def next_stage(lineage: Lineage, config: Configuration) -> Stage:
    """Decide the next stage of a run.

    Args:
        lineage: what was trained so far; the head may be running (`end_step` None) or have ended.
        config: the run's configuration.

    Returns:
        Train, a trigger to confirm, branches to compare, an intervention that is due (the head has reached its guide),
        or Finish.
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
    """Return what AutoNPO has to do before the run continues, if anything."""
    head = lineage.head
    if head.reason == TRIGGERED:
        assert head.end_step is not None
        return Confirm(head.end_step)
    if config.autonpo.accept == "always" or head.intervention is None or head.intervention.kind != Kind.AUTO:
        return None
    step = head.intervention.guide.step
    if head.start_step == step:  # it stayed: there is no second branch
        return None
    if head.reason == REPLAYED:
        return Compare(step)
    is_compared = step in head.passed_triggers
    return None if is_compared else Train(step, REPLAYED)


def _intervention(kind: Kind, lineage: Lineage, config: Configuration, guide_step: int, start: int) -> Intervention:
    guide = lineage.ref(guide_step)
    assert guide is not None
    return Intervention(kind, guide, start, guidance_end(config, start, guide_step))


def guidance_end(config: Configuration, start: int, guide_step: int) -> int | None:
    """Return the first step without guidance after going back to `start`; None: the gate alone decides."""
    if config.run.guidance_lifetime == "while_gated":
        return None
    return guide_step if config.run.guidance_steps is None else start + config.run.guidance_steps


def stages_ahead(config: Configuration, lineage: Lineage | None = None) -> Iterator[tuple[Lineage, Stage]]:
    """Yield every stage of a run, as `next_stage` decides them, if AutoNPO's trigger does not fire on the way.

    Everything that shows a run, forecasts it or keeps checkpoints for it iterates over this.

    Args:
        config: the run's configuration.
        lineage: the current state of the run; None: it begins now.

    Yields:
        The lineage at the beginning of a stage, and the stage.
    """
    lineage = Lineage.begin() if lineage is None else lineage
    while not isinstance(stage := next_stage(lineage, config), Finish):
        yield lineage, stage
        lineage = _after(lineage, stage)


def segments_ahead(config: Configuration) -> list[tuple[int, int]]:
    """Return (start, end) of every segment that `stages_ahead` trains, in order."""
    lineage = Lineage.begin()
    for before, stage in stages_ahead(config):
        lineage = _after(before, stage)
    return [(segment.start_step, segment.end_step or 0) for segment in lineage.segments]


def num_steps_ahead(config: Configuration, lineage: Lineage | None = None) -> int:
    """Return the optimizer steps that `stages_ahead` pays for."""
    stages = stages_ahead(config, lineage)
    return sum(stage.until - reached(before) for before, stage in stages if isinstance(stage, Train))


def reached(lineage: Lineage) -> int:
    """Return the step that a lineage has reached: where its head ended, or else began."""
    head = lineage.head
    return head.start_step if head.end_step is None else head.end_step


def replays_at_most(config: Configuration) -> list[tuple[int, int]]:
    """Return (start, end) of what AutoNPO may train beyond the stages ahead, as often and as far back as allowed."""
    auto = config.autonpo
    start = max(0, config.max_steps - auto.max_rollback_distance)
    return [(start, config.max_steps)] * auto.max_interventions if auto.mode == "act" else []


def only_trains(config: Configuration) -> bool:
    """True if only training can follow: no policy will be sampled, scored or gone back to."""
    return config.autonpo.mode == "off" and all(isinstance(stage, Train) for _, stage in stages_ahead(config))


def rollback_steps(config: Configuration) -> frozenset[int]:
    """Return steps whose checkpoints a stage needs or ends with: saved whatever `save_steps` is, and never deleted."""
    ends = {stage.until for _, stage in stages_ahead(config) if isinstance(stage, Train)}
    starts = {stage.start_step for _, stage in stages_ahead(config) if isinstance(stage, Intervention)}
    return frozenset((ends | starts) - {0})


def _after(lineage: Lineage, stage: Stage) -> Lineage:
    """Return the lineage after a stage; if AutoNPO only looks at something, the head goes on."""
    head = lineage.head
    if isinstance(stage, Train):
        return lineage.extend_head().end_head(stage.until, stage.reason)
    if isinstance(stage, Intervention):
        ended = lineage if head.end_step is not None else lineage.end_head(head.start_step, stage.kind)
        return ended.branch(stage)
    assert isinstance(stage, Confirm | Compare)
    return lineage.extend_head(passed_trigger=stage.step).end_head(reached(lineage), "passed")


def is_evaluated(config: Configuration, head: Segment, stage: Train, step: int) -> bool:
    """Whether held-out prompts are evaluated at a step of a stage.

    They are every `eval_every` steps, at the end of the stage, and at the step of the head's guide.
    """
    every, guide = config.run.eval_every, None if head.intervention is None else head.intervention.guide.step
    return every > 0 and (step % every == 0 or step in (stage.until, guide))


def window_end(config: Configuration, intervention: Intervention) -> int:
    """Return the last step whose prompts a guide is asked, which are those of the replayed window."""
    run, start = config.run, intervention.start_step
    asked = run.resample_steps if intervention.kind == Kind.RESAMPLING else 0
    return max(intervention.guide.step, start + max(run.guidance_steps or 0, asked))
