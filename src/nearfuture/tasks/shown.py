"""What people see beside a completion: the expected answer, and what the verifier read.

Not here: judging (`judging`), choosing what a report keeps (`nearfuture.run.recorder`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nearfuture.tasks.task import Task
from nearfuture.verify.rows import GOLD_COLUMNS, RowVerifier

Row = Mapping[str, Any]


def expected(task: Task, row: Row) -> str | None:
    """Return the gold answer of a row, from the task's own column or a usual one; None if there is none."""
    columns = (*([task.gold_column] if task.gold_column else []), *GOLD_COLUMNS)
    found = next((row[name] for name in columns if row.get(name) is not None), None)
    return None if found is None else str(found)


def read(task: Task, completions: Sequence[str], rows: Sequence[Row]) -> list[str | None]:
    """Return what the verifier read in each completion; None if it found nothing or does not say (`Task.reads`).

    The built-in verifier remembers its decisions, so this costs next to nothing.
    """
    if task.reads is not None:
        return [_told(task, text, row) for text, row in zip(completions, rows, strict=True)]
    if isinstance(task.verify, RowVerifier):
        return [decision.answer for decision in task.verify.many(list(completions), list(rows))]
    return [None] * len(completions)


def _told(task: Task, completion: str, row: Row) -> str | None:
    assert task.reads is not None
    try:
        found = task.reads(completion, dict(row))
    except Exception:  # noqa: BLE001 (the user's own function, and only for people to look at)
        return None
    return None if found is None else str(found)
