"""The rows of a run, or what is known about them if the data set is not on this machine. Nothing is downloaded.

Not here: reading and checking rows (`nearfuture.run.build`, `nearfuture data check`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import constants

from nearfuture.record.formats import command_line
from nearfuture.run.settings.config import Configuration
from nearfuture.tasks import Task
from nearfuture.tasks.data import SOURCES, data_task, find_source
from nearfuture.train.shape import paper
from nearfuture.train.shape.model_shape import is_here
from nearfuture.types import UserError

NUM_MEASURED = 256
"""How many prompts are measured, spread over the data."""


@dataclass(frozen=True)
class Rows:
    """The number of rows, as far as it is known here.

    Attributes:
        num_train: the number of training prompts.
        num_held_out: the number of prompts evaluated during training.
        model: the base model's name.
        notes: what was not checked, and why.
        task: None if the data set is not here.
        measured: the most tokens and the most image tokens in a prompt, among prompts spread over the data; None if
            they cannot be measured here.
    """

    num_train: int
    num_held_out: int
    model: str
    notes: tuple[str, ...]
    task: Task | None = None
    measured: tuple[int, int] | None = None


def is_on_paper(config: Configuration) -> bool:
    """True if neither data nor model is on this machine and both are known: planning then needs no library."""
    name, model = config.data.dataset_name, config.run.model
    is_known = name is not None and not _is_here(name) and find_source(name) is not None
    is_named = not config.model.use_peft or config.model.lora_target_modules is not None
    return is_known and is_named and model is not None and paper.is_known(model) and not is_here(model)


def rows_of(config: Configuration) -> Rows:
    """Load the task, or state what is known about a data set that is not here.

    Raises:
        UserError: no model is named, or nothing is known about the data set.
        NoSignalError: there are no training rows.
    """
    name = config.data.dataset_name
    if name is not None and not _is_here(name):
        return _stated(config, name)
    if config.data.max_prompt_length is not None and not _model_is_here(config):
        return _unmeasured(config)
    from nearfuture.run import build

    task = build.load_checked_task(config)
    build.check_needs(config, task)
    model = build.base_model(config, task)
    measured, room = _measured(config, task, model)
    return Rows(len(task.train), len(task.evaluation), model, (*task.notes, *room), task, measured)


def _measured(config: Configuration, task: Task, model: str) -> tuple[tuple[int, int] | None, list[str]]:
    """Measure prompts, and say whether they leave room for an answer; None if the model's tokenizer does not load."""
    from datasets import Dataset

    from nearfuture.run import build
    from nearfuture.train.vision import lengths, processor

    try:
        found = processor.load_for_training(model, config.data.max_image_pixels)
    except (OSError, ValueError):
        return None, []
    lengths.require_template(found, task.train)
    room = build.check_positions(config, task)
    spread = range(0, len(task.train), max(1, len(task.train) // NUM_MEASURED))
    rows = task.train.select(spread) if isinstance(task.train, Dataset) else [task.train[i] for i in spread]
    light = lengths.light(rows)
    measured = max(lengths.prompt_lengths(found, light)), max(lengths.image_tokens(found, row) for row in light)
    return measured, room


def _stated(config: Configuration, name: str) -> Rows:
    """Return what the card of a registered data set says."""
    found = find_source(name)
    if found is None:
        raise UserError(
            f"dataset_name={name} is neither a file or folder on this machine, nor in the Hub's cache, nor one of "
            f"{', '.join(SOURCES)}. Fetch it with `{_fetch(name)}`, or correct the name."
        )
    if config.run.model is None:
        raise UserError(f"dataset_name={name} brings no model. Set model to a folder or a name on the Hub.")
    source = found[1]
    num_rows = source.num_verifiable or source.num_rows
    kept = f", of which rules can verify {source.num_verifiable:,}" if source.num_verifiable else ""
    held_out = config.data.dataset_num_held_out
    note = (
        f"{name} is not on this machine: {source.num_rows:,} rows as its card states{kept}. Rows, golds and lengths "
        f"are checked once it is: {_fetch(source.repo)}"
    )
    return Rows(num_rows - held_out, held_out, config.run.model, (note,))


def _fetch(name: str) -> str:
    return command_line("hf", "download", name, "--repo-type", "dataset")


def _unmeasured(config: Configuration) -> Rows:
    """Return the rows of a data set that is here, for a model whose tokenizer is not."""
    from nearfuture.run import build

    task = data_task(config.data) if config.run.task is None else build.load_run_task(without_limit(config))
    model = build.base_model(config, task)
    note = f"{model} is not on this machine, so that prompts were not measured against max_prompt_length"
    return Rows(len(task.train), len(task.evaluation), model, (*task.notes, note), task)


def without_limit(config: Configuration) -> Configuration:
    """Return the same configuration, with prompts of any length."""
    return replace(config, data=replace(config.data, max_prompt_length=None))


def _model_is_here(config: Configuration) -> bool:
    return config.run.model is None or is_here(config.run.model)


def _is_here(name: str) -> bool:
    """True for existing files and folders, and for anything in the Hub's cache."""
    found = find_source(name)
    if Path(name).expanduser().exists():
        return True
    repo = name if found is None else found[1].repo
    cached = Path(constants.HF_HUB_CACHE) / "--".join(["datasets", *repo.split("/")])
    return Path(repo).expanduser().exists() or cached.is_dir()
