"""`explain`: the facts of a decision by hand, the same words on terminal and page, and nothing unknown called zero."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from commands import invoke
from pages import Page, asks_nobody
from run_folders import CANDIDATES, auto_run, eval_row, grpo_run, npo_run, resumed_run, segment, step_row, write_run

from nearfuture.lab.report import decision_words as words
from nearfuture.lab.report.decision_figures import draw_candidates, firings
from nearfuture.lab.report.explain_page import explanation_facts, write_explanation
from nearfuture.record.decisions import decisions_of
from nearfuture.record.formats import MINUS
from nearfuture.record.records import RunRecords

PLACE = {"segment": 1, "step": 10, "total_steps": 14}
COMPARED = {
    **{"event": "accepted", **PLACE, "difference": 0.02, "ci_low": -0.01, "ci_high": 0.05, "num_prompts": 256},
    **{"num_samples": 2048, "guided_pass_rate": 0.42, "abandoned_pass_rate": 0.4, "guide_tokens": 80, "seconds": 2.0},
}


def change_events(folder: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Path:
    path = folder / "events.jsonl"
    events = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def change_lineage(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    lineage = json.loads((folder / "lineage.json").read_text())
    change(lineage)
    (folder / "lineage.json").write_text(json.dumps(lineage))
    return folder


def change_rows(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Path:
    path = folder / "metrics.jsonl"
    rows = [change(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row is not None))
    return folder


def told(folder: Path) -> str:
    """Everything the terminal says of a run's decisions."""
    records = RunRecords.load(folder)
    decisions = decisions_of(records)
    sentences = [words.opening(records, decisions)]
    for decision in decisions:
        sentences += [words.heading(decision), *words.told(decision)]
    return plain(" ".join(sentences))


