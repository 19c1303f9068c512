"""Which cases of a law the suite runs, and which wait for `make test-long`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def keep(chosen: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """The cases of a law; all but the chosen ones are marked `long`."""
    chosen, cases = list(chosen), list(cases)
    assert [case for case in chosen if case not in cases] == [], "no such case"
    return [case if case in chosen else pytest.param(case, marks=pytest.mark.long) for case in cases]


def leave(left: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """The cases of a law; those that are left are marked `long`."""
    left, cases = list(left), list(cases)
    assert [case for case in left if case not in cases] == [], "no such case"
    return keep([case for case in cases if case not in left], cases)
