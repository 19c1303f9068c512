"""On-policy distillation from the near-future self: the guide scores what the learner wrote on gated prompts.

    A_t + distill_coef (log pi_guide(o_t) - log pi(o_t))

The authors of "Near-Future Policy Optimization" (arXiv:2604.20733) name this as future work; see docs/methods/opd.md.
No importance weights are needed, since the tokens are the learner's own. Off by default.

Letters: B rows, T tokens.

Not here: the advantage itself (`nearfuture.method.weighting`), which policy guides (`nearfuture.run`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import is_peft_model
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
)
from trl import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from nearfuture.train import scoring
from nearfuture.train.sharding import refuse_distilling
from nearfuture.train.step import Step


def _auto_class(folder: Path) -> Any:
    """Return the class that reads a checkpoint: with a vision tower or without; adapters follow their base model."""
    adapter = folder / "adapter_config.json"
    base = json.loads(adapter.read_text())["base_model_name_or_path"] if adapter.exists() else folder
    is_vlm = type(AutoConfig.from_pretrained(base)) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    return AutoModelForImageTextToText if is_vlm else AutoModelForCausalLM


class Distiller:
    """A frozen guide beside the policy.

    Args:
        model: the guide, with the policy's tokenizer.
        start_step: optimizer step from which it is asked.
        end_step: first step at which it is no longer asked; None: it is always asked.
    """

    def __init__(self, model: PreTrainedModel, start_step: int = 0, end_step: int | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.start_step, self.end_step = start_step, end_step
        self._has_head = False

    @classmethod
    def load(cls, folder: Path, start_step: int = 0, end_step: int | None = None) -> Distiller:
        """Load a guide from a checkpoint in the Hugging Face layout; adapters come with their base model."""
        return cls(_auto_class(folder).from_pretrained(folder), start_step, end_step)

    def _prepare(self, trainer: GRPOTrainer) -> None:
        """Move the guide to the policy's device, with the head that TRL scores with."""
        self.model.to(trainer.accelerator.device)
        if not self._has_head:
            base = self.model.get_base_model() if is_peft_model(self.model) else self.model
            add_fused_lm_head(
                base, temperature=trainer.temperature, cast_lm_head_to_fp32=trainer.args.cast_lm_head_to_fp32
            )
            self._has_head = True

    def _rows(self, step: Step) -> list[bool]:
        """Return which rows of this process it scores: the policy's own rollouts in gated groups."""
        if step.number < self.start_step or (self.end_step is not None and step.number >= self.end_step):
            return [False] * len(step.rows)
        is_gated_N = step.is_gated_P.repeat_interleave(step.num_generations)
        return step.local(is_gated_N & ~step.in_last_slot(step.inject_P))

    def attach(self, trainer: GRPOTrainer, step: Step, output: dict[str, Any]) -> None:
        """Let `is_distilled` [B] and `guide_logps` [B, T] ride along to the loss: own rows of gated groups.

        Raises:
            UserError: the policy's weights are sharded, so the guide beside it would have to be sharded as well.
        """
        refuse_distilling(is_sharded=trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled)
        completion_ids = output["completion_ids"]
        chosen_B = torch.tensor(self._rows(step), device=completion_ids.device)
        guide_logps = torch.zeros(completion_ids.shape, device=completion_ids.device)
        if chosen_B.any():
            input_ids = torch.cat([output["prompt_ids"], completion_ids], 1)[chosen_B]
            mask = torch.cat([output["prompt_mask"], output["completion_mask"]], 1)[chosen_B]
            self._prepare(trainer)
            with torch.no_grad():
                logps = trainer._get_per_token_logps_and_entropies(
                    self.model,
                    input_ids,
                    mask,
                    completion_ids.size(1),
                    trainer.args.per_device_train_batch_size,
                    **scoring.vision_fields(output, chosen_B),
                )[0]
            guide_logps[chosen_B] = logps.float()
        output["is_distilled"], output["guide_logps"] = chosen_B, guide_logps
        share = trainer.accelerator.gather(chosen_B.float()).mean().item()
        trainer._metrics["train"]["npo/distilled_frac"].append(share)