def plain(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ")


# --- the facts


def test_a_rollback_by_hand(tmp_path: Path) -> None:
    """4 steps again at 100 tokens and 2 s, a probe of 40 and 1, a collection of 160 and 3; 18 steps, 2 probes."""
    declined, back = decisions_of(RunRecords.load(auto_run(tmp_path / "run")))
    assert (declined.outcome, back.outcome) == ("declined", "went back")
    assert (back.kind, back.segment, back.step, back.total_steps) == ("auto", 0, 10, 10)
    assert (back.to_segment, back.to_step, back.rollback_distance, back.guided_until) == (1, 6, 4, 10)
    assert (back.num_guidance, back.guard) == (33, "too_few_prompts")
    assert list(back.candidates) == CANDIDATES
    assert asdict(back.cost) == {
        **{"steps_twice": 4, "probe_tokens": 40, "collection_tokens": 160, "comparison_tokens": 0},
        **{"rollout_tokens": 400, "tokens": 600, "token_frac": pytest.approx(600 / 2040), "seconds": 12.0},
    }
    assert asdict(declined.cost)["tokens"] == 40 and declined.brought is None
    assert back.seen is not None
    assert back.seen["reward_ema"] == 0.33 and back.seen["entropy_slope"] == -0.25 and back.seen["window"] == 4


def test_what_it_brought_is_read_where_the_trigger_fired(tmp_path: Path) -> None:
    """0.2 + 0.03 * 10 = 0.5 on the tail and 0.1 more on the guided branch, which ends at 0.3 + 0.03 * 14 = 0.72."""
    brought = decisions_of(RunRecords.load(auto_run(tmp_path / "run")))[1].brought
    assert brought is not None and brought.judgement is not None
    assert (brought.abandoned.segment, brought.guided.segment) == (0, 1)
    assert [r.step for r in (brought.abandoned, brought.guided, brought.end)] == [10, 10, 14]
    assert [r.pass_rate for r in (brought.abandoned, brought.guided, brought.end)] == pytest.approx([0.5, 0.6, 0.72])
    assert brought.judgement.difference == pytest.approx(0.1)
    assert brought.abandoned.num_samples == 200
    assert brought.guided.entropy == pytest.approx(0.75)


def test_both_branches_are_compared_at_the_last_step_that_both_were_evaluated_at(tmp_path: Path) -> None:
    def without_tail_at_10(row: dict[str, Any]) -> dict[str, Any] | None:
        return None if (row["segment"], row["step"]) == (0, 10) and "eval/pass_rate" in row else row

    brought = decisions_of(RunRecords.load(change_rows(auto_run(tmp_path / "run"), without_tail_at_10)))[1].brought
    assert brought is not None and brought.judgement is not None
    assert brought.abandoned.eval_step == brought.guided.eval_step == 8 and brought.guided.step == 10
    assert "At step 8, the last at which both branches were evaluated" in told(tmp_path / "run")


def test_without_a_common_evaluation_nothing_is_compared(tmp_path: Path) -> None:
    def tail_on_odd_steps(row: dict[str, Any]) -> dict[str, Any] | None:
        return row | {"step": row["step"] - 1} if row["segment"] == 0 and "eval/pass_rate" in row else row

    folder = change_rows(auto_run(tmp_path / "run"), tail_on_odd_steps)
    brought = decisions_of(RunRecords.load(folder))[1].brought
    assert brought is not None and brought.judgement is None
    assert "are not compared: 0.500 at step 9 on the abandoned tail, 0.600 at step 10 on the guided branch" in told(
        folder
    )


def test_a_tail_over_two_segments_is_one_branch(tmp_path: Path) -> None:
    """Segment 2 goes back behind segment 1: what it is compared with is segment 1 after 6, and segment 0 before."""

    def deeper(lineage: dict[str, Any]) -> None:
        plan = {"kind": "auto", "guide": {"segment": 1, "step": 8, "path": ""}, "start_step": 4, "end_step": 8}
        first, second = lineage["segments"]
        third = segment(2, 4, 8, parent=0, total_steps_before=12, intervention=plan | {"evidence": {}})
        lineage["segments"], lineage["head"] = [first, second | {"end_step": 8, "reason": "trigger"}, third], 2

    folder = change_lineage(auto_run(tmp_path / "run"), deeper)
    with (folder / "metrics.jsonl").open("a") as file:
        for step in range(5, 9):
            file.write(json.dumps(step_row(2, step, step + 8)) + "\n")
        file.write(json.dumps(eval_row(2, 6, 14, 0.5)) + "\n")
    brought = decisions_of(RunRecords.load(folder))[-1].brought
    assert brought is not None
    assert (brought.abandoned.eval_step, brought.abandoned.pass_rate) == (6, pytest.approx(0.38))
    assert (brought.guided.eval_step, brought.guided.pass_rate) == (6, 0.5)


def test_what_a_kill_had_written_twice_is_told_once(tmp_path: Path) -> None:
    def twice(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            e for event in events for e in ([event | {"seconds": 9.0}, event] if event["event"] == "probe" else [event])
        ]

    once, again = (decisions_of(RunRecords.load(auto_run(tmp_path / name))) for name in ("once", "again"))
    change_events(tmp_path / "again", twice)
    assert (
        [d.probe for d in once]
        == [d.probe for d in again]
        == [d.probe for d in decisions_of(RunRecords.load(tmp_path / "again"))]
    )


def test_the_window_follows_the_path_through_a_rollback(tmp_path: Path) -> None:
    """A trigger at step 8 of segment 1, two steps behind its start at 6: half its window lies before step 6."""

    def at_8(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*events, {"event": "triggered", "segment": 1, "step": 8, "reward_ema": 0.3, "entropy_ema": 0.8}]

    records = RunRecords.load(change_events(auto_run(tmp_path / "run"), at_8))
    marks = firings(records, decisions_of(records), "total_steps")
    assert [(mark.number, mark.at, mark.went_back) for mark in marks] == [(1, 5, False), (2, 10, True), (3, 12, False)]
    assert [mark.spans for mark in marks] == [((1, 5),), ((6, 10),), ((4, 6), (10, 12))]
    by_step = firings(records, decisions_of(records), "step")
    assert by_step[2].spans == ((4, 6), (6, 8))


# --- unknown is not zero


def test_missing_numbers_are_unknown_and_never_zero(tmp_path: Path) -> None:
    """Events without numbers, rows without costs: what the lineage says is told, the rest is unknown."""

    def bare(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"event": "rollback", "segment": 0, "step": 10, "num_guidance": None, "rollback_distance": None}]

    def without_costs(row: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if key not in ("rollout_tokens", "seconds", "npo/entropy")}

    folder = change_rows(change_events(auto_run(tmp_path / "run"), bare), without_costs)
    change_lineage(folder, lambda lineage: lineage["segments"][1]["intervention"].update(evidence={}))
    (back,) = decisions_of(RunRecords.load(folder))
    assert (back.rollback_distance, back.to_step, back.num_guidance) == (4, 6, None)
    assert back.cost.steps_twice == 4 and back.cost.comparison_tokens == 0
    unknown = ("probe_tokens", "collection_tokens", "rollout_tokens", "tokens", "token_frac", "seconds")
    assert [getattr(back.cost, name) for name in unknown] == [None] * len(unknown)
    said = told(folder)
    assert "unknown tokens (probe unknown, collection unknown, rollouts unknown), unknown of all" in said
    assert "the entropy is unknown on the abandoned tail and unknown on the guided branch" in said
    assert not re.search(r"\b0(\.0*)? (tokens|s\b|steps|%)|None|nan", said)
    page = Page(write_explanation(folder).read_text())
    assert page.text.count("unknown") >= len(unknown) and not re.search(r"\bnan\b|\bNone\b", page.text)


