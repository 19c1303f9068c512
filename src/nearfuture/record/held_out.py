"""A run's held-out curve against its cost, and two runs of one seed at equal cost.

What a run holds when a clock shows x is the last step of its head's path that was paid for by then: while it trains
ahead on a stretch that it will abandon, that step stands still. Before anything is paid it holds the policy of step 0,
which is free. Between two evaluations the pass rate is interpolated
linearly over the steps; nothing is extrapolated.

Letters: H steps of the head's path, X positions on a clock.

Not here: means and intervals over seeds (`nearfuture.lab.study.summary`), the clocks (`clocks`).
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nearfuture.record.clocks import Clock, has_prices, head_positions, paid_at
from nearfuture.record.records import EVALUATION, RunRecords

Floats = NDArray[np.float64]
CLOCKS: tuple[Clock, ...] = ("step", "total_steps", "tokens", "seconds")
NUM_POSITIONS = 200


class HeldOutCurve:
    """The held-out pass rate of one run on every clock."""

    def __init__(self, records: RunRecords) -> None:
        self.records = records
        self._paid: dict[Clock, Floats] = {}
        self._curve = records.curve(EVALUATION)
        self._positions = head_positions(records)
        self._trusted = {clock for clock in CLOCKS if len(self._curve) and has_prices(records, clock)}

    def has(self, clock: Clock) -> bool:
        """True if the run was evaluated during training, and the clock can be trusted."""
        return clock in self._trusted

    @cached_property
    def rates(self) -> Floats:
        """Pass rate at every step of the head's path, [H]; NaN where it was not measured on both sides."""
        steps_H = np.array([step for _, step in self._positions], dtype=np.float64)
        if not len(self._curve):
            return np.full(steps_H.shape, math.nan)
        return np.interp(steps_H, self._curve.steps, self._curve.values, left=math.nan, right=math.nan)

    def paid(self, clock: Clock) -> Floats:
        """What the clock showed at every step of the head's path, [H]."""
        if clock not in self._paid:
            self._paid[clock] = paid_at(self.records, clock, self._positions)
        return self._paid[clock]

    def end(self, clock: Clock) -> float:
        """What the clock showed at the last evaluated step; NaN if `has` is false."""
        if not self.has(clock):
            return math.nan
        return float(self.paid(clock)[np.isfinite(self.rates)].max())

    def at(self, clock: Clock, positions_X: Floats) -> Floats:
        """Pass rate of what the run held at each position of the clock, [X]; NaN beyond its end."""
        if not self.has(clock):
            return np.full(positions_X.shape, math.nan)
        held_X = self._held(clock, positions_X)
        return np.where(positions_X <= self.end(clock), self.rates[held_X], math.nan)

    def step_at(self, clock: Clock, position: float) -> int:
        """The step of the head's path that the run held at a position of the clock."""
        return self._positions[int(self._held(clock, np.array([position]))[0])][1]

    def _held(self, clock: Clock, positions_X: Floats) -> NDArray[np.int64]:
        return np.maximum(np.searchsorted(self.paid(clock), positions_X, side="right") - 1, 0)

    def first_at(self, clock: Clock, rate: float) -> float:
        """What the clock showed when the pass rate first reached a level; NaN if it never did."""
        if not self.has(clock):
            return math.nan
        reached = np.flatnonzero(self.rates >= rate)
        if not len(reached):
            return math.nan
        return float(self.paid(clock)[reached[0]]) if reached[0] else 0.0

    def area(self, clock: Clock, end: float) -> float:
        """Mean pass rate of what the run held between 0 and a position of the clock: the area under the curve."""
        middles_X = (np.arange(NUM_POSITIONS) + 0.5) / NUM_POSITIONS * end
        return float(self.at(clock, middles_X).mean())


def common_end(curve: HeldOutCurve, other: HeldOutCurve, clock: Clock) -> float:
    """Where the first of two runs ends on a clock; NaN if one has no such clock."""
    ends = curve.end(clock), other.end(clock)
    return math.nan if any(map(math.isnan, ends)) else min(ends)


def difference_at_equal(curve: HeldOutCurve, other: HeldOutCurve, clock: Clock) -> tuple[float, float]:
    """Return the common end of two runs on a clock, and by how much the first one's pass rate is higher there."""
    end = common_end(curve, other, clock)
    if math.isnan(end):
        return math.nan, math.nan
    at = np.array([end])
    return end, float(curve.at(clock, at)[0] - other.at(clock, at)[0])


def area_difference(curve: HeldOutCurve, other: HeldOutCurve, clock: Clock) -> float:
    """By how much the mean pass rate on the way to the common end is higher; NaN if a clock is missing."""
    end = common_end(curve, other, clock)
    return math.nan if math.isnan(end) else curve.area(clock, end) - other.area(clock, end)


def speed_up(curve: HeldOutCurve, baseline: HeldOutCurve, clock: Clock, share: float) -> float:
    """How many times less a run paid until it first reached a level of the baseline.

        level = baseline's pass rate at `share` of its end,   speed-up = t_baseline(level) / t_run(level)

    Both times are those of first reaching it, by the same rule, so that a baseline that rises gives 1 beside itself
    however noisy its curve is. NaN if the run never reached it, or one of them had it before the first step.
    """
    if not (curve.has(clock) and baseline.has(clock)):
        return math.nan
    level = float(baseline.at("step", np.array([share * baseline.end("step")]))[0])
    times = baseline.first_at(clock, level), curve.first_at(clock, level)
    return times[0] / times[1] if all(times) and not any(map(math.isnan, times)) else math.nan
