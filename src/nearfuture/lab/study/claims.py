"""One method against another, over training seeds: what is claimed, and whether the interval supports it.

A claim is "A is better than B" by some measure. Its interval is that of the paired difference over the seeds that both
have. Supported: the interval is above 0. Contradicted: it is below 0. Otherwise: not supported.

Not here: the estimators (`nearfuture.stats.seeds`), the sentences (`nearfuture.lab.report.study_words`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from nearfuture.lab.study.results import Study, TestCounts
from nearfuture.lab.study.summary import LEVEL, Aggregate, MethodSummary, aggregate
from nearfuture.record.clocks import Clock
from nearfuture.record.held_out import CLOCKS, area_difference, difference_at_equal, speed_up
from nearfuture.stats import seeds
from nearfuture.stats.seeds import Estimate

Verdict = Literal["supported", "not supported", "contradicted", "not known"]
CLOCK_NAMES: dict[Clock, str] = {
    "step": "steps",
    "total_steps": "total steps",
    "tokens": "generated tokens",
    "seconds": "wall-clock",
}
SHARES = (0.5, 1.0)
"""The shares of the baseline's course at which the level for a speed-up is read."""


@dataclass(frozen=True)
class Claim:
    """A is better than B by a measure.

    Attributes:
        method: A.
        other: B.
        measure: what differs, in words: `mean@16`, `pass@8`, `held-out pass rate at equal total
            steps`.
        difference: A minus B.
        clock: the clock at which both were read, if at equal cost.
        at: the position on that clock, mean over seeds.
        adjusted_p: Holm's p-value over the claims of the same measure; NaN if it was not adjusted.
    """

    method: str
    other: str
    measure: str
    difference: Estimate
    clock: Clock | None = None
    at: float = math.nan
    adjusted_p: float = math.nan

    @property
    def verdict(self) -> Verdict:
        """What the interval says about the claim."""
        if math.isnan(self.difference.low):
            return "not known"
        if self.difference.is_above_zero:
            return "supported"
        return "contradicted" if self.difference.is_below_zero else "not supported"


@dataclass(frozen=True)
class Beside:
    """All claims about one method compared with another.

    Attributes:
        mean: claim about mean@n over families, the main figure.
        pass_at: claims about pass@k, by k.
        at_equal: claims about the held-out pass rate at equal cost, by clock.
        areas: claims about the mean held-out pass rate on the way, by clock.
        probability_of_improvement: rliable's, on mean@n.
        speed_ups: by clock and share: how many times less was paid to reach the other's level, and the number of
            seeds for which that is known; the estimate is NaN unless it is known for all.
    """

    mean: Claim
    pass_at: dict[int, Claim]
    at_equal: dict[Clock, Claim]
    areas: dict[Clock, Claim]
    probability_of_improvement: Aggregate
    speed_ups: dict[tuple[Clock, float], tuple[Estimate, int]]

    @property
    def is_identical(self) -> bool:
        """True if no measure differs in any seed, as where a trigger never fired; seconds are the machine's."""
        by_clock = [(clock, claim) for of in (self.at_equal, self.areas) for clock, claim in of.items()]
        claims = [self.mean, *self.pass_at.values(), *(claim for clock, claim in by_clock if clock != "seconds")]
        known = [claim.difference for claim in claims if not math.isnan(claim.difference.value)]
        return self.mean.difference in known and all(one.value == 0 and math.isnan(one.low) for one in known)


def beside(summary: MethodSummary, other: MethodSummary, pass_at: Sequence[int], num_samples: int) -> Beside:
    """Compare a method with another one, paired by seed."""
    pairs = _Pairs(summary, other)
    improvement = seeds.probability_of_improvement(summary.resampled[0], other.resampled_apart)
    return Beside(
        mean=pairs.on_test(f"mean@{num_samples}", 1),
        pass_at={k: pairs.on_test(f"pass@{k}", k) for k in pass_at if k > 1},
        at_equal={clock: pairs.at_equal(clock) for clock in CLOCKS},
        areas={clock: pairs.area(clock) for clock in CLOCKS},
        probability_of_improvement=aggregate(improvement),
        speed_ups={(clock, share): pairs.speed_up(clock, share) for clock in CLOCKS for share in SHARES},
    )


