"""Builds the trainer of a stage from a checked configuration.

Each stage gets a fresh trainer: `train()` on a used one is no reset, and building one seeds every generator, so a
replay from the base weights begins with the very random state the scout began with.

Not here: what the stages are (`nearfuture.run.plan`), running them (`nearfuture.run.executor`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import ModelConfig, get_peft_config
from trl.trainer.utils import get_quantization_config

from nearfuture.run.config import Configuration
from nearfuture.tasks import Task, VerdictReward, check_gold
from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.train import NPOConfig, NPOTrainer
from nearfuture.types import UserError

MODEL_INIT = ("attn_implementation", "model_revision", "trust_remote_code", "dtype")


def prepare_task(task: Task) -> tuple[Dataset, list[dict[str, Any]]]:
    """Training rows with ids, and held-out rows, after the gold answers were checked against themselves."""
    check_gold(task)
    train = task.train if isinstance(task.train, Dataset) else Dataset.from_list(task.train)
    return with_prompt_ids(train), [dict(row) for row in task.evaluation]


def base_model(config: Configuration, task: Task) -> str:
    """The base model of a run.

    Raises:
        UserError: neither the configuration nor the task names one.
    """
    model = config.run.model or task.model
    if model is None:
        raise UserError(f"task {config.run.task!r} ships no model. Set model to a folder or a name on the Hub.")
    return model


def build_trainer(
    config: Configuration,
    task: Task,
    train: Dataset,
    output_dir: Path,
    callbacks: Sequence[TrainerCallback] = (),
    **kwargs: Any,
) -> NPOTrainer:
    """A fresh trainer with the base weights; `kwargs` go to `NPOTrainer` (guidance, on_group)."""
    model_config = ModelConfig(**config.model)
    init = {
        {"model_revision": "revision"}.get(name, name): config.model[name] for name in MODEL_INIT if name in config.model
    }
    args = NPOConfig(
        output_dir=str(output_dir),
        disable_tqdm=True,
        save_strategy="steps",
        **{**config.training, "model_init_kwargs": {**init, **(config.training.get("model_init_kwargs") or {})} or None},
    )
    trainer = NPOTrainer(
        base_model(config, task),
        reward_funcs=VerdictReward(task),
        args=args,
        train_dataset=train,
        callbacks=list(callbacks),
        peft_config=get_peft_config(model_config),
        quantization_config=get_quantization_config(model_config),
        **kwargs,
    )
    trainer.remove_callback(PrinterCallback)
    _check_batch(trainer, len(train))
    return trainer


def _check_batch(trainer: NPOTrainer, num_prompts: int) -> None:
    per_batch = trainer.args.generation_batch_size // trainer.num_generations
    if num_prompts < per_batch:
        raise UserError(
            f"the data has {num_prompts} prompts, one generation batch needs {per_batch} "
            f"({trainer.args.generation_batch_size} rollouts / {trainer.num_generations} generations). "
            "Lower per_device_train_batch_size or steps_per_generation."
        )


def batch_arithmetic(args: NPOConfig) -> str:
    """Which batch size is which, in one line."""
    prompts = args.generation_batch_size // args.num_generations
    updates = args.steps_per_generation * args.num_iterations / args.gradient_accumulation_steps
    per_update = args.per_device_train_batch_size * args.world_size * args.gradient_accumulation_steps
    return (
        f"{prompts} prompts x {args.num_generations} generations = {args.generation_batch_size} rollouts -> "
        f"{updates:g} update(s) of {per_update} rollouts ({args.per_device_train_batch_size} per device x "
        f"{args.gradient_accumulation_steps} accumulation x {args.world_size} process(es))"
    )
