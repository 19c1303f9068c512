"""Read reward and entropy over steps from any framework's log.

    our run folder or its metrics.jsonl     the head's path, abandoned tails left out
    trainer_state.json, or a TRL folder     log_history (a folder: of its latest checkpoint)
    JSON lines, a JSON list                 verl ({"step", "data": {...}}), EasyR1 (nested), ms-swift, or flat keys
    a JSON object with a list per column    {"step": [...], "reward": [...]}
    a console log                           verl (`step:3 - ...`), transformers and TRL (`{'reward': ...}`), or pairs
                                            (`step=3 reward=0.5`)
    CSV, a table of Markdown                named columns; an export of W&B (`run - train/reward`)
    TensorBoard event files, or a folder    scalars

Standard library only, except for our own run folders. A log may lack the entropy and have only the reward.

Not here: what the series mean (`nearfuture.lab.measure.advise`), the forms of text (`log_text`, `log_lines`), event
files byte by byte (`event_files`), restarts and several runs in one log (`log_runs`), our run folder (`records`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nearfuture.record.event_files import read_scalars
from nearfuture.record.log_lines import STEP_NAMES
from nearfuture.record.log_runs import LoggedRun, Part, choose_run, split_runs
from nearfuture.record.log_text import read_text_log
from nearfuture.record.log_values import Row, Texts, number_of, row_of
from nearfuture.types import UserError

ALIASES: dict[str, tuple[str, ...]] = {
    "step": STEP_NAMES,
    "reward": (
        "npo/pass_rate",
        "train/npo/pass_rate",
        "npo/reward",
        "train/npo/reward",
        "reward/accuracy",
        "critic/score/mean",
        "critic/rewards/mean",
        "reward/overall",
        "rollout/raw_reward",
        "train/reward",
        "reward/mean",
        "reward",
    ),
    "entropy": (
        "npo/entropy",
        "train/npo/entropy",
        "actor/entropy",
        "actor/entropy_loss",
        "train/entropy",
        "train/entropy/mean",
        "entropy/mean",
        "entropy",
        "entropy_loss",
    ),
}
NUM_COLUMNS_SHOWN = 60
EVENT_FILES = "*tfevents*"
LOG_SUFFIXES = (".jsonl", ".json", ".csv", ".log", ".txt", ".out")
EXPORTED = re.compile(r"^(?P<run>.+) - (?P<name>.+?)(?P<bound>__MIN|__MAX)?$")
"""A column of an export of W&B: `run - train/reward`, with the bounds of a smoothed curve beside."""


@dataclass(frozen=True)
class Columns:
    """The names that a user gave; None means the `ALIASES`, in order (on-policy values first)."""

    step: str | None = None
    reward: str | None = None
    entropy: str | None = None


@dataclass(frozen=True)
class Log:
    """A log as three series; NaN if a step lacks a value.

    Attributes:
        path: what was read.
        columns: which column each series is; an entropy that the log lacks is None.
        steps: ascending.
        rewards: one per step.
        entropies: one per step (nats).
        notes: what was assumed, replaced or left out, in words.
    """

    path: Path
    columns: dict[str, str | None]
    steps: list[int]
    rewards: list[float]
    entropies: list[float]
    notes: list[str] = field(default_factory=list)


def read_log(
    path: Path, columns: Columns | None = None, *, run: str | None = None, logging_steps: int | None = None
) -> Log:
    """Read a log of any known format.

    Args:
        path: a file or folder.
        columns: names of columns that are not among the known ones.
        run: number or name of the run to read, if the log holds several.
        logging_steps: steps per row, for a console log that prints no step.

    Raises:
        UserError: there is no such file, its format is unknown, it holds several runs and none is named, or a column is
            missing: the message says which columns there are, which were looked for, and how to name one.
    """
    path, columns = Path(path), columns or Columns()
    files = _read_files(path, logging_steps)
    rewards = ALIASES["reward"] if columns.reward is None else (columns.reward,)
    parts = [part for file in files.parts for part in _exported_runs(file, rewards)]
    names = list(dict.fromkeys(name for part in parts for row in part.rows for name in row))
    if not names:
        raise UserError(f"{path} holds no row with a number in it. Give the log of a run that has finished a step.")
    texts = files.texts
    step = _column(path, "step", columns.step, names, texts)
    reward = _column(path, "reward", columns.reward, names, texts)
    lacks_entropy = columns.entropy is None and not any(
        _spelled(name, [*names, *texts.unread]) for name in ALIASES["entropy"]
    )
    entropy = None if lacks_entropy else _column(path, "entropy", columns.entropy, names, texts)
    found = choose_run(path, split_runs(parts, step, lambda row: reward in row or entropy in row), run)
    used = {"step": step, "reward": reward, "entropy": entropy}
    return _log(path, used, found, [*files.notes, *_converted(used, texts)])


def _log(path: Path, columns: dict[str, str | None], run: LoggedRun, notes: list[str]) -> Log:
    reward, entropy = columns["reward"], columns["entropy"]
    return Log(
        path=path,
        columns=columns,
        steps=[step for step, _ in run.rows],
        rewards=[row.get(reward or "", math.nan) for _, row in run.rows],
        entropies=[row.get(entropy or "", math.nan) for _, row in run.rows],
        notes=[*notes, *filter(None, [run.note()])],
    )


def _converted(columns: dict[str, str | None], texts: Texts) -> list[str]:
    """Say which of the columns hold percentages, which were read as shares."""
    found = {name: text for column, text in texts.percent.items() if (name := _metric(column)) in columns.values()}
    return [f"Percentages were read as shares: {name} {text} as {number_of(text):.4g}." for name, text in found.items()]


def _metric(column: str) -> str:
    """The name of a column, without the run of an export."""
    return match["name"] if (match := EXPORTED.match(column)) else column


def _column(path: Path, what: str, named: str | None, names: list[str], texts: Texts) -> str:
    """Return the column of a value: the one that the user named, or the first alias that exists, in capitals or not."""
    if named is not None and named in names:
        return named
    wanted = ALIASES[what] if named is None else (named,)
    if named is None and (found := next(filter(None, (_spelled(name, names) for name in wanted)), None)):
        return found
    unread = {_metric(column): text for column, text in texts.unread.items()}
    holding = filter(None, (_spelled(name, list(unread)) for name in wanted))
    if text := next((f"{name} holds {unread[name]!r}" for name in holding), None):
        raise UserError(
            f"{path} has no number in the column of the {what}: {text}. Write numbers (0.5, 50%, or 0,5 in a table "
            f"with semicolons), or name another column with --{what} COLUMN."
        )
    shown = ", ".join(names[:NUM_COLUMNS_SHOWN]) + (", ..." if len(names) > NUM_COLUMNS_SHOWN else "")
    raise UserError(
        f"{path} has no column for the {what}. Looked for: {', '.join(wanted)}. Found: {shown}. "
        f"Name it with --{what} COLUMN."
    )


def _spelled(alias: str, names: list[str]) -> str | None:
    """The name that is this alias, if need be with other capitals: `Reward`."""
    if alias in names:
        return alias
    return next((name for name in names if name.casefold() == alias.casefold()), None)


def _exported_runs(part: Part, rewards: Sequence[str]) -> list[Part]:
    """Split a table whose columns are `run - metric` into its runs if one is a reward; any other table is one."""
    columns = dict.fromkeys(column for row in part.rows for column in row)
    matches = {column: match for column in columns if (match := EXPORTED.match(column))}
    if not any(match["name"] in rewards for match in matches.values()):
        return [part]
    shared = {column: column for column in columns if column not in matches}
    parts = []
    for run in dict.fromkeys(match["run"] for match in matches.values()):
        own = {c: m["name"] for c, m in matches.items() if m["run"] == run and not m["bound"]}
        names = {**shared, **own}
        rows = [{names[column]: value for column, value in row.items() if column in names} for row in part.rows]
        parts.append(Part(run, rows, group=run))
    return parts


@dataclass(frozen=True)
class _Files:
    """The files that make up a log, notes on how they were read, and what is not a plain number in them."""

    parts: list[Part]
    notes: list[str] = field(default_factory=list)
    texts: Texts = field(default_factory=Texts)


def _read_files(path: Path, logging_steps: int | None) -> _Files:
    """Return the files that make up a log, by what exists, not by the trainer's name."""
    if not path.exists():
        raise UserError(f"{path} does not exist. Give a log file, or a folder that holds one.")
    if path.name == "metrics.jsonl" and (path.parent / "lineage.json").exists():
        path = path.parent
    if path.is_dir():
        return _read_folder(path, logging_steps)
    if "tfevents" in path.name:
        return _Files([Part(path.name, list(read_scalars([path])), group="")])
    read = read_text_log(path, logging_steps)
    return _Files([Part(path.name, read.rows, group="")], read.notes, read.texts)


