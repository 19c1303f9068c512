"""Laws of the lineage: nothing is lost, every step of the path has exactly one home, both clocks agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.method.lineage import COPY, Lineage, Segment
from nearfuture.types import Intervention, UserError


def intervene(lineage: Lineage, start: int) -> Lineage:
    end = lineage.head.end_step
    guide = lineage.ref(end)
    return lineage.branch(Intervention("late", guide, start, end))


def segment_steps(segment: Segment) -> range:
    return range(segment.start_step + 1, segment.end_step + 1)


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
        if draw(st.booleans()):
            lineage = lineage.end_head(step + 1, "trigger").extend_head(passed_trigger=step + 1)
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
def test_the_path_to_any_segment_is_the_one_it_was_trained_on(lineage: Lineage) -> None:
    assert lineage.path(lineage.head.id) == lineage.path()
    for segment in lineage.segments:
        path = lineage.path(segment.id)
        steps = [step for part, last in path for step in range(part.start_step + 1, last + 1)]
        assert steps == list(range(1, segment.end_step + 1))
        assert path[-1] == (segment, segment.end_step)


@given(lineages())
def test_what_was_paid_goes_on_from_segment_to_segment(lineage: Lineage) -> None:
    paid = [segment.total_steps(step) for segment in lineage.segments for step in segment_steps(segment)]
    assert paid == list(range(1, len(paid) + 1))
    assert lineage.total_steps(lineage.head.end_step) == len(paid)


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": 0}, "its head is segment 0, but the one begun last is 2"),
        ({"head": 7}, r"refers to segments \[7\], but holds only \[0, 1, 2\]"),
        ({2: {"parent": 9}}, r"refers to segments \[9\]"),
        ({2: {"parent": 2}}, "segment 2 continues step 60 of segment 2, which has no such step"),
        ({2: {"parent": 0}}, "segment 2 continues step 60 of segment 0"),  # it ended at 40
        ({2: {"parent": None}}, "segment 2 continues no segment, but starts at step 60"),
        ({1: {"id": 5}}, r"its segments are \[0, 5, 2\]"),
        ({"segments": []}, r"its segments are \[\]"),
        ({1: {"colour": "red"}}, "is not a lineage"),
    ],
)
def test_a_tree_that_cannot_have_grown_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    path = tmp_path / "lineage.json"
    lineage = intervene(Lineage.begin().end_head(40, "scout"), 0)
    intervene(lineage.end_head(100, "guide"), 60).write(path)
    payload = json.loads(path.read_text())
    for key, change in changes.items():
        if isinstance(key, int):
            payload["segments"][key] |= change
        else:
            payload[key] = change
    del payload["crc"]  # edited by hand, its seal taken out, and no copy left
    path.write_text(json.dumps(payload))
    path.with_name(COPY).unlink()
    with pytest.raises(UserError, match=message):
        Lineage.read(path)


def test_back_to_the_abandoned_tail_by_hand() -> None:
    lineage = Lineage.begin().end_head(80, "trigger")
    tail = lineage.ref(80)
    lineage = intervene(lineage, 60).end_head(80, "replayed").return_to(tail)
    assert [(s.parent, s.start_step, s.end_step, s.abandoned_from) for s in lineage.segments] == [
        (None, 0, 80, None),
        (0, 60, 80, 60),
        (0, 80, None, None),
    ]
    assert lineage.head.passed_triggers == (80,)
    lineage = lineage.end_head(100, "horizon")
    assert lineage.total_steps(100) == 80 + 20 + 20
    assert [lineage.ref(step).segment for step in (60, 80, 81)] == [0, 0, 2]
