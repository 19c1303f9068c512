"""What the policy itself does: reward, pass rate and entropy without the guided slots.

TRL's `reward`, `entropy` and `clip_ratio` describe the mixed group once a slot is replaced, so a plateau in them would
be a plateau of the guide. These metrics are taken earlier, or with the guided rows masked.

Letters: P prompts, B local rows, N global rows, F reward functions, T tokens.

Not here: the meaning of every name (docs/metrics.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.train.step import Step


class _GuidedTokens:
    """Sums over the guided tokens of all micro-batches since the last log, and the largest ratio among them."""

    def __init__(self) -> None:
        self.w1 = self.w2 = self.k3 = self.n = self.largest = 0.0

    def add(self, w1: float, w2: float, k3: float, n: float, largest: float) -> None:
        self.w1, self.w2, self.k3, self.n = self.w1 + w1, self.w2 + w2, self.k3 + k3, self.n + n
        self.largest = max(self.largest, largest)

    def metrics(self) -> dict[str, float]:
        """Largest ratio, k3 and effective sample size; nothing without guided tokens."""
        if not self.n:
            return {}
        return {
            "npo/guide/ratio_max": self.largest,
            "npo/guide/kl_k3": self.k3 / self.n,
            "npo/guide/ess_frac": self.w1 * self.w1 / (self.n * self.w2),
        }


class OnPolicyMetrics:
    """Collects on-policy metrics into TRL's own `_metrics`, so that every logger sees them."""

    def __init__(self, trainer: GRPOTrainer) -> None:
        self.trainer = trainer
        self.clear()

    def clear(self) -> None:
        """Begin to count anew."""
        self._num_tokens = {"rollout_tokens": 0, "trained_tokens": 0}
        self._guided = _GuidedTokens()

    def observe(self, step: Step) -> None:
        """Record one generated batch, before any slot is replaced."""
        rewards_N_F, pass_rate_P = step.rewards_N_F, step.pass_rate_P
        self._num_tokens["rollout_tokens"] += sum(map(len, step.completion_ids))
        weights = self.trainer.reward_weights.to(rewards_N_F.device)
        judged = ~torch.isnan(rewards_N_F).all(1)
        reward = (rewards_N_F * weights).nansum(1)[judged].mean()
        num_judged = (~torch.isnan(pass_rate_P)).sum().clamp(min=1)
        values = {
            "npo/reward": reward,
            "npo/pass_rate": torch.nanmean(pass_rate_P),
            "npo/all_wrong_frac": (pass_rate_P == 0).sum() / num_judged,
            "npo/all_right_frac": (pass_rate_P == 1).sum() / num_judged,
            "npo/gated_frac": step.is_gated_P.float().mean(),
            "npo/guidance_frac": step.has_guidance_P.float().mean(),
            "npo/guided_frac": step.inject_P.float().mean(),
            "npo/unjudged_frac": torch.isnan(pass_rate_P).float().mean(),
            "mix_policy/acc_threshold": step.max_pass_rate,
            "mix_policy/online_groups_evaluated": len(pass_rate_P),
            "mix_policy/offline_candidates": step.has_guidance_P.sum(),
            "mix_policy/offline_triggered_groups": step.is_gated_P.sum(),
            "mix_policy/offline_replaced_groups": step.inject_P.sum(),
        }
        ahead = step.ahead_P[step.inject_P]
        if not ahead.isnan().all():
            values["npo/guide/steps_ahead"] = ahead.nanmean()
        for name, value in values.items():
            self.trainer._metrics["train"][name].append(float(value))

    def observe_loss(self, inputs: dict[str, Any], logps_B_T: Tensor, entropies_B_T: Tensor | None) -> None:
        """Record a micro-batch, after TRL has logged its own entropy; a loss that needs none has none here either.

        With guided rows in it: entropy without them, and how far the policy is from the guide on their tokens. With
        d = log pi(token) - log guide(token): the largest ratio exp(d), k3 = mean(exp(d) - 1 - d) >= 0, which estimates
        KL(guide || policy), and the effective sample size (sum w)^2 / (n sum w^2) of w = exp(d), as a share;
        all for guidance whose log-probs are known.
        """
        metrics, accelerator = self.trainer._metrics["train"], self.trainer.accelerator
        mask = inputs["completion_mask"].bool()
        self._num_tokens["trained_tokens"] += int(mask.sum())
        if "is_guided" not in inputs:
            metrics["npo/entropy"].extend(metrics["entropy"][-1:])
            return
        is_guided = inputs["is_guided"][:, None]
        is_known = (inputs["behavior_logps"] != 0).any(1, keepdim=True)  # no sampler gives probability 1 throughout
        own, guided = mask & ~is_guided, mask & is_guided & is_known
        d = (logps_B_T - inputs["behavior_logps"]).float()[guided]
        w = d.exp()
        entropies = w.new_zeros(()) if entropies_B_T is None else entropies_B_T[own].sum()
        sums = [entropies, own.sum(), w.sum(), (w * w).sum(), (w - 1 - d).sum(), guided.sum()]
        largest = w.max() if w.numel() else w.new_zeros(())
        reduced = accelerator.reduce(torch.stack([value.float() for value in sums]), reduction="sum")
        entropy, num_own, w1, w2, k3, n = reduced.tolist()
        if entropies_B_T is not None:
            metrics["npo/entropy"].append(entropy / max(num_own, 1))
        if n:
            self._guided.add(w1, w2, k3, n, accelerator.gather(largest).max().item())

    def take(self) -> dict[str, float]:
        """Return what is counted, not averaged, since the last call: tokens, and ratios on the guided ones."""
        found = {**self._take_token_counts(), **self._guided.metrics()}
        self._guided = _GuidedTokens()
        return found

    def _take_token_counts(self) -> dict[str, int]:
        """Tokens generated and trained on since the last call, over all processes."""
        local = torch.tensor(list(self._num_tokens.values()), device=self.trainer.accelerator.device)
        totals = self.trainer.accelerator.reduce(local, reduction="sum").tolist()
        names = list(self._num_tokens)
        self._num_tokens = dict.fromkeys(names, 0)
        return dict(zip(names, totals, strict=True))
