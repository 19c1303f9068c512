"""Build a trainer from plain values: what a run knows, in the form that TRL expects.

Each stage of a run gets a fresh trainer: `train()` on a used one is not a reset, and building one seeds every
generator, so a replay from the base weights begins with the same random state as the scout.

Not here: the stages (`nearfuture.run.executor`), the checks of a configuration (`nearfuture.run.settings.load`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback
from trl import ModelConfig, get_peft_config
from trl.trainer.utils import get_quantization_config

from nearfuture.refusals import built_from, refusing
from nearfuture.tasks import Task, VerdictReward
from nearfuture.train import needs
from nearfuture.train.adapters import base_of, is_adapter, load_adapted
from nearfuture.train.memory import collect
from nearfuture.train.npo_config import NPOConfig
from nearfuture.train.reporters import without_trackio
from nearfuture.train.trainer import NPOTrainer
from nearfuture.train.vision import processor
from nearfuture.types import UserError

# Settings of TRL's ModelConfig that go to `from_pretrained`, by the name they have there.
MODEL_INIT = {
    "attn_implementation": "attn_implementation",
    "model_revision": "revision",
    "trust_remote_code": "trust_remote_code",
    "dtype": "dtype",
}


@dataclass(frozen=True)
class Base:
    """The policy that a trainer begins with.

    Attributes:
        model: folder or name on the Hub; a folder with an adapter continues with that adapter, on its base.
        settings: fields of TRL's `ModelConfig`.
        max_image_pixels: larger images are scaled down; None: as the model has it.
    """

    model: str
    settings: dict[str, Any]
    max_image_pixels: int | None = None


def make_trainer(
    base: Base, task: Task, train: Dataset, output_dir: Path, training: dict[str, Any], **kwargs: Any
) -> NPOTrainer:
    """Make a fresh trainer with the base weights.

    Args:
        base: the policy.
        task: the task, whose verifier becomes the reward.
        train: prompts with ids.
        output_dir: where checkpoints go.
        training: fields of `NPOConfig`.
        kwargs: arguments of `NPOTrainer`: `callbacks`, `guidance`, `on_group` and the like.

    Raises:
        UserError: the data does not fill one generation batch, or TRL refuses the settings.
    """
    needs.check_packages({**training, **base.settings})
    model_settings = _with_suffixes(base.settings)
    model_config = built_from(lambda given: ModelConfig(**given), model_settings, "TRL refuses these settings")
    init = {there: model_settings[here] for here, there in MODEL_INIT.items() if here in model_settings}
    init |= training.get("model_init_kwargs") or {}
    args = make_args(output_dir, {**training, "save_strategy": "steps", "model_init_kwargs": init or None})
    check_batch(args, len(train))
    apart = without_trackio(args)
    adapted = is_adapter(base.model)
    with refusing(f"model={base.model} cannot be trained like this", {**training, **model_settings}):
        trainer = NPOTrainer(
            load_adapted(base.model, **init) if adapted else base.model,
            reward_funcs=VerdictReward(task),
            args=args,
            train_dataset=train,
            processing_class=_processing_class(base),
            peft_config=None if adapted else get_peft_config(model_config),
            quantization_config=get_quantization_config(model_config),
            **kwargs,
        )
    trainer.remove_callback(PrinterCallback)
    for reporter in apart:
        trainer.add_callback(reporter)
    return trainer


def _with_suffixes(model_settings: dict[str, Any]) -> dict[str, Any]:
    """Write a single target module as a pattern: TRL turns a list of one into text, a whole name to PEFT."""
    targets = model_settings.get("lora_target_modules")
    if not isinstance(targets, list) or len(targets) != 1 or targets == ["all-linear"]:
        return model_settings
    return {**model_settings, "lora_target_modules": rf"(.*\.)?{re.escape(targets[0])}"}


def _processing_class(base: Base) -> Any:
    """Return the processor or tokenizer to use; None if TRL would load it by itself."""
    pixels = base.max_image_pixels
    return None if pixels is None else processor.load_for_training(base_of(base.model), pixels)


def make_args(output_dir: Path, training: dict[str, Any]) -> NPOConfig:
    """Make an `NPOConfig`; what TRL refuses is for the user to fix.

    Raises:
        UserError: TRL refuses settings; the message has TRL's own words and the keys that are to blame.
    """

    def build(settings: dict[str, Any]) -> NPOConfig:
        return NPOConfig(output_dir=str(output_dir), disable_tqdm=True, **{"log_level_replica": "error", **settings})

    return built_from(build, training, "TRL refuses these settings")


def check_batch(args: NPOConfig, num_prompts: int) -> None:
    """Refuse data that does not fill one generation batch: TRL would train on nothing.

    Raises:
        UserError: the data is too small; the message says how many prompts there are and how many a batch needs.
    """
    per_batch = args.generation_batch_size // args.num_generations
    if num_prompts < per_batch:
        raise UserError(
            f"the data has {num_prompts} prompts, one generation batch needs {per_batch} "
            f"({args.generation_batch_size} rollouts / {args.num_generations} generations). "
            "Lower per_device_train_batch_size or steps_per_generation."
        )


def steps_per_batch(args: NPOConfig) -> float:
    """How many optimizer steps one generated batch lasts for."""
    return args.steps_per_generation * args.num_iterations / args.gradient_accumulation_steps


def batch_arithmetic(args: NPOConfig) -> str:
    """Explain the batch sizes in one line."""
    prompts = args.generation_batch_size // args.num_generations
    updates = steps_per_batch(args)
    per_update = args.per_device_train_batch_size * args.world_size * args.gradient_accumulation_steps
    return (
        f"{prompts} prompts x {args.num_generations} generations = {args.generation_batch_size} rollouts -> "
        f"{updates:g} update(s) of {per_update} rollouts ({args.per_device_train_batch_size} per device x "
        f"{args.gradient_accumulation_steps} accumulation x {args.world_size} process(es))"
    )


def release(trainer: NPOTrainer) -> None:
    """Free a trainer's memory before the next one is built, by emptying it, even if something still holds the trainer.

    A trainer is part of reference cycles and its caller still refers to it, so collecting alone would free nothing; and
    with these libraries imported, one collection takes a quarter of a second.
    """
    if trainer.is_deepspeed_enabled:
        trainer.accelerator.free_memory()  # ends the engine
    trainer.callback_handler.callbacks.clear()
    trainer.__dict__.clear()
    collect()
