"""Do two models differ on clustered questions, and how large a difference would be found?

Letters: C clusters.

Not here: the differences and their intervals (`clusters`), corrections for several tests (`seeds.holm`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
MAX_FLIPS = 20_000
"""Most sign flips per test: all of them if there are no more (up to 14 clusters that differ), else this many drawn."""


def sign_flip_test(terms_C: Floats, max_flips: int = MAX_FLIPS, seed: int = 0) -> float:
    """Test that two models are exchangeable on every cluster, two-sided, by flipping the signs of the differences.

        T = sum_c s_c t_c,   s_c = +-1 with equal chance;   p = 2 min(P(T >= t), P(T <= t)), at most 1

    See Fisher, "The Design of Experiments" (1935), section 21. Exact where all flips can be counted; else a random
    sample of them, the observed one included. Clusters without a difference change no sum. For one sample per question
    and clusters of one it is McNemar's exact test.

    Args:
        terms_C: [C] differences of the clusters' contributions.
        max_flips: number of flips.
        seed: of the random flips.

    Returns:
        The p-value; 1 where nothing differs, or one cluster alone.

    Example:
        >>> sign_flip_test(np.array([0.1, 0.1, 0.1, 0.0, 0.1]))  # 2 of 16 flips are as far out
        0.125
    """
    from scipy.stats import permutation_test  # half a second, which a page without a comparison does not need

    apart = terms_C[np.abs(terms_C) > 1e-15]
    if len(apart) < 2:  # one difference could as well have gone the other way
        return 1.0
    found = permutation_test(
        (apart,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=max_flips,
        batch=max(1, 2_000_000 // len(apart)),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def detectable_difference(error: float, level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest true difference that a test of this level would find with this power.

        (z_{(1 + level) / 2} + z_power) se

    NaN where the error is 0, since draws that are all alike do not tell how others would scatter.

    Example:
        >>> round(detectable_difference(0.49), 2)  # eight benchmarks, one sample per question: 1.4 points
        1.37
    """
    return float(ndtri((1 + level) / 2) + ndtri(power)) * error if error > 0 else math.nan
