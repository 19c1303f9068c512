"""The runs in a folder, one line each: state, step, held-out pass rate, cost, method, size. Nothing heavy is loaded.

Not here: reporting on one run (`nearfuture.lab.report`), freeing its disk (`nearfuture.run.clean`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearfuture.method.lineage import Lineage
from nearfuture.record.ledger import build_ledger
from nearfuture.record.lock import holder_of
from nearfuture.record.reading import Row, read_object
from nearfuture.record.records import EVALUATION, RunRecords
from nearfuture.types import UserError

LINEAGE = "lineage.json"


@dataclass(frozen=True)
class RunLine:
    """One run.

    Attributes:
        path: its folder.
        state: `running`, `finished`, `stopped` (it can be resumed), `begun` (no step yet) or `damaged`.
        step: the head's step, out of `max_steps`.
        held_out: pass rate of the latest evaluation on the path to the head.
        total_steps: optimizer steps paid for, scouts and abandoned tails included.
        tokens: generated tokens, guides included.
        seconds: time for training, collecting and evaluating.
        method: `npo early late`, `grpo`, `luffy` and so on.
        num_bytes: bytes on disk; files shared with a fork count for both.
        forked_from: `RUN@STEP`, if it is a fork.
        problem: why it is damaged.
    """

    path: str
    state: str
    step: int | None = None
    max_steps: int | None = None
    held_out: float | None = None
    total_steps: int | None = None
    tokens: float | None = None
    seconds: float | None = None
    method: str = ""
    num_bytes: int = 0
    forked_from: str | None = None
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def runs_in(folder: Path) -> list[RunLine]:
    """Return every run at or below a folder, ordered by path.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Name one that holds runs; `train` writes to run_dir.")
    return [line_of(path) for path in sorted(_runs(folder))]


def _runs(folder: Path) -> Iterator[Path]:
    """Yield folders with a lineage, without looking inside a run."""
    for root, folders, files in os.walk(folder):
        if LINEAGE in files:
            folders.clear()
            yield Path(root)
        folders[:] = [name for name in folders if not name.startswith(".")]


def line_of(run: Path) -> RunLine:
    """Describe a run in one line."""
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file() and not path.is_symlink())
    try:
        lineage = Lineage.read(run / LINEAGE)
        config = read_object(run / "config.yaml")
    except UserError as error:
        return RunLine(str(run), "damaged", num_bytes=size, problem=str(error))
    fork = (lineage.origin or {}).get("forked_from")
    facts: dict[str, Any] = {
        "max_steps": config.get("max_steps"),
        "method": method_of(config, lineage),
        "num_bytes": size,
        "forked_from": None if fork is None else f"{fork['run']}@{fork['step']}",
    }
    is_running = bool(holder_of(run))
    try:
        records = RunRecords.load(run)
    except UserError:
        return RunLine(str(run), "running" if is_running else "begun", step=0, **facts)
    state = "running" if is_running else "finished" if records.is_finished else "stopped"
    return RunLine(str(run), state, **facts, **_progress(records))


def method_of(config: Row, lineage: Lineage) -> str:
    """Name the method, and the interventions that have happened or are planned."""
    kinds = [segment.kind for segment in lineage.segments if segment.kind is not None]
    planned = {
        "early": config.get("scout_steps"),
        "late": config.get("guide_step"),
        "again": config.get("resample_steps"),
    }
    auto = ["auto"] if config.get("autonpo.mode") == "act" else []
    wanted = list(dict.fromkeys([*(kind for kind, is_set in planned.items() if is_set), *auto, *kinds]))
    method = str(config.get("method", "npo"))
    return " ".join([method, *wanted]) if wanted or method != "npo" else "grpo"


def _progress(records: RunRecords) -> dict[str, Any]:
    held_out, totals, head = records.curve(EVALUATION), build_ledger(records)["totals"], records.head
    spent = [totals[f"{name}_seconds"] for name in ("train", "collect", "eval")]
    return {
        "step": records.last_step(head),
        "held_out": float(held_out.values[-1]) if len(held_out) else None,
        "total_steps": totals["steps"],
        "tokens": totals["generated_tokens"],
        "seconds": None if None in spent else sum(spent),
    }