def test_a_candidate_without_a_signal_is_in_the_table_and_not_in_the_drawing(tmp_path: Path) -> None:
    def unjudged(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows = [{**row, "quality": None, "effective_signal": None} for row in CANDIDATES]
        return [event | {"candidates": rows} if "candidates" in event else event for event in events]

    back = decisions_of(RunRecords.load(change_events(auto_run(tmp_path / "run"), unjudged)))[1]
    assert draw_candidates(back, 1, "quality", 8) is None
    assert "4 steps: 1.25" in (draw_candidates(back, 1, "variance_cost", 8) or "")
    assert words.candidate_cells(back, back.candidates[1]) == ["4", "6", "20", "unknown", "1.25", "unknown", "chosen"]


# --- what is said


@pytest.mark.parametrize("kept", ["guided", "abandoned"])
def test_a_comparison_of_both_branches_is_told(kept: str, tmp_path: Path) -> None:
    folder = change_events(auto_run(tmp_path / "run"), lambda events: [*events, COMPARED | {"kept": kept}])
    back = decisions_of(RunRecords.load(folder))[1]
    assert back.kept == kept and back.cost.comparison_tokens == 80 and back.cost.tokens == 680
    assert back.cost.seconds == 14.0
    said = told(folder)
    assert "asked for 256 held-out prompts (2048 samples): 0.420 on the guided branch, 0.400 on the tail" in said
    assert f"a difference of +0.020 (95 % interval {MINUS}0.010 to +0.050)" in said
    assert words.KEPT[kept] in said and ("returned to the tail" in words.heading(back)) == (kept == "abandoned")
    assert words.KEPT[kept] in Page(write_explanation(folder).read_text()).text


def test_advice_says_what_it_would_have_done_and_costs_its_probe_only(tmp_path: Path) -> None:
    advised = decisions_of(RunRecords.load(auto_run(tmp_path / "run", mode="advise")))[1]
    assert (advised.outcome, advised.to_step, advised.to_segment) == ("advised", 6, None)
    assert (advised.cost.tokens, advised.cost.steps_twice, advised.brought) == (40, 0, None)
    said = told(tmp_path / "run")
    assert "It never went back; 2 times the trigger fired and it continued." in said
    assert "It would have gone back 4 steps, to 6. S = 0.32 at distance 4 is the largest." in said


def test_planned_interventions_are_told_like_the_others(tmp_path: Path) -> None:
    """The late one: 4 steps again (400 tokens, 8 s), a collection of 500 tokens and 9 s, of 2800 tokens in all."""
    early, late = decisions_of(RunRecords.load(npo_run(tmp_path / "run")))
    assert [(d.kind, d.step, d.to_step, d.seen, d.probe) for d in (early, late)] == [
        ("early", 4, 0, None, None),
        ("late", 10, 6, None, None),
    ]
    assert (late.cost.tokens, late.cost.token_frac, late.cost.seconds) == (900, pytest.approx(900 / 2800), 17.0)
    assert "The configuration asked for late guidance by the policy of step 10" in told(tmp_path / "run")


def guides_itself(folder: Path) -> Path:
    """The control at distance 0: the base weights guide themselves, and nothing was trained ahead."""
    base = {"segment": 0, "step": 0, "path": ""}
    plan = {"kind": "again", "guide": base, "start_step": 0, "end_step": 6, "evidence": {}}
    segments = [segment(0, 0, 0, reason="again"), segment(1, 0, 12, reason="horizon", intervention=plan)]
    collected = {"event": "collected", "segment": 0, "step": 0, "guide_segment": 0, "guide_step": 0, "num_prompts": 9}
    collected |= {"num_solved": 4, "num_samples": 30, "guide_tokens": 120, "seconds": 3.0}
    rows = [step_row(1, step, step) for step in range(1, 13)]
    return write_run(folder, segments, rows, events=[collected])


def test_a_policy_that_guides_itself_has_gone_nowhere(tmp_path: Path) -> None:
    """120 tokens of 1320, and no step twice."""
    (again,) = decisions_of(RunRecords.load(guides_itself(tmp_path / "run")))
    assert (again.kind, again.rollback_distance, again.brought) == ("again", 0, None)
    assert (again.cost.steps_twice, again.cost.tokens, again.cost.token_frac) == (0, 120, pytest.approx(120 / 1320))
    said = told(tmp_path / "run")
    assert said.startswith("AutoNPO was off. It never went back. Step 0: guided by itself")


def test_terminal_page_and_json_hold_the_same(tmp_path: Path) -> None:
    folder = auto_run(tmp_path / "run")
    code, output = invoke("explain", folder, "--json", tmp_path / "facts.json")
    assert code == 0, output
    assert output.splitlines()[-1] == f"page: {folder / 'report' / 'explain.html'}"
    text = (folder / "report" / "explain.html").read_text()
    page, said = Page(text), " ".join(plain(output).split())
    for decision in decisions_of(RunRecords.load(folder)):
        for sentence in (words.heading(decision), *words.told(decision)):
            if not sentence.startswith("It cost"):  # a table there
                assert plain(sentence) in page.text
            assert plain(sentence) in said
    for cell in ("tokens of the collection", "600", "29 %", "12.0 s", "+0.100 ± 0.097", "chosen"):
        assert cell in page.text
    assert json.loads((tmp_path / "facts.json").read_text()) == json.loads(json.dumps(explanation_facts(folder)))
    assert json.loads((tmp_path / "facts.json").read_text())["decisions"][1]["cost"]["tokens"] == 600


def test_the_page_marks_the_triggers_the_choice_and_the_guard(tmp_path: Path) -> None:
    code, output = invoke("explain", auto_run(tmp_path / "run"), "--output", tmp_path / "page.html")
    assert code == 0, output
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert [load for load in page.loads if not load.startswith("#")] == []
    assert asks_nobody(text) and len(page.ids) == len(set(page.ids))
    shown = [label for label in page.labels if label.startswith(("Q:", "V:", "S ="))]
    assert len(shown) == 3 and all("Chosen: 4. Guard: too_few_prompts." in label for label in shown)
    assert "2 steps: 0.5, 4 steps: 0.32, 8 steps: 0.15" in shown[2]
    drawn = "around step 10 (abandoned tail to step 10, guided branch to step 14). abandoned tail ends at 0.500, guided"
    assert any(label.startswith(f"eval/pass_rate {drawn}") for label in page.labels)
    assert "trigger 10" in page.text and "back to 6" in page.text
    assert "Hollow points rest on fewer than 8 probed prompts" in page.text


# --- every kind of run


def undecided(folder: Path) -> Path:
    """A run that stopped while it was probing."""
    change_events(auto_run(folder, mode="advise"), lambda events: [e for e in events if e["event"] != "advised"])
    return change_lineage(folder, lambda lineage: lineage["segments"][0].update(end_step=10, reason="trigger"))


def in_the_replay(folder: Path) -> Path:
    """A run whose replay has made two of its four steps."""
    change_rows(auto_run(folder), lambda row: None if row["segment"] == 1 and row["step"] > 8 else row)
    change_lineage(folder, lambda lineage: lineage["segments"][1].update(end_step=None, reason=None))
    return change_events(folder, lambda events: [e for e in events if e["event"] != "finished"])


def just_branched(folder: Path) -> Path:
    """A run that has gone back and not trained since."""
    return change_rows(in_the_replay(folder), lambda row: None if row["segment"] == 1 else row)


def one_step(folder: Path) -> Path:
    """A run of one step that wrote hardly anything."""
    return write_run(folder, [segment(0, 0, None)], [{"segment": 0, "step": 1, "total_steps": 1, "loss": 0.0}])


KINDS = [auto_run, npo_run, grpo_run, resumed_run, undecided, in_the_replay, just_branched, one_step, guides_itself]


@pytest.mark.parametrize("build", KINDS)
def test_every_kind_of_run_is_explained(build: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = build(tmp_path / "this")
    said = told(folder)
    page = Page(write_explanation(folder).read_text())
    assert "this" in page.text
    for text in (said, page.text, json.dumps(explanation_facts(folder), allow_nan=False).replace("null", "")):
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b", text)


def test_a_run_that_is_at_it_says_how_far_it_is(tmp_path: Path) -> None:
    assert "no decision written yet" in told(undecided(tmp_path / "undecided"))
    back = decisions_of(RunRecords.load(in_the_replay(tmp_path / "replay")))[1]
    assert (back.cost.steps_twice, back.cost.rollout_tokens) == (2, 200)
    assert "At step 8, where the replay stands, the entropy is 0.800" in told(tmp_path / "replay")
    begun = decisions_of(RunRecords.load(just_branched(tmp_path / "begun")))[1]
    assert (begun.cost.steps_twice, begun.cost.tokens) == (0, 200)
