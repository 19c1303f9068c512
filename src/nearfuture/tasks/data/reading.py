"""Read the rows of a data set as published, from a file, a folder, the Hub or its cache; images stay undecoded.

Not here: what a row means (the adapters), the schema (`loading`).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfuture.options.data import DataConfig
from nearfuture.refusals import is_a_librarys
from nearfuture.tasks.data.registry import SOURCES, Source, find_source
from nearfuture.tasks.data.undecoded import undecoded
from nearfuture.types import UserError, did_you_mean

if TYPE_CHECKING:
    from datasets import Dataset

FILES = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}
ENCODING = "utf-8-sig"
"""Of a CSV file: UTF-8, with or without the mark that spreadsheets put first."""


@dataclass(frozen=True)
class Raw:
    """Rows as published.

    Attributes:
        rows: the rows, with images undecoded.
        name: the data set's registered name, or that of the file or folder.
        source: its entry in the registry, if it has one.
        folder: the folder that image paths are relative to; None if the data is on the Hub.
    """

    rows: Dataset
    name: str
    source: Source | None
    folder: Path | None


def read_raw(config: DataConfig, split: str | None = None) -> Raw:
    """Read a split.

    Args:
        config: names the data set.
        split: the split; None: the one to train on.

    Raises:
        UserError: the data set does not exist, has no such split, or cannot be read.
    """
    import datasets

    name = str(config.dataset_name)
    found = find_source(name)
    known, source = found or (Path(name).stem, None)
    path = Path(name).expanduser()
    place = source.repo if source is not None and not path.is_dir() else name
    wanted = split or config.dataset_train_split or (source.split if source else "train")
    datasets.disable_progress_bars()
    try:
        rows = _read(place, path, _configs(config, source), wanted, is_other=split is not None)
    except UserError:
        raise
    except Exception as error:
        if not is_a_librarys(error):
            raise
        raise UserError(_unreadable(name, source, place, _configs(config, source), wanted, error)) from None
    there = Path(place).expanduser()
    folder = there.parent if there.is_file() else there if there.is_dir() else None
    return Raw(undecoded(rows), known, source, folder)


def _configs(config: DataConfig, source: Source | None) -> tuple[str | None, ...]:
    if config.dataset_config is not None or source is None:
        return (config.dataset_config,)
    return source.config if isinstance(source.config, tuple) else (source.config,)


def _read(place: str, path: Path, configs: tuple[str | None, ...], split: str, *, is_other: bool) -> Dataset:
    import datasets

    if path.suffix in FILES:
        if not path.is_file():
            raise UserError(f"dataset_name={place}: there is no such file. Give the path from {Path.cwd()}.")
        _refuse_other_split(place, split, is_other=is_other)
        if not _has_text(path):
            raise UserError(f"dataset_name={place}: the file is empty. Write its rows, or name another one.")
        settings = _table_settings(path) if FILES[path.suffix] == "csv" else {}
        return datasets.load_dataset(FILES[path.suffix], data_files={split: str(path)}, split=split, **settings)
    if (path / "state.json").exists():
        _refuse_other_split(place, split, is_other=is_other)
        return datasets.load_from_disk(str(path))
    if (path / "dataset_dict.json").exists():
        splits = datasets.load_from_disk(str(path))
        if split not in splits:
            raise UserError(f'dataset_name={place}: Unknown split "{split}". Name one of {", ".join(splits)}.')
        return splits[split]
    parts = [datasets.load_dataset(place, config, split=split) for config in configs]
    return datasets.concatenate_datasets(parts) if len(parts) > 1 else parts[0]


def _table_settings(path: Path) -> dict[str, Any]:
    """Every cell as it is written: as text, so that no number is rounded; an empty cell alone is no value.

    Raises:
        UserError: it is no UTF-8 text, or has no header.
    """
    import datasets

    try:
        names, separator = header_of(path), separator_of(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"dataset_name={path}: the header cannot be read: {error}. Save the table as UTF-8.") from None
    features = datasets.Features({name: datasets.Value("string") for name in names})
    read = {"sep": separator, "encoding": ENCODING, "keep_default_na": False, "na_values": [""]}
    return {**read, "features": features}


def header_of(path: Path) -> list[str]:
    """Return the column names of a CSV file."""
    with path.open(encoding=ENCODING, newline="") as file:
        return next(csv.reader(file, delimiter=separator_of(path)), [])


def separator_of(path: Path) -> str:
    """Return what separates the columns of a CSV file, by its header: a comma, a semicolon or a tab."""
    with path.open(encoding=ENCODING, newline="") as file:
        header = file.readline()
    try:
        return csv.Sniffer().sniff(header, delimiters=",;\t").delimiter
    except csv.Error:  # one column
        return ","


def _has_text(path: Path) -> bool:
    with path.open("rb") as lines:
        return any(line.strip() for line in lines)


def _refuse_other_split(place: str, split: str, *, is_other: bool) -> None:
    """Refuse another split of a single file: training rows must not be used for evaluation."""
    if is_other:
        raise UserError(
            f"dataset_test_split={split}: {place} has no splits, so the same rows would be trained on and "
            "evaluated. Set dataset_num_held_out instead, or name a folder with one file per split."
        )


def _unreadable(
    name: str, source: Source | None, place: str, configs: tuple[str | None, ...], split: str, error: Exception
) -> str:
    """Say what is wrong with a data set that is here, or how to get one that is not."""
    import datasets

    cause = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) else error
    lines = [line.strip() for line in str(cause or error).strip().splitlines() if line.strip()]
    said = " ".join(lines[:4]) or type(error).__name__
    where = f"{place} (config {', '.join(map(str, configs)) if any(configs) else 'default'}, split {split})"
    if isinstance(error, datasets.exceptions.DatasetGenerationError | ValueError) and not _is_absent(error):
        remedy = "Correct the file, or name another config or split."
    elif source is not None:
        remedy = f"Get it with `hf download {source.repo} --repo-type dataset`."
    else:
        remedy = (
            f"Name a file, a folder, an id on the Hub, or one of: {', '.join(SOURCES)}.{did_you_mean(name, SOURCES)}"
        )
    return f"dataset_name={name}: {where} cannot be read: {said} {remedy}"


def _is_absent(error: Any) -> bool:
    return "find cache" in str(error) or "Couldn't find" in str(error)
