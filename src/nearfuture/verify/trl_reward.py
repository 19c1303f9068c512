"""A reward function for plain TRL scripts: it needs no task and no run, only columns.

    GRPOTrainer(model, reward_funcs=MathReward(), train_dataset=rows)    # rows: prompt, solution

Columns: `gold` (or `solution`, `answer`, `ground_truth`), and, if present, `kind`, `options` and `tolerance`.

Not here: a task's reward (`nearfuture.tasks.reward`), which also stops a run whose verifier fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfuture.types import UserError, Verdict
from nearfuture.verify.rows import GOLD_COLUMNS, RowVerifier


class MathReward:
    """1 for a correct completion, 0 for a wrong or missing answer, None if nothing could be judged.

    Args:
        kind: the kind of rows that have no column `kind`.
        strict: accept only an answer in a tag or a box.

    Example:
        >>> MathReward()(completions=["\\\\boxed{0.5}", "no idea"], solution=["\\\\frac{1}{2}", "3"])
        [1.0, 0.0]
    """

    def __init__(self, *, kind: str = "math", strict: bool = False) -> None:
        self.__name__ = "correct"
        self.kind = kind
        self.verify = RowVerifier(strict=strict)

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """Judge every completion.

        Raises:
            UserError: there is no column with gold answers.
        """
        name = next((name for name in GOLD_COLUMNS if columns.get(name) is not None), None)
        if name is None:
            raise UserError(f"the rows have no gold answers: none of the columns {', '.join(GOLD_COLUMNS)} is there.")
        empty = [None] * len(completions)
        kinds, options, tolerances = (columns.get(key) or empty for key in ("kind", "options", "tolerance"))
        rows = [
            {"gold": gold, "kind": kind or self.kind, "options": option, "tolerance": tolerance}
            for gold, kind, option, tolerance in zip(columns[name], kinds, options, tolerances, strict=True)
        ]
        texts = [one if isinstance(one, str) else one[-1]["content"] if one else "" for one in completions]
        log_metric = columns.get("log_metric")
        decisions = self.verify.many(texts, rows)
        if log_metric is not None:
            for verdict in Verdict:
                log_metric(f"verifier/{verdict.value}_frac", _frac(verdict, [one.verdict for one in decisions]))
        return [float(one.verdict is Verdict.CORRECT) if one.verdict.is_judged else None for one in decisions]


def _frac(verdict: Verdict, given: list[Verdict]) -> float:
    return given.count(verdict) / max(len(given), 1)
