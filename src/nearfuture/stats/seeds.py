"""Comparing methods over training seeds: means, paired differences, and the aggregates of rliable.

One training is one draw, so the unit is the training seed: n is the number of seeds, not of prompts or samples, and
the families of one seed belong together, because one policy answered them all.

Letters: S seeds, T seeds of another method, F families, R resamples (row 0: the sample itself), N scores, C claims,
X thresholds or positions of a curve.

Not here: pass@k of a prompt (`nearfuture.method.signal.pass_at_k`), intervals over prompts (`resampling`, which also
has the percentile interval used here), which numbers a study compares (`nearfuture.lab.study`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; the bounds are NaN if nothing is known about them (one seed).

    Attributes:
        value: the estimate.
        low: lower bound.
        high: upper bound.
        num: independent draws it comes from: seeds, or clusters of questions.
        p_value: two-sided, of the value being 0; NaN if it was not asked or not known.
    """

    value: float
    low: float
    high: float
    num: int
    p_value: float = math.nan

    @property
    def is_above_zero(self) -> bool:
        """True if the whole interval lies above 0."""
        return self.low > 0

    @property
    def is_below_zero(self) -> bool:
        """True if the whole interval lies below 0."""
        return self.high < 0


def mean_over_seeds(values_S: Floats, level: float = 0.95) -> Estimate:
    """Estimate a mean over seeds with Student's interval.

        m +- t_{(1 + level) / 2, S - 1} s / sqrt(S),   s^2 = sum (x - m)^2 / (S - 1)

    See Student, "The Probable Error of a Mean" (1908). It assumes that a method's seeds scatter normally, and with few
    of them it holds what it promises, which a percentile bootstrap does not (docs/compare.md has the coverage of
    both). Two methods are compared by the differences of the seeds both have: a seed fixes data order, rollout noise
    at the start and evaluation draws, so pairing takes out what both share. Values that are NaN leave the estimate and
    are not in `num`. Seeds that agree to the last digit show no scatter to judge by: counts of few samples do that by
    chance, and a width of 0 would make them certain.

    Args:
        values_S: [S] one value per seed.
        level: of the interval.

    Returns:
        The mean; bounds and p-value are NaN below two seeds, and where all agree.

    Example:
        >>> found = mean_over_seeds(np.array([0.1, 0.2, 0.3]))  # s = 0.1, t = 4.303: half width 0.248
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), found.num
        (0.2, -0.048, 0.448, 3)
    """
    known = values_S[np.isfinite(values_S)]
    num = len(known)
    mean = float(known.mean()) if num else math.nan
    if num < 2:
        return Estimate(mean, math.nan, math.nan, num)
    if np.ptp(known) <= ROUNDING * abs(mean):
        return Estimate(mean, math.nan, math.nan, num)
    error = float(known.std(ddof=1)) / math.sqrt(num)
    half = float(stdtrit(num - 1, (1 + level) / 2)) * error
    return Estimate(mean, mean - half, mean + half, num, float(2 * stdtr(num - 1, -abs(mean) / error)))


def band_over_seeds(values_S_X: Floats, level: float = 0.95) -> Floats:
    """Return mean, lower and upper bound of `mean_over_seeds` at every position of a curve.

    Args:
        values_S_X: [S, X]; NaN where a seed's curve does not reach.
        level: of the interval, at each position by itself.

    Returns:
        [3, X]; NaN where a seed is missing, the bounds also below two seeds.
    """
    num = len(values_S_X)
    mean_X = values_S_X.mean(0)
    if num < 2:
        return np.stack([mean_X, np.full_like(mean_X, np.nan), np.full_like(mean_X, np.nan)])
    half_X = stdtrit(num - 1, (1 + level) / 2) * values_S_X.std(0, ddof=1) / math.sqrt(num)
    return np.stack([mean_X, mean_X - half_X, mean_X + half_X])


def shade_over_seeds(values_S_X: Floats, level: float = 0.95) -> Floats:
    """Return what is drawn around a mean: the band of `band_over_seeds`, or the range of two seeds.

    Student's factor for two seeds is 12.7: their interval would fill a figure and say nothing.

    Example:
        >>> shade_over_seeds(np.array([[0.2], [0.4]])).ravel().round(3).tolist()
        [0.3, 0.2, 0.4]
    """
    if len(values_S_X) != 2:
        return band_over_seeds(values_S_X, level)
    return np.stack([values_S_X.mean(0), values_S_X.min(0), values_S_X.max(0)])


def mean_ratio(ratios_S: Floats, level: float = 0.95) -> Estimate:
    """Estimate a ratio over seeds: the geometric mean, with the interval of the mean logarithm.

    Example:
        >>> round(mean_ratio(np.array([0.5, 2.0])).value, 6)
        1.0
    """
    found = mean_over_seeds(np.log(ratios_S), level)
    return Estimate(math.exp(found.value), math.exp(found.low), math.exp(found.high), found.num, found.p_value)


