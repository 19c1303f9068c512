"""A question as JSON, for the way to a worker, and the words of its answer.

Not here: the question (`decide`), the worker's side (`service`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nearfuture.verify.decide import Question
from nearfuture.verify.numbers import Tolerance

READABLE, UNREADABLE = "readable", "unreadable"


def pack(question: Question) -> dict[str, Any]:
    """Write a question as JSON can."""
    tolerance = question.tolerance
    bounds = None
    if tolerance is not None:
        bounds = [None if x is None else str(x) for x in (tolerance.abs, tolerance.rel, tolerance.decimals)]
    return {
        "gold": question.gold,
        "answers": list(question.answers),
        "kind": question.kind,
        "options": question.options,
        "tolerance": bounds,
        "all_boxes": list(question.all_boxes),
    }


def unpack(payload: dict[str, Any]) -> Question:
    """Read what `pack` wrote."""
    tolerance = None
    if payload["tolerance"] is not None:
        absolute, relative, decimals = (None if x is None else Fraction(x) for x in payload["tolerance"])
        tolerance = Tolerance(absolute, relative, None if decimals is None else int(decimals))
    options = payload["options"]
    return Question(
        payload["gold"],
        tuple(payload["answers"]),
        payload["kind"],
        None if options is None else tuple((letter, text) for letter, text in options),
        tolerance,
        tuple(payload["all_boxes"]),
    )
