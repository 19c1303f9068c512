"""AutoNPO in real runs: it acts, it advises without acting, it explains, and a kill changes no bit of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from auto_runs import SETTINGS, events, same
from commands import FINAL, train, train_and_kill

from nearfuture.method.lineage import Lineage


def trained(folder: Path, mode: str) -> Path:
    """A run of 11 steps in which an eager trigger fires: these tests are about what follows, not about when."""
    code, output = train(folder, *SETTINGS, f"autonpo.mode={mode}")
    assert code == 0, output
    return folder


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("auto") / "run", "act")


def test_it_goes_back_to_the_best_candidate_and_says_why(acted: Path) -> None:
    (rollback,) = events(acted, "rollback")
    assert rollback["kind"] == "auto"
    assert rollback["rollback_distance"] == rollback["from_step"] - rollback["to_step"]
    for row in rollback["candidates"]:
        expected = row["quality"] / row["variance_cost"]
        assert row["effective_signal"] == pytest.approx(expected)
        assert row["step"] + row["rollback_distance"] == rollback["from_step"]
    chosen = [row for row in rollback["candidates"] if row["rollback_distance"] == rollback["rollback_distance"]]
    best = max(rollback["candidates"], key=lambda row: row["effective_signal"])
    assert rollback["guard"] is not None or chosen == [best]
    lineage = json.loads((acted / "lineage.json").read_text())
    assert lineage["segments"][1]["start_step"] == rollback["to_step"]
    assert lineage["segments"][0]["abandoned_from"] == rollback["to_step"]


def test_the_probe_is_reused_and_only_the_slice_is_asked(acted: Path) -> None:
    (probe,), (collected,) = events(acted, "probe"), events(acted, "collected")
    assert collected["num_samples"] >= probe["num_samples"] or collected["num_prompts"] < probe["num_prompts"]
    # The probe's samples are in the collection's count and their tokens are not: fewer than a token a sample were paid.
    assert collected["guide_tokens"] < collected["num_samples"] * 8
    ledger = json.loads((acted / "ledger.json").read_text())
    assert ledger["totals"]["guide_tokens"] == probe["guide_tokens"] + collected["guide_tokens"]


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("off") / "run", "off")


def test_advice_changes_no_bit(acted: Path, off: Path, tmp_path: Path) -> None:
    trained(tmp_path / "advise", "advise")
    assert same(off, tmp_path / "advise")
    assert not same(off, acted)
    advised = events(tmp_path / "advise", "advised")
    assert advised and advised[0]["candidates"] == events(acted, "rollback")[0]["candidates"]


@pytest.mark.parametrize(
    "moment",
    [
        "while it collects",
        pytest.param("in the replay", marks=pytest.mark.long),  # `test_autonpo_errors`: put back
        pytest.param("after the trigger's checkpoint", marks=pytest.mark.long),
        pytest.param("just before the branch", marks=pytest.mark.long),
    ],
)
def test_killed_and_resumed_equals_never_killed(moment: str, acted: Path, tmp_path: Path) -> None:
    fired = events(acted, "rollback")[0]["from_step"]
    files = {
        "after the trigger's checkpoint": f"segments/000/checkpoint-{fired}/nearfuture_state.json",
        "while it collects": "segments/001/guidance.partial/journal.jsonl",
        "just before the branch": "segments/001/guidance/header.json",
        "in the replay": f"segments/001/checkpoint-{fired}/nearfuture_state.json",
    }
    folder = tmp_path / "run"
    assert train_and_kill(folder, folder / files[moment], *SETTINGS, "autonpo.mode=act")
    code, output = train(folder, *SETTINGS, "autonpo.mode=act", "--resume")
    assert code == 0, output
    assert same(folder, acted)
    assert json.loads((folder / "lineage.json").read_text()) == json.loads((acted / "lineage.json").read_text())


def test_a_probe_that_solves_nothing_lets_the_run_go_on(tmp_path: Path) -> None:
    hopeless = [*SETTINGS, "autonpo.mode=act", "autonpo.probe_min_solved=1000"]
    code, output = train(tmp_path / "run", *hopeless)
    assert code == 0, output
    declined = events(tmp_path / "run", "declined")
    assert declined and "are needed" in declined[0]["reason"]
    assert not events(tmp_path / "run", "rollback")
    assert {path.name for path in (tmp_path / "run" / "final").iterdir()} == FINAL


COMPARES = [*SETTINGS, "autonpo.mode=act", "autonpo.accept=if_better", "eval_every=11"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared") / "run"
    code, output = train(folder, *COMPARES)
    assert code == 0, output
    return folder


def test_both_branches_are_compared_and_the_better_one_goes_on(compared: Path) -> None:
    (accepted,), (rollback,) = events(compared, "accepted"), events(compared, "rollback")
    difference = accepted["guided_pass_rate"] - accepted["abandoned_pass_rate"]
    assert accepted["step"] == rollback["from_step"]
    assert accepted["difference"] == pytest.approx(difference)
    assert accepted["ci_low"] < accepted["difference"] < accepted["ci_high"]
    assert accepted["kept"] == ("guided" if difference >= 0 else "abandoned")
    segments = json.loads((compared / "lineage.json").read_text())["segments"]
    if accepted["kept"] == "guided":
        assert len(segments) == 2 and segments[1]["passed_triggers"][0] == accepted["step"]
    else:
        assert segments[2]["parent"] == 0 and segments[1]["abandoned_from"] == rollback["to_step"]
    ledger = json.loads((compared / "ledger.json").read_text())
    spent = [event["guide_tokens"] for name in ("probe", "collected", "accepted") for event in events(compared, name)]
    assert ledger["totals"]["guide_tokens"] == sum(spent)


def test_the_abandoned_tail_comes_back_bit_for_bit(compared: Path, off: Path, tmp_path: Path) -> None:
    """A run that is made to return to its tail ends as the run that never left it (and was never evaluated)."""
    fired = events(compared, "rollback")[0]["from_step"]
    folder = tmp_path / "back"
    assert train_and_kill(folder, folder / f"segments/001/checkpoint-{fired}/nearfuture_state.json", *COMPARES)
    lineage = Lineage.read(folder / "lineage.json")
    guide = lineage.head.intervention.guide
    lineage.end_head(fired, "replayed").return_to(guide).write(folder / "lineage.json")
    code, output = train(folder, *COMPARES, "--resume")
    assert code == 0, output
    assert Lineage.read(folder / "lineage.json").head.parent == 0
    assert same(off, folder)


@pytest.mark.long
def test_a_comparison_that_was_killed_is_made_again(compared: Path, tmp_path: Path) -> None:
    fired = events(compared, "rollback")[0]["from_step"]
    folder = tmp_path / "run"
    assert train_and_kill(folder, folder / f"segments/001/checkpoint-{fired}/nearfuture_state.json", *COMPARES)
    code, output = train(folder, *COMPARES, "--resume")
    assert code == 0, output
    assert same(folder, compared)
    assert json.loads((folder / "lineage.json").read_text()) == json.loads((compared / "lineage.json").read_text())


def test_without_held_out_prompts_there_is_nothing_to_compare_on(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(
        "from dataclasses import replace\nfrom nearfuture.tasks import load_task\n"
        "def bare():\n    return replace(load_task('apprentice'), evaluation=[])\n"
    )
    code, output = train(tmp_path / "run", *COMPARES, f"task={tmp_path}/task.py:bare", "--dry-run")
    assert code == 2
    assert "autonpo.accept=if_better" in output and "always" in output
