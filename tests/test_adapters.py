"""LoRA from end to end: a run with an adapter, its checkpoint as a guide, its size on disk, and no dropout unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import CONFIGS, invoke, run

from nearfuture.run import build
from nearfuture.run.disk import disk_plan
from nearfuture.run.settings.load import load_configuration

TINY = CONFIGS / "tiny.yaml"
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


def test_a_run_does_not_begin_with_an_adapter(trained: Path) -> None:
    code, output = invoke("train", TINY, f"model={trained / 'final'}", "--dry-run")
    assert code == 2 and "holds a LoRA adapter" in output
    assert "An adapter can be used as a guide" in " ".join(output.split())


def test_dropout_is_off_unless_it_is_asked_for() -> None:
    keys = ["task=apprentice", "run_dir=runs/x", "max_steps=1", "lora_target_modules=all-linear"]
    assert load_configuration(None, [*keys, "use_peft=true"]).model.lora_dropout == 0.0
    assert load_configuration(None, [*keys, "use_peft=true", "lora_dropout=0.1"]).model.lora_dropout == 0.1
    assert "lora_dropout" not in load_configuration(None, keys).as_dict()
