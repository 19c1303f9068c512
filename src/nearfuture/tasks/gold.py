"""Gold answers are checked before step 1: a verifier that rejects its own gold would teach the opposite.

Two forms: a column with whole completions that must verify (`Task.gold_column`), and rows with `gold` and `kind`,
which the built-in verifier must be able to read.

Not here: which rows a data set keeps (`data`), and how a gold answer is read (`verify`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nearfuture.tasks.judging import completion_text, judge
from nearfuture.tasks.task import Task
from nearfuture.tasks.verify.rows import RowVerifier
from nearfuture.types import NoSignalError, UserError, Verdict

NUM_NAMED = 3
GOLD_COLUMNS = ("prompt", "gold", "kind", "options", "tolerance")


def check_gold(task: Task) -> None:
    """Verify every gold answer of the training, evaluation and test rows against itself.

    Raises:
        NoSignalError: there are no training rows.
        UserError: a gold answer is missing, cannot be read, or does not verify as correct.
    """
    if len(task.train) == 0:
        raise NoSignalError(f"task {task.name!r} has 0 training rows, so there is nothing to learn. Check its filter.")
    if task.gold_column is not None:
        _check_completions(task, task.gold_column)
    if isinstance(task.verify, RowVerifier):
        _check_answers(task, task.verify)


def _splits(task: Task) -> Iterator[tuple[str, Any]]:
    yield from {"train": task.train, "evaluation": task.evaluation, "test": task.test}.items()


def _check_completions(task: Task, column: str) -> None:
    failed: list[str] = []
    for split, rows in _splits(task):
        for index, row in enumerate(rows):
            gold = row.get(column)
            verdict = "missing" if gold is None else judge(task.verify, completion_text(gold), row).value
            if verdict != Verdict.CORRECT:
                failed.append(f"{split}[{index}] prompt={str(row.get('prompt'))[:80]!r} {gold!r} -> {verdict}")
    if failed:
        raise UserError(
            f"{len(failed)} of {_num_rows(task)} gold completions in column "
            f"{column!r} do not verify as correct: {'; '.join(failed[:NUM_NAMED])}. "
            "A verifier must accept its own gold: correct the verifier or these rows, or set gold_column=None."
        )


def _check_answers(task: Task, verify: RowVerifier) -> None:
    failed: list[str] = []
    for split, rows in _splits(task):
        answers = _without_images(rows)
        faults = verify.gold_faults(answers)
        failed += [
            f"{split}[{index}] {answers[index].get('kind')} gold={str(answers[index].get('gold'))[:80]!r}: {fault}"
            for index, fault in faults.items()
        ]
    if failed:
        raise UserError(
            f"{len(failed)} of {_num_rows(task)} gold answers of task {task.name!r} cannot be verified against "
            f"themselves: {'; '.join(failed[:NUM_NAMED])}. A completion for them could never be judged: correct these "
            "rows, give them another kind, or leave them out."
        )


def _without_images(rows: Any) -> list[dict[str, Any]]:
    """Take the columns that decide; images would be decoded for nothing."""
    if hasattr(rows, "select_columns"):
        rows = rows.select_columns([name for name in GOLD_COLUMNS if name in rows.column_names and name != "prompt"])
    return list(rows)


def _num_rows(task: Task) -> int:
    return sum(len(rows) for _, rows in _splits(task))
