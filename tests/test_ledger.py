"""The ledger against hand-computed numbers: every step, token and second is counted once, where it was paid."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from run_folders import auto_run, grpo_run, npo_run, resumed_run, segment, step_row, write_run

from nearfuture import seal
from nearfuture.record.ledger import build_ledger, write_ledger
from nearfuture.record.records import RunRecords
from nearfuture.record.writing import write_whole


def test_a_plain_run(tmp_path: Path) -> None:
    totals = build_ledger(RunRecords.load(grpo_run(tmp_path / "grpo")))["totals"]
    assert (totals["steps"], totals["kept_steps"], totals["abandoned_steps"]) == (12, 12, 0)
    assert (totals["rollout_tokens"], totals["guide_tokens"], totals["generated_tokens"]) == (1200, 0, 1200)
    assert (totals["trained_tokens"], totals["eval_tokens"]) == (960, 5 * 40)
    assert (totals["train_seconds"], totals["collect_seconds"], totals["eval_seconds"]) == (24, 0, 5)
    assert (totals["guide_frac"], totals["abandoned_frac"], totals["recomputed_steps"]) == (0, 0, 0)


def test_a_probe_that_was_killed_and_made_again_is_paid_once(tmp_path: Path) -> None:
    """Two probes of 40 tokens and 1 s, a collection of 160 and 3 s; the second probe was begun twice."""
    folder = auto_run(tmp_path / "auto")
    events = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    twice = events[4].replace('"seconds": 1.0', '"seconds": 9.0')
    assert '"probe"' in twice and twice != events[4]
    (folder / "events.jsonl").write_text("".join([*events[:4], twice, *events[4:]]))
    totals = build_ledger(RunRecords.load(folder))["totals"]
    assert (totals["guide_tokens"], totals["collect_seconds"]) == (240, 5.0)


def test_two_interventions_segment_by_segment(tmp_path: Path) -> None:
    ledger = build_ledger(RunRecords.load(npo_run(tmp_path / "npo")))
    columns = ("steps", "kept_steps", "abandoned_steps", "scout_steps", "rollout_tokens", "guide_tokens", "eval_tokens")
    assert [[entry[key] for key in columns] for entry in ledger["segments"]] == [
        [4, 0, 4, 4, 400, 0, 3 * 40],  # evaluated at 0, 2, 4
        [10, 6, 4, 0, 1000, 300, 5 * 40],  # at 2, 4, 6, 8, 10
        [6, 6, 0, 0, 600, 500, 3 * 40],  # at 8, 10, 12
    ]
    totals = ledger["totals"]
    assert [totals[key] for key in columns] == [20, 12, 8, 4, 2000, 800, 440]
    assert (totals["train_seconds"], totals["collect_seconds"], totals["eval_seconds"]) == (40, 15, 11)
    assert totals["generated_tokens"] == 2800
    assert totals["guide_frac"] == pytest.approx(800 / 2800, abs=1e-6)
    assert totals["abandoned_frac"] == pytest.approx(8 / 20)
    assert ledger["missing"] == {}


def test_steps_computed_twice_are_named_and_in_no_sum(tmp_path: Path) -> None:
    totals = build_ledger(RunRecords.load(resumed_run(tmp_path / "run")))["totals"]
    assert (totals["steps"], totals["rollout_tokens"], totals["train_seconds"]) == (8, 800, 16)
    assert (totals["recomputed_steps"], totals["recomputed_tokens"], totals["recomputed_seconds"]) == (2, 200, 4)
    assert (totals["eval_tokens"], totals["num_evaluations"]) == (0, 0)


def test_what_was_not_written_is_none_and_never_zero(tmp_path: Path) -> None:
    rows = [step_row(0, step, step, rollout_tokens=None) for step in (1, 2)]
    ledger = build_ledger(RunRecords.load(write_run(tmp_path / "run", [segment(0, 0, 4)], rows)))
    totals = ledger["totals"]
    assert totals["rollout_tokens"] is totals["generated_tokens"] is totals["guide_frac"] is None
    assert (totals["trained_tokens"], totals["unlogged_steps"]) == (160, 2)
    assert ledger["missing"] == {"rollout_tokens": 2}


def test_a_guide_whose_price_was_not_written_makes_the_total_unknown(tmp_path: Path) -> None:
    folder = npo_run(tmp_path / "npo")
    (folder / "events.jsonl").write_text("")
    totals = build_ledger(RunRecords.load(folder))["totals"]
    assert totals["guide_tokens"] is totals["generated_tokens"] is totals["collect_seconds"] is None
    assert totals["rollout_tokens"] == 2000


def test_a_guide_that_only_distils_has_written_nothing(tmp_path: Path) -> None:
    folder = npo_run(tmp_path / "opd")
    (folder / "events.jsonl").write_text("")
    (folder / "config.yaml").write_text("inject_guidance: false\n")
    totals = build_ledger(RunRecords.load(folder))["totals"]
    assert (totals["guide_tokens"], totals["collect_seconds"], totals["generated_tokens"]) == (0, 0, 2000)


def test_a_collection_for_a_segment_not_yet_branched_is_charged_where_it_happened(tmp_path: Path) -> None:
    event = {"event": "collected", "segment": 0, "guide_segment": 0, "guide_step": 2, "guide_tokens": 70, "seconds": 1}
    rows = [step_row(0, step, step) for step in (1, 2)]
    folder = write_run(tmp_path / "run", [segment(0, 0, 2, reason="guide")], rows, events=[event])
    assert build_ledger(RunRecords.load(folder))["totals"]["guide_tokens"] == 70


def test_the_file_is_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    run = RunRecords.load(npo_run(tmp_path / "npo"))
    path = write_ledger(run)
    write_ledger(run)
    assert path == tmp_path / "npo" / "ledger.json"
    assert seal.without(json.loads(path.read_text())) == build_ledger(run)
    assert not list(path.parent.glob(".*"))


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    """As `--json /dev/stdout` wants it: what is no file is written to, not replaced."""
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "after"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", "text")
    assert os.read(reader, 100) == b"text" and (tmp_path / "pipe").is_fifo()
    os.close(reader)
