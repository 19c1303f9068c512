"""The weight of a guided token, set inside the forward pass of the loss, whichever class computes it.

TRL's losses take old log-probs and advantages from the batch after their forward pass, so they use what is put there
during that pass: the guide's log-probs as the denominator (`importance`), an advantage for each token (`shaped`,
distillation). Other losses use the first as well, but may not understand the second, which is then refused.

Letters: B rows, T tokens.

Not here: the weights as formulas (`nearfuture.method.weighting`), who is guided (`nearfuture.train.trainer`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.method.weighting import distilled_advantages, informed_advantages, per_token, shaped_advantages
from nearfuture.train import inject
from nearfuture.train.exact import ExactResume
from nearfuture.train.harvest import Harvester
from nearfuture.train.informed import Informant
from nearfuture.train.npo_config import NPOSettings, Weighting
from nearfuture.train.onpolicy import OnPolicyMetrics
from nearfuture.train.replay import Replayer
from nearfuture.train.step import Row
from nearfuture.train.vision import mixed
from nearfuture.types import UserError


class WeighedLoss(ExactResume):
    """A `GRPOTrainer` whose loss weights guided and distilled tokens as `npo` says."""

    npo: NPOSettings
    onpolicy: OnPolicyMetrics
    replayer: Replayer | None = None
    harvester: Harvester | None = None
    informant: Informant | None = None
    _loss_model: Any = None
    _loss_inputs: Row | None = None
    _forward: tuple[Tensor, Tensor | None] | None = None
    _is_inside = False

    @property
    def awaiting(self) -> list[Replayer | Harvester]:
        """The parts that keep rollouts and wait for their log-probs."""
        return [one for one in (self.replayer, self.harvester) if one is not None]

    def refuse_foreign_loss(self) -> None:
        """Refuse losses other than TRL's if tokens have weights, which are advantages per token that others may ignore.

        Raises:
            UserError: tokens are weighted individually, and a variant of TRL's trainer has its own loss.
        """
        order = type(self).__mro__
        between = order[order.index(WeighedLoss) + 1 : order.index(GRPOTrainer)]
        for kind in between:
            if "_compute_loss" in vars(kind):
                self._refuse(kind.__name__)

    def _refuse(self, name: str) -> None:
        if self.npo.weighs_tokens:
            raise UserError(
                f"{self.npo.weighs} weigh single tokens in TRL's own losses, and {name} has another one. Use "
                "weighting=importance or on_policy with distill_coef=0 and informed_strength=0, or train without it."
            )

    def _require_no_weights(self, inputs: Mapping[str, Any]) -> None:
        """Refuse a loss that did not read log-probs where weights are put, if this batch has any.

        Raises:
            UserError: guided rows would silently count as sampled.
        """
        is_weighed = "is_guided" in inputs and self.npo.weighting != Weighting.ON_POLICY
        if is_weighed or {"is_distilled", "is_informed"} & set(inputs):
            raise UserError(
                f"the loss of {type(self).__name__} takes no log-probs from _get_per_token_logps_and_entropies, where "
                f"{self.npo.weighs} put their weights. Take them from there, or use weighting=on_policy."
            )

    def compute_loss(self, model: Any, inputs: Row, *args: Any, **kwargs: Any) -> Tensor:
        """TRL's loss, whichever class computes it; guided rows get their weight in its forward pass."""
        # A copy: the forward pass puts the denominator of the guided rows' ratio into it.
        self._loss_model, self._loss_inputs = model, dict(inputs)
        try:
            loss = super().compute_loss(model, self._loss_inputs, *args, **kwargs)
            if self._forward is None:
                self._require_no_weights(inputs)
            elif self.model.training:
                self.onpolicy.observe_loss(self._loss_inputs, *self._forward)
            return loss
        finally:
            self._loss_model = self._loss_inputs = self._forward = None

    def _compute_loss(self, model: Any, inputs: Row) -> Tensor:
        self._is_inside = True
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._is_inside = False

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        taking = mixed.for_mixed_rows(model, kwargs.get("num_images"))
        output = super()._get_per_token_logps_and_entropies(taking, *args, **kwargs)
        inputs = self._loss_inputs
        if inputs is not None and self._forward is None and self._is_policy(model):
            entropies_B_T = None if output[1] is None else output[1].detach()
            self._forward = logps_B_T, _ = output[0].detach(), entropies_B_T
            if not self._is_inside and {"is_guided", "is_distilled", "is_informed"} & set(inputs):
                self._refuse(type(self).__name__)
            self._weigh(inputs, logps_B_T)
            for one in self.awaiting:
                one.observe_loss(inputs, logps_B_T)
        return output

    def _is_policy(self, model: Any) -> bool:
        """True for the model whose loss is computed, wrapped or not; False for a reference model."""
        unwrap = self.accelerator.unwrap_model
        return model is self._loss_model or unwrap(model) is unwrap(self._loss_model)

    def _weigh(self, inputs: Row, logps_B_T: Tensor) -> None:
        """Set what TRL's loss divides and multiplies by: denominators of the guided rows, advantages per token."""
        old_B_T = inputs.get("old_per_token_logps")
        if "is_guided" in inputs:
            if self.npo.weighting == Weighting.IMPORTANCE and old_B_T is None:
                inputs["old_per_token_logps"] = inject.with_behavior(logps_B_T, inputs)
            if self.npo.weighting == Weighting.SHAPED:
                is_guided_B = inputs["is_guided"]
                if old_B_T is not None:  # ratio 1: the weight is in the advantage
                    inputs["old_per_token_logps"] = torch.where(is_guided_B[:, None], logps_B_T, old_B_T)
                inputs["advantages"] = shaped_advantages(
                    per_token(inputs["advantages"]),
                    logps_B_T,
                    inputs["behavior_logps"],
                    is_guided_B,
                    gamma=self.npo.shaping_gamma,
                )
        if "is_distilled" in inputs:
            inputs["advantages"] = distilled_advantages(
                per_token(inputs["advantages"]),
                logps_B_T,
                inputs["guide_logps"],
                inputs["is_distilled"],
                coef=self.npo.distill_coef,
            )
        if "is_informed" in inputs and self.informant is not None:
            inputs["advantages"] = informed_advantages(
                per_token(inputs["advantages"]),
                logps_B_T,
                inputs["informed_logps"],
                inputs["is_informed"],
                strength=self.informant.strength(self.state.global_step),
                clip=self.npo.informed_clip,
            )
