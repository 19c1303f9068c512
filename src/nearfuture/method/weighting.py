"""The weight of a token in a guided or distilled row in the policy gradient.

TRL's loss at ratio 1 has the gradient - A grad log pi for every token-level loss type. So with old log-probs equal to
the current ones, an advantage of A times a weight per token gives a row any gradient we want:

    shaped      d/dtheta [ f(rho) A ] = f'(rho) rho A grad log pi,      f(x) = x / (x + gamma)
    distilled   (A + beta (log pi_guide - log pi)) grad log pi
    informed    A (1 - lambda + lambda clip(exp(sign(A) (log pi_informed - log pi)), 1 +- epsilon)) grad log pi

The weights are constants of the gradient: they are computed from detached log-probs.

Letters: B rows, T tokens.

Not here: which rows are guided or distilled (`nearfuture.train`), where guidance comes from (`nearfuture.guidance`).
"""

from __future__ import annotations

import torch
from torch import Tensor


def per_token(advantages: Tensor) -> Tensor:
    """[B, T] or [B, 1] from TRL's advantages: one number per row, or one per token already."""
    return advantages[:, None] if advantages.ndim == 1 else advantages


def shape(ratio: Tensor, gamma: float) -> Tensor:
    """Shape an importance ratio so that unlikely tokens count more than likely ones, but none without bound.

        f(x) = x / (x + gamma)

    See LUFFY (arXiv:2504.14945), policy shaping, gamma = 0.1; ExGRPO (arXiv:2510.02245), beta = 0.1.

    Example:
        >>> shape(torch.tensor([0.1, 1.0]), gamma=0.1)
        tensor([0.5000, 0.9091])
    """
    return ratio / (ratio + gamma)


def shaped_weight(ratio: Tensor, gamma: float) -> Tensor:
    """Weight of grad log pi under a shaped ratio: largest (1/4) where the ratio is gamma, falling to both sides.

        f'(x) x = gamma x / (x + gamma)^2

    Args:
        ratio: pi / behaviour, positive, any shape.
        gamma: of `shape`.

    Example:
        >>> shaped_weight(torch.tensor([0.1, 1.0]), gamma=0.1)
        tensor([0.2500, 0.0826])
    """
    return gamma * ratio / (ratio + gamma) ** 2


def shaped_advantages(
    advantages_B_T: Tensor, logps_B_T: Tensor, behavior_logps_B_T: Tensor, is_guided_B: Tensor, *, gamma: float
) -> Tensor:
    """[B, T] advantages whose gradient at ratio 1 is that of the shaped ratio on the guided rows.

    Args:
        advantages_B_T: [B, T] or [B, 1], of the mixed group.
        logps_B_T: [B, T] current log-probs (nats), detached.
        behavior_logps_B_T: [B, T] log-probs of whoever wrote the guided rows; 0 (probability 1) where unknown.
        is_guided_B: [B] bool.
        gamma: of `shape`.
    """
    weight_B_T = shaped_weight((logps_B_T - behavior_logps_B_T).exp(), gamma)
    return torch.where(is_guided_B[:, None], advantages_B_T * weight_B_T, advantages_B_T)


def distilled_advantages(
    advantages_B_T: Tensor, logps_B_T: Tensor, guide_logps_B_T: Tensor, is_distilled_B: Tensor, *, coef: float
) -> Tensor:
    """[B, T] advantages that add the guide's judgement of the learner's own tokens: reverse KL as a policy gradient.

        A_t + coef (log pi_guide(o_t) - log pi(o_t))        on the distilled rows

    See docs/methods/opd.md: the authors of NPO name it as future work; the formula is ours.

    Args:
        advantages_B_T: [B, T] or [B, 1], of the mixed group.
        logps_B_T: [B, T] current log-probs (nats), detached.
        guide_logps_B_T: [B, T] log-probs of the same tokens under the guide, finite.
        is_distilled_B: [B] bool, True on the learner's own rollouts of gated prompts.
        coef: beta; 0 changes nothing.
    """
    log_ratio_B_T = guide_logps_B_T - logps_B_T
    return torch.where(is_distilled_B[:, None], advantages_B_T + coef * log_ratio_B_T, advantages_B_T)


def informed_advantages(
    advantages_B_T: Tensor,
    logps_B_T: Tensor,
    informed_logps_B_T: Tensor,
    is_informed_B: Tensor,
    *,
    strength: float,
    clip: float,
) -> Tensor:
    """[B, T] advantages that keep their sign, with a size that depends on how likely the informed self finds a token.

        w_t = clip(exp(sign(A) (log pi_informed(o_t) - log pi(o_t))), 1 - epsilon, 1 + epsilon)
        A (1 - lambda + lambda w_t)

    See RLSD (arXiv:2604.03128): a token that becomes more likely once the answer is known counts more in a right
    answer, and less in a wrong one.

    Args:
        advantages_B_T: [B, T] or [B, 1].
        logps_B_T: [B, T] current log-probs (nats), detached.
        informed_logps_B_T: [B, T] log-probs of the same tokens given the answer, finite.
        is_informed_B: [B] bool, True on the policy's own rollouts.
        strength: lambda; 0 changes nothing.
        clip: epsilon.

    Example:
        >>> half, third = torch.tensor([[0.5]]).log(), torch.tensor([[0.45]]).log()
        >>> informed_advantages(torch.tensor([[-2.0]]), half, third, torch.tensor([True]), strength=0.5, clip=0.2)
        tensor([[-2.1111]])
    """
    log_ratio_B_T = informed_logps_B_T - logps_B_T
    weight_B_T = (advantages_B_T.sign() * log_ratio_B_T).exp().clamp(1 - clip, 1 + clip)
    informed_B_T = advantages_B_T * (1 - strength + strength * weight_B_T)
    return torch.where(is_informed_B[:, None], informed_B_T, advantages_B_T)