def holm(p_values_C: Floats) -> Floats:
    """Adjust p-values for the number of claims, by Holm's step-down rule.

        sorted ascending, p~_(i) = max_{j <= i} min(1, (C - j + 1) p_(j))

    See Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979). NaN stays NaN and counts as no claim.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    adjusted_C = np.full(p_values_C.shape, np.nan)
    order = np.argsort(p_values_C)[: int(np.isfinite(p_values_C).sum())]
    steps = np.arange(len(order), 0, -1) * p_values_C[order]
    adjusted_C[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted_C


def interquartile_mean(scores: Floats) -> Floats:
    """Average the middle half of all runs on all families.

    A quarter of the N = S F scores (rounded down) is cut off on each side. See Agarwal et al., "Deep Reinforcement
    Learning at the Edge of the Statistical Precipice" (arXiv:2108.13264), section 4.3: less ruled by outliers than the
    mean, more efficient than the median.

    Args:
        scores: [..., S, F].

    Returns:
        [...]; NaN where a score is.

    Example:
        >>> float(interquartile_mean(np.array([[0.0, 1.0], [2.0, 9.0]])))
        1.5
    """
    ordered = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = int(0.25 * ordered.shape[-1])
    middle = ordered[..., cut : ordered.shape[-1] - cut].mean(-1)
    return np.where(np.isnan(ordered).any(-1), np.nan, middle)


def optimality_gap(scores: Floats, best: float = 1.0) -> Floats:
    """Average by how much runs fall short of `best`: best - mean(min(score, best)).

    See Agarwal et al. (arXiv:2108.13264), section 4.3. Of shares with best = 1 it is 1 - mean.

    Args:
        scores: [..., S, F].
        best: the score beyond which more is not counted.

    Returns:
        [...].
    """
    return best - np.minimum(scores, best).mean((-2, -1))


def probability_of_improvement(scores: Floats, others: Floats) -> Floats:
    """Estimate how likely a run of one method beats a run of the other, on a family drawn at random.

        1/F sum_f U_f / (S T),   U_f = #{x > y} + 1/2 #{x = y} over all pairs of a run x and a run y

    See Agarwal et al. (arXiv:2108.13264), section 4.3; U is Mann and Whitney's. It says how often, not by how much.

    Args:
        scores: [..., S, F].
        others: [..., T, F].

    Returns:
        [...] in [0, 1]; one half for a method beside itself.

    Example:
        >>> float(probability_of_improvement(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]])))
        0.625
    """
    left, right = scores[..., :, None, :], others[..., None, :, :]
    return ((left > right) + 0.5 * (left == right)).mean((-3, -2, -1))


def performance_profile(scores: Floats, thresholds_X: Floats) -> Floats:
    """Return the share of runs and families with a score above each threshold.

    See Agarwal et al. (arXiv:2108.13264), section 4.2 (the run-score distribution).

    Args:
        scores: [..., S, F].
        thresholds_X: [X].

    Returns:
        [..., X], falling.
    """
    return np.stack([(scores > threshold).mean((-2, -1)) for threshold in thresholds_X], axis=-1)


def resample_seeds(scores_S_F: Floats, num_resamples: int, generator: np.random.Generator) -> Floats:
    """Draw seeds with replacement; a seed is drawn with all its families.

    One policy answers every family, so the families of a seed are one draw, not F.

    Args:
        scores_S_F: [S, F] of one method.
        num_resamples: R - 1.
        generator: the only randomness.

    Returns:
        [R, S, F]; row 0 is the sample itself.
    """
    num_seeds = len(scores_S_F)
    drawn = generator.integers(num_seeds, size=(num_resamples, num_seeds))
    return np.concatenate([scores_S_F[None], scores_S_F[drawn]])


def resample_runs(scores_S_F: Floats, num_resamples: int, generator: np.random.Generator) -> Floats:
    """Draw runs with replacement in each family by itself: rliable's stratified bootstrap.

    See Agarwal et al. (arXiv:2108.13264), section 4.1. It takes a score on one family as independent of the same
    seed's score on another, which holds where every task is trained on its own. Here it does not, and the interval is
    too narrow; it is reported beside that of `resample_seeds` for comparison with other papers.

    Args:
        scores_S_F: [S, F] of one method.
        num_resamples: R - 1.
        generator: the only randomness.

    Returns:
        [R, S, F]; row 0 is the sample itself.
    """
    num_seeds, num_families = scores_S_F.shape
    drawn = generator.integers(num_seeds, size=(num_resamples, num_seeds, num_families))
    return np.concatenate([scores_S_F[None], np.take_along_axis(scores_S_F[None], drawn, axis=1)])
