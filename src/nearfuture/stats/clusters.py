"""Means over questions that come in clusters, and paired differences of two models, with intervals.

A benchmark asks the same thing several times (five versions of one problem, shifted options, sub-questions of one
image), so its questions are not independent draws; their clusters are. A metric is a weighted mean of stratum means:

    m = sum_s w_s mean_{u in s} x_u,     t_c = sum_{u in c} w_{s(u)} x_u / N_{s(u)},     m = sum_c t_c

x_u is a unit's mean over its samples. Resampling clusters with what was drawn on them covers the noise of the samples
too; resampling samples inside them would count it twice. Two models on the same questions are compared by the
differences of their units, which are units again.

Letters: U units, S strata, C clusters, R resamples (row 0: the sample itself).

Not here: the test of a difference (`significance`), what a unit is (`nearfuture.lab.evaluate.benchmarks`), means over
training seeds (`seeds`), pass@k (`nearfuture.method.signal`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nearfuture.stats.resampling import interval, without_scatter
from nearfuture.stats.seeds import Estimate
from nearfuture.stats.significance import sign_flip_test

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROUNDING = 1e-12
MOST_MISSED = 0.5
"""Share of resamples that may miss a stratum, a family of which a subset has a question or two."""


@dataclass(frozen=True, slots=True)
class Units:
    """What a metric averages.

    Attributes:
        values_U: [U] of each unit, in [0, 1] or, of differences, in [-1, 1].
        stratum_U: [U] its stratum, 0 to S - 1; every stratum has a unit.
        cluster_U: [U] its cluster, 0 to C - 1.
        weight_S: [S] of each stratum; they sum to 1.
        num_clusters: C, clusters without a unit included.
    """

    values_U: Floats
    stratum_U: Ints
    cluster_U: Ints
    weight_S: Floats
    num_clusters: int

    def __post_init__(self) -> None:
        assert self.values_U.shape == self.stratum_U.shape == self.cluster_U.shape and self.values_U.ndim == 1
        assert np.isfinite(self.values_U).all(), "a unit without a value must be left out"

    def per_unit(self) -> Floats:
        """Weight of each unit in the metric, [U]: w_s / N_s."""
        return self.weight_S[self.stratum_U] / np.bincount(self.stratum_U, minlength=len(self.weight_S))[self.stratum_U]

    @property
    def has_scatter(self) -> bool:
        """True if clusters differ within a stratum; else all resamples are alike."""
        sums_S_C, counts_S_C = self.sums()
        means_S_C = np.divide(sums_S_C, counts_S_C, out=np.full_like(sums_S_C, np.nan), where=counts_S_C > 0)
        return bool((np.nanmax(means_S_C, 1) - np.nanmin(means_S_C, 1) > ROUNDING).any())

    def sums(self) -> tuple[Floats, Floats]:
        """Sums and numbers of the units of each stratum in each cluster, [S, C]."""
        num_strata, num_clusters = len(self.weight_S), self.num_clusters
        flat_U, size = self.stratum_U * num_clusters + self.cluster_U, num_strata * num_clusters
        sums, counts = np.bincount(flat_U, self.values_U, size), np.bincount(flat_U, minlength=size)
        found = np.stack([sums, counts]).astype(np.float64).reshape(2, num_strata, num_clusters)
        return found[0], found[1]

    def terms(self) -> Floats:
        """Contributions of the clusters, [C]: they sum to the metric."""
        terms_C = np.bincount(self.cluster_U, self.per_unit() * self.values_U, self.num_clusters)
        return terms_C.astype(np.float64)


def weighted_means(units: Units, weights_R_C: Floats) -> Floats:
    """Return the metric of every resample, [R].

        m_r = sum_s w_s (sum_{u in s} k_rc(u) x_u) / (sum_{u in s} k_rc(u))

    Args:
        units: of the metric.
        weights_R_C: [R, C] how often each cluster counts (`resampling.draw_resamples`).

    Returns:
        [R]; NaN where a resample missed a stratum altogether.
    """
    sums_S_C, counts_S_C = units.sums()
    sums_R_S, counts_R_S = weights_R_C @ sums_S_C.T, weights_R_C @ counts_S_C.T
    means_R_S = np.divide(sums_R_S, counts_R_S, out=np.full_like(sums_R_S, np.nan), where=counts_R_S > 0)
    return means_R_S @ units.weight_S


def estimate(units: Units, weights_R_C: Floats, level: float = 0.95) -> Estimate:
    """Estimate a metric with its percentile interval over resampled clusters.

    See Miller, "Adding Error Bars to Evals" (arXiv:2411.00640), section 2.2, for why clusters. Where the units of each
    stratum are alike, as where nothing is right, resamples show no scatter; then the interval is what C independent
    clusters support (`resampling.without_scatter`).

    Args:
        units: of the metric.
        weights_R_C: [R, C] resamples of the clusters, row 0 the sample itself.
        level: of the interval.

    Returns:
        The estimate; `num` counts clusters, and below two of them the bounds are NaN.

    Example:
        >>> zeros = Units(np.zeros(20), np.zeros(20, int), np.arange(20), np.ones(1), 20)
        >>> found = estimate(zeros, np.ones((1, 20)))
        >>> found.low, round(found.high, 3)
        (0.0, 0.168)
    """
    return mean_estimate([(units, weights_R_C)], level)


def mean_estimate(parts: list[tuple[Units, Floats]], level: float = 0.95, least: float = 0.0) -> Estimate:
    """Estimate the mean of several metrics, one a benchmark, each resampled by itself.

        below^2 = (v - low of the resampled mean)^2 + sum_i (below_i / n)^2,   i: those without scatter; above alike

    See Zou and Donner, "Construction of confidence limits about effect measures" (2008): distances to the bounds of
    independent estimates are added in squares. The resampled mean covers the metrics that scatter.

    Args:
        parts: units, and the resamples [R, C] of their clusters, with the same R.
        level: of the interval.
        least: the smallest possible value of a unit.

    Returns:
        The estimate; `num` counts clusters. The bounds are NaN if a metric has less than two, or if most resamples miss
        a stratum: those left are nearly the sample itself, so their scatter says nothing.
    """
    values_R = np.mean([weighted_means(units, weights_R_C) for units, weights_R_C in parts], axis=0)
    value, nums = float(values_R[0]), [len(np.unique(units.cluster_U)) for units, _ in parts]
    if min(nums) < 2:
        return Estimate(value, math.nan, math.nan, sum(nums))
    fixed = {i: _mean_without_scatter(units) for i, (units, _) in enumerate(parts) if not units.has_scatter}
    if len(fixed) < len(parts) and np.isnan(values_R[1:]).mean() > MOST_MISSED:
        return Estimate(value, math.nan, math.nan, sum(nums))
    if not fixed:
        return Estimate(value, *interval(values_R, level), sum(nums))
    if len(fixed) == len(parts):
        value = low = high = sum(fixed.values()) / len(parts)
    else:
        low, high = interval(values_R, level)
    below, above = [max(0.0, value - low)], [max(0.0, high - value)]
    for i, mean in fixed.items():
        at_least, at_most = without_scatter(mean, nums[i], level, least)
        below.append((mean - at_least) / len(parts))
        above.append((at_most - mean) / len(parts))
    return Estimate(value, value - math.hypot(*below), value + math.hypot(*above), sum(nums))


def _mean_without_scatter(units: Units) -> float:
    """The metric; where all units are alike it is theirs, which the weighted mean may miss by a rounding error."""
    return float(units.terms().sum() if np.ptp(units.values_U) else units.values_U[0])


def difference(units: Units, weights_R_C: Floats, level: float = 0.95) -> Estimate:
    """Estimate a paired difference: `units` are differences of units, the p-value is `sign_flip_test`'s.

    Two models that agree on every unit differ by 0 here; the interval is what so many clusters without a difference
    support.
    """
    return mean_difference([(units, weights_R_C)], level)


def mean_difference(parts: list[tuple[Units, Floats]], level: float = 0.95) -> Estimate:
    """Estimate the mean of several paired differences, one a benchmark, as `mean_estimate` does, with a p-value.

    Args:
        parts: differences of units, and the resamples [R, C] of their clusters, with the same R.
        level: of the interval.
    """
    terms = np.concatenate([units.terms() for units, _ in parts]) / len(parts)
    return replace(mean_estimate(parts, level, least=-1.0), p_value=sign_flip_test(terms))


def standard_error(units: Units) -> float:
    """Return the clustered standard error of a metric.

        se^2 = C / (C - 1) sum_c e_c^2,    e_c = sum_{u in c} w_s (x_u - mean_s) / N_s

    See Miller (arXiv:2411.00640), section 2.2; the factor is the usual small-sample one. NaN below two clusters.
    """
    num = len(np.unique(units.cluster_U))
    if num < 2:
        return math.nan
    sizes_S = np.bincount(units.stratum_U, minlength=len(units.weight_S))
    means_S = np.bincount(units.stratum_U, units.values_U, len(units.weight_S)) / np.maximum(sizes_S, 1)
    around = units.values_U - means_S[units.stratum_U]
    terms_C = np.bincount(units.cluster_U, units.per_unit() * around, units.num_clusters)
    return math.sqrt(num / (num - 1) * float(terms_C @ terms_C))
