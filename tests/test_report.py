"""The report: its rules at their boundaries, and a page that stands alone and holds the numbers."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from pages import Page, asks_nobody, unscripted
from rich.console import Console
from run_folders import auto_run, eval_row, grpo_run, npo_run, resumed_run, segment, step_row, write_run

from nearfuture.lab.page.page import Samples, Text
from nearfuture.lab.page.svg import PALETTE, Box, drawing, spread
from nearfuture.lab.report import report_text, words, write_report
from nearfuture.lab.report.decision_words import opening
from nearfuture.lab.report.figures import METRICS, StyledRun, draw_panel, windows
from nearfuture.lab.report.lineage_drawing import describe
from nearfuture.lab.report.pieces import pieces
from nearfuture.lab.report.samples import plain_row, searchable
from nearfuture.record.clocks import CLOCKS
from nearfuture.record.equal_clocks import Measured, at_equal_clocks, judge, measured_at, num_judged
from nearfuture.record.formats import count, duration, percent
from nearfuture.record.ledger import build_ledger
from nearfuture.record.records import RunRecords
from nearfuture.types import UserError


def page_of(runs: list[Path], tmp_path: Path) -> tuple[Page, str]:
    html = write_report(runs, tmp_path / "out").read_text()
    return Page(html), html


# --- the rules


def test_a_difference_is_called_one_only_beyond_its_margin() -> None:
    # (k + 1) / (n + 2) with n = 98: 61/100 beside 50/100, SE^2 = (0.61 * 0.39 + 0.25) / 100
    base = Measured(49 / 98, 98, 10)
    margin = 1.96 * math.sqrt((0.63 * 0.37 + 0.25) / 100)
    assert judge(Measured(62 / 98, 98, 10), base).margin == pytest.approx(margin)
    assert margin == pytest.approx(0.1363, abs=1e-4)
    assert judge(Measured(62 / 98, 98, 10), base).word == "no difference visible"  # 0.63 - 0.50 = 0.13
    assert judge(Measured(63 / 98, 98, 10), base).word == "ahead"  # 0.64 - 0.50 = 0.14, margin 0.1358
    assert judge(Measured(36 / 98, 98, 10), base).word == "no difference visible"
    assert judge(Measured(35 / 98, 98, 10), base).word == "behind"


def test_a_perfect_score_on_few_prompts_is_not_certain() -> None:
    assert judge(Measured(1.0, 4, 1), Measured(0.5, 4, 1)).word == "no difference visible"
    assert judge(Measured(1.0, 400, 1), Measured(0.5, 400, 1)).word == "ahead"


def test_without_a_number_of_samples_nothing_is_judged() -> None:
    judgement = judge(Measured(0.9, None, 1), Measured(0.1, 500, 1))
    assert (judgement.word, judgement.margin) == ("not judged", None)
    assert "not judged because eval/num_prompts is missing" in words.verdict("npo", judgement)


@pytest.mark.parametrize(
    ("prompts", "samples", "unjudged", "expected"),
    [
        (50, 4, 0, 200),
        (50, 4, 30, 170),
        (4, 1, 6, 4),  # a prompt that was never judged is in `unjudged` and not in `num_prompts`
        (50, 4, None, None),
        (None, 4, 0, None),
        (0, 4, 12, None),
    ],
)
def test_the_noise_counts_what_was_judged(prompts: object, samples: int, unjudged: object, expected: object) -> None:
    row = {"eval/num_prompts": prompts, "eval/num_samples": samples, "eval/unjudged": unjudged}
    assert num_judged(row) == expected


@given(a=st.integers(0, 200), b=st.integers(0, 200))
def test_the_judgement_is_symmetric(a: int, b: int) -> None:
    opposite = {"ahead": "behind", "behind": "ahead"}
    left, right = Measured(a / 200, 200, 1), Measured(b / 200, 200, 1)
    one, other = judge(left, right), judge(right, left)
    assert other.word == opposite.get(one.word, one.word)


@pytest.mark.parametrize(
    ("run_rate", "expected"),
    [(0.83, "npo is ahead by 0.030"), (0.77, "npo is behind by 0.030"), (0.805, "no difference is visible (+0.005")],
)
def test_a_verdict_in_words(run_rate: float, expected: str) -> None:
    assert expected in words.verdict("npo", judge(Measured(run_rate, 5000, 120), Measured(0.80, 5000, 120)))


def test_three_clocks_by_hand(tmp_path: Path) -> None:
    """At 12 total steps NPO has kept step 6 and trains ahead; at 1200 tokens it has paid 700 before its first step."""
    npo, grpo = RunRecords.load(npo_run(tmp_path / "npo")), RunRecords.load(grpo_run(tmp_path / "grpo"))
    step, total, tokens = at_equal_clocks(npo, grpo)
    assert (step.at, total.at, tokens.at) == (12, 12, 1200)
    read = [(r.run.step, r.run.pass_rate, r.baseline.pass_rate) for r in (step, total, tokens) if r.run and r.baseline]
    np.testing.assert_allclose(read, [(12, 0.80, 0.68), (6, 0.50, 0.68), (5, 0.45, 0.68)])
    assert [r.judgement.word for r in (step, total, tokens) if r.judgement] == ["ahead", "behind", "behind"]


def test_a_pass_rate_is_read_between_evaluations_and_never_outside(tmp_path: Path) -> None:
    run = RunRecords.load(grpo_run(tmp_path / "grpo"))
    between, outside = measured_at(run, 4), measured_at(run, 13)
    assert between is not None
    assert between.pass_rate == pytest.approx(0.36)
    assert between.num_samples == 200
    assert outside is None


def test_costs_in_words(tmp_path: Path) -> None:
    npo, grpo = RunRecords.load(npo_run(tmp_path / "npo")), RunRecords.load(grpo_run(tmp_path / "grpo"))
    said = words.costs(npo, build_ledger(npo)).replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert said == (
        "npo paid for 20 steps to keep 12: 8 extra (4 scout, 4 abandoned); its guides generated 800 tokens, 29 % of "
        "all tokens it generated."
    )
    assert words.costs(grpo, build_ledger(grpo)) == "grpo paid for 12 steps and kept them all; it had no guide."


def test_where_a_run_was_guided_in_words(tmp_path: Path) -> None:
    npo, grpo = RunRecords.load(npo_run(tmp_path / "npo")), RunRecords.load(grpo_run(tmp_path / "grpo"))
    assert words.story(npo) == (
        "npo was guided early, over steps 0 to 4, by its own policy of step 4; and late, over steps 6 to 10, by its "
        "own policy of step 10."
    )
    assert words.story(grpo) == ""
    auto = RunRecords.load(auto_run(tmp_path / "auto"))
    assert words.story(auto) == "auto was guided as AutoNPO decided, over steps 6 to 10, by its own policy of step 10."
    unfinished = RunRecords.load(unfinished_collection(tmp_path / "unfinished"))
    assert words.story(unfinished).endswith("and late, from step 6 on, by its own policy of step 10.")


def test_what_a_run_without_a_guide_learned_from(tmp_path: Path) -> None:
    plain = RunRecords.load(grpo_run(tmp_path / "grpo"))
    own = dataclasses.replace(plain, name="own", config={**plain.config, "source": "own"})
    assert words.story(own).startswith(f"{own.name} learned from its own latest answers")
    assert words.costs(own, build_ledger(own)).endswith("it asked no guide.")
    assert words.pick_baseline([own, plain]) is plain
    npo = RunRecords.load(npo_run(tmp_path / "npo"))
    both = dataclasses.replace(npo, config={**npo.config, "source": "own"})
    assert words.story(both).startswith("npo learned from its own latest answers, and where it had none from a guide's")
    assert words.story(both).endswith(words.story(npo))
    assert opening(own, []).endswith(words.story(own)) and opening(plain, []).endswith("It never went back.")


def test_a_run_without_evaluation_says_so(tmp_path: Path) -> None:
    run = RunRecords.load(resumed_run(tmp_path / "run"))
    said = words.outcome(run)
    assert said.startswith("run was never evaluated on held-out prompts; it has not finished")
    assert "0.225 pass rate on its own rollouts (mean of the last 8 steps of 8)" in said


def test_the_baseline_is_the_first_run_without_interventions(tmp_path: Path) -> None:
    runs = [RunRecords.load(npo_run(tmp_path / "npo")), RunRecords.load(grpo_run(tmp_path / "grpo"))]
    assert words.pick_baseline(runs).name == "grpo"
    assert words.pick_baseline(runs[:1]).name == "npo"
    assert words.title(runs) == "npo beside grpo"


def test_notes_name_what_a_kill_left(tmp_path: Path) -> None:
    run = RunRecords.load(resumed_run(tmp_path / "run"))
    notes = " ".join(words.notes(run, build_ledger(run)))
    assert "2 torn lines in metrics.jsonl (a kill) skipped." in notes
    assert "2 steps computed twice after a resume (200 rollout tokens)" in notes
    assert "Never written: eval/pass_rate." in notes


def test_a_longer_horizon_reopens_a_finished_run(tmp_path: Path) -> None:
    folder = grpo_run(tmp_path / "grpo")
    lineage = folder / "lineage.json"
    lineage.write_text(lineage.read_text().replace('"end_step": 12', '"end_step": null').replace('"horizon"', "null"))
    run = RunRecords.load(folder)
    assert not run.is_finished
    assert words.outcome(run).startswith("grpo has not finished (it is running or was stopped) and is at 0.680")


# --- what is drawn


def test_pieces_join_by_step_and_fall_back_by_total_steps(tmp_path: Path) -> None:
    run = RunRecords.load(npo_run(tmp_path / "npo"))
    cut = {(piece.segment, piece.is_kept): piece for piece in pieces(run, "eval/pass_rate", "total_steps")}
    assert list(cut) == [(0, False), (1, True), (1, False), (2, True)]
    assert cut[0, False].xs.tolist() == [0, 2, 4]
    assert cut[1, True].xs.tolist() == [4, 6, 8, 10]  # starts anew from the base weights, four steps paid
    assert cut[1, False].xs.tolist() == [10, 12, 14]
    assert cut[2, True].xs.tolist() == [14, 16, 18, 20]
    assert cut[2, True].values[0] == cut[1, True].values[-1] == pytest.approx(0.5)
    by_step = [piece.xs.tolist() for piece in pieces(run, "eval/pass_rate", "step") if piece.is_kept]
    assert by_step == [[0, 2, 4, 6], [6, 8, 10, 12]]


def test_windows_are_what_was_kept_by_step_and_all_that_was_paid(tmp_path: Path) -> None:
    run = RunRecords.load(npo_run(tmp_path / "npo"))
    assert windows(run, "step") == [(0, 4, "early"), (6, 10, "late")]
    assert windows(run, "total_steps") == [(4, 8, "early"), (14, 18, "late")]


def test_a_long_line_keeps_its_peaks_and_is_short() -> None:
    ys = np.zeros(10_000)
    ys[4321], ys[-1] = 1.0, -1.0

    def paint(axes: Axes) -> None:
        axes.set(xlim=(0, 10_000), ylim=(-1, 1))
        axes.plot(ys, color=PALETTE["c0"], gid="the line")

    line = drawing(Box(400, 200), "a name", "", "panel", paint).split('class="the line"')[1]
    points = [tuple(map(float, pair)) for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", line.split("</g>")[0])]
    assert len(points) < 100
    assert min(points, key=lambda point: point[1]) == pytest.approx((172.8, 0), abs=0.15)
    assert points[-1] == pytest.approx((400, 200), abs=0.15)


def drawn_panels(tmp_path: Path) -> list[str]:
    folders = [npo_run(tmp_path / "npo"), grpo_run(tmp_path / "grpo", lambda step: 0.7 + 0.01 * step)]
    runs = [StyledRun(RunRecords.load(folder), style) for style, folder in enumerate(folders)]
    return [draw_panel(runs, metric, clock) or "" for metric in METRICS for clock in CLOCKS]


def test_a_drawing_takes_colours_and_letters_from_the_page(tmp_path: Path) -> None:
    for drawn in drawn_panels(tmp_path):
        assert not re.search(r"(fill|stroke): #|font|<\?xml|<!DOCTYPE|xmlns|<style|<metadata", drawn)
        assert re.findall(r"(?:fill|stroke): (?!none|url|var)[^;\"]*", drawn) == []
        assert "viewBox" in drawn
        ids = re.findall(r' id="([^"]*)"', drawn)
        assert sorted(ids) == sorted(set(re.findall(r'(?:href="|url\()#([^")]*)', drawn)))


def test_the_same_run_is_drawn_the_same_way(tmp_path: Path) -> None:
    assert drawn_panels(tmp_path / "once") == drawn_panels(tmp_path / "again")


def test_every_mark_says_its_run_segment_step_and_value(tmp_path: Path) -> None:
    over_step, over_total = drawn_panels(tmp_path)[:2]
    assert re.findall(r"<title>npo, (.*?)</title>", over_step) == [
        *(
            "segment 1, step 6: 0.500",
            "segment 1, step 4: 0.400",
            "segment 1, step 2: 0.300",
            "segment 0, step 0: 0.200",
        ),
        *(
            "segment 2, step 12: 0.800",
            "segment 2, step 10: 0.700",
            "segment 2, step 8: 0.600",
            "segment 1, step 6: 0.500",
        ),
    ]
    assert over_step.count("<title>grpo, segment 0") == over_total.count("<title>grpo, segment 0") == 5


def test_an_axis_without_zero_says_where_it_begins(tmp_path: Path) -> None:
    low, high = (
        StyledRun(RunRecords.load(grpo_run(tmp_path / name, rates)), 0)
        for name, rates in (("low", lambda step: 0.2 + 0.04 * step), ("high", lambda step: 0.7 + 0.01 * step))
    )
    assert "axis begins" not in (draw_panel([low], METRICS[0], "step") or "")
    cut = draw_panel([high], METRICS[0], "step") or ""
    begins = re.search(r"axis begins at ([\d.]+)", cut)
    assert begins and 0 < float(begins[1]) < 0.7 - 0.05  # below the sampling error around the first value


@given(st.lists(st.floats(0, 100), max_size=6))
def test_labels_keep_their_distance(wanted: list[float]) -> None:
    placed = sorted(spread(wanted, gap=10, lowest=0, highest=100))
    assert all(b - a >= 10 - 1e-6 for a, b in pairwise(placed))


def test_segments_in_a_few_words(tmp_path: Path) -> None:
    run = RunRecords.load(npo_run(tmp_path / "npo"))
    assert [describe(run, entry) for entry in run.segments] == [
        "scout, steps 0 to 4, all abandoned",
        "early guidance, steps 0 to 10, 4 abandoned",
        "late guidance, steps 6 to 12",
    ]


# --- the page


def test_the_page_stands_alone_and_holds_the_numbers(tmp_path: Path) -> None:
    page, html = page_of([npo_run(tmp_path / "npo"), grpo_run(tmp_path / "grpo")], tmp_path)
    assert [load for load in page.loads if not load.startswith("#")] == []
    assert asks_nobody(html)
    assert len(page.ids) == len(set(page.ids))
    assert len(html) < 500_000
    for said in (
        "npo beside grpo",
        "npo ended at 0.800 held-out pass rate after 12 steps. It began at 0.200.",
        "grpo ended at 0.680 held-out pass rate after 12 steps.",
        "at equal step (12), npo is ahead by 0.120",
        "at equal total steps (12, when npo had kept 6 steps), npo is behind by 0.180",
        "8 extra (4 scout, 4 abandoned)",
        "one seed proves nothing",
        "1: early guidance, steps 0 to 10, 4 abandoned",
        "nearfuture report",
        "Python 3.11.7, numpy 2.0, git abc123",
    ):
        assert said in page.text
    assert any(
        "Held-out pass rate over optimizer step. npo: from 0.200 to 0.800 at 12." in label for label in page.labels
    )
    assert any(label.startswith("Lineage of npo. Segment 0: scout") for label in page.labels)


def test_rollouts_stand_beside_their_guidance_and_cannot_break_the_page(tmp_path: Path) -> None:
    page, html = page_of([npo_run(tmp_path / "npo")], tmp_path)
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "<b>no</b>" not in html
    assert "✗ wrong" in page.text
    assert "guidance from step 10 of segment 1 ✓ verified" in page.text
    assert "2 + 2" not in page.text  # without guidance, so not chosen where guidance exists


def unfinished_collection(folder: Path) -> Path:
    """A head whose first step has not been written yet, after a rollback."""
    npo_run(folder)
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(line for line in lines if '"segment": 2' not in line))
    lineage = (folder / "lineage.json").read_text()
    assert '"start_step": 6, "end_step": 12' in lineage
    (folder / "lineage.json").write_text(lineage.replace('"end_step": 12', '"end_step": null'))
    return folder


def one_step(folder: Path) -> Path:
    """A run of one step that wrote hardly anything."""
    return write_run(folder, [segment(0, 0, None)], [{"segment": 0, "step": 1, "total_steps": 1, "loss": 0.0}])


def only_the_base(folder: Path) -> Path:
    """A run that was evaluated and has not trained yet."""
    return write_run(folder, [segment(0, 0, None)], [eval_row(0, 0, 0, 0.3, num_prompts=None)])


def long_run(folder: Path) -> Path:
    """Five thousand steps."""
    return write_run(folder, [segment(0, 0, 5000)], [step_row(0, step, step) for step in range(1, 5001)])


@pytest.mark.parametrize("build", [grpo_run, resumed_run, unfinished_collection, one_step, only_the_base, long_run])
def test_every_kind_of_run_has_a_page_alone_and_beside_another(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    run = build(tmp_path / "this")
    _, html = page_of([run], tmp_path / "alone")
    page, _ = page_of([npo_run(tmp_path / "npo"), run, grpo_run(tmp_path / "grpo")], tmp_path)
    assert "this" in page.text
    assert not re.search(r"\bnan\b|\bNone\b", unscripted(html))
    assert len(html) < 2_000_000


def test_seven_runs_and_two_of_one_name(tmp_path: Path) -> None:
    runs = [grpo_run(tmp_path / str(seed) / "grpo") for seed in range(7)]
    page, _ = page_of(runs, tmp_path)
    assert "0/grpo" in page.text
    assert "6/grpo" in page.text


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No run was named"):
        write_report([], tmp_path)


def test_the_terminal_says_the_same(tmp_path: Path) -> None:
    console = Console(width=200, record=True, file=(tmp_path / "out.txt").open("w"))
    console.print(report_text([npo_run(tmp_path / "npo"), grpo_run(tmp_path / "grpo")]))
    said = console.export_text()
    assert "npo ended at 0.800 held-out pass rate" in said
    assert "one seed proves nothing" in said


def test_numbers_as_a_reader_expects_them() -> None:
    shown = [count(0), count(9999), count(12_345), count(999_999), count(2.5e9)]
    shown += [percent(0.1), percent(0.0123), percent(0)]
    shown += [duration(59.96), duration(3599.9), duration(90_000), duration(200_000), duration(0)]
    assert [text.replace("\N{NARROW NO-BREAK SPACE}", " ") for text in shown] == [
        *("0", "9999", "12.3 k", "1.00 M", "2.50 G", "10 %", "1.2 %", "0 %"),
        *("1 min 0 s", "1 h 0 min", "25 h 0 min", "2 d 7 h", "0 s"),
    ]


def test_samples_that_do_not_fit_are_counted_on_the_page() -> None:
    rows = [plain_row({"prompt": "1+1=", "prompt_id": str(i), "rollouts": [{"text": "2"}]}, "run") for i in range(100)]
    size = sum(len(json.dumps(row, ensure_ascii=False)) for row in rows)
    (whole,) = searchable([rows], [], "samples.jsonl")
    assert isinstance(whole, Samples) and len(whole.rows) == 100
    note, half = searchable([rows[:50], rows[50:]], [], "samples.jsonl", most_chars=size // 2 + 10)
    assert isinstance(half, Samples) and len(half.rows) == 50
    assert isinstance(note, Text)
    assert note.sentences == ["50 of 100 stored samples are on this page, spread evenly; samples.jsonl has all."]
