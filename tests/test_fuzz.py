"""A slice of the fuzzer (`measurements/fuzz.py` runs it at size): fixed cases of every kind, without a fault."""

from __future__ import annotations

import importlib

import fuzz_runner
import pytest
from fuzz_kinds import KINDS

NUM = {"starts": 4, "lineages": 15, "paths": 25, "responses": 100}
OTHERS = 15


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    for name in fuzz_runner.IMPORTED:
        importlib.import_module(name)


@pytest.mark.parametrize("kind", KINDS)
def test_no_traceback_and_nothing_lost(kind: str) -> None:
    numbers = range(NUM.get(kind, OTHERS))
    cases = list(fuzz_runner.run(kind, numbers))
    assert [number for number, _, _ in cases] == list(numbers)
    faults = [f"{fault.place}\n{fault.command}\n{fault.said}" for _, faults, _ in cases for fault in faults]
    assert not faults, "\n\n".join(faults)
