"""Killed at any moment (SIGKILL), a run resumes with the same command and ends with the same bits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from commands import CONFIGS, MODEL, SMALL, invoke, run, train, train_and_kill, warm
from safetensors.torch import load_file
from slices import keep

from nearfuture.train import checkpoint

# A file whose appearance is the moment of the kill.
MOMENTS = {
    "before the first checkpoint": "metrics.jsonl",
    "while a checkpoint is written": "segments/000/checkpoint-2/model.safetensors",
    "after a checkpoint": "segments/000/checkpoint-2/nearfuture_state.json",
    "while guidance is collected": "segments/001/guidance.partial/journal.jsonl",
    "between collection and branch": "segments/001/guidance/header.json",
    "inside the early replay": "segments/001/checkpoint-4/nearfuture_state.json",
    "while the late guide's checkpoint is written": "segments/001/checkpoint-8/config.json",
    "after the late rollback": "segments/002",
    "before the end": "segments/002/checkpoint-10/model.safetensors",
    "while the final policy is copied": "final.tmp",
}
ALWAYS = ("before the first checkpoint", "while guidance is collected", "before the end")
"""The moments that are not left to `make test-long`: nothing to go back to, a collection that is half done, the last
segment of three with a checkpoint half written."""
COSTS = ("seconds", "time", "runtime", "per_second", "crc")


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unkilled") / "run"
    code, output = train(folder)
    assert code == 0, output
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "final" / "model.safetensors")


def metrics(folder: Path) -> dict[tuple[int, int], dict]:
    """Merged rows without times, by segment and step; a torn line is skipped."""
    merged: dict[tuple[int, int], dict] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        values = {key: value for key, value in row.items() if not any(cost in key for cost in COSTS)}
        merged.setdefault((row["segment"], row["step"]), {}).update(values)
    return merged


@pytest.mark.parametrize("moment", keep(ALWAYS, MOMENTS))
def test_killed_and_resumed_equals_never_killed(moment: str, unkilled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train_and_kill(folder, folder / MOMENTS[moment])
    code, output = train(folder, "--resume")
    assert code == 0, output
    expected, found = weights(unkilled), weights(folder)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert metrics(folder) == metrics(unkilled)
    assert json.loads((folder / "lineage.json").read_text()) == json.loads((unkilled / "lineage.json").read_text())


def test_a_half_written_checkpoint_is_not_used_and_deletes_nothing(unkilled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(unkilled, folder)
    segment = folder / "segments" / "002"
    good, half = segment / "checkpoint-8", segment / "checkpoint-10"
    (half / checkpoint.MARKER).unlink()
    (half / "model.safetensors").write_bytes(b"half")
    assert checkpoint.complete_steps(segment) == [6, 8]
    checkpoint.rotate(segment, 5, newest=8)
    assert half.exists() and good.exists()
    (good / "optimizer.pt").write_bytes(b"cut off")  # a whole marker over a damaged file
    assert checkpoint.complete_steps(segment) == [6]


def test_the_abandoned_tail_stays_readable(unkilled: Path) -> None:
    lineage = json.loads((unkilled / "lineage.json").read_text())
    assert [s["abandoned_from"] for s in lineage["segments"]] == [0, 5, None]
    tail = [step for segment, step in metrics(unkilled) if segment == 1 and step > 5]
    assert sorted(tail) == [6, 7, 8]
    assert (unkilled / "segments" / "001" / "checkpoint-8" / "model.safetensors").exists()


def test_interrupt_saves_and_leaves_with_130(unkilled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = warm("train", CONFIGS / "tiny.yaml", f"run_dir={folder}", *SMALL, until=folder / "metrics.jsonl")
    process.wait_until_stopped()
    process.interrupt()
    code, output = process.result()
    assert code == 130, output
    assert "--resume" in output
    saved = list((folder / "segments").rglob(checkpoint.MARKER))
    assert saved, output
    code, output = train(folder, "--resume")
    assert code == 0, output
    assert all(torch.equal(a, b) for a, b in zip(weights(unkilled).values(), weights(folder).values(), strict=True))


def test_a_living_run_is_neither_trained_twice_nor_deleted(tmp_path: Path) -> None:
    folder, config = tmp_path / "run", CONFIGS / "tiny.yaml"
    process = warm("train", config, f"run_dir={folder}", *SMALL, until=folder / "metrics.jsonl")
    process.wait_until_stopped()  # and stays so, for as long as the others try
    rows = (folder / "metrics.jsonl").read_bytes()
    own = ("train", config, f"run_dir={folder}", *SMALL)
    guide = ("guide", "collect", config, "--guide", MODEL, "--output", folder / "guidance", *SMALL[4:5])
    for command in ((*own, "--resume"), (*own, "--clean"), (*own, "--resume", "--one-stage"), guide):
        code, output = invoke(*command)
        assert code == 2 and f"process {process.process.pid} on" in output, output
    assert (folder / "metrics.jsonl").read_bytes() == rows
    code, output = invoke("report", folder)  # who reads needs no lock
    assert code == 0, output
    process.kill()
    code, output = train(folder, "--clean")
    assert code == 0, output


def test_the_final_policy_loads_as_any_model_and_the_report_is_written(unkilled: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(unkilled / "final")
    tokenizer = AutoTokenizer.from_pretrained(unkilled / "final")
    assert model.config.vocab_size >= len(tokenizer)
    code, output = run("report", unkilled)
    assert code == 0, output
    assert (unkilled / "report" / "index.html").stat().st_size > 10_000
    code, output = run("guide", "verify", unkilled / "segments" / "001" / "guidance")
    assert code == 0 and "correct again" in output
    code, output = run("guide", "show", unkilled / "segments" / "001" / "guidance")
    assert code == 0 and "coverage_frac" in output
