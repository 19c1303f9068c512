"""The built-in verifier for rows of the common schema: `gold`, `kind`, `options`, `tolerance`.

Not here: judging (`verifier`), the check before step 1 (`nearfuture.tasks.gold`), the user's own verifiers
(`external`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nearfuture.types import UserError, Verdict
from nearfuture.verify.choices import read_options
from nearfuture.verify.decide import Decision
from nearfuture.verify.golds import clean_gold, gold_fault
from nearfuture.verify.reading import unread_values
from nearfuture.verify.verifier import TIME_LIMIT, VERIFIER_VERSION, Item, Verifier

GOLD_COLUMNS = ("gold", "solution", "answer", "ground_truth")
"""Columns that may hold the gold answer in rows without the common schema; the first that is present is used."""


class RowVerifier:
    """A task's `verify`: judges a completion by its row's gold answer, a batch on several workers at once.

    Args:
        strict: accept only an answer in a tag or a box; otherwise "The answer is 5" is an answer too.
        time_limit: seconds of CPU time per completion.
        size: the most workers; None stands for the cores of this process, at most 4.

    Example:
        >>> RowVerifier(strict=True)("\\\\boxed{5}", {"gold": "5", "kind": "math"})
        <Verdict.CORRECT: 'correct'>
    """

    def __init__(self, *, strict: bool = False, time_limit: float = TIME_LIMIT, size: int | None = None) -> None:
        self.verifier = Verifier(strict=strict, time_limit=time_limit, size=size)

    @property
    def version(self) -> str:
        """A text that changes whenever a verdict may change."""
        return f"{VERIFIER_VERSION}-strict" if self.verifier.strict else VERIFIER_VERSION

    def __call__(self, completion: str, row: Mapping[str, Any]) -> Verdict:
        """Judge one completion.

        Raises:
            UserError: the row has no kind.
        """
        return self.verifier.decide(_item(completion, row)).verdict

    def many(self, completions: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Judge completions, each with its row."""
        return self.verifier.decide_many([_item(text, row) for text, row in zip(completions, rows, strict=True)])

    def gold_faults(self, rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """Find the rows whose gold answer cannot be verified against itself.

        Rules decide almost all of them. Texts that only sympy can read go to the workers, each once for all rows that
        have it.

        Returns:
            A mapping from the index of a row to what is wrong with its gold answer.
        """
        faults: dict[int, str] = {}
        unread: dict[str, list[int]] = {}
        for index, row in enumerate(rows):
            item = _item("", row)
            gold = "" if item.gold is None else str(item.gold)
            fault = gold_fault(gold, item.kind, read_options(item.options))
            if fault is not None:
                faults[index] = fault
            elif item.kind in ("math", "numeric"):
                for text in unread_values(clean_gold(gold, item.kind)):
                    unread.setdefault(text, []).append(index)
        for text, fault in self.verifier.unreadable(list(unread)).items():
            faults |= dict.fromkeys(unread[text], fault)
        return dict(sorted(faults.items()))


def _item(completion: str, row: Mapping[str, Any]) -> Item:
    if row.get("kind") is None:
        raise UserError(
            f"a row has no `kind` (its columns: {', '.join(row)}). The built-in verifier needs `gold` and `kind` "
            "(math, numeric, mcq, bool, text or list), and takes `options` and `tolerance`."
        )
    return Item(completion, row.get("gold") or "", row["kind"], row.get("options"), row.get("tolerance"))
