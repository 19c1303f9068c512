"""Decide whether two sets of reals are the same, by their intervals or by the inequalities they came from.

Not here: reading sets of reals (`reals`), other kinds of answers (`compare`).
"""

from __future__ import annotations

from typing import Protocol

from nearfuture.verify.answer import Inequality, RealSet, Span
from nearfuture.verify.pieces import has_variables


class Judge(Protocol):
    """Judges single values; a judge that works by rule raises `Undecided` where no rule applies."""

    def equal(self, gold: str, answer: str) -> bool:
        """Decide whether two values are equal."""

    def near(self, exact: str, rounded: str) -> bool:
        """Decide whether one value may be the other, rounded."""

    def solve(self, inequality: Inequality) -> tuple[Span, ...] | None:
        """Return the intervals on which an inequality holds; None if that cannot be worked out."""

    def same_slope(self, gold: str, answer: str) -> bool:
        """Decide whether two expressions differ by a constant alone."""

    def factor(self, gold: str, answer: str) -> float | None:
        """Return the constant c for which gold = c * answer, whatever the variables; None if there is none."""


def same_reals(gold: RealSet, answer: RealSet, judge: Judge) -> bool:
    """Decide whether two sets are the same; their names must agree only if both have one."""
    if gold.name == answer.name or None in (gold.name, answer.name):
        if gold.spans and _same_spans(gold.spans, answer.spans, judge):
            return True
        if gold.name is not None and not _needs_source(gold, answer):
            return False
    if gold.source is not None and answer.source is not None:
        return _same_inequalities(gold.source, answer.source, judge)
    solved = [one.spans or (one.source and judge.solve(one.source)) for one in (gold, answer)]
    return bool(solved[0] and solved[1] and _same_spans(solved[0], solved[1], judge))


def _needs_source(gold: RealSet, answer: RealSet) -> bool:
    """True if an end contains a variable (x > y), or a side could not be solved for a name (2x > 4)."""
    ends = [end for reals in (gold, answer) for span in reals.spans for end in (span.low, span.high)]
    return not gold.spans or not answer.spans or any(map(has_variables, ends))


def _same_spans(gold: tuple[Span, ...], answer: tuple[Span, ...], judge: Judge) -> bool:
    if len(gold) != len(answer):
        return False
    left = list(answer)
    for span in gold:
        found = next((index for index, other in enumerate(left) if _same_span(span, other, judge)), None)
        if found is None:
            return False
        del left[found]
    return True


def _same_span(gold: Span, answer: Span, judge: Judge) -> bool:
    if (gold.has_low, gold.has_high) != (answer.has_low, answer.has_high):
        return False
    return judge.equal(gold.low, answer.low) and judge.equal(gold.high, answer.high)


def _same_inequalities(gold: Inequality, answer: Inequality, judge: Judge) -> bool:
    if gold.is_strict != answer.is_strict:
        return False
    factor = judge.factor(*(f"({one.left})-({one.right})" for one in (gold, answer)))
    return factor is not None and factor > 0
