"""AutoNPO in real runs: it acts, it advises without acting, it explains, and a kill changes no bit of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from commands import train, train_and_kill
from safetensors.torch import load_file

# A trigger so eager that it fires in a run of 24 steps: these tests are about what follows, not about when.
EAGER = [
    "max_steps=24",
    "scout_steps=0",
    "guide_step=null",
    "rollback_to=null",
    "save_steps=4",
    "per_device_train_batch_size=128",
    "autonpo.window=8",
    "autonpo.max_reward_t=100",
    "autonpo.max_entropy_t=0",
    "autonpo.min_entropy_drop=0",
    "autonpo.patience=1",
    "autonpo.warmup=8",
    "autonpo.cooldown=8",
    "autonpo.max_interventions=1",
    "autonpo.probe_min_pass_rate=0.001",
    "autonpo.probe_min_solved=1",
    "autonpo.min_prompts=2",
    "autonpo.max_rollback_distance=12",
]


def events(folder: Path, name: str) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] == name]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "final" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("auto") / "run"
    code, output = train(folder, *EAGER, "autonpo.mode=act")
    assert code == 0, output
    return folder


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


def test_advice_changes_no_bit(acted: Path, tmp_path: Path) -> None:
    for mode in ("off", "advise"):
        code, output = train(tmp_path / mode, *EAGER, f"autonpo.mode={mode}")
        assert code == 0, output
    assert same(tmp_path / "off", tmp_path / "advise")
    assert not same(tmp_path / "off", acted)
    advised = events(tmp_path / "advise", "advised")
    assert advised and advised[0]["candidates"] == events(acted, "rollback")[0]["candidates"]


@pytest.mark.parametrize(
    "moment", ["after the trigger's checkpoint", "while it collects", "in the replay", "just before the branch"]
)
def test_killed_and_resumed_equals_never_killed(moment: str, acted: Path, tmp_path: Path) -> None:
    fired = events(acted, "rollback")[0]["from_step"]
    files = {
        "after the trigger's checkpoint": f"segments/000/checkpoint-{fired}/nearfuture_state.json",
        "while it collects": "segments/001/guidance.partial/journal.jsonl",
        "just before the branch": "segments/001/guidance/header.json",
        "in the replay": f"segments/001/checkpoint-{fired // 4 * 4 + 4}/nearfuture_state.json",
    }
    folder = tmp_path / "run"
    assert train_and_kill(folder, folder / files[moment], *EAGER, "autonpo.mode=act")
    code, output = train(folder, *EAGER, "autonpo.mode=act", "--resume")
    assert code == 0, output
    assert same(folder, acted)
    assert json.loads((folder / "lineage.json").read_text()) == json.loads((acted / "lineage.json").read_text())


def test_a_probe_that_solves_nothing_lets_the_run_go_on(tmp_path: Path) -> None:
    hopeless = [*EAGER, "autonpo.mode=act", "autonpo.probe_min_solved=1000"]
    code, output = train(tmp_path / "run", *hopeless)
    assert code == 0, output
    declined = events(tmp_path / "run", "declined")
    assert declined and "are needed" in declined[0]["reason"]
    assert not events(tmp_path / "run", "rollback")
    assert (tmp_path / "run" / "final").exists()
