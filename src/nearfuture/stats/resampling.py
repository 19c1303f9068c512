"""Intervals by resampling prompts, the place of a maximum, and agreement in rank.

A prompt is resampled with everything measured on it, at every distance at once: differences between distances and
ratios of two estimates keep their pairing.

Letters: P prompts, R resamples (row 0: the sample itself), D distances.

Not here: what is estimated (`nearfuture.method.signal`). These intervals say nothing about another training seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def draw_resamples(num_prompts: int, num_resamples: int, generator: np.random.Generator) -> Floats:
    """Draw bootstrap resamples of the prompts, as counts, behind the sample itself.

        row 0 = 1,    row r ~ Multinomial(P; 1/P, ..., 1/P)

    See Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 6. Counts rather than indices: an
    estimate that is a ratio of sums over prompts is then one matrix product.

    Args:
        num_prompts: P.
        num_resamples: R - 1.
        generator: the only randomness.

    Returns:
        [R, P] how often each prompt counts; every row sums to P.
    """
    assert num_prompts >= 1 and num_resamples >= 0
    drawn = generator.multinomial(num_prompts, np.full(num_prompts, 1.0 / num_prompts), size=num_resamples)
    return np.concatenate([np.ones((1, num_prompts)), drawn.astype(np.float64)])


def interval(values_R: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of a resampled estimate; element 0, the estimate itself, is no resample.

    See Efron and Tibshirani (1993), chapter 13. Resamples without a value (NaN) are left out; (NaN, NaN) if all are.
    """
    found = values_R[1:][~np.isnan(values_R[1:])]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def without_scatter(value: float, num: int, level: float = 0.95, least: float = 0.0) -> tuple[float, float]:
    """Return the interval of a mean of draws that are all alike, so that resamples show no scatter.

        c = 1 - (alpha / 2)^(1 / num),   [v - c (v - least), v + c (1 - v)]

    A width of 0 would make the value certain. A share c of the draws may yet be otherwise, anything from `least` to 1;
    for a share of 0 or 1 this is the interval of Clopper and Pearson, "The Use of Confidence or Fiducial Limits
    Illustrated in the Case of the Binomial" (1934).

    Args:
        value: what all draws gave.
        num: independent draws; below two, nothing is known (NaN).
        level: of the interval.
        least: the smallest possible value: 0 of a share, -1 of a difference of two.

    Example:
        >>> low, high = without_scatter(0.0, 20)
        >>> low, round(high, 3)
        (0.0, 0.168)
        >>> [round(bound, 3) for bound in without_scatter(0.0, 20, least=-1.0)]
        [-0.168, 0.168]
    """
    if num < 2:
        return float("nan"), float("nan")
    beyond = 1.0 - ((1.0 - level) / 2.0) ** (1.0 / num)
    return value - beyond * (value - least), value + beyond * (1.0 - value)


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where a curve over distance is highest, and how sure that is.

    Attributes:
        distance: of the highest estimate (the smallest of equals).
        distance_ci: percentile interval of the resamples' own maxima.
        interior_frac: share of the resamples whose maximum lies neither at the first nor at the last distance.
        over_first_ci: interval of the paired difference to the first distance (0: the learner itself).
        over_last_ci: interval of the paired difference to the last distance.
        is_interior: the maximum lies inside, and both differences are above 0.
    """

    distance: float
    distance_ci: tuple[float, float]
    interior_frac: float
    over_first_ci: tuple[float, float]
    over_last_ci: tuple[float, float]
    is_interior: bool


def find_maximum(distances_D: Floats, values_R_D: Floats) -> Maximum:
    """Find the maximum over distance with its uncertainty.

        D* = argmax_D S(D);   interior: S(D*) - S(first) > 0 and S(D*) - S(last) > 0, both by their paired intervals

    See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3. D* was chosen on the data that judge it,
    which flatters it; `interior_frac`, where every resample chooses again, is the more sober number.

    Args:
        distances_D: [D] ascending.
        values_R_D: [R, D] finite.

    Returns:
        The maximum.
    """
    assert values_R_D.ndim == 2 and values_R_D.shape[1] == len(distances_D) >= 1
    best_R = values_R_D.argmax(1)
    best, last = int(best_R[0]), len(distances_D) - 1
    over_first = interval(values_R_D[:, best] - values_R_D[:, 0])
    over_last = interval(values_R_D[:, best] - values_R_D[:, last])
    return Maximum(
        distance=float(distances_D[best]),
        distance_ci=interval(distances_D[best_R].astype(np.float64)),
        interior_frac=float(((best_R[1:] > 0) & (best_R[1:] < last)).mean()) if len(best_R) > 1 else float("nan"),
        over_first_ci=over_first,
        over_last_ci=over_last,
        is_interior=0 < best < last and over_first[0] > 0 and over_last[0] > 0,
    )


def rank_correlation(x_D: Floats, y_D: Floats) -> float:
    """Return Spearman's rank correlation, equal values sharing their mean rank; NaN below 3 pairs or without spread.

    Example:
        >>> round(rank_correlation(np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.0, 5.0, 3.0, 9.0])), 3)
        0.8
    """
    from scipy.stats import spearmanr  # half a second, which few need

    is_pair_D = np.isfinite(x_D) & np.isfinite(y_D)
    x, y = x_D[is_pair_D], y_D[is_pair_D]
    if len(x) < 3 or not np.ptp(x) or not np.ptp(y):
        return float("nan")
    return float(spearmanr(x, y).statistic)
