"""The signal of a near-future guide: its quality Q, and S = Q / V.

p is the learner (the anchor), q the guide that sampled. Everything is computed from samples of q on the prompts p
fails, as ratios of sums over prompts, so that one matrix of resamples gives each estimate with its interval, and Q
and V are always resampled together. `nearfuture.stats.resampling.draw_resamples` makes that matrix; its row 0 is the
sample itself, so element 0 of every result is the estimate.

Letters: P prompts, N samples of all prompts, K tokens of all samples, R resamples (row 0: the sample itself).

Not here: V (`variance_cost`), intervals and the maximum over distances (`nearfuture.stats.resampling`), growth laws
(`nearfuture.stats.fits`), sampling (`nearfuture.run`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GuideSamples:
    """What a guide wrote on P prompts, judged, and scored under guide and learner.

    Attributes:
        num_judged_P: [P] samples of each prompt that could be judged.
        num_correct_P: [P] how many of them were correct.
        prompt_N: [N] the number of the prompt of each sample.
        sample_K: [K] the number of the sample of each token, ascending.
        log_ratios_K: [K] log p - log q of each token (nats): below 0 where the learner finds the token less likely.
    """

    num_judged_P: Ints
    num_correct_P: Ints
    prompt_N: Ints
    sample_K: Ints
    log_ratios_K: Floats

    def __post_init__(self) -> None:
        assert self.num_judged_P.shape == self.num_correct_P.shape and self.num_judged_P.ndim == 1
        assert self.sample_K.shape == self.log_ratios_K.shape and self.log_ratios_K.ndim == 1
        assert (self.num_correct_P <= self.num_judged_P).all()
        assert np.isfinite(self.log_ratios_K).all(), "a log-prob is not finite"

    def log_weights(self) -> Floats:
        """Sum the log ratios of each sample: log W = sum_k d_k, [N]."""
        return _sums(self.sample_K, self.log_ratios_K, len(self.prompt_N))

    def per_sample(self, values_N: Floats) -> Floats:
        """Sum over the samples of each prompt: [N] to [P]."""
        return _sums(self.prompt_N, values_N, len(self.num_judged_P))

    def per_token(self, values_K: Floats) -> Floats:
        """Sum over the tokens of each prompt: [K] to [P]."""
        return self.per_sample(_sums(self.sample_K, values_K, len(self.prompt_N)))


def pass_at_k(num_samples_P: Ints, num_correct_P: Ints, k: int) -> Floats:
    """Estimate without bias how likely k samples hold a correct one, from n samples with c correct.

        pass@k = 1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n - c + 1}^{n} (1 - k / i)

    See "Evaluating Large Language Models Trained on Code" (arXiv:2107.03374), section 2.1. The plug-in 1 - (1 - c/n)^k
    is biased low. The product needs no factorials; it has a factor 0 where fewer than k samples are wrong.

    Args:
        num_samples_P: [P] n, samples of each prompt.
        num_correct_P: [P] c, correct ones among them.
        k: how many samples the guide is allowed.

    Returns:
        [P] in [0, 1]; NaN where n < k, which nothing unbiased can be said about.

    Example:
        >>> pass_at_k(np.array([4, 4, 4]), np.array([0, 1, 3]), 2)
        array([0. , 0.5, 1. ])
    """
    assert num_samples_P.shape == num_correct_P.shape and k >= 1
    num_wrong_P = num_samples_P - num_correct_P
    factors = 1.0 - k / np.arange(1, max(int(num_samples_P.max(initial=0)), k) + 1)
    i = np.arange(1, len(factors) + 1)
    is_factor_P = (i > num_wrong_P[:, None]) & (i <= num_samples_P[:, None])
    all_wrong_P = np.where(is_factor_P, factors, 1.0).prod(1)
    return np.where(num_samples_P < k, np.nan, np.where(num_wrong_P < k, 1.0, 1.0 - all_wrong_P))


def coverage(samples: GuideSamples, k: int, resamples_R_P: Floats) -> Floats:
    """Estimate Q: the share of the learner's failed prompts that the guide solves at least once in k samples.

        Q = 1/|F| sum_{x in F} pass@k(x)

    See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3, the definition of Q. A prompt with fewer than
    k judged samples leaves the mean. F must have been chosen on other samples, or Q(0) is 0 by selection.

    Args:
        samples: of the guide, on F.
        k: samples the guide is allowed.
        resamples_R_P: [R, P] how often each prompt counts.

    Returns:
        [R] in [0, 1].
    """
    solved_P = pass_at_k(samples.num_judged_P, samples.num_correct_P, k)
    is_known_P = np.isfinite(solved_P)
    return _mean(np.where(is_known_P, solved_P, 0.0), is_known_P.astype(float), resamples_R_P)


def pass_rate(samples: GuideSamples, resamples_R_P: Floats) -> Floats:
    """Estimate Q as AutoNPO does: the mean share of correct samples on the learner's failed prompts.

        Q = 1/|F| sum_{x in F} c_x / n_x

    See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3. It is coverage at k = 1.

    Args:
        samples: of the guide, on F.
        resamples_R_P: [R, P] how often each prompt counts.

    Returns:
        [R] in [0, 1].
    """
    return coverage(samples, 1, resamples_R_P)


def effective_signal(quality_R: Floats, log_cost_R: Floats) -> Floats:
    """Weigh what a guide brings by what it costs.

        S = Q / V = Q exp(-log V)

    See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3. An element of Q and of V is one resample.

    Args:
        quality_R: [R] Q.
        log_cost_R: [R] log V.

    Returns:
        [R], Q itself where V = 1.

    Example:
        >>> effective_signal(np.array([0.5]), np.log(np.array([2.0])))
        array([0.25])
    """
    assert quality_R.shape == log_cost_R.shape
    return quality_R * np.exp(-log_cost_R)


def token_mean(samples: GuideSamples, values_K: Floats, resamples_R_P: Floats) -> Floats:
    """Mean over all tokens of each resample: [K] to [R]."""
    return _mean(samples.per_token(values_K), samples.per_token(np.ones_like(values_K)), resamples_R_P)


def sample_mean(samples: GuideSamples, values_N: Floats, resamples_R_P: Floats) -> Floats:
    """Mean over all samples of each resample: [N] to [R]."""
    return _mean(samples.per_sample(values_N), samples.per_sample(np.ones_like(values_N)), resamples_R_P)


def _mean(sums_P: Floats, counts_P: Floats, resamples_R_P: Floats) -> Floats:
    """Mean over everything in the prompts of each resample; NaN if there is nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (resamples_R_P @ sums_P) / (resamples_R_P @ counts_P)


def _sums(groups: Ints, values: Floats, num_groups: int) -> Floats:
    return np.bincount(groups, weights=values, minlength=num_groups).astype(np.float64)
