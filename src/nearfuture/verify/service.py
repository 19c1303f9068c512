"""What a worker of the built-in verifier runs: a question in, a verdict and its rule out.

The verdict on a question must not depend on what a worker was asked before it, nor on when: sympy draws random numbers
and loads much of itself when it first needs it. So they are drawn anew for each question, and everything is loaded
before the first.

Not here: the worker (`worker`), the questions (`decide`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy.assumptions.wrapper  # noqa: F401 (loaded late, by the comparison of relations)
from sympy.core.random import seed

from nearfuture.verify.decide import Question, decide_with
from nearfuture.verify.parsing import read
from nearfuture.verify.service_format import READABLE, UNREADABLE, unpack
from nearfuture.verify.symbolic import SymbolicJudge

WARM_UP = (
    Question("2\\sqrt{3}", ("\\sqrt{12}",), "math"),
    Question("f(x)+1", ("g(x)",), "math"),
    Question("\\sin x", ("\\cos x",), "math"),
    Question("x\\ge 2", ("2\\le x+0",), "math"),
    Question("x^2<4", ("-2<x<2",), "math"),
    Question("\\int_0^1 x^2 dx", ("\\frac{1}{3}+\\lim_{x \\to 0} x",), "math"),
    Question("\\sum_{k=1}^{n} k", ("\\binom{n}{2}+\\arctan x",), "math"),
    Question("2\\begin{pmatrix}1\\\\2\\end{pmatrix}", ("\\begin{pmatrix}2\\\\x\\end{pmatrix}",), "math"),
    Question("\\sqrt{12}", ("1.5",), "numeric"),
    Question("B", ("\\sqrt{12}",), "mcq", (("A", "3"), ("B", "2\\sqrt{3}"))),
    Question("\\sqrt{12}, x", ("2\\sqrt{3}, x",), "list"),
)
"""Questions of every kind that may need sympy, after which no other loads anything."""


def make_service(_argument: str) -> Callable[[Any], list[str]]:
    """Build the service, with everything loaded that a question may need."""
    for question in WARM_UP:
        judge(question)

    def serve(payload: dict[str, Any]) -> list[str]:
        seed(0)
        if "read" in payload:
            return [READABLE if read(payload["read"]) is not None else UNREADABLE]
        return judge(unpack(payload))

    return serve


def judge(question: Question) -> list[str]:
    """Judge one question: the verdict and the rule."""
    decision = decide_with(question, SymbolicJudge(question.tolerance))
    return [decision.verdict, decision.rule]
