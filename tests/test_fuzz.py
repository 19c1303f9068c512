"""A slice of the fuzzer (`measurements/fuzz.py` runs it at size): fixed cases of every kind, without a fault."""

from __future__ import annotations

import importlib

import fuzz_runner
import pytest
from fuzz_kinds import KINDS

NUM = {"starts": 4, "lineages": 8, "paths": 12, "responses": 100, "logs": 6, "traces": 8}
OTHERS = 15
TURNS = [0, *(pytest.param(turn, marks=pytest.mark.long) for turn in (1, 2))]
"""Each turn has cases of its own."""


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    for name in fuzz_runner.IMPORTED:
        importlib.import_module(name)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_traceback_and_nothing_lost(kind: str, turn: int) -> None:
    num = NUM.get(kind, OTHERS)
    numbers = range(turn * num, (turn + 1) * num)
    cases = list(fuzz_runner.run(kind, numbers))
    assert [number for number, _, _ in cases] == list(numbers)
    faults = [f"{fault.place}\n{fault.command}\n{fault.said}" for _, faults, _ in cases for fault in faults]
    assert not faults, "\n\n".join(faults)
