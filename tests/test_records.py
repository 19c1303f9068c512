"""Laws of reading a run folder: later values win, torn lines are counted, the head's path follows the lineage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import eval_row, grpo_run, npo_run, resumed_run, segment, step_row, write_run

from nearfuture.record.clocks import has_tokens, head_positions, paid_at
from nearfuture.record.reading import read_rows
from nearfuture.record.records import RunRecords
from nearfuture.types import UserError


def test_a_plain_run_is_all_head(tmp_path: Path) -> None:
    run = RunRecords.load(grpo_run(tmp_path / "grpo"))
    curve = run.curve("npo/pass_rate")
    assert curve.steps.tolist() == list(range(1, 13))
    np.testing.assert_allclose(curve.values, np.arange(1, 13) / 20)
    assert (run.name, run.config["seed"], run.is_finished, run.recomputed_steps) == ("grpo", 7, True, 0)


def test_the_head_path_leaves_scouts_and_tails_out(tmp_path: Path) -> None:
    run = RunRecords.load(npo_run(tmp_path / "npo"))
    assert run.head_path == {2: 12, 1: 6}
    assert [run.kept_until(number) for number in range(3)] == [0, 6, 12]
    curve = run.curve("npo/pass_rate")
    assert curve.steps.tolist() == list(range(1, 13))
    assert curve.segments.tolist() == [1] * 6 + [2] * 6
    assert [run.total_steps_at(*at) for at in run.on_path(2, "npo/pass_rate").values()] == [
        *range(5, 11),
        *range(15, 21),
    ]


def test_the_base_evaluation_of_an_abandoned_scout_stays(tmp_path: Path) -> None:
    curve = RunRecords.load(npo_run(tmp_path / "npo")).curve("eval/pass_rate")
    assert curve.steps.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert curve.segments.tolist() == [0, 1, 1, 1, 2, 2, 2]


def test_a_rollback_beyond_the_segment_before_continues_the_one_before_that(tmp_path: Path) -> None:
    segments = [
        segment(0, 0, 10),
        segment(1, 8, 12, parent=0, total_steps_before=10),
        segment(2, 5, 9, parent=0, total_steps_before=14),
    ]
    rows = [
        step_row(number, step, 0) for number, *steps in ((0, 1, 11), (1, 9, 13), (2, 6, 10)) for step in range(*steps)
    ]
    run = RunRecords.load(write_run(tmp_path / "run", segments, rows))
    assert run.head_path == {2: 9, 0: 5}
    assert run.curve("loss").segments.tolist() == [0] * 5 + [2] * 4
    assert not run.is_kept(1, 8)


def test_a_killed_run_is_read_to_the_last_whole_row(tmp_path: Path) -> None:
    run = RunRecords.load(resumed_run(tmp_path / "run"))
    assert run.torn_lines == {"metrics.jsonl": 2}
    assert run.recomputed_steps == 2
    assert run.curve("loss").steps.tolist() == list(range(1, 9))
    assert run.curve("loss").values.tolist() == [0.9] * 3 + [0.5] * 5
    assert not run.is_finished
    assert run.last_step(0) == 8


def test_evaluation_and_training_rows_merge_without_counting_as_recomputed(tmp_path: Path) -> None:
    rows = [step_row(0, 1, 1), eval_row(0, 1, 1, 0.5), {"segment": 0, "step": 1, "total_steps": 1, "train_loss": 0.1}]
    run = RunRecords.load(write_run(tmp_path / "run", [segment(0, 0, 1)], rows))
    assert run.recomputed_steps == 0
    assert len(run.rows) == 1
    assert {"loss", "eval/pass_rate", "train_loss"} <= set(run.rows[0, 1])


def test_rows_past_the_end_of_their_segment_were_paid_for_nothing(tmp_path: Path) -> None:
    rows = [step_row(0, step, step) for step in range(1, 6)]
    run = RunRecords.load(write_run(tmp_path / "run", [segment(0, 0, 3)], rows))
    assert run.recomputed_steps == 2
    assert run.curve("loss").steps.tolist() == [1, 2, 3]


def test_missing_values_are_no_values(tmp_path: Path) -> None:
    rows = [step_row(0, 1, 1, loss=None), step_row(0, 2, 2, loss=float("nan")), step_row(0, 3, 3)]
    run = RunRecords.load(write_run(tmp_path / "run", [segment(0, 0, 3)], [*rows, step_row(9, 1, 1)]))
    assert run.curve("loss").steps.tolist() == [3]
    assert run.num_stray_rows == 1


def test_what_is_priced_charges_a_guide_before_its_segment(tmp_path: Path) -> None:
    run = RunRecords.load(npo_run(tmp_path / "npo"))
    ats = [(0, 0), (0, 4), (1, 0), (1, 10), (2, 6), (2, 12)]
    assert paid_at(run, "total_steps", ats).tolist() == [0, 4, 4, 14, 14, 20]
    assert paid_at(run, "tokens", ats).tolist() == [0, 400, 700, 1700, 2200, 2800]
    # Two seconds a step, 6 for the first collection and 9 for the second; evaluations are not in it.
    assert paid_at(run, "seconds", ats).tolist() == [0, 8, 14, 34, 43, 55]
    assert head_positions(run)[:2] == [(0, 0), (1, 1)]


@pytest.mark.parametrize("name", ["probe", "collected"])
def test_what_led_to_no_segment_is_paid_where_it_was_made(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_run(folder, [segment(0, 0, 6)], [step_row(0, step, step, rollout_tokens=100) for step in range(1, 7)])
    event = {"event": name, "segment": 0, "step": 4, "total_steps": 4, "guide_tokens": 1000, "guide_step": 4}
    (folder / "events.jsonl").write_text(json.dumps(event | {"guide_segment": 0}) + "\n")
    run = RunRecords.load(folder)
    assert paid_at(run, "tokens", [(0, 0), (0, 3), (0, 4), (0, 6)]).tolist() == [0, 300, 1400, 1600]


def test_a_run_without_every_price_has_no_token_clock(tmp_path: Path) -> None:
    assert has_tokens(RunRecords.load(npo_run(tmp_path / "npo")))
    (tmp_path / "npo" / "events.jsonl").write_text("")
    run = RunRecords.load(tmp_path / "npo")
    assert not has_tokens(run)
    with pytest.raises(ValueError, match="no clock of tokens"):
        paid_at(run, "tokens", [(0, 1)])


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_file_cut_anywhere_loses_at_most_its_last_row(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = "".join(json.dumps({"event": "rollback", "guide": {"segment": 0, "step": n}}) + "\n" for n in range(6))
    path = tmp_path_factory.mktemp("cut") / "events.jsonl"
    path.write_text(lines[:cut])
    found = read_rows(path, required="event")
    rows, torn = found.rows, found.torn
    whole = lines[:cut].count("}}")
    assert [row["guide"]["step"] for row in rows] == list(range(whole))
    assert torn == (0 if not lines[:cut].split("\n")[-1] or lines[:cut].endswith("}}") else 1)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda folder: (folder / "lineage.json").unlink(),
            "lineage.json does not exist: .* not a run folder.*Name the folder",
        ),
        (lambda folder: (folder / "metrics.jsonl").write_text(""), "no metrics row yet .*Wait for the first step"),
        (lambda folder: (folder / "metrics.jsonl").unlink(), "no metrics row yet"),
        (lambda folder: (folder / "lineage.json").write_text("{"), "is damaged .*Restore it"),
        (lambda folder: (folder / "lineage.json").write_text('{"version": 9}'), "version 9, this tool reads version 1"),
        (lambda folder: (folder / "lineage.json").write_text('{"version": 1, "head": 0}'), "is not a lineage"),
        (lambda folder: (folder / "lineage.json").write_text("[]"), "version None"),
        (lambda folder: (folder / "config.yaml").write_text("- a\n"), "holds list, but a mapping was expected"),
    ],
)
def test_a_folder_that_cannot_be_read_says_why(tmp_path: Path, break_it: object, message: str) -> None:
    folder = grpo_run(tmp_path / "grpo")
    assert callable(break_it)
    break_it(folder)
    with pytest.raises(UserError, match=message):
        RunRecords.load(folder)


def test_a_lineage_that_refers_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"refers to segments \[3\]"):
        RunRecords.load(write_run(tmp_path / "run", [segment(0, 0, 1)], [step_row(0, 1, 1)], head=3))


@pytest.mark.parametrize("parent", [1, 2, 3])
def test_a_lineage_that_branches_where_nothing_was_trained_is_refused(tmp_path: Path, parent: int) -> None:
    segments = [segment(0, 0, 10), segment(1, 8, 12, parent=0), segment(2, 5, 9, parent=parent)]
    with pytest.raises(UserError, match=r"cannot be followed.*Restore it"):
        RunRecords.load(write_run(tmp_path / "run", segments, [step_row(0, 1, 1)]))
