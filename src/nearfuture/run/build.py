"""Turn a checked configuration into the data, the base model and the trainer of a stage.

Not here: what the stages are (`nearfuture.run.settings.plan`), running them (`nearfuture.run.executor`).
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from nearfuture.record.folder import RunFolder
from nearfuture.record.reading import read_object
from nearfuture.run.early import refuse_run
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.sizes import batch_of
from nearfuture.run.show import Display
from nearfuture.tasks import Task, check_gold, load_task
from nearfuture.tasks.data import data_task
from nearfuture.tasks.difficulty import within_difficulty
from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.tasks.rows import as_dataset
from nearfuture.train import NPOTrainer, factory, processes
from nearfuture.train.adapters import base_of, is_adapter
from nearfuture.train.positions import Beyond, beyond, limit_of
from nearfuture.train.reporters import Identity
from nearfuture.train.vision.lengths import template_note, within_length
from nearfuture.train.vision.processor import load_for_training
from nearfuture.types import UserError

MOST_WITHOUT_EFFECT = 4
"""Visits of a prompt up to which its own answers are not known to help (docs/when-it-pays.md)."""

REPORTED = "reported.json"
"""The id under which a run reports to `report_to`."""


def load_run_task(config: Configuration) -> Task:
    """Load the task of a configuration: the one it names, or the data set it names.

    Raises:
        UserError: the task or the data does not exist, or a setting does not fit.
        NoSignalError: there are no training rows.
    """
    task = load_task(config.run.task, config.run.task_args) if config.run.task is not None else data_task(config.data)
    if config.run.task_difficulty is not None:
        limits = (config.data.dataset_min_difficulty, config.data.dataset_max_difficulty)
        task = within_difficulty(task, Path(config.run.task_difficulty), *limits)
    if config.data.max_prompt_length is None:
        return task
    return within_length(task, base_model(config, task), config.data.max_prompt_length, config.data.max_image_pixels)


def load_checked_task(config: Configuration) -> Task:
    """Load the task of a configuration and check its gold answers against its own verifier.

    Raises:
        UserError: the task or the data does not exist, or gold answers do not verify.
        NoSignalError: there are no training rows.
    """
    task = load_run_task(config)
    check_gold(task)
    return task


def check_needs(config: Configuration, task: Task) -> None:
    """Refuse a task that lacks what the configuration needs.

    Raises:
        UserError: what is missing, and what needs it.
    """
    if is_adapter(model := base_model(config, task)):
        raise UserError(
            f"model={model} holds a LoRA adapter, but a run needs a whole model: merge the adapter into its base "
            f"({base_of(model)}), or train a new one on it with use_peft=true. An adapter can be used as a guide."
        )
    if config.autonpo.mode == "act" and config.autonpo.accept == "if_better" and not len(task.evaluation):
        raise UserError(
            f"autonpo.accept=if_better compares two policies on held-out prompts, and task {task.name!r} has none. "
            "Give the task evaluation rows, or set autonpo.accept=always."
        )


def check_positions(config: Configuration, task: Task) -> list[str]:
    """Refuse prompts that leave no room for an answer in the model, unless `max_prompt_length` says how long they are.

    Returns:
        A note if prompts leave less room than the longest completion.

    Raises:
        UserError: how many prompts are too long, and what leaves them out.
    """
    found = _beyond(config, task)
    if found is None:
        return []
    if config.data.max_prompt_length is None:
        found.refuse(base_model(config, task))
    return list(filter(None, [found.note()]))


def _beyond(config: Configuration, task: Task) -> Beyond | None:
    """Find prompts that are too long for the model; None if it cannot be read here, or does not say what it takes."""
    with contextlib.suppress(OSError, ValueError):  # refused when it is loaded
        model = base_model(config, task)
        limit = limit_of(model, config.model_settings)
        if limit is not None:
            processor = load_for_training(model, config.data.max_image_pixels)
            return beyond(processor, task.train, limit, config.training.max_completion_length)
    return None


def policy_notes(config: Configuration, task: Task) -> list[str]:
    """Say how the policy will read the prompts and draw its rollouts, if that deserves a warning."""
    notes = []
    if config.model.use_peft and config.model.lora_dropout:
        notes.append(
            f"lora_dropout={config.model.lora_dropout}: TRL draws rollouts with dropout on, so they come from a "
            "policy that is never scored or saved, and fast_generation is off. lora_dropout=0 avoids both"
        )
    if config.run.source == "own":
        notes += _visits_note(config, task)
    with contextlib.suppress(OSError, ValueError):  # a model without a tokenizer is refused when it is loaded
        found = load_for_training(base_model(config, task))
        notes += filter(None, [template_note(found, task.train)])
    return notes


def _visits_note(config: Configuration, task: Task) -> list[str]:
    """Say if prompts come back too rarely for a run to learn from its own answers."""
    per_step = batch_of(config, processes.number()).prompts_per_step
    visits = config.training.max_steps * per_step / len(task.train)
    if visits > MOST_WITHOUT_EFFECT:
        return []
    why = "so own answers never serve" if visits <= 1 else "and three visits were too few here"
    return [
        f"source=own: each prompt is met {visits:.2g} times in max_steps={config.training.max_steps}, {why} "
        "(`nearfuture docs when-it-pays`). Train longer, or on fewer prompts"
    ]


def training_rows(task: Task) -> Dataset:
    """Return the training rows with ids."""
    return with_prompt_ids(as_dataset(task.train, f"task {task.name!r}"))


def base_model(config: Configuration, task: Task) -> str:
    """Return the base model of a run.

    Raises:
        UserError: neither the configuration nor the task names one, or what is named is a run.
    """
    model = config.run.model or task.model
    if model is None:
        raise UserError(f"task {task.name!r} ships no model. Set model to a folder or a name on the Hub.")
    refuse_run(model)
    return model


def build_trainer(config: Configuration, task: Task, train: Dataset, output_dir: Path, **kwargs: Any) -> NPOTrainer:
    """A fresh trainer with the base weights; `kwargs` as in `nearfuture.train.factory.make_trainer`."""
    base = factory.Base(base_model(config, task), config.model_settings, config.data.max_image_pixels)
    return factory.make_trainer(base, task, train, output_dir, config.training_settings, **kwargs)


@dataclass(frozen=True)
class RunContext:
    """A run in progress; `train_rows` are its training rows with their ids."""

    config: Configuration
    task: Task
    display: Display
    folder: RunFolder
    train_rows: Dataset

    @classmethod
    def of(cls, config: Configuration, task: Task, display: Display) -> RunContext:
        """Make the context of a run in its folder, which the main process writes."""
        folder = RunFolder(config.run.run_dir, is_main=processes.is_main())
        return cls(config, task, display, folder, training_rows(task))

    @property
    def identity(self) -> Identity:
        """The run's name and id for reporters: the same whenever it is resumed, new for a run that starts over."""
        name = self.folder.path.resolve().name
        known = read_object(self.folder.path / REPORTED).get("id")
        if known is None:
            known = uuid.uuid4().hex[:8]
            self.folder.write(REPORTED, json.dumps({"id": known}) + "\n")
        return Identity(f"{name}-{known}", known)

    def trainer(self, output_dir: Path, config: Configuration | None = None, **kwargs: Any) -> NPOTrainer:
        """A fresh trainer with the base weights; `kwargs` as in `nearfuture.train.factory.make_trainer`."""
        return build_trainer(config or self.config, self.task, self.train_rows, output_dir, **kwargs)
