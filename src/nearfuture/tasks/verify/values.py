"""Judge two single values by rule: identical texts, exact numbers, and what sympy must not see.

Not here: everything that needs sympy (`symbolic`), for which this judge raises `Undecided`.
"""

from __future__ import annotations

import re

from nearfuture.tasks.verify.guards import is_blocked
from nearfuture.tasks.verify.numbers import Tolerance, read_number, same_number
from nearfuture.tasks.verify.pieces import is_wordy

_SPACE = re.compile(r"\s+|(?<![A-Za-z])\\cdot |\\times ")


class Undecided(Exception):  # noqa: N818 (no error: a question for sympy)
    """Two values that no rule can compare."""


class UnreadableGold(Exception):  # noqa: N818 (a verdict, no error)
    """A gold value that sympy cannot read."""


class RuleJudge:
    """Judges by rule alone; `rule` names the one that decided last."""

    def __init__(self, tolerance: Tolerance | None = None) -> None:
        self.tolerance = tolerance
        self.rule = "structure"

    def equal(self, gold: str, answer: str) -> bool:
        """Say whether two values are equal.

        Raises:
            Undecided: sympy must be asked.
        """
        verdict = self.by_rule(gold, answer)
        if verdict is None:
            raise Undecided
        return verdict

    def factor(self, gold: str, answer: str) -> float | None:
        """Compare two sides that must vanish together.

        Raises:
            Undecided: sympy must be asked.
        """
        if _compact(gold) == _compact(answer):
            self.rule = "identical"
            return 1.0
        if is_blocked(gold) or is_blocked(answer):
            self.rule = "guard"
            return None
        raise Undecided

    def by_rule(self, gold: str, answer: str) -> bool | None:
        """Say whether two values are equal; None where no rule can."""
        if _compact(gold) == _compact(answer):
            self.rule = "identical"
            return True
        numbers = read_number(gold), read_number(answer)
        if numbers[0] is not None and numbers[1] is not None:
            self.rule = "number"
            return same_number(numbers[0], numbers[1], self.tolerance)
        if is_wordy(gold) or is_wordy(answer) or _is_infinite(gold) or _is_infinite(answer):
            self.rule = "structure"
            return False
        if is_blocked(gold) or is_blocked(answer):
            self.rule = "guard"
            return False
        return None


def _compact(text: str) -> str:
    return _SPACE.sub("", text).removeprefix("+")


def _is_infinite(text: str) -> bool:
    return _compact(text) in (r"\infty", r"-\infty")
