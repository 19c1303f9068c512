"""How a case travels to a worker, as JSON, and the keys of the answer.

Not here: the case (`decide`), the worker's side (`service`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nearfuture.verify.decide import Case
from nearfuture.verify.numbers import Tolerance

READABLE, UNREADABLE = "readable", "unreadable"


def pack(case: Case) -> dict[str, Any]:
    """Turn a case into values that JSON can hold."""
    tolerance = case.tolerance
    bounds = None
    if tolerance is not None:
        bounds = [None if x is None else str(x) for x in (tolerance.abs, tolerance.rel, tolerance.decimals)]
    return {
        "gold": case.gold,
        "answers": list(case.answers),
        "kind": case.kind,
        "options": case.options,
        "tolerance": bounds,
        "all_boxes": list(case.all_boxes),
    }


def unpack(payload: dict[str, Any]) -> Case:
    """Restore a case from what `pack` returned."""
    tolerance = None
    if payload["tolerance"] is not None:
        absolute, relative, decimals = (None if x is None else Fraction(x) for x in payload["tolerance"])
        tolerance = Tolerance(absolute, relative, None if decimals is None else int(decimals))
    options = payload["options"]
    return Case(
        payload["gold"],
        tuple(payload["answers"]),
        payload["kind"],
        None if options is None else tuple((letter, text) for letter, text in options),
        tolerance,
        tuple(payload["all_boxes"]),
    )
