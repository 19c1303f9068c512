"""LoRA from end to end: a run with an adapter, its checkpoint as a guide, its size on disk, and no dropout unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import CONFIGS, invoke, run
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from test_card import load

from nearfuture.record.reading import read_rows
from nearfuture.run import build
from nearfuture.run.disk import disk_plan
from nearfuture.run.settings.load import load_configuration

TINY = CONFIGS / "tiny.yaml"
ADAPTER = "adapter_model.safetensors"
LORA = [
    "use_peft=true",
    "lora_r=4",
    "lora_target_modules=all-linear",
    "max_steps=3",
    "scout_steps=2",
    "guide_step=null",
    "rollback_to=null",
    "eval_every=0",
    "save_steps=1",
    "per_device_train_batch_size=64",
    "learning_rate=1e-3",
]

ASKED = ["guide_num_samples=1", "guide_batch_size=1024"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora") / "run"
    code, output = run("train", TINY, f"run_dir={folder}", *LORA)
    assert code == 0, output
    return folder


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_an_adapters_checkpoint_is_a_guide(trained: Path, tmp_path: Path) -> None:
    guide = trained / "segments" / "001" / "checkpoint-3"
    code, output = run("guide", "collect", TINY, "--guide", guide, "--output", tmp_path / "cache", *ASKED)
    assert code == 0, output
    code, output = invoke("guide", "show", tmp_path / "cache", "--num", "2")
    assert code == 0 and output.count("samples correct") == 2, output


def test_an_adapters_final_policy_and_checkpoints_weigh_what_was_planned(trained: Path) -> None:
    config = load_configuration(TINY, [f"run_dir={trained}", *LORA])
    plan = disk_plan(config, build.base_model(config, build.load_run_task(config)), 64)
    checkpoint = trained / "segments" / "001" / "checkpoint-3"
    assert not (trained / "final" / "model.safetensors").exists()
    weights = sum((checkpoint / name).stat().st_size for name in ("adapter_model.safetensors", "optimizer.pt"))
    assert plan.checkpoint_bytes >= weights, "the plan is no underestimate"
    assert size(checkpoint) <= plan.checkpoint_bytes and size(trained / "final") <= plan.final_bytes


def test_a_fork_of_an_adapter_with_the_same_settings_is_the_continuation(trained: Path, tmp_path: Path) -> None:
    code, output = run("train", TINY, f"run_dir={tmp_path / 'fork'}", *LORA, "--from", f"{trained}@2")
    assert code == 0, output
    found, expected = (load_file(folder / "final" / ADAPTER) for folder in (tmp_path / "fork", trained))
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    before = load_file(trained / "segments" / "001" / "checkpoint-2" / ADAPTER)
    assert any(not torch.equal(found[name], before[name]) for name in before), "the last step has trained"
    code, output = invoke("verify", tmp_path / "fork")
    assert code == 0, output


@pytest.mark.long
def test_a_fork_of_an_adapter_with_other_settings_has_them(trained: Path, tmp_path: Path) -> None:
    changed = ["learning_rate=1e-4", "max_steps=4"]
    code, output = run("train", TINY, f"run_dir={tmp_path / 'fork'}", *LORA, *changed, "--from", f"{trained}@2")
    assert code == 0, output
    rows = read_rows(tmp_path / "fork" / "metrics.jsonl", "step").rows
    assert {row["step"]: row["learning_rate"] for row in rows if row["segment"] == 1 and "loss" in row} == {
        1: 1e-3,
        2: 1e-3,
        3: 1e-4,
        4: 1e-4,
    }
    code, output = invoke("train", TINY, f"run_dir={tmp_path / 'more'}", *LORA, "lora_r=8", "--from", f"{trained}@2")
    assert code == 2 and "lora_r" in output, output


def test_an_adapters_card_is_loaded_with_its_base(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = ModelCard.load(trained / "final" / "README.md")
    assert card.data.library_name == "peft" and "lora" in card.data.tags
    assert "`0>2, 0>3 by 0@2`" in card.text
    assert (
        sum(
            parameter.numel()
            for name, parameter in load(card, trained / "final", monkeypatch).named_parameters()
            if "lora_" in name
        )
        > 0
    )


def test_a_run_does_not_begin_with_an_adapter(trained: Path) -> None:
    code, output = invoke("train", TINY, f"model={trained / 'final'}", "--dry-run")
    assert code == 2 and "holds a LoRA adapter" in output
    assert "An adapter can be used as a guide" in " ".join(output.split())


def test_dropout_is_off_unless_it_is_asked_for() -> None:
    keys = ["task=apprentice", "run_dir=runs/x", "max_steps=1", "lora_target_modules=all-linear"]
    assert load_configuration(None, [*keys, "use_peft=true"]).model.lora_dropout == 0.0
    assert load_configuration(None, [*keys, "use_peft=true", "lora_dropout=0.1"]).model.lora_dropout == 0.1
    assert "lora_dropout" not in load_configuration(None, [*keys, "use_peft=false"]).as_dict()
