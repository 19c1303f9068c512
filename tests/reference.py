"""A second opinion on one optimizer step of guided GRPO, in plain torch: one row at a time, unpadded, in float64.

    A_i   = (r_i - mean_j r_j) / (std_j r_j + 1e-4)                 over the mixed group, ddof 1
    rho   = pi_theta(o_t) / q(o_t)                                   q: the policy that generated the batch,
                                                                     for a guided row with importance weights the guide
    shaped: f(rho, A) = A rho / (rho + gamma) on a guided row
    L     = - sum_t f(rho_t, A) / normaliser                         f and the normaliser: by loss type

See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.1. It imports nothing of TRL's, pads nothing, judges
the completions and computes advantages, log-probs and ratios itself, and always divides by the log-probs of the weights
at generation (TRL takes a short cut where these are the current ones).

Letters: T tokens of one completion.

Not here: how a step of the real trainer is recorded (`tiny`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

ADVANTAGE_EPSILON = 1e-4
SAPO_TEMPERATURES = (1.0, 1.05)
VESPO = {True: (2.0, 3.0), False: (3.0, 2.0)}
"""A >= 0 -> (k, lambda) of the gamma weighting."""


@dataclass(frozen=True)
class Rollout:
    """One row as it is trained on. `behavior_logps` belong to a guided row and are empty for all others."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    behavior_logps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Generation:
    """One generated batch, split into micro-batches, and the log-probs of the policy that generated it."""

    micro_batches: list[list[Rollout]]
    advantages: dict[Rollout, float]
    generator_logps: dict[Rollout, Tensor]

    @property
    def num_tokens(self) -> int:
        return sum(len(rollout.completion_ids) for batch in self.micro_batches for rollout in batch)


@dataclass(frozen=True)
class Objective:
    """The settings the loss depends on."""

    loss_type: str
    weighting: str
    epsilon: float
    epsilon_high: float
    temperature: float
    max_completion_length: int
    level: str = "token"
    gamma: float = 0.1


@dataclass
class Seen:
    """What happened in a step, so that a test can insist that something did; for rollouts (False) and guides (True)."""

    ratios: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    num_clipped: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})


def log_probs(model: nn.Module, rollout: Rollout, temperature: float) -> Tensor:
    """[T] log-probs of the completion's tokens at the sampling temperature."""
    ids = torch.tensor([rollout.prompt_ids + rollout.completion_ids])
    logits = model(input_ids=ids).logits[0, len(rollout.prompt_ids) - 1 : -1]
    tokens = torch.tensor(rollout.completion_ids)
    return torch.log_softmax(logits / temperature, -1).gather(-1, tokens[:, None])[:, 0]


def generation(
    generator: nn.Module, micro_batches: list[list[Rollout]], reward: Callable[[Rollout], float], temperature: float
) -> Generation:
    """Judge a generated batch and score it with the policy that generated it. Rows with one prompt are one group."""
    everything = [rollout for batch in micro_batches for rollout in batch]
    groups: dict[tuple[int, ...], list[Rollout]] = defaultdict(list)
    for rollout in everything:
        groups[rollout.prompt_ids].append(rollout)
    advantages: dict[Rollout, float] = {}
    for group in groups.values():
        rewards = torch.tensor([reward(rollout) for rollout in group], dtype=torch.float64)
        scaled = (rewards - rewards.mean()) / (rewards.std(correction=1) + ADVANTAGE_EPSILON)
        advantages |= dict(zip(group, scaled.tolist(), strict=True))
    with torch.no_grad():
        scores = {rollout: log_probs(generator, rollout, temperature) for rollout in set(everything)}
    return Generation(micro_batches, advantages, scores)


