"""What a configuration needs from this machine: packages, an optimizer that can be made, a chat template.

This is checked before anything is written or a weight is read, by the libraries' own checks if these cost nothing:
reporters, the optimizer and the schedule are made once, for a model with one parameter.

Not here: ranges of values (`nearfuture.run.settings.ranges`), the folder and the disk (`nearfuture.run.start`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import AutoConfig, GenerationConfig, Trainer, get_scheduler
from transformers.integrations import get_reporting_integration_callbacks
from transformers.utils import (
    is_bitsandbytes_available,
    is_flash_attn_2_available,
    is_hqq_available,
    is_liger_kernel_available,
    is_optimum_quanto_available,
)
from trl.import_utils import is_vllm_available

from nearfuture.options.packages import NEEDS
from nearfuture.refusals import refusing
from nearfuture.tasks import Task
from nearfuture.train.adapters import base_of
from nearfuture.train.npo_config import NPOConfig
from nearfuture.train.vision.lengths import require_template
from nearfuture.train.vision.processor import load_processing_class
from nearfuture.types import UserError

OF_THE_MODEL = ("optim_target_modules", "galore", "apollo", "lomo")
"""Optimizers that are made for the layers of a model, and are left to the trainer."""


WORKS: dict[str, Callable[[], bool]] = {
    "use_vllm": is_vllm_available,
    "use_liger_kernel": is_liger_kernel_available,
    "load_in_4bit": is_bitsandbytes_available,
    "load_in_8bit": is_bitsandbytes_available,
    "attn_implementation": is_flash_attn_2_available,
    "cache_implementation": lambda: is_optimum_quanto_available() or is_hqq_available(),
}
"""By the key that needs a package: whether its version and the device are ones that transformers and TRL can use."""


def check_packages(settings: Mapping[str, Any]) -> None:
    """Refuse settings whose package is not installed here.

    Args:
        settings: of training and of the model, by key.

    Raises:
        UserError: the key, the package, how to get it.
    """
    if absent := missing(settings):
        raise UserError(absent[0])


def missing(settings: Mapping[str, Any]) -> list[str]:
    """Say what is not installed here, one sentence per setting."""
    return [need.absent(settings) for need in NEEDS if need.is_set(settings.get(need.key)) and not WORKS[need.key]()]


def rehearse(args: NPOConfig, settings: Mapping[str, Any]) -> None:
    """Make reporters, optimizer and schedule once, and discard them.

    Args:
        args: the trainer's arguments.
        settings: the settings they were made from, for the error.

    Raises:
        UserError: a package is missing, or values are refused.
    """

    def given(*keys: str) -> dict[str, Any]:
        return {key: settings[key] for key in keys if key in settings}

    with refusing("report_to cannot be used here", given("report_to")):
        for reporter in get_reporting_integration_callbacks(args.report_to):
            reporter()
    _refuse_unknown_generation(args.generation_kwargs or {}, use_vllm=bool(args.use_vllm))
    _refuse_a_cache_of_all_memory(args)
    optim = str(getattr(args.optim, "value", args.optim))
    if args.optim_target_modules or any(name in optim for name in OF_THE_MODEL):
        return
    adam = ("adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "learning_rate")
    with refusing(f"optim={optim} cannot be made", given("optim", "optim_args", *adam)):
        kind, options = Trainer.get_optimizer_cls_and_kwargs(args)
        optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **options)
    schedule = ("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "max_steps")
    with refusing(f"lr_scheduler_type={args.lr_scheduler_type} cannot be made", given(*schedule)):
        get_scheduler(
            args.lr_scheduler_type,
            optimizer=optimizer,
            num_warmup_steps=args.get_warmup_steps(args.max_steps),
            num_training_steps=args.max_steps,
            scheduler_specific_kwargs=args.lr_scheduler_kwargs,
        )


def _refuse_unknown_generation(kwargs: Mapping[str, Any], *, use_vllm: bool) -> None:
    """Refuse unknown generation settings, which transformers would silently ignore; vLLM has its own names."""
    if use_vllm:
        from vllm import SamplingParams

        with refusing("vLLM refuses generation_kwargs", {"generation_kwargs": kwargs}):
            SamplingParams(**kwargs)
        return
    with refusing("transformers refuses generation_kwargs", {"generation_kwargs": kwargs}):
        unknown = GenerationConfig().update(**kwargs)
    if unknown:
        raise UserError(f"generation_kwargs={kwargs}: transformers knows no {', '.join(unknown)}. Remove it.")


def _refuse_a_cache_of_all_memory(args: NPOConfig) -> None:
    """Refuse continuous batching on a CPU, where its cache takes most of the memory and the system ends the process."""
    is_batched = args.use_transformers_continuous_batching and args.device.type == "cpu"
    if is_batched and not args.transformers_continuous_batching_config:
        raise UserError(
            "use_transformers_continuous_batching=true on a CPU: its cache takes up to nine tenths of the memory that "
            "is free. Leave it off, or limit it with transformers_continuous_batching_config (max_memory_percent)."
        )


def check_model(model: str, task: Task, settings: Mapping[str, Any], *, casts_head: bool = False) -> None:
    """Read everything of a model except its weights, and refuse messages for a model that cannot read them.

    Args:
        model: folder or name on the Hub.
        task: the task whose prompts it has to read.
        settings: fields of TRL's `ModelConfig`.
        casts_head: `cast_lm_head_to_fp32`.

    Raises:
        UserError: there is no such model or tokenizer, no chat template for messages, or TRL cannot cast the head.
    """
    where = {"trust_remote_code": bool(settings.get("trust_remote_code"))}
    if "model_revision" in settings:
        where["revision"] = settings["model_revision"]
    with refusing(f"model={model} cannot be read", {"model": model, **where}):
        found = AutoConfig.from_pretrained(base_of(model), **where)
        reader = load_processing_class(base_of(model), **where)
    if casts_head and hasattr(found, "vision_config") and found.tie_word_embeddings:
        raise UserError(
            f"cast_lm_head_to_fp32=true: model={model} sees images and ties its head to its embeddings, which TRL does "
            "not find there. Leave it off, or train in dtype=float32."
        )
    for rows in (task.train, task.evaluation):
        require_template(reader, rows)
