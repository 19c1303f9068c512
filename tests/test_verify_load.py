"""Verdicts are the same on an idle and on a busy machine: eight processes that compute for every core there is.

The built-in verifier, verifiers of one's own and the check of gold answers are asked the same, first alone and then
beside them. Where a process can be held to one core, all are held to one, and the other cores stay free.

Not here: the limits themselves (`test_verify_pool.py`), the large form (measurements/verdicts_under_load.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from busy import busy
from test_verify import OWN_CASES, asked_of_workers

from nearfuture.types import Verdict
from nearfuture.verify import ExternalVerifier, RowVerifier, Verifier

FOLD, NUM_QUESTIONS = 8, 24
THIRD_OF_THE_LIMIT = """
import time

def verl(data_source, solution_str, ground_truth, extra_info=None):
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    return float(solution_str == ground_truth)
"""


@pytest.fixture
def num_cores() -> Iterator[int]:
    """Hold this process, and what it starts, to one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield os.cpu_count() or 1
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield 1
    os.sched_setaffinity(0, before)


def verdicts(own: Path) -> list[object]:
    """What is said of questions and golds that only a worker can decide, with workers that have just started."""
    items = [item for item, _ in asked_of_workers(OWN_CASES)]
    items = items[:: len(items) // NUM_QUESTIONS]
    verifier = Verifier(size=1)
    row = {"gold": "5", "kind": "math", "source": "sums"}
    golds = [{"gold": item.gold, "kind": "math"} for item in items]
    external = ExternalVerifier(f"{own}:verl", time_limit=1.0, size=1)
    rows = RowVerifier(size=1)
    rows.verifier.pool = verifier.pool
    said = [verifier.decide_many(items), external.many(["5", "6"], [row] * 2), rows.gold_faults(golds)]
    verifier.pool.close()
    external.pool.close()
    return said


@pytest.mark.long
def test_verdicts_do_not_depend_on_how_busy_the_machine_is(num_cores: int, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(THIRD_OF_THE_LIMIT)
    idle = verdicts(own)
    with busy(FOLD * num_cores):
        loaded = verdicts(own)
    assert loaded == idle
    assert {decision.verdict for decision in idle[0]} == {Verdict.CORRECT, Verdict.WRONG}
    assert [decision.verdict for decision in idle[1]] == [Verdict.CORRECT, Verdict.WRONG]
    assert len(idle[0]) >= NUM_QUESTIONS and idle[2] == {}
