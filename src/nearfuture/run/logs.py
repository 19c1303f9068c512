"""Reads reward and entropy over steps out of somebody else's log.

    our run folder or its metrics.jsonl     the head's path, abandoned tails left out
    trainer_state.json, or a TRL folder     log_history (a folder: of its latest checkpoint)
    *.jsonl                                 verl ({"step", "data": {...}}), EasyR1 (nested), or flat keys
    *.csv                                   named columns
    TensorBoard event files, or a folder    scalars

Standard library only, but for our own run folders. Rows of one step are merged, the later value wins: that is what a
resumed run wrote last. A value that is missing, text or not a number is missing; nothing is filled in.

Not here: what the series mean (`advise`), event files byte by byte (`event_files`), our run folder (`records`).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfuture.run.event_files import read_scalars
from nearfuture.types import UserError

ALIASES: dict[str, tuple[str, ...]] = {
    "step": (
        "step",
        "global_step",
        "training/global_step",
        "train/global_step",
        "trainer/global_step",
        "_step",
        "Step",
    ),
    "reward": (
        "npo/pass_rate",
        "train/npo/pass_rate",
        "npo/reward",
        "train/npo/reward",
        "reward/accuracy",
        "critic/score/mean",
        "critic/rewards/mean",
        "reward/overall",
        "train/reward",
        "reward",
    ),
    "entropy": (
        "npo/entropy",
        "train/npo/entropy",
        "actor/entropy",
        "actor/entropy_loss",
        "train/entropy",
        "entropy",
    ),
}
NUM_COLUMNS_SHOWN = 60
EVENT_FILES = "*tfevents*"

Row = dict[str, float]


@dataclass(frozen=True)
class Columns:
    """The names a user gave; None looks among the `ALIASES`, in their order (on-policy values first)."""

    step: str | None = None
    reward: str | None = None
    entropy: str | None = None


@dataclass(frozen=True)
class Log:
    """A log as three series; NaN where a step has one of the two values only. `columns` says which were read."""

    path: Path
    columns: dict[str, str]
    steps: list[int]
    rewards: list[float]
    entropies: list[float]


def read_log(path: Path, columns: Columns | None = None) -> Log:
    """Read a log of any known format.

    Raises:
        UserError: no such file, a format that is not known, or a column that is missing: it says which columns there
            are, which were looked for, and how to name one.
    """
    path, columns = Path(path), columns or Columns()
    rows = _reader(path)(path)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise UserError(f"{path} holds no row with a number in it. Give the log of a run that has made a step.")
    found = {name: _column(path, name, getattr(columns, name), names) for name in ("step", "reward", "entropy")}
    by_step: dict[int, Row] = {}
    for row in rows:
        if found["step"] in row:
            by_step.setdefault(int(row[found["step"]]), {}).update(row)
    kept = [(step, row) for step, row in sorted(by_step.items()) if found["reward"] in row or found["entropy"] in row]
    return Log(
        path=path,
        columns=found,
        steps=[step for step, _ in kept],
        rewards=[row.get(found["reward"], math.nan) for _, row in kept],
        entropies=[row.get(found["entropy"], math.nan) for _, row in kept],
    )


def _column(path: Path, what: str, named: str | None, names: list[str]) -> str:
    """Return the column of a value: the one the user named, or the first alias that is there."""
    wanted = ALIASES[what] if named is None else (named,)
    for name in wanted:
        if name in names:
            return name
    shown = ", ".join(names[:NUM_COLUMNS_SHOWN]) + (", ..." if len(names) > NUM_COLUMNS_SHOWN else "")
    raise UserError(
        f"{path} has no column for the {what}. Looked for: {', '.join(wanted)}. Found: {shown}. "
        f"Name it with --{what} COLUMN" + (", or let the trainer log it." if what == "entropy" else ".")
    )


def _reader(path: Path) -> Callable[[Path], list[Row]]:
    """Choose the reader by what is there, not by what the trainer calls itself."""
    if not path.exists():
        raise UserError(f"{path} does not exist. Give a log file, or a folder that holds one.")
    if path.is_dir():
        return _folder_reader(path)
    if path.name == "metrics.jsonl" and (path.parent / "lineage.json").exists():
        return lambda file: _read_run(file.parent)
    if "tfevents" in path.name:
        return lambda file: list(read_scalars([file]))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path.name}: no known format. Known are {', '.join(READERS)} and TensorBoard event files.")
    return reader


def _folder_reader(path: Path) -> Callable[[Path], list[Row]]:
    if (path / "lineage.json").exists():
        return _read_run
    states = sorted([*path.glob("trainer_state.json"), *path.glob("checkpoint-*/trainer_state.json")], key=_checkpoint)
    if states:
        return lambda _: _read_trainer_state(states[-1])
    if events := sorted(path.rglob(EVENT_FILES)):
        return lambda _: list(read_scalars(events))
    raise UserError(
        f"{path} holds none of lineage.json (our run), trainer_state.json (TRL), checkpoint-*/trainer_state.json, "
        f"{EVENT_FILES} (TensorBoard). Name the log file itself."
    )


def _checkpoint(state: Path) -> float:
    """Order of trainer states: by the step in the folder's name; the one outside all checkpoints is the last."""
    _, dash, step = state.parent.name.rpartition("-")
    return float(step) if dash and step.isdigit() else math.inf


def _read_run(folder: Path) -> list[Row]:
    from nearfuture.run.records import RunRecords

    records = RunRecords.load(folder)
    kept = sorted(at for at in records.rows if records.is_kept(*at))
    return [{**_numbers(records.rows[segment, step]), "step": float(step)} for segment, step in kept]


def _read_trainer_state(path: Path) -> list[Row]:
    try:
        history = json.loads(path.read_text(encoding="utf-8"))["log_history"]
        return [_numbers(row) for row in history]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no trainer_state.json: it must be one JSON object with log_history, a list of rows "
            f"({error!r}). A file of one object a line is called .jsonl."
        ) from None


def _read_jsonl(path: Path) -> list[Row]:
    """One object a line; half a line, as a kill leaves it, is passed over."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            data = row.pop("data", {})
            rows.append(_numbers({**row, **(data if isinstance(data, dict) else {})}))
    return rows


def _read_csv(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [_numbers(row) for row in csv.DictReader(file)]


def _numbers(row: dict[str, Any], prefix: str = "") -> Row:
    """Flatten nested objects with `/` and keep what is a number."""
    flat: Row = {}
    for name, value in _items(row):
        if isinstance(value, dict):
            flat.update(_numbers(value, f"{prefix}{name}/"))
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                number = float(value)
            except ValueError:
                continue
            if math.isfinite(number):
                flat[f"{prefix}{name}"] = number
    return flat


def _items(row: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """The items with a name; `csv` puts the surplus cells of a line under None."""
    return ((name, value) for name, value in row.items() if name is not None)


READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_trainer_state,
    ".csv": _read_csv,
}
