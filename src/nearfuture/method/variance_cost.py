"""The variance V that a guide's trajectories add to an update through importance weights, in several forms.

p is the learner, q the guide that sampled. With W = p/q on a whole sample and r = p/q on a token,

    E_q |W A grad log p|^2 <= (max |A grad log p|)^2 E_q[W^2]

so the second moment of the weights is the factor by which the guided gradient's variance can grow.

Deviations: the paper says that V grows exponentially with distance and bounds it; which statistic it measured is not
known. The forms here are ours (reconstruction.md 3.2); docs/methods/signal.md says which one is the default and why.

Letters: P prompts, N samples of all prompts, K tokens of all samples, R resamples (row 0: the sample itself).

Not here: Q and S (`signal`), the covariance of true gradients (`nearfuture.train.gradients`).
"""

from __future__ import annotations

import numpy as np

from nearfuture.method.signal import Floats, GuideSamples, sample_mean, token_mean


def token_cost(samples: GuideSamples, resamples_R_P: Floats) -> Floats:
    """Estimate V per token: the second moment of the token ratios under the guide.

        V_tok = 1/K sum_k exp(2 d_k),    d_k = log p(o_k) - log q(o_k)

    See reconstruction.md 3.2, point 5: a GRPO update weights tokens, not sequences. All tokens count alike, as in a
    token-mean loss. On a prefix that q wrote, E_q[r^2] = 1 + chi2(p || q) >= 1, and it is 1 only where p = q.

    Args:
        samples: of the guide, on the learner's failed prompts.
        resamples_R_P: [R, P] how often each prompt counts.

    Returns:
        [R], 1 where guide and learner agree.
    """
    return token_mean(samples, np.exp(2.0 * samples.log_ratios_K), resamples_R_P)


def clipped_cost(samples: GuideSamples, resamples_R_P: Floats, *, epsilon: float = 0.2) -> Floats:
    """Estimate V per token as PPO's clip leaves it for a correct trajectory.

        V_clip = 1/K sum_k min(exp(d_k), 1 + epsilon)^2

    See reconstruction.md 3.3. It is bounded by (1 + epsilon)^2 and *not* bounded below by 1: the further away the
    guide, the more of its tokens the learner finds unlikely, and those weigh less. It measures what clipping leaves,
    not how far away the guide is.

    Args:
        samples: of the guide, on the learner's failed prompts.
        resamples_R_P: [R, P] how often each prompt counts.
        epsilon: the upper clip of the loss.

    Returns:
        [R], 1 where guide and learner agree.
    """
    clipped_K = np.minimum(np.exp(samples.log_ratios_K), 1.0 + epsilon)
    return token_mean(samples, clipped_K**2, resamples_R_P)


def sequence_log_cost(samples: GuideSamples, resamples_R_P: Floats) -> Floats:
    """Estimate log V per sequence: the log second moment of whole-sequence importance weights.

        log V_seq = log 1/N sum_i W_i^2,    log W_i = sum_k d_ik

    See reconstruction.md 3.2, point 1: E_q[W^2] = exp D_2(p || q). Kept in logs because W^2 overflows. Its tail is
    heavy: read it beside `effective_sample_size`; where that is small, a few samples make the estimate, and it is too
    low.

    Args:
        samples: of the guide, on the learner's failed prompts.
        resamples_R_P: [R, P] how often each prompt counts.

    Returns:
        [R] nats, 0 where guide and learner agree.
    """
    log_squares_N = 2.0 * samples.log_weights()
    scale = float(log_squares_N.max())
    mean_R = sample_mean(samples, np.exp(log_squares_N - scale), resamples_R_P)
    with np.errstate(divide="ignore"):
        return np.log(mean_R) + scale


def effective_sample_size(samples: GuideSamples, resamples_R_P: Floats) -> Floats:
    """Estimate the share of the samples that is left after weighting whole sequences.

        ESS / N = (sum_i W_i)^2 / (N sum_i W_i^2)

    See Kong, "A note on importance sampling using standardized weights" (1992). Free of the scale of W.

    Args:
        samples: of the guide, on the learner's failed prompts.
        resamples_R_P: [R, P] how often each prompt counts.

    Returns:
        [R] in (0, 1], 1 where all weights are equal.
    """
    log_weights_N = samples.log_weights()
    weights_N = np.exp(log_weights_N - log_weights_N.max())
    sum_R = resamples_R_P @ samples.per_sample(weights_N)
    sum_squares_R = resamples_R_P @ samples.per_sample(weights_N**2)
    num_R = resamples_R_P @ samples.per_sample(np.ones_like(weights_N))
    return sum_R**2 / (num_R * sum_squares_R)


def kl_k1(samples: GuideSamples, resamples_R_P: Floats) -> Floats:
    """Estimate KL(q || p) per token without bias, by the mean log ratio.

        k1 = -1/K sum_k d_k

    See Schulman, "Approximating KL Divergence" (2020). Unbiased; may come out negative.

    Args:
        samples: of the guide, on the learner's failed prompts.
        resamples_R_P: [R, P] how often each prompt counts.

    Returns:
        [R] nats per token.
    """
    return token_mean(samples, -samples.log_ratios_K, resamples_R_P)


def kl_k3(samples: GuideSamples, resamples_R_P: Floats) -> Floats:
    """Estimate KL(q || p) per token with every term at least 0.

        k3 = 1/K sum_k (exp(d_k) - 1 - d_k)

    See Schulman, "Approximating KL Divergence" (2020). Unbiased too (E_q[exp d] = 1), with less variance while p and q
    are close; heavy-tailed where the learner finds tokens much *likelier* than the guide does.

    Args:
        samples: of the guide, on the learner's failed prompts.
        resamples_R_P: [R, P] how often each prompt counts.

    Returns:
        [R] nats per token, >= 0.
    """
    return token_mean(samples, np.expm1(samples.log_ratios_K) - samples.log_ratios_K, resamples_R_P)


def mean_length(samples: GuideSamples, resamples_R_P: Floats) -> Floats:
    """Return the mean number of tokens of a sample, [R]."""
    return sample_mean(
        samples, np.bincount(samples.sample_K, minlength=len(samples.prompt_N)).astype(float), resamples_R_P
    )


def kl_log_cost(kl_R: Floats, *, scale: float = 2.0, length: Floats | float = 1.0) -> Floats:
    """Turn a KL per token into a log cost.

        log V_kl = c KL L

    See reconstruction.md 3.2, points 1 and 2: V = exp D_2(p || q), and D_2 is about 2 KL for close policies (c = 2); c
    = 1 is a lower bound only with KL(p || q). KL(q || p) is used because q is what was sampled: both agree to second
    order.

    Args:
        kl_R: [R] KL(q || p), nats per token.
        scale: c.
        length: L; 1 is the token scale, the mean length of a sample the sequence scale.

    Returns:
        [R] nats.
    """
    return scale * kl_R * length
