"""AutoNPO stays: the policy answers its own mistakes, nothing is rolled back, and a kill changes no bit of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from auto_runs import configuration, events, fired, in_the_replay, run, same

from nearfuture.method.lineage import Lineage
from nearfuture.record.decisions import decisions_of
from nearfuture.record.records import RunRecords
from nearfuture.run.settings.plan import Train, next_stage
from nearfuture.types import UserError

STAY = ("guidance_lifetime=while_gated", "autonpo.stay=true", "autonpo.min_gain=1000")


@pytest.fixture(scope="module")
def stayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("stay") / "run", *STAY)


def test_nothing_is_rolled_back(stayed: Path) -> None:
    first, second = Lineage.read(stayed / "lineage.json").segments
    assert second.intervention is not None and second.intervention.guide.segment == first.id
    assert first.end_step == second.start_step == second.intervention.guide.step
    assert first.abandoned_from is None and second.intervention.end_step is None
    assert second.total_steps(11) == 11


def test_the_event_has_every_candidate_with_its_price(stayed: Path) -> None:
    (event,) = events(stayed, "rollback")
    assert event["rollback_distance"] == 0 and event["from_step"] == event["to_step"]
    here, *back = event["candidates"]
    assert here["rollback_distance"] == 0 and here["variance_cost"] == 1.0 and here["quality"] > 0
    assert here["quality"] == here["effective_signal"] and back
    assert {row["price"] for row in event["candidates"]} == {0.0}  # price: none


def test_the_ledger_adds_up(stayed: Path) -> None:
    totals = json.loads((stayed / "ledger.json").read_text())["totals"]
    (probe,), (collected,) = events(stayed, "probe"), events(stayed, "collected")
    assert (totals["steps"], totals["abandoned_steps"]) == (11, 0)
    assert totals["guide_tokens"] == probe["guide_tokens"] + collected["guide_tokens"]


def test_it_is_called_staying(stayed: Path) -> None:
    (decision,) = decisions_of(RunRecords.load(stayed))
    assert decision.outcome == "stayed" and decision.rollback_distance == 0 and decision.brought is None
    assert decision.cost.steps_twice == 0 and decision.cost.tokens


def test_a_kill_changes_no_bit(stayed: Path, tmp_path: Path) -> None:
    for folder in (fired(stayed, tmp_path / "fired"), in_the_replay(stayed, tmp_path / "later")):
        run(folder, *STAY, resume=True)
        assert same(folder, stayed)
        assert (folder / "lineage.json").read_bytes() == (stayed / "lineage.json").read_bytes()


def test_what_it_answered_is_kept(stayed: Path) -> None:
    guided = [row["npo/guided_frac"] for row in RunRecords.load(stayed).rows.values() if row["segment"] == 1]
    assert guided and not (stayed / "segments/000/guidance").exists() and (stayed / "segments/001/guidance").exists()


def test_there_is_no_second_branch_to_compare_with(stayed: Path) -> None:
    head = Lineage.read(stayed / "lineage.json").extend_head()
    config = configuration(stayed, *STAY, "autonpo.accept=if_better")
    assert next_stage(head, config) == Train(11, "horizon")


def test_a_steep_price_lets_only_staying_pass(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "guidance_lifetime=while_gated", "autonpo.price=slope", "autonpo.gain_factor=0")
    (declined,) = events(folder, "declined")
    assert declined["guard"] == "price" and "Nothing is worth its price" in declined["reason"]


def test_guidance_that_ends_where_it_begins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"autonpo.stay=true and guidance_lifetime=segment"):
        configuration(tmp_path, "autonpo.stay=true", "guidance_lifetime=segment")