def _read_folder(path: Path, logging_steps: int | None) -> _Files:
    if (path / "lineage.json").exists():
        return _Files([Part(path.name, _read_run(path), group="")])
    states = sorted([*path.glob("trainer_state.json"), *path.glob("checkpoint-*/trainer_state.json")], key=_checkpoint)
    if states:
        return _read_files(states[-1], logging_steps)
    if events := sorted(path.rglob(EVENT_FILES), key=lambda file: (file.parent, file.name)):
        names = [str(file.relative_to(path)) for file in events]
        parts = [
            Part(name, list(read_scalars([file])), group=str(file.parent))
            for name, file in zip(names, events, strict=True)
        ]
        return _Files(parts)
    logs = sorted(file for file in path.rglob("*") if file.suffix.lower() in LOG_SUFFIXES and file.is_file())
    found = ", ".join(str(file.relative_to(path)) for file in logs[:NUM_COLUMNS_SHOWN]) or "none"
    raise UserError(
        f"{path} holds none of lineage.json (our run), trainer_state.json (TRL), checkpoint-*/trainer_state.json, "
        f"{EVENT_FILES} (TensorBoard). Name the log itself. Files that may be a log: {found}."
    )


def _checkpoint(state: Path) -> float:
    """Order of trainer states: by the step in the folder's name; the one outside all checkpoints is the last."""
    _, dash, step = state.parent.name.rpartition("-")
    return float(step) if dash and step.isdigit() else math.inf


def _read_run(folder: Path) -> list[Row]:
    from nearfuture.record.records import RunRecords

    records = RunRecords.load(folder)
    kept = sorted(at for at in records.rows if records.is_kept(*at))
    return [{**row_of(records.rows[segment, step]), "step": float(step)} for segment, step in kept]
