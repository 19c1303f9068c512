"""Check gold answers before step 1: a verifier that rejects its own gold answers would teach the opposite.

There are two forms: a column with whole completions that must verify (`Task.gold_column`), and rows with `gold` and
`kind`, which the built-in verifier must be able to read.

Not here: which rows a data set keeps (`data`), how a gold answer is read (`verify`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nearfuture.tasks.judging import completion_text, judge
from nearfuture.tasks.task import Task
from nearfuture.types import NoSignalError, UserError, Verdict
from nearfuture.verify.rows import RowVerifier

NUM_NAMED = 3
GOLD_COLUMNS = ("prompt", "gold", "kind", "options", "tolerance")


@dataclass(frozen=True, slots=True)
class GoldFault:
    """A gold answer that does not verify against itself: where it is, and what happened."""

    split: str
    index: int
    what: str


def check_gold(task: Task) -> None:
    """Verify every gold answer of the training, evaluation and test rows against itself.

    Raises:
        NoSignalError: there are no training rows.
        UserError: a gold answer is missing, cannot be read, or does not verify as correct.
    """
    if len(task.train) == 0:
        raise NoSignalError(f"task {task.name!r} has 0 training rows, so there is nothing to learn. Check its filter.")
    if failed := list(_completion_faults(task)):
        raise UserError(
            f"{len(failed)} of {_num_rows(task)} gold completions in column "
            f"{task.gold_column!r} do not verify as correct: {_first(failed)}. "
            "A verifier must accept its own gold: correct the verifier or these rows, or set gold_column=None."
        )
    if failed := list(_answer_faults(task)):
        raise UserError(
            f"{len(failed)} of {_num_rows(task)} gold answers of task {task.name!r} cannot be verified against "
            f"themselves: {_first(failed)}. A completion for them could never be judged: correct these "
            "rows, give them another kind, or leave them out."
        )


def gold_faults(task: Task) -> Iterator[GoldFault]:
    """Yield the gold answers that do not verify against themselves, in both forms."""
    yield from _completion_faults(task)
    yield from _answer_faults(task)


def _splits(task: Task) -> Iterator[tuple[str, Any]]:
    yield from {"train": task.train, "evaluation": task.evaluation, "test": task.test}.items()


def _completion_faults(task: Task) -> Iterator[GoldFault]:
    column = task.gold_column
    for split, rows in _splits(task) if column is not None else ():
        for index, row in enumerate(rows):
            gold = row.get(column)
            verdict = "missing" if gold is None else judge(task.verify, completion_text(gold), row).value
            if verdict != Verdict.CORRECT:
                yield GoldFault(split, index, f"prompt={str(row.get('prompt'))[:80]!r} {gold!r} -> {verdict}")


def _answer_faults(task: Task) -> Iterator[GoldFault]:
    """Check all splits at once, so that equal gold answers are checked only once."""
    verify = task.verify
    if not isinstance(verify, RowVerifier):
        return
    places: list[tuple[str, int]] = []
    answers: list[dict[str, Any]] = []
    for split, rows in _splits(task):
        answers += _without_images(rows)
        places += [(split, index) for index in range(len(answers) - len(places))]
    for number, fault in verify.gold_faults(answers).items():
        row = answers[number]
        yield GoldFault(*places[number], f"{row.get('kind')} gold={str(row.get('gold'))[:80]!r}: {fault}")


def _first(faults: list[GoldFault]) -> str:
    return "; ".join(f"{fault.split}[{fault.index}] {fault.what}" for fault in faults[:NUM_NAMED])


def _without_images(rows: Any) -> list[dict[str, Any]]:
    """Take only the columns that matter; images would be decoded for nothing."""
    if hasattr(rows, "select_columns"):
        rows = rows.select_columns([name for name in GOLD_COLUMNS if name in rows.column_names and name != "prompt"])
    return list(rows)


def _num_rows(task: Task) -> int:
    return sum(len(rows) for _, rows in _splits(task))
