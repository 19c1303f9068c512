"""AutoNPO on two real processes with gloo: they decide the same, resume, and refuse to begin where they differ.

Not here: what each process runs (`auto_two_process_script`), two processes without AutoNPO (`test_two_processes`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import auto_two_process_script as script
import pytest
import torch
from auto_runs import events, run, weights
from torchrun import two_processes

from nearfuture.method.lineage import Lineage

BY_RANK = """
import os
from dataclasses import replace
from nearfuture.tasks import load_task

def by_rank():
    task = load_task("apprentice")
    return replace(task, train=task.train[int(os.environ["RANK"]):])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes have run every scenario."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "task.py").write_text(BY_RANK)
    two_processes(script.__file__, folder)
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> list[dict[str, Any]]:
    """What each process wrote down."""
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_both_processes_hold_the_same_lineage_and_it_is_the_one_on_disk(
    folder: Path, seen: list[dict[str, Any]]
) -> None:
    assert seen[0]["lineage"] == seen[1]["lineage"]
    assert repr(Lineage.read(folder / "acted" / "lineage.json")) == repr(
        Lineage.read(folder / "resumed" / "lineage.json")
    )
    assert len(Lineage.read(folder / "acted" / "lineage.json").segments) == 2
    state = json.loads((folder / "acted/segments/000/checkpoint-2/nearfuture_state.json").read_text())
    assert state["num_processes"] == 2


def test_resumed_where_the_trigger_fired_it_ends_with_the_same_bits(folder: Path) -> None:
    once, again = weights(folder / "acted"), weights(folder / "resumed")
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert len(events(folder / "acted", "rollback")) == 1


def test_two_processes_decide_what_one_decides(folder: Path, tmp_path: Path) -> None:
    """Greedy rollouts: the same pool, the same trigger, the same samples, and V to the precision of the sums."""
    one = run(tmp_path / "one", *script.GREEDY)
    ours, theirs = (Lineage.read(path / "lineage.json") for path in (folder / "greedy", one))
    assert ours.head.passed_triggers == theirs.head.passed_triggers != ()
    names = ("triggered", "probe", "declined")
    pairs = list(zip(events(folder / "greedy", *names), events(one, *names), strict=True))
    assert [a["event"] for a, _ in pairs] == [b["event"] for _, b in pairs]
    for a, b in pairs:
        whole = [name for name in b if name.startswith(("autonpo/pool/num", "num_", "guide_tokens", "step"))]
        assert {name: a[name] for name in whole} == {name: b[name] for name in whole}
        costs = [[row["variance_cost"] for row in event.get("candidates", [])] for event in (a, b)]
        assert costs[0] == pytest.approx(costs[1], rel=1e-3)
    assert sum(len(b.get("candidates", [])) for _, b in pairs) > 0


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "configuration",
            "2 processes of this run were not given the same (in their order, autonpo.min_stretch: 6, 7)",
        ),
        ("data", "training prompts: 2048 rows, "),
        ("decision", "step 2: 1 of 2 processes would stop here and the others continue"),
    ],
)
def test_processes_that_disagree_all_say_so(what: str, message: str, folder: Path, seen: list[dict[str, Any]]) -> None:
    assert seen[0][what] == seen[1][what]
    assert message in seen[0][what] and "depends on the process" in seen[0][what]
    assert not (folder / "bad").exists()


def test_work_that_is_shared_is_done_once_and_fails_for_both(seen: list[dict[str, Any]]) -> None:
    assert seen[0]["shared"] == seen[1]["shared"] == [[0, 0], [0, 1], [1, 2]]
    assert seen[0]["shared, one fails"] == seen[1]["shared, one fails"] == "row 2 cannot be read"
