"""Judge two values with sympy, as math-verify reads them. Runs in a worker, where a hang or a crash does no harm.

    1  read       math-verify's parser (`parsing`)
    2  evaluate   exactly, or to as many digits as the numbers inside call for (`evaluation`)
    3  carry out  integrals, limits and endless sums, if leaving them unevaluated did not settle it
    4  ask        math-verify, only about two of the same sort that have no value at all (sets, strings of symbols)

Evaluation comes first because it is the safer judge: math-verify rounds to six decimals and drops small terms, so that
it takes 1/2^99 and 1/2^98 for equal. A point at which only one side is real counts as a difference (except for full
turns of a logarithm); a point at which neither is real is skipped. So sqrt(1/n) and 1/sqrt(n) agree, and |x| and x do
not.

Not here: the rules that are tried first (`values`), the process in which this runs (`worker`).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import sympy
from math_verify import verify as math_verify

from nearfuture.verify.answer import Inequality, Span
from nearfuture.verify.evaluation import (
    agree,
    carried_out,
    constant_factor,
    evaluate,
    has_operators,
    is_constant,
    same_constant,
    settled,
)
from nearfuture.verify.guards import is_blocked
from nearfuture.verify.numbers import MAX_EXPONENT, Number, close, read_number
from nearfuture.verify.parsing import read
from nearfuture.verify.pieces import has_variables
from nearfuture.verify.solving import solve
from nearfuture.verify.values import RuleJudge, Undecided, is_rounded

_VARIABLE = re.compile("[r-z]|theta")
_SMALL, _LARGE = sympy.Float(10) ** -MAX_EXPONENT, sympy.Float(10) ** MAX_EXPONENT


class SymbolicJudge(RuleJudge):
    """Judges by rule if possible, otherwise with sympy."""

    def equal(self, gold: str, answer: str) -> bool:
        """Decide whether two values are equal; an unreadable one equals only the same text."""
        verdict = self.by_rule(gold, answer)
        if verdict is not None:
            return verdict
        self.rule = "symbolic"
        expected, said = read(gold), read(answer)
        if expected is None or said is None:
            self.rule = "unreadable"
            return False
        numbers = read_number(gold), read_number(answer)
        if self._same_values(settled(expected), settled(said), numbers):
            return True
        if not has_operators(expected) and not has_operators(said):
            return False
        return self._same_values(carried_out(expected), carried_out(said), numbers)

    def factor(self, gold: str, answer: str) -> float | None:
        """Return the constant factor between two expressions; None if it is not constant."""
        try:
            return super().factor(gold, answer)
        except Undecided:
            self.rule = "symbolic"
        expected, said = read(gold), read(answer)
        if expected is None or said is None:
            self.rule = "unreadable"
            return None
        expected, said = settled(expected), settled(said)
        factor = None if is_constant(expected) else constant_factor(expected, said)
        return None if factor is None else 1.0 if factor > 0 else -1.0

    def near(self, exact: str, rounded: str) -> bool:
        """Decide whether one value may be the other, rounded; one that cannot be evaluated is taken at its word."""
        try:
            return super().near(exact, rounded)
        except Undecided:
            shown = read_number(rounded)
            value = None if is_blocked(exact) else read(exact)
        value = evaluate(carried_out(value)) if _is_value(value) and is_constant(value) else None
        if value is None or shown is None:
            return not has_variables(exact)
        return bool(value.is_real) and is_rounded(_fraction(value), shown)

    def same_slope(self, gold: str, answer: str) -> bool:
        """Decide whether two expressions with a constant of integration C differ by a constant alone."""
        try:
            return super().same_slope(gold, answer)
        except Undecided:
            expected, said = read(gold), read(answer)
        self.rule = "symbolic"
        if not (_is_value(expected) and _is_value(said)):
            return False
        names = expected.free_symbols | said.free_symbols
        variables = [name for name in names if _VARIABLE.fullmatch(str(name))]
        if len(variables) != 1 or len(names) != 2:
            return False
        return agree(expected.diff(variables[0]), said.diff(variables[0])) is True

    def solve(self, inequality: Inequality) -> tuple[Span, ...] | None:
        """Return the intervals on which an inequality in one name holds; None if they cannot be worked out."""
        try:
            return super().solve(inequality)
        except Undecided:
            sides = read(inequality.left), read(inequality.right)
        self.rule = "symbolic"
        return solve(*sides, is_strict=inequality.is_strict) if all(map(_is_value, sides)) else None

    def _same_values(self, gold: Any, answer: Any, numbers: tuple[Number | None, Number | None]) -> bool:
        if isinstance(gold, sympy.MatrixBase) or isinstance(answer, sympy.MatrixBase):
            return self._same_matrices(gold, answer)
        if is_constant(gold) and is_constant(answer):
            return self._same_constants(gold, answer, *numbers)
        agreement = agree(gold, answer) if _is_value(gold) and _is_value(answer) else None
        return _by_math_verify(gold, answer) if agreement is None else agreement

    def _same_matrices(self, gold: Any, answer: Any) -> bool:
        if not (isinstance(gold, sympy.MatrixBase) and isinstance(answer, sympy.MatrixBase)):
            return False
        return gold.shape == answer.shape and all(
            self._same_values(g, a, (None, None)) for g, a in zip(gold, answer, strict=True)
        )

    def _same_constants(self, gold: Any, answer: Any, gold_number: Number | None, answer_number: Number | None) -> bool:
        exact = same_constant(gold, answer) if _is_value(gold) and _is_value(answer) else None
        if exact is None:
            return _by_math_verify(gold, answer)
        shown = [number for number in (gold_number, answer_number) if number and number.decimals is not None]
        if exact or (not shown and self.tolerance is None):
            return exact
        values = evaluate(gold), evaluate(answer)
        if not all(value.is_real and _SMALL < abs(value) < _LARGE for value in values):
            return False
        known = [
            number if number is not None else Number(_fraction(value))
            for number, value in zip((gold_number, answer_number), values, strict=True)
        ]
        return close(known[0], known[1], self.tolerance)


def _fraction(value: Any) -> Fraction:
    exact = sympy.Rational(value)
    return Fraction(int(exact.p), int(exact.q))


def _is_value(expression: Any) -> bool:
    return isinstance(expression, sympy.Expr)


def _by_math_verify(gold: Any, answer: Any) -> bool:
    """Ask math-verify about two of the same sort without a value; it would take a set for a tuple, or 0 for nothing."""
    if _is_value(gold) or _is_value(answer):
        return bool(gold == answer)
    if type(gold) is not type(answer):
        return False
    return bool(math_verify(gold, answer, allow_set_relation_comp=True, timeout_seconds=None))