def surrogate(objective: Objective, logps_T: Tensor, ratio_T: Tensor, advantage: float) -> Tensor:
    """[T] what is maximised at each token of one completion."""
    if objective.loss_type == "cispo":  # the ratio is a constant, cut above at epsilon_high itself
        return ratio_T.clamp(max=objective.epsilon_high).detach() * advantage * logps_T
    if objective.loss_type == "sapo":  # a soft gate in place of the clip
        tau = SAPO_TEMPERATURES[0] if advantage > 0 else SAPO_TEMPERATURES[1]
        return torch.sigmoid(tau * (ratio_T - 1)) * 4 / tau * advantage
    if objective.loss_type == "vespo":  # phi(w) = e^lambda w^k e^(-lambda w) of the sequence's ratio, a constant
        k, lam = VESPO[advantage >= 0]
        log_w = ratio_T.log().sum().clamp(math.log(1e-8), 20.0)
        return (lam + k * log_w - lam * log_w.exp()).exp().detach() * advantage * logps_T
    clipped_T = ratio_T.clamp(1 - objective.epsilon, 1 + objective.epsilon_high)
    return torch.minimum(ratio_T * advantage, clipped_T * advantage)


def num_clipped(objective: Objective, ratio_T: Tensor, advantage: float) -> int:
    """How many tokens of a completion have no gradient (cispo: a smaller one) because of their ratio."""
    if objective.loss_type in ("sapo", "vespo") or advantage == 0:
        return 0
    if objective.loss_type == "cispo":
        return int((ratio_T > objective.epsilon_high).sum())
    is_clipped_T = ratio_T > 1 + objective.epsilon_high if advantage > 0 else ratio_T < 1 - objective.epsilon
    return int(is_clipped_T.sum())


def micro_batch_loss(objective: Objective, terms: Sequence[Tensor], num_accumulated: int, made: Generation) -> Tensor:
    """The share of one micro-batch in the loss of an optimizer step of `num_accumulated` micro-batches."""
    total = -torch.stack([term.sum() for term in terms]).sum()
    num_rows, num_tokens = len(terms), sum(map(len, terms))
    match objective.loss_type:
        case "grpo" | "sapo":  # mean over completions of the mean over tokens
            return -torch.stack([term.mean() for term in terms]).sum() / num_rows / num_accumulated
        case "bnpo":  # mean over the tokens of the micro-batch
            return total / num_tokens / num_accumulated
        case "dr_grpo":  # a constant length
            return total / (num_rows * objective.max_completion_length) / num_accumulated
        case "luspo":  # mean over completions of the sum over tokens
            return total / num_rows / num_accumulated
        case "dapo" | "cispo" | "vespo":  # mean over the tokens of a step: its share of the generation's
            return total / (made.num_tokens * num_accumulated / len(made.micro_batches))
    raise AssertionError(f"no formula for {objective.loss_type}")


def gradients(
    policy: nn.Module, micro_steps: Sequence[tuple[Generation, int]], objective: Objective
) -> tuple[dict[str, Tensor], Seen]:
    """The gradient of one optimizer step over the given micro-batches (generation, index in it).

    Args:
        policy: with the weights at the beginning of the step; in float64, or in float32 to see what rounding does.
        micro_steps: the micro-batches that are accumulated.
        objective: settings of the loss.

    Returns:
        Gradient by parameter name, and what was seen on the way.
    """
    policy.zero_grad()
    seen = Seen()
    for made, index in micro_steps:
        rollouts = made.micro_batches[index]
        logps = {rollout: log_probs(policy, rollout, objective.temperature) for rollout in set(rollouts)}
        terms = []
        for rollout in rollouts:
            logps_T, old_T, is_guided = logps[rollout], made.generator_logps[rollout], bool(rollout.behavior_logps)
            if objective.weighting != "on_policy" and is_guided:
                old_T = torch.tensor(rollout.behavior_logps, dtype=torch.float64)
            log_ratio_T = logps_T - old_T
            if objective.level == "sequence":
                log_ratio_T = log_ratio_T.mean().expand_as(log_ratio_T)
            ratio_T, advantage = log_ratio_T.exp(), made.advantages[rollout]
            seen.ratios[is_guided] += ratio_T.tolist()
            if objective.weighting == "shaped" and is_guided:  # never clipped, whatever the loss type
                terms.append(ratio_T / (ratio_T + objective.gamma) * advantage)
                continue
            terms.append(surrogate(objective, logps_T, ratio_T, advantage))
            seen.num_clipped[is_guided] += num_clipped(objective, ratio_T.detach(), advantage)
        micro_batch_loss(objective, terms, len(micro_steps), made).backward()
    return {name: p.grad.clone() for name, p in policy.named_parameters() if p.requires_grad}, seen