class _Pairs:
    """The runs of two methods that share a seed."""

    def __init__(self, summary: MethodSummary, other: MethodSummary) -> None:
        theirs = {figures.run.seed: figures for figures in other.runs}
        self.sides = summary, other
        self.runs = [(ours, theirs[ours.run.seed]) for ours in summary.runs if ours.run.seed in theirs]

    def claim(self, measure: str, differences: Sequence[float]) -> Claim:
        method, other = (side.method for side in self.sides)
        return Claim(method, other, measure, seeds.mean_over_seeds(np.array(differences), LEVEL))

    def on_test(self, measure: str, k: int) -> Claim:
        left, right = (dict(zip(side.seeds, side.by_seed(k), strict=True)) for side in self.sides)
        return self.claim(measure, [left[a.run.seed] - right[a.run.seed] for a, _ in self.runs])

    def at_equal(self, clock: Clock) -> Claim:
        read = [difference_at_equal(a.curve, b.curve, clock) for a, b in self.runs]
        at = float(np.mean([end for end, _ in read])) if read else math.nan
        found = self.claim(f"held-out pass rate at equal {CLOCK_NAMES[clock]}", [found for _, found in read])
        return replace(found, clock=clock, at=at)

    def area(self, clock: Clock) -> Claim:
        differences = [area_difference(a.curve, b.curve, clock) for a, b in self.runs]
        return self.claim(f"mean held-out pass rate on the way, by {CLOCK_NAMES[clock]}", differences)

    def speed_up(self, clock: Clock, share: float) -> tuple[Estimate, int]:
        ratios = np.array([speed_up(a.curve, b.curve, clock, share) for a, b in self.runs])
        num_reached = int(np.isfinite(ratios).sum())
        if num_reached < len(ratios) or not num_reached:
            return Estimate(math.nan, math.nan, math.nan, len(ratios)), num_reached
        return seeds.mean_ratio(ratios, LEVEL), num_reached


def with_holm(claims: Sequence[Claim]) -> list[Claim]:
    """Adjust the p-values of claims for their number."""
    adjusted = seeds.holm(np.array([claim.difference.p_value for claim in claims]))
    return [replace(claim, adjusted_p=float(p)) for claim, p in zip(claims, adjusted, strict=True)]


def beyond_base(summary: MethodSummary, base: TestCounts, k: int, measure: str) -> Claim:
    """Compare a method with the untrained model, which has no seeds: its evaluation is taken as exact."""
    values = summary.by_seed(k) - base.mean(k)
    return Claim(summary.method, "base", measure, seeds.mean_over_seeds(values, LEVEL))


@dataclass(frozen=True)
class Ablation:
    """Two methods that differ in one setting; `value` of `variant`, `plain_value` of `plain` (None: the default)."""

    variant: MethodSummary
    plain: MethodSummary
    key: str
    value: Any
    plain_value: Any
    beside: Beside


def ablations(summaries: Sequence[MethodSummary], pass_at: Sequence[int], num_samples: int) -> list[Ablation]:
    """Find the pairs of methods that differ in one setting.

    A comparison with the plain base settings is not an ablation, and another `method` is more than one setting.
    """
    found = []
    for index, plain in enumerate(summaries):
        for variant in summaries[index + 1 :]:
            keys = plain.settings.keys() | variant.settings.keys()
            changed = [key for key in keys if plain.settings.get(key) != variant.settings.get(key)]
            if plain.settings and variant.settings and len(changed) == 1 and changed != ["method"]:
                key = changed[0]
                values = variant.settings.get(key), plain.settings.get(key)
                found.append(Ablation(variant, plain, key, *values, beside(variant, plain, pass_at, num_samples)))
    return found


def baseline_of(study: Study, summaries: Sequence[MethodSummary]) -> MethodSummary | None:
    """Return the method that changes nothing of the base settings, if there is one with a finished run."""
    return next((summary for summary in summaries if not study.grid.methods[summary.method]), None)
