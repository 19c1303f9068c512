"""Judge two single values by rule: identical texts, exact numbers, and texts that sympy must not see.

Not here: everything that needs sympy (`symbolic`), for which this judge raises `Undecided`.
"""

from __future__ import annotations

import re
from fractions import Fraction

from nearfuture.verify.answer import Inequality, Span
from nearfuture.verify.guards import is_blocked
from nearfuture.verify.numbers import Number, Tolerance, read_number, same_number
from nearfuture.verify.pieces import is_wordy

_SPACE = re.compile(r"(?:\\cdot|\\times)(?![A-Za-z])\s?(?=[^\d\s])|(?<!\d)\s+|\s+(?!\d)")


_ORDERED = re.compile(r"\\vec\s?\{?\w+\}?\s?\\times|(?<![A-Za-z])[A-Z]\s?\\times\s?[A-Z](?![A-Za-z])")
"""Products that are not commutative: of vectors, of sets."""
_NESTED = re.compile(r"\(([A-Za-z\d]+!+)\)!")
NEARNESS = Fraction(1, 100)
"""How far off a value after \\approx may be: one part in a hundred, or its last digit."""


class Undecided(Exception):  # noqa: N818 (no error: a question for sympy)
    """No rule can compare the two values."""


class RuleJudge:
    """Judges by rule alone; `rule` names the rule that decided last."""

    def __init__(self, tolerance: Tolerance | None = None) -> None:
        self.tolerance = tolerance
        self.rule = "structure"

    def equal(self, gold: str, answer: str) -> bool:
        """Decide whether two values are equal.

        Raises:
            Undecided: sympy is needed.
        """
        verdict = self.by_rule(gold, answer)
        if verdict is None:
            raise Undecided
        return verdict

    def factor(self, gold: str, answer: str) -> float | None:
        """Return the constant factor between two expressions that must vanish together.

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

    def near(self, exact: str, rounded: str) -> bool:
        """Decide whether one value may be the other, rounded.

        Raises:
            Undecided: sympy is needed.
        """
        numbers = read_number(exact), read_number(rounded)
        if numbers[0] is None or numbers[1] is None:
            raise Undecided
        return is_rounded(numbers[0].value, numbers[1])

    def same_slope(self, gold: str, answer: str) -> bool:
        """Decide whether two expressions with a constant of integration C differ by a constant alone.

        Raises:
            Undecided: sympy is needed.
        """
        if is_blocked(gold) or is_blocked(answer):
            return False
        raise Undecided

    def solve(self, inequality: Inequality) -> tuple[Span, ...] | None:
        """Return the intervals on which an inequality holds; None if they cannot be worked out.

        Raises:
            Undecided: sympy must be asked.
        """
        if is_blocked(inequality.left) or is_blocked(inequality.right):
            return None
        raise Undecided

    def by_rule(self, gold: str, answer: str) -> bool | None:
        """Decide whether two values are equal; None if no rule applies."""
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
        if _ORDERED.search(gold) or _ORDERED.search(answer):
            return False
        return None


def is_rounded(exact: Fraction, rounded: Number) -> bool:
    """True if a number may be an exact one, rounded."""
    error = abs(exact - rounded.value)
    return error <= NEARNESS * abs(exact) or error <= Fraction(10) ** -(rounded.decimals or 0)


def _compact(text: str) -> str:
    while (flat := _NESTED.sub(r"\1!", text)) != text:
        text = flat
    return _SPACE.sub("", text).removeprefix("+")


def _is_infinite(text: str) -> bool:
    return _compact(text) in (r"\infty", r"-\infty")
