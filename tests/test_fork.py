"""A run that is extended, watched otherwise, or forked: to the same bits wherever nothing that trains is changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import CONFIGS, invoke, run

from nearfuture.method.lineage import Lineage
from nearfuture.record.lock import writing
from nearfuture.record.reading import read_rows
from nearfuture.record.records import RunRecords
from nearfuture.run.changes import changed, refuse_changes
from nearfuture.run.fork import Fork
from nearfuture.run.settings.load import load_configuration
from nearfuture.train.checkpoint import digest
from nearfuture.types import Intervention, PolicyRef, UserError

TINY = CONFIGS / "tiny.yaml"
SMALL = ["scout_steps=2", "guide_step=null", "rollback_to=null", "per_device_train_batch_size=32", "save_steps=1"]
SMALL += ["steps_per_generation=2", "eval_every=0", "eval_num_samples=1", "learning_rate=1e-3"]


def train(folder: Path, *arguments: object) -> str:
    code, output = run("train", TINY, f"run_dir={folder}", *SMALL, *arguments)
    assert code == 0, output
    return output


def weights(run_dir: Path) -> str:
    return digest(run_dir / "final" / "model.safetensors")


def rows(run_dir: Path) -> list[dict[str, Any]]:
    """What was trained, the clocks aside."""
    found = [row for row in read_rows(run_dir / "metrics.jsonl", "step").rows if "loss" in row]
    return [{key: value for key, value in row.items() if "time" not in key and key != "seconds"} for row in found]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps, the last inside a generation cycle; resumed as one of five that is looked at otherwise."""
    folder = tmp_path_factory.mktemp("runs") / "grown"
    train(folder, "max_steps=3")
    output = train(folder, "max_steps=5", "eval_every=2", "save_steps=5", "no_signal_patience=9", "--resume")
    assert "max_steps is 5 from step 3 on (it was 3)" in output
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same from the start."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(folder, "max_steps=5")
    return folder


def test_an_extended_run_is_the_run_of_that_length(grown: Path, whole: Path) -> None:
    assert weights(grown) == weights(whole) and rows(grown) == rows(whole)
    assert "5 in this policy, 7 paid for" in (grown / "final" / "README.md").read_text()
    records = RunRecords.load(grown)
    assert records.is_finished and records.config["max_steps"] == 5 and records.has("eval/pass_rate")
    change = next(event for event in records.events if event["event"] == "configuration_changed")
    assert change["changes"]["max_steps"] == [3, 5] and change["changes"]["eval_every"] == [0, 2]
    assert (whole / "segments/001/checkpoint-4").is_dir() and not (grown / "segments/001/checkpoint-4").exists()
    assert invoke("verify", grown)[0] == 0


def test_a_fork_with_the_same_settings_is_the_continuation(whole: Path, tmp_path: Path) -> None:
    """From inside a generation cycle, and from a step whose past has a guide and its guidance."""
    folder = tmp_path / "fork"
    train(folder, "max_steps=5", "--from", f"{whole}@3")
    assert weights(folder) == weights(whole) and rows(folder) == rows(whole)
    lineage = Lineage.read(folder / "lineage.json")
    assert lineage.origin is not None and lineage.origin["forked_from"]["step"] == 3
    assert os.stat(folder / "segments/001/checkpoint-3/model.safetensors").st_nlink == 2
    said, before = ((run / "final" / "README.md").read_text() for run in (folder, whole))
    assert "| forked from | whole, step 3 |" in said and "forked" not in before
    (folder / "final" / "README.md").write_text(said + "Mine.\n")  # its owner may
    assert invoke("verify", folder)[0] == 0 and invoke("verify", whole)[0] == 0


