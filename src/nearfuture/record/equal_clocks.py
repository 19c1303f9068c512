"""Two runs at an equal clock: held-out pass rates, their difference, and whether it exceeds sampling noise.

Not here: seeds and intervals over seeds (one run is one seed), the sentences (`nearfuture.lab.report.words`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nearfuture.record.clocks import CLOCKS, Clock, has_tokens
from nearfuture.record.held_out import HeldOutCurve, common_end
from nearfuture.record.reading import Row
from nearfuture.record.records import EVALUATION, RunRecords, is_number

Z_95 = 1.96
Word = Literal["ahead", "behind", "no difference visible", "not judged"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A held-out pass rate at a step of the head's path, and how many samples it averages (None: not written)."""

    pass_rate: float
    num_samples: int | None
    step: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement on `run` beside `baseline`; `margin` is what a difference must exceed."""

    word: Word
    difference: float
    margin: float | None


@dataclass(frozen=True, slots=True)
class AtEqualClock:
    """Two runs at the same reading of a clock; the sides are None, with a reason, if that is impossible."""

    clock: Clock
    at: float | None = None
    run: Measured | None = None
    baseline: Measured | None = None
    judgement: Judgement | None = None
    reason: str = ""


def judge(run: Measured, baseline: Measured) -> Judgement:
    """Say whether two pass rates differ by more than the sampling error of the evaluations.

        p~ = (k + 1) / (n + 2),   SE^2 = p~ (1 - p~) / (n + 2) of each,   visible: |p~_run - p~_base| > 1.96 SE

    See Agresti and Caffo, "Simple and Effective Confidence Intervals for Proportions and Differences of
    Proportions" (2000). The added success and failure keep a rate of 0 or 1 from looking certain. Samples are taken
    as independent, so noise between seeds, which is usually larger, is not in the margin.

    Example:
        >>> judge(Measured(0.83, 1000, 120), Measured(0.77, 1000, 120)).word
        'ahead'
        >>> judge(Measured(0.83, 100, 120), Measured(0.77, 100, 120)).word
        'no difference visible'
    """
    difference = run.pass_rate - baseline.pass_rate
    if run.num_samples is None or baseline.num_samples is None:
        return Judgement("not judged", difference, None)
    shrunk_run, variance_run = _shrunk(run.pass_rate, run.num_samples)
    shrunk_base, variance_base = _shrunk(baseline.pass_rate, baseline.num_samples)
    margin = Z_95 * math.sqrt(variance_run + variance_base)
    if abs(shrunk_run - shrunk_base) <= margin:
        return Judgement("no difference visible", difference, margin)
    return Judgement("ahead" if difference > 0 else "behind", difference, margin)


def sampling_margin(pass_rate: float, num_samples: int) -> float:
    """Return the half width of the 95 % interval of one pass rate, by the same rule as `judge`."""
    return Z_95 * math.sqrt(_shrunk(pass_rate, num_samples)[1])


def measured_at(records: RunRecords, step: float) -> Measured | None:
    """Read the held-out pass rate at a step of the head's path, on a straight line between its neighbours.

    None outside the evaluated range: nothing is extrapolated.
    """
    curve = records.curve(EVALUATION)
    if not len(curve) or not curve.steps[0] <= step <= curve.steps[-1]:
        return None
    right = int(np.searchsorted(curve.steps, step))
    left = right if curve.steps[right] == step else right - 1
    counts = [num_judged(records.rows[int(curve.segments[i]), int(curve.steps[i])]) for i in (left, right)]
    known = [count for count in counts if count is not None]
    return Measured(
        pass_rate=float(np.interp(step, curve.steps, curve.values)),
        num_samples=min(known) if len(known) == 2 else None,
        step=step,
    )


def num_judged(row: Row) -> int | None:
    """Return how many samples a held-out pass rate averages; None if the row does not say.

        n = max(prompts, prompts x samples of each - unjudged)

    `eval/num_prompts` counts the prompts with a judged sample at least, so there are never fewer samples than that;
    `eval/num_samples` is by prompt. Samples of a prompt that was not judged at all are in `eval/unjudged` and not in
    the product, so n errs towards fewer samples and more noise. The prompts are those of every run, so what chance
    adds is the sampling of each, which n independent samples bound from above.

    Example:
        >>> num_judged({"eval/num_prompts": 50, "eval/num_samples": 4, "eval/unjudged": 30})
        170
        >>> num_judged({"eval/num_prompts": 4, "eval/num_samples": 1, "eval/unjudged": 6})  # six prompts dropped out
        4
    """
    prompts, samples, unjudged = (row.get(f"eval/{name}", 0) for name in ("num_prompts", "num_samples", "unjudged"))
    if not all(map(is_number, (prompts, samples, unjudged))) or prompts * samples <= 0:
        return None
    return int(max(prompts, prompts * samples - unjudged))


def last_measured(records: RunRecords) -> Measured | None:
    """Return the last held-out pass rate on the head's path."""
    curve = records.curve(EVALUATION)
    return measured_at(records, float(curve.steps[-1])) if len(curve) else None


def first_measured(records: RunRecords) -> Measured | None:
    """Return the first held-out pass rate on the head's path."""
    curve = records.curve(EVALUATION)
    return measured_at(records, float(curve.steps[0])) if len(curve) else None


def at_equal_clocks(run: RunRecords, baseline: RunRecords) -> list[AtEqualClock]:
    """Compare two runs on every clock, each as late as both were evaluated."""
    return [at_equal_clock(run, baseline, clock) for clock in CLOCKS]


def at_equal_clock(run: RunRecords, baseline: RunRecords, clock: Clock) -> AtEqualClock:
    """Compare two runs at the same reading of a clock: the last evaluated step of the run that ended first.

    What a run holds when the clock shows x is the last step of its head's path that was paid for by then. While it
    trains ahead on a stretch it will abandon, that step stands still.
    """
    for records in (run, baseline):
        if not len(records.curve(EVALUATION)):
            return AtEqualClock(clock, reason=f"{records.name} has no held-out evaluation")
        if clock == "tokens" and not has_tokens(records):
            return AtEqualClock(clock, reason=f"{records.name} did not write the tokens of every step and guide")
    curves = HeldOutCurve(run), HeldOutCurve(baseline)
    at = common_end(*curves, clock)
    mine, theirs = (measured_at(c.records, float(c.step_at(clock, at))) for c in curves)
    if mine is None or theirs is None:
        return AtEqualClock(clock, at, reason="one of the runs had not been evaluated by then")
    return AtEqualClock(clock, at, mine, theirs, judge(mine, theirs))


def _shrunk(pass_rate: float, num_samples: int) -> tuple[float, float]:
    shrunk = (pass_rate * num_samples + 1) / (num_samples + 2)
    return shrunk, shrunk * (1 - shrunk) / (num_samples + 2)
