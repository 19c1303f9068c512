"""Solve an inequality in one name: x^2 < 4 holds on (-2, 2).

Not here: reading sets of reals (`reals`), comparing two of them (`compare_reals`).
"""

from __future__ import annotations

from typing import Any

import sympy

from nearfuture.verify.answer import Span

MAX_DEGREE = 4


def solve(left: Any, right: Any, *, is_strict: bool) -> tuple[Span, ...] | None:
    """Return the intervals on which left < right, or left ≤ right, in order; None if they are hard to work out."""
    difference = left - right
    names = difference.free_symbols
    if len(names) != 1:
        return None
    name = next(iter(names))
    plain = sympy.Symbol("x", real=True)
    top, bottom = sympy.fraction(sympy.together(difference.doit().xreplace({name: plain})))
    if not all(part.is_polynomial(plain) and sympy.degree(part, plain) <= MAX_DEGREE for part in (top, bottom)):
        return None
    relation = top / bottom < 0 if is_strict else top / bottom <= 0
    if not isinstance(relation, sympy.core.relational.Relational):
        return None
    try:
        return _spans(sympy.solve_univariate_inequality(relation, plain, relational=False))
    except NotImplementedError:
        return None


def _spans(solved: Any) -> tuple[Span, ...] | None:
    parts = solved.args if isinstance(solved, sympy.Union) else (solved,)
    spans: list[Span] = []
    for part in parts:
        if isinstance(part, sympy.FiniteSet):
            spans += [Span(sympy.latex(point), sympy.latex(point), True, True) for point in part]
        elif isinstance(part, sympy.Interval):
            ends = sympy.latex(part.start), sympy.latex(part.end)
            spans.append(Span(*ends, not part.left_open, not part.right_open))
        else:
            return None
    return tuple(spans) or None
