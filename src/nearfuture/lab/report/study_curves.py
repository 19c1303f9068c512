"""The curves of a comparison as series to be drawn: means over seeds with their bands.

Not here: drawing them (`study_figures`), single runs (`figures`).
"""

from __future__ import annotations

import math

import numpy as np

from nearfuture.lab.report.pieces import smoothing, trailing_mean
from nearfuture.lab.report.study_figures import Look, Series
from nearfuture.lab.study.comparison import Comparison
from nearfuture.lab.study.summary import LEVEL, MethodSummary, mean_curve
from nearfuture.record.clocks import Clock
from nearfuture.stats.seeds import band_over_seeds

NUM_POSITIONS = 61
THRESHOLDS = np.linspace(0, 1, 51)


def efficiency(summary: MethodSummary, look: Look, clock: Clock) -> Series:
    """Held-out pass rate of what a run held against a clock, to the end of the first of its runs."""
    end = min(figures.curve.end(clock) for figures in summary.runs)
    xs = np.linspace(0.0, 0.0 if math.isnan(end) else end, NUM_POSITIONS)
    values = np.stack([figures.curve.at(clock, xs) for figures in summary.runs])
    return Series(summary.method, look, xs, band_over_seeds(values, LEVEL), has_band=look.is_strong)


def dynamics(summary: MethodSummary, look: Look, key: str) -> Series | None:
    """A metric of every step, each run's trailing mean, averaged over seeds; None where a run did not write it."""
    curves = [figures.run.records.curve(key) for figures in summary.runs]
    if not all(map(len, curves)):
        return None
    smoothed = [(curve.steps, trailing_mean(curve.values, smoothing(len(curve)))) for curve in curves]
    steps, band = mean_curve(smoothed)
    return Series(summary.method, look, steps.astype(np.float64), band)


def profile(summary: MethodSummary, look: Look) -> Series:
    """Share of runs and families above each threshold, up to where all of it is below."""
    band = summary.profile(THRESHOLDS)
    shown = np.flatnonzero(band[0] > 0)[-1] + 2 if (band[0] > 0).any() else 2
    return Series(summary.method, look, THRESHOLDS[:shown], band[:, :shown], has_band=look.is_strong)


def coverage(comparison: Comparison, looks: dict[str, Look], base_look: Look) -> tuple[list[Series], list[int]]:
    """Pass@k against k (on a logarithmic axis, log2 k), the untrained model's too, and the k."""
    ks = powers(comparison.num_samples)
    xs = np.log2(ks)
    series = []
    for summary in comparison.summaries:
        values = np.stack([summary.by_seed(k) for k in ks], axis=1)
        look = looks[summary.method]
        series.append(Series(summary.method, look, xs, band_over_seeds(values, LEVEL), has_band=look.is_strong))
    base = comparison.study.base
    if base is not None:
        rates = np.array([base.mean(k) for k in ks])
        series.append(Series("untrained", base_look, xs, np.stack([rates, rates, rates]), has_band=False))
    return series, ks


def powers(largest: int) -> list[int]:
    """Return 1, 2, 4 ... up to a number, and the number itself.

    Example:
        >>> powers(10)
        [1, 2, 4, 8, 10]
    """
    return sorted({*(2**i for i in range(int(math.log2(largest)) + 1)), largest})
