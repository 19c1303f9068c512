"""Laws of the lineage: nothing is lost, every step of the path has exactly one home, both clocks agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.algo.lineage import Lineage
from nearfuture.types import Intervention, UserError


def intervene(lineage: Lineage, start: int) -> Lineage:
    end = lineage.head.end_step
    guide = lineage.ref(end)
    return lineage.branch(Intervention("late", guide, start, end))


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    """Random runs: train some steps, roll back to any earlier step of the path, and so on."""
    lineage = Lineage.begin()
    step = 0
    for _ in range(draw(st.integers(0, 6))):
        step += draw(st.integers(1, 20))
        lineage = lineage.end_head(step, "guide")
        step = draw(st.integers(0, step - 1))
        lineage = intervene(lineage, step)
    return lineage.end_head(step + draw(st.integers(1, 20)), "horizon")


def test_early_and_late_by_hand() -> None:
    lineage = Lineage.begin().end_head(40, "scout")
    lineage = intervene(lineage, 0)  # early: from the base weights
    lineage = intervene(lineage.end_head(100, "guide"), 60)  # late: 100 back to 60
    lineage = lineage.end_head(150, "horizon")
    assert [(s.parent, s.start_step, s.end_step, s.abandoned_from) for s in lineage.segments] == [
        (None, 0, 40, 0),
        (None, 0, 100, 60),
        (1, 60, 150, None),
    ]
    assert [s.total_steps_before for s in lineage.segments] == [0, 40, 140]
    assert lineage.total_steps(150) == 40 + 100 + 90
    assert lineage.ref(60).segment == 1 and lineage.ref(61).segment == 2 and lineage.ref(0) is None


@given(lineages())
def test_every_step_of_the_path_has_one_home(lineage: Lineage) -> None:
    end = lineage.head.end_step
    for step in range(1, end + 1):
        home = lineage.ref(step)
        segment = lineage.segments[home.segment]
        assert segment.start_step < step <= segment.end_step
        assert segment.abandoned_from is None or step <= segment.abandoned_from


@given(lineages())
def test_steps_kept_and_abandoned_add_up_to_all_steps_paid(lineage: Lineage) -> None:
    paid = sum(s.end_step - s.start_step for s in lineage.segments)
    assert lineage.total_steps(lineage.head.end_step) == paid
    abandoned = sum(s.end_step - s.abandoned_from for s in lineage.segments if s.abandoned_from is not None)
    assert paid - abandoned == lineage.head.end_step


@given(lineages())
def test_json_round_trip(lineage: Lineage) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lineage.json"
        lineage.write(path)
        assert Lineage.read(path) == lineage
        assert json.loads(path.read_text())["head"] == lineage.head.id


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        Lineage.read(tmp_path / "lineage.json")
    (tmp_path / "lineage.json").write_text('{"version": 1, "segm')
    with pytest.raises(UserError, match="damaged"):
        Lineage.read(tmp_path / "lineage.json")
    (tmp_path / "lineage.json").write_text('{"version": 99, "segments": []}')
    with pytest.raises(UserError, match="version 99"):
        Lineage.read(tmp_path / "lineage.json")
    with pytest.raises(UserError, match="not on the path"):
        Lineage.begin().end_head(10, "guide").ref(11)
