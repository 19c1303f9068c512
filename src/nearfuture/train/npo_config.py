"""`NPOConfig`: TRL's `GRPOConfig`, the settings of Near-Future Policy Optimization, and a faster loop.

Deviation from TRL's defaults: `bf16` and `gradient_checkpointing` are decided by the device (TRL switches both on
everywhere; on a CPU both only cost time). Set them and they stay as you set them. Where TRL's own
defaults can be trained with, those of `NPOConfig` are the same.

Not here: what the settings do (`nearfuture.train.trainer`), the settings of a run (`nearfuture.run.settings.config`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import torch
from transformers.utils import is_torch_bf16_gpu_available
from trl import GRPOConfig, ModelConfig
from trl.trainer.utils import get_config_model_id

from nearfuture.options.npo import ByDevice, GuidedRewards, NPOSettings, Weighting
from nearfuture.types import Sampling, UserError

__all__ = ["GuidedRewards", "ModelConfig", "NPOConfig", "NPOSettings", "Weighting", "default_args", "sampling"]


HELP = {one.name: one.metadata for one in fields(ByDevice)}
PER_SEQUENCE = ("vespo",)
"""Loss types of TRL that have one weight per sequence, whatever `importance_sampling_level` says."""


@dataclass
class NPOConfig(NPOSettings, ByDevice, GRPOConfig):
    """`GRPOConfig` with the settings of NPO. Without guidance only `fast_generation`, `truncated_is_wrong` and
    `vllm_dtype` have an effect.
    """

    # As in TRL the flag alone (`--gradient_checkpointing`) switches these on, which a parser takes from the type.
    gradient_checkpointing: bool = field(default=None, metadata=HELP["gradient_checkpointing"])  # type: ignore[assignment]
    activation_checkpointing: bool = field(default=None, metadata=HELP["activation_checkpointing"])  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.check_settings()
        if self.weighs_tokens and (self.importance_sampling_level != "token" or self.loss_type in PER_SEQUENCE):
            raise UserError(
                f"{self.weighs} weigh single tokens, which "
                f"loss_type={self.loss_type} with importance_sampling_level={self.importance_sampling_level} does not. "
                "Use importance_sampling_level=token and another loss_type, for example dapo."
            )
        on_accelerator = not self.use_cpu and torch.accelerator.is_available()
        if self.bf16 is None:
            self.bf16 = on_accelerator and not self.fp16 and is_torch_bf16_gpu_available()
        if self.gradient_checkpointing is None and self.activation_checkpointing is None:
            self.activation_checkpointing = on_accelerator
        super().__post_init__()
        if not on_accelerator:
            self.dataloader_pin_memory = False


def default_args(model: Any) -> NPOConfig:
    """Make the config of a trainer that was given none, named as TRL would name it.

    Args:
        model: a name, or the model itself.
    """
    name = model if isinstance(model, str) else get_config_model_id(model.config)
    return NPOConfig(f"{name.split('/')[-1]}-NPO")


def sampling(args: GRPOConfig) -> Sampling:
    """The sampling settings of a trainer."""
    return Sampling(
        temperature=args.temperature,
        top_p=args.top_p,
        top_k=args.top_k or 0,
        min_p=args.min_p or 0.0,
        repetition_penalty=args.repetition_penalty,
        max_completion_length=args.max_completion_length,
    )
