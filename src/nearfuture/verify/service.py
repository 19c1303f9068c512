"""What a worker of the built-in verifier runs: it takes a case and returns a verdict and its rule.

The verdict on a case must not depend on earlier cases or on the time: sympy draws random numbers, and loads parts of
itself when it first needs them. So the random numbers are seeded anew for each case, and everything is loaded before
the first.

Not here: the worker (`worker`), the cases (`decide`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy.assumptions.wrapper  # noqa: F401 (loaded late, by the comparison of relations)
from sympy.core.random import seed

from nearfuture.verify.decide import Case, decide_with
from nearfuture.verify.parsing import read
from nearfuture.verify.service_format import READABLE, UNREADABLE, unpack
from nearfuture.verify.symbolic import SymbolicJudge

WARM_UP = (
    Case("2\\sqrt{3}", ("\\sqrt{12}",), "math"),
    Case("f(x)+1", ("g(x)",), "math"),
    Case("\\sin x", ("\\cos x",), "math"),
    Case("x\\ge 2", ("2\\le x+0",), "math"),
    Case("x^2<4", ("-2<x<2",), "math"),
    Case("\\int_0^1 x^2 dx", ("\\frac{1}{3}+\\lim_{x \\to 0} x",), "math"),
    Case("\\sum_{k=1}^{n} k", ("\\binom{n}{2}+\\arctan x",), "math"),
    Case("2\\begin{pmatrix}1\\\\2\\end{pmatrix}", ("\\begin{pmatrix}2\\\\x\\end{pmatrix}",), "math"),
    Case("\\sqrt{12}", ("1.5",), "numeric"),
    Case("B", ("\\sqrt{12}",), "mcq", (("A", "3"), ("B", "2\\sqrt{3}"))),
    Case("\\sqrt{12}, x", ("2\\sqrt{3}, x",), "list"),
)
"""Cases of every kind that may need sympy; once they have run, no further case loads anything."""


def make_service(_argument: str) -> Callable[[Any], list[str]]:
    """Build the service and load everything that a case may need."""
    for case in WARM_UP:
        judge(case)

    def serve(payload: dict[str, Any]) -> list[str]:
        seed(0)
        if "read" in payload:
            return [READABLE if read(payload["read"]) is not None else UNREADABLE]
        return judge(unpack(payload))

    return serve


def judge(case: Case) -> list[str]:
    """Judge one case; returns the verdict and the rule."""
    decision = decide_with(case, SymbolicJudge(case.tolerance))
    return [decision.verdict, decision.rule]
