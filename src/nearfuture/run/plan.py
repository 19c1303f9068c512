"""What a run does next, as a function of its lineage and its configuration.

    early   train the scout to `scout_steps`, collect, branch at step 0
    late    train to `guide_step`, collect, branch at `rollback_to`
    auto    when the trigger has fired: confirm with a probe, then collect and branch, or go on
    then    train to the horizon

Not here: doing it (`nearfuture.run.executor`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.algo.lineage import Lineage
from nearfuture.run.config import Configuration
from nearfuture.types import Intervention

TRIGGERED = "trigger"
AUTO_KIND = "auto"


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
class Finish:
    """The head stands at the horizon."""


def next_stage(lineage: Lineage, config: Configuration) -> Train | Confirm | Intervention | Finish:
    """Decide the next stage of a run.

    Args:
        lineage: what was trained so far; the head may be running (`end_step` None) or have ended.
        config: the run's configuration.

    Returns:
        Train, a trigger to confirm, an intervention that is due (the head stands at its guide), or Finish.
    """
    if lineage.head.reason == TRIGGERED:
        assert lineage.head.end_step is not None
        return Confirm(lineage.head.end_step)
    run, done = config.run, {s.intervention.kind for s in lineage.segments if s.intervention is not None}
    reached = lineage.head.end_step
    if run.scout_steps and "early" not in done:
        if reached != run.scout_steps:
            return Train(run.scout_steps, "scout")
        return _intervention("early", lineage, run.scout_steps, 0, run.guidance_lifetime)
    if run.guide_step is not None and "late" not in done:
        if reached != run.guide_step:
            return Train(run.guide_step, "guide")
        return _intervention("late", lineage, run.guide_step, run.rollback_to or 0, run.guidance_lifetime)
    return Finish() if reached == config.max_steps else Train(config.max_steps, "horizon")


def _intervention(kind: str, lineage: Lineage, guide_step: int, start: int, lifetime: str) -> Intervention:
    guide = lineage.ref(guide_step)
    assert guide is not None
    return Intervention(kind, guide, start, guide_step if lifetime == "segment" else None)


def rollback_steps(config: Configuration) -> frozenset[int]:
    """Steps whose checkpoints an intervention needs: never deleted, saved whatever `save_steps` says."""
    run = config.run
    return frozenset(step for step in (run.scout_steps, run.rollback_to, run.guide_step, config.max_steps) if step)


def segments_ahead(config: Configuration) -> list[tuple[int, int]]:
    """(start, end) of every segment this run will train, in order; for dry runs and the disk plan."""
    run, spans, start = config.run, [], 0
    if run.scout_steps:
        spans.append((0, run.scout_steps))
    if run.guide_step is not None:
        spans.append((0, run.guide_step))
        start = run.rollback_to or 0
    return [*spans, (start, config.max_steps)]
