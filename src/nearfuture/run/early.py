"""Refuse within a second whatever files, folders, columns and packages reveal, before torch and TRL are imported.

A start checks all of it again, in the same words, together with what only the libraries can tell. So nothing is refused
here that a start would accept.

Not here: keys and values (`nearfuture.run.settings.load`), what needs the libraries (`nearfuture.train.needs`).
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from huggingface_hub import constants

from nearfuture import seal
from nearfuture.json_text import loads
from nearfuture.options.data import DataConfig
from nearfuture.options.packages import absent
from nearfuture.record import flat_yaml
from nearfuture.record.formats import command_line
from nearfuture.record.reading import read_object
from nearfuture.run.beginning import refuse_taken
from nearfuture.run.changes import changed, refuse_changes
from nearfuture.run.origin import PLACES
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.keys import with_present_names
from nearfuture.tasks.data.known_forms import recognise
from nearfuture.tasks.data.reading import FILES, header_of
from nearfuture.tasks.data.registry import SOURCES, find_source
from nearfuture.tasks.task import require_task
from nearfuture.types import UserError, did_you_mean
from nearfuture.verify.external import require_verifier

MODEL_FILES = ("config.json", "adapter_config.json")
MAX_READ = 1 << 22
"""The largest file of rows, in bytes, that is read for its columns; a larger one is checked when it is loaded."""


def check_files(config: Configuration) -> None:
    """Refuse a task, data, a verifier or traces that do not exist, and columns without a known meaning.

    Raises:
        UserError: something is missing; the message says what was probably meant.
    """
    if config.run.task is not None:
        require_task(config.run.task)
    require_verifier(config.data.verifier)
    if config.data.dataset_name is not None:
        _check_data(config.data, config.data.dataset_name)
    traces = config.run.traces
    if config.run.source == "traces" and traces is not None and not traces.expanduser().is_file():
        raise UserError(f"traces={traces} does not exist, or is not a file. Give the file that holds the trajectories.")


def check_start(config: Configuration, *, resume: bool = False, clean: bool = False) -> None:
    """Refuse what would stop a run before its first step, judging by files and installed packages.

    Raises:
        UserError: the run folder is taken, a model or package is missing, or `check_files` finds something.
    """
    if os.environ.get("RANK", "0") == "0" and not clean:  # with several processes, the first one writes the folder
        refuse_taken(config.run.run_dir, resume=resume)
        if resume:
            _check_resumed(config)
    for sentence in absent(config.trl_settings):
        raise UserError(sentence)
    check_files(config)
    if config.run.model is not None:
        check_model(config.run.model)


def _check_resumed(config: Configuration) -> None:
    """Refuse settings other than those a run started with; damage in its folder is left to the start."""
    with contextlib.suppress(OSError, KeyError):
        run = config.run.run_dir
        data = (run / "config.yaml").read_bytes()
        if seal.state(data) == "whole" and (run / "lineage.json").exists():
            before = with_present_names(read_object(run / "config.yaml"), is_told=False)
            refuse_changes(changed(before, flat_yaml.load(flat_yaml.dump(config.as_dict())), PLACES), config)


def _check_data(data: DataConfig, name: str) -> None:
    path = Path(name).expanduser()
    if path.suffix in FILES and not path.is_file():
        raise UserError(f"dataset_name={name}: there is no such file. Give the path from {Path.cwd()}.")
    if not path.exists() and find_source(name) is None and "/" not in name:
        raise UserError(
            f"dataset_name={name} is neither a file or folder here nor a known data set.{did_you_mean(name, SOURCES)} "
            f"Name a file, a folder, an id on the Hub (owner/name), or one of: {', '.join(SOURCES)}."
        )
    if path.is_file() and find_source(name) is None and (columns := _columns(path)):
        recognise(columns, data.dataset_columns, name)


def _columns(path: Path) -> list[str]:
    """Return the columns of a file of rows; none if it is large or empty, or only the library can read it."""
    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return list(parquet.read_schema(path).names)
        if path.stat().st_size > MAX_READ:
            return []
        if FILES.get(path.suffix) == "csv":
            return header_of(path)
        with path.open(encoding="utf-8", newline="") as file:
            return _keys(file) if path.suffix == ".jsonl" else []
    except (OSError, ValueError, csv.Error):
        return []


def _keys(lines: Iterable[str]) -> list[str]:
    """Return the keys of all rows, in order."""
    rows = [loads(line) for line in lines if line.strip()]
    return list(dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row))


def check_model(model: str) -> None:
    """Refuse a model that is neither a folder in the Hugging Face layout nor one that can be fetched.

    Raises:
        UserError: it is neither; the message says what is there instead.
    """
    path = Path(model).expanduser()
    refuse_run(model)
    if path.is_dir():
        if not any((path / name).is_file() for name in MODEL_FILES):
            held = ", ".join(sorted(found.name for found in islice(path.iterdir(), 5))) or "nothing"
            raise UserError(
                f"model={model} is a folder without config.json (it holds {held}), hence not a model in the Hugging "
                "Face layout. Name the folder that has one; `nearfuture model convert` makes one of a GGUF file."
            )
        return
    is_name = model.count("/") <= 1 and not model.startswith((".", "/", "~"))
    cached = Path(constants.HF_HUB_CACHE) / "--".join(["models", *model.split("/")])
    is_cached = any(True for name in MODEL_FILES for _ in cached.glob(f"snapshots/*/{name}"))
    if path.exists() or (is_name and (is_cached or not constants.HF_HUB_OFFLINE)):
        return
    if is_name:
        raise UserError(
            f"model={model} is not a folder on this machine, nor in the cache of the Hub ({constants.HF_HUB_CACHE}), "
            f"and HF_HUB_OFFLINE=1 forbids fetching it. Fetch it where there is a network "
            f"(`{command_line('hf', 'download', model)}`), say with HF_HOME where the cache lies, or unset "
            "HF_HUB_OFFLINE."
        )
    raise UserError(f"model={model} is not a folder on this machine, nor a name on the Hub (owner/name). Correct it.")


def refuse_run(model: str) -> None:
    """Refuse a run folder in place of a model.

    Raises:
        UserError: it is a run; the message names the folders in it that are models.
    """
    if (Path(model) / "lineage.json").exists():
        raise UserError(f"{model} is a run. Name its final policy, {model}/final, or one of its checkpoints.")
