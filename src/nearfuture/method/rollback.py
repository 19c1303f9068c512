"""How far to go back: the distance with the largest effective signal, and the guards that may overrule it.

Deviations: the paper only takes the argmax of Q / V (reconstruction.md 2.1). All guards are ours (reconstruction.md
2.3): Q of a few prompts is noise, a guide that solves nothing teaches nothing, and going back a short way costs less.

The candidate of distance 0 stays: the current policy answers its own mistakes, and no step is trained twice.

Not here: measuring Q and V (`signal`, `variance_cost`), which prompts (`mistakes`), whether to go back (`trigger`),
what the replayed steps would have brought (`price`), doing it (`nearfuture.run`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Guard(StrEnum):
    """What overruled the argmax of the effective signal."""

    NO_CHECKPOINT = "no_checkpoint"
    TOO_FEW_PROMPTS = "too_few_prompts"
    GUIDE_TOO_WEAK = "guide_too_weak"
    BLOCKED = "blocked"
    GAIN_TOO_SMALL = "gain_too_small"
    PRICE = "price"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One checkpoint the run could go back to, with what the probe found; at distance 0 the run stays where it is.

    Attributes:
        rollback_distance: D, optimizer steps between the checkpoint and the guide (the current policy).
        step: step of the checkpoint.
        num_prompts: probed prompts of the slice that belongs to D.
        quality: Q(D), pass rate of the guide on them, 0 to 1; NaN if none could be judged.
        variance_cost: V(D), 1 where guide and learner agree; infinite if it overflowed.
        expected_gain: how much pass rate its guidance is expected to bring (`price`); NaN if it was not computed.
        price: what the run would have gained with the D steps; 0 if they are not charged (`autonpo.price: none`).
    """

    rollback_distance: int
    step: int
    num_prompts: int
    quality: float
    variance_cost: float
    expected_gain: float = math.nan
    price: float = 0.0

    def __post_init__(self) -> None:
        assert self.rollback_distance >= 0 and self.step >= 0 and self.num_prompts >= 0
        assert math.isnan(self.quality) or 0.0 <= self.quality <= 1.0
        assert self.variance_cost > 0.0, "V is a second moment"

    @property
    def effective_signal(self) -> float:
        """S = Q / V. See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3; reconstruction.md 3.1."""
        return self.quality / self.variance_cost

    @property
    def worth(self) -> float:
        """Expected gain minus price, in pass rate."""
        return self.expected_gain - self.price

    def as_row(self) -> dict[str, float | int | None]:
        """Return the row of a `rollback` event; infinite values and NaN become None, since JSON has neither."""
        row = {
            "rollback_distance": self.rollback_distance,
            "step": self.step,
            "num_prompts": self.num_prompts,
            "quality": self.quality,
            "variance_cost": self.variance_cost,
            "effective_signal": self.effective_signal,
            "expected_gain": self.expected_gain,
            "price": self.price,
        }
        return {name: value if math.isfinite(value) else None for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class Choice:
    """Where to go back to (None: nowhere), the guard that overruled the argmax (None: none did), and why in words."""

    candidate: Candidate | None
    guard: Guard | None
    reason: str


def select(
    candidates: Sequence[Candidate],
    *,
    min_prompts: int,
    min_quality: float,
    min_gain: float,
    blocked_steps: Collection[int] = (),
) -> Choice:
    """Choose the rollback distance.

        D* = argmax_D Q(D) / V(D)    over the candidates no guard excludes; ties go to the smaller D
        D* = min D                   unless S(D*) > min_gain S(min D)

    See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3 for the argmax; reconstruction.md 2.3 for the
    rest. `guard` names what kept the plain argmax over *all* candidates from being taken, so None means the paper's
    choice.

    Args:
        candidates: one per checkpoint, in any order.
        min_prompts: how many probed prompts a slice needs; with fewer, Q is noise.
        min_quality: lowest pass rate of the guide on a slice that is worth a replay.
        min_gain: factor by which the best S must exceed that of the smallest distance.
        blocked_steps: checkpoints the run has returned to without progress since: never twice at the same place.

    Returns:
        The choice; with candidate None if nothing is left.

    Example:
        >>> near, far = Candidate(10, 90, 20, 0.30, 1.0), Candidate(40, 60, 20, 0.60, 1.5)
        >>> select([near, far], min_prompts=8, min_quality=0.02, min_gain=1.05).candidate.rollback_distance
        40
    """
    limits = Limits(min_prompts, min_quality, blocked_steps)
    if not candidates:
        return Choice(None, Guard.NO_CHECKPOINT, "There is no checkpoint before this step. Save earlier (save_steps).")
    ordered = sorted(candidates, key=lambda candidate: candidate.rollback_distance)
    assert len({candidate.rollback_distance for candidate in ordered}) == len(ordered), "a distance appears twice"
    paper = max(ordered, key=signal_or_none)
    allowed = [candidate for candidate in ordered if excluded(candidate, limits) is None]
    if not allowed:
        whys = "; ".join(f"distance {c.rollback_distance}: {why(c, limits)}" for c in ordered)
        return Choice(None, excluded(paper, limits), f"No candidate is left. {whys}.")
    nearest, best = allowed[0], max(allowed, key=signal_or_none)
    if best is not nearest and not best.effective_signal > min_gain * nearest.effective_signal:
        return Choice(
            nearest,
            excluded(paper, limits) or Guard.GAIN_TOO_SMALL,
            f"S = {best.effective_signal:.4g} at distance {best.rollback_distance} is not {min_gain:g} times the "
            f"{nearest.effective_signal:.4g} at distance {nearest.rollback_distance}, which costs less.",
        )
    reason = f"S = {best.effective_signal:.4g} at distance {best.rollback_distance} is the largest."
    if best is not paper:
        reason += f" Distance {paper.rollback_distance} has {paper.effective_signal:.4g}, but {why(paper, limits)}."
    return Choice(best, excluded(paper, limits), reason)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate must have; see `select`."""

    min_prompts: int
    min_quality: float
    blocked_steps: Collection[int]


def excluded(candidate: Candidate, limits: Limits) -> Guard | None:
    """Return the first guard that excludes a candidate, None if none does."""
    if candidate.num_prompts < limits.min_prompts:
        return Guard.TOO_FEW_PROMPTS
    if candidate.step in limits.blocked_steps:
        return Guard.BLOCKED
    if not candidate.quality >= limits.min_quality or not candidate.effective_signal > 0.0:
        return Guard.GUIDE_TOO_WEAK
    return None


def signal_or_none(candidate: Candidate) -> float:
    """S, with NaN below everything; among equals `max` keeps the first, which has the smaller distance."""
    return -1.0 if math.isnan(candidate.effective_signal) else candidate.effective_signal


def why(candidate: Candidate, limits: Limits) -> str:
    """Say what excludes a candidate."""
    match excluded(candidate, limits):
        case Guard.TOO_FEW_PROMPTS:
            return f"{candidate.num_prompts} prompts probed, min_prompts={limits.min_prompts}"
        case Guard.BLOCKED:
            return f"step {candidate.step} was already returned to, without progress since"
        case Guard.GUIDE_TOO_WEAK if candidate.quality >= limits.min_quality and candidate.quality > 0.0:
            return f"V = {candidate.variance_cost:.3g} leaves no signal"
        case Guard.GUIDE_TOO_WEAK:
            return f"the guide solves {candidate.quality:.3g} of its slice, min_quality={limits.min_quality:g}"
        case _:
            return "nothing is against it"