def test_a_fork_with_other_settings_has_them(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fork"
    train(folder, "max_steps=6", "learning_rate=5e-4", "adam_beta2=0.9", "seed=7", "--from", f"{whole}@4")
    logged = {row["step"]: row["learning_rate"] for row in rows(folder) if row["segment"] == 1}
    assert logged == {1: 1e-3, 2: 1e-3, 3: 1e-3, 4: 1e-3, 5: 5e-4, 6: 5e-4}
    event = next(row for row in RunRecords.load(folder).events if row["event"] == "forked")
    assert event["changes"]["learning_rate"] == [0.001, 0.0005] and event["from"]["run"] == str(whole)
    then, now = (next(row for row in rows(run) if row["step"] == 5 and row["segment"] == 1) for run in (whole, folder))
    assert then["npo/entropy"] != now["npo/entropy"]  # other prompts, other draws
    assert (whole / "segments/001/checkpoint-4/rng_state.pth").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "{whole}"], "is not RUN@STEP"),
        (["--from", "{whole}@9"], "There are: 1, 2, 3, 4, 5."),
        (["--from", "{whole}@3", "seed=7"], "lies inside a generation cycle"),
        (["--from", "{whole}@4", "use_peft=true"], "do not fit (lora_dropout"),
        (["--from", "{whole}@4", "max_steps=4"], "begins at step 4 already"),
        (["--from", "{whole}@4", "guide_step=3", "rollback_to=1", "max_steps=9"], "before the fork"),
        (["--from", "{whole}@4", "--resume"], "Resume a fork without --from"),
        (["--from", "none@4"], "is not a run folder"),
        (["--from", "{whole}@4", "run_dir={whole}", "--clean"], "a fork needs a run_dir of its own"),
    ],
)
def test_what_cannot_be_forked_is_said_at_once(arguments: list[str], message: str, whole: Path, tmp_path: Path) -> None:
    told = [argument.format(whole=whole) for argument in arguments]
    code, output = invoke("train", TINY, f"run_dir={tmp_path / 'new'}", *SMALL, "max_steps=5", *told)
    assert code == 2 and message in output, output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["max_steps=4"], "can become longer, not shorter"),
        (["max_steps=9", "learning_rate=1e-4"], "learning_rate: 0.001 -> 0.0001"),
    ],
)
def test_what_a_resumed_run_cannot_change_is_said_at_once(arguments: list[str], message: str, whole: Path) -> None:
    code, output = invoke("train", TINY, f"run_dir={whole}", *SMALL, "max_steps=5", *arguments, "--resume")
    assert code == 2 and message in output and f"--from {whole}@STEP" in output, output


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["lr_scheduler_type=cosine"], "depends on max_steps"),
        (["lr_scheduler_type=linear"], "depends on max_steps"),
        (["lr_scheduler_type=constant_with_warmup", "warmup_steps=0.1"], "is a share of max_steps"),
        (["lr_scheduler_type=constant_with_warmup", "warmup_steps=3"], ""),
        (["autonpo.mode=act", "save_steps=0.1"], "is a share of max_steps"),
    ],
)
def test_a_longer_run_needs_a_schedule_without_a_horizon(settings: list[str], said: str) -> None:
    config = load_configuration(TINY, [*SMALL, *settings, "max_steps=9"])
    if not said:
        refuse_changes({"max_steps": (4, 9)}, config)
        return
    with pytest.raises(UserError, match=said):
        refuse_changes({"max_steps": (4, 9)}, config)


def test_autonpo_keeps_what_it_may_go_back_to() -> None:
    changes = changed({"save_steps": 2, "eval_every": 1}, {"save_steps": 3, "eval_every": 2}, ())
    refuse_changes(changes, load_configuration(TINY, SMALL))
    with pytest.raises(UserError, match=r"configuration \(save_steps: 2 -> 3\)"):
        refuse_changes(changes, load_configuration(TINY, [*SMALL, "autonpo.mode=act"]))


def test_the_lineage_is_cut_where_the_fork_begins(tmp_path: Path) -> None:
    scout = Lineage.begin().end_head(10, "scout")
    replay = scout.branch(Intervention("early", PolicyRef(0, 10, "x"), 0, 10)).end_head(40, "horizon")
    cut = replay.cut(1, 20)
    assert (cut.head.id, cut.head.start_step, cut.head.end_step) == (1, 0, None)
    assert cut.segments[0] == replay.segments[0] and cut.total_steps(20) == replay.segments[1].total_steps(20) == 30
    back = replay.cut(0, 5)
    assert len(back.segments) == 1 and back.head.abandoned_from is None and back.head.intervention is None
    (tmp_path / "lineage.json").write_text(json.dumps({}))
    with pytest.raises(UserError):
        Fork.named(f"{tmp_path}@5")


def test_runs_are_listed_and_cleaned_of_what_their_lineage_does_not_need(whole: Path, tmp_path: Path) -> None:
    """What is left is resumed, forked, extended and verified as before."""
    folder = tmp_path / "runs" / "copy"
    shutil.copytree(whole, folder)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "lineage.json").write_text("{")
    listed = json.loads(invoke("runs", folder.parent, "--json")[1])
    assert [(run["state"], run["step"], run["max_steps"], run["method"]) for run in listed] == [
        ("damaged", None, None, ""),
        ("finished", 5, 5, "npo early"),
    ]
    assert listed[1]["total_steps"] == 7 and listed[1]["num_bytes"] > 1e6 and listed[1]["tokens"] > 0
    code, output = invoke("runs", folder.parent)
    assert code == 0 and "5/5" in output and "is damaged" in output
    before = sorted(path.parent.name for path in folder.rglob("nearfuture_state.json"))
    code, output = invoke("clean", folder)
    assert code == 0 and "--yes does it" in output
    assert sorted(path.parent.name for path in folder.rglob("nearfuture_state.json")) == before
    code, output = invoke("clean", folder, "--yes", "--keep", "3")
    left = {str(path.parent.relative_to(folder)) for path in folder.rglob("nearfuture_state.json")}
    kept = {f"segments/{place}" for place in ("000/checkpoint-2", "001/checkpoint-3", "001/checkpoint-5")}
    assert code == 0 and left == {"final", *kept}, output
    assert [event["event"] for event in RunRecords.load(folder).events][-1] == "cleaned"
    assert invoke("verify", folder)[0] == 0 and invoke("report", folder)[0] == 0
    assert Fork.named(f"{folder}@3").policy.segment == 1
    with writing(folder, "run"):
        code, output = invoke("clean", folder, "--yes")
        assert code == 2 and "is being written by" in output
        assert json.loads(invoke("runs", folder.parent, "--json")[1])[1]["state"] == "running"
    assert invoke("runs", tmp_path / "none")[0] == 2 and invoke("clean", folder, "--keep", "x")[0] == 2
