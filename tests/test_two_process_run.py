"""A whole run on two real processes: both interventions, evaluation, collection, the final policy; and under FSDP2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import FullyShardedDataParallelPlugin
from commands import CONFIGS, SMALL, environment
from safetensors.torch import load_file
from torchrun import run_two
from warm import HANGS_AFTER

from nearfuture.run.build import load_run_task
from nearfuture.run.disk import CHECKPOINT_OVERHEAD, disk_plan
from nearfuture.run.settings.load import load_configuration
from nearfuture.train import sharding
from nearfuture.types import UserError

# 60 rollouts a process are seven and a half groups of 8.
SETTINGS = [*SMALL, "per_device_train_batch_size=60", "guide_num_samples=32"]
# What accelerate's launcher makes of recipes/accelerate_4x8.yaml.
FSDP2 = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}


def launch(run_dir: Path, *program: str, **variables: str) -> str:
    """Train in two processes that the launcher starts; what was printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-endpoint", "localhost:0"]
    command += ["--rdzv-backend", "c10d", *program, "train", str(CONFIGS / "tiny.yaml"), *SETTINGS]
    env = {**environment(), "ACCELERATE_USE_CPU": "true", **variables}
    command += [f"run_dir={run_dir}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANGS_AFTER, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run under DDP."""
    folder = tmp_path_factory.mktemp("runs")
    arguments = ["train", str(CONFIGS / "tiny.yaml"), *SETTINGS, f"run_dir={folder / 'ddp'}"]
    assert "".join(run_two(("-m", "nearfuture"), arguments, folder)).count("final policy:") == 1
    return folder / "ddp"


def test_a_run_with_groups_split_over_two_processes(whole: Path) -> None:
    assert (whole / "final" / "model.safetensors").exists()
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert {row["mix_policy/online_groups_evaluated"] for row in rows if "loss" in row} == {15.0}
    assert max(row.get("npo/guided_frac", 0) for row in rows) > 0
    state = whole / "segments" / "001" / "checkpoint-8" / "nearfuture_state.json"
    assert json.loads(state.read_text())["num_processes"] == 2
    assert os.path.exists(state.with_name("rng_state_1.pth"))


@pytest.mark.long
def test_a_fork_with_the_same_settings_is_the_continuation(whole: Path, tmp_path: Path) -> None:
    """From inside the guided stretch of the head, with its guidance and the random states of both processes."""
    fork = tmp_path / "fork"
    arguments = ["train", str(CONFIGS / "tiny.yaml"), *SETTINGS, f"run_dir={fork}", "--from", f"{whole}@6"]
    assert "".join(run_two(("-m", "nearfuture"), arguments, tmp_path)).count("final policy:") == 1
    found, expected = (load_file(folder / "final" / "model.safetensors") for folder in (fork, whole))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    rows = [json.loads(line) for line in (fork / "metrics.jsonl").read_text().splitlines()]
    assert max(row.get("npo/guided_frac", 0) for row in rows if row["segment"] == 2 and row["step"] > 6) > 0


@pytest.mark.long
def test_under_fsdp2_the_same_run(whole: Path, tmp_path: Path) -> None:
    # Three trainers in one process, two rollbacks: the scout, the guide, the path to the horizon.
    launch(tmp_path / "run", str(Path(__file__).with_name("fsdp2_script.py")), **FSDP2)
    for folder in ("final", "segments/000/checkpoint-2", "segments/001/checkpoint-8", "segments/002/checkpoint-10"):
        expected = load_file(whole / folder / "model.safetensors")
        found = load_file(tmp_path / "run" / folder / "model.safetensors")
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=0, msg=f"{folder}: {name}")
    checkpoint = tmp_path / "run" / "segments" / "002" / "checkpoint-10"
    assert (checkpoint / "pytorch_model_fsdp.bin").exists()  # it was FSDP
    num_bytes = sum(path.stat().st_size for path in checkpoint.iterdir())
    assert num_bytes == pytest.approx(planned_bytes(is_sharded=True), rel=0.1)
    assert not list((tmp_path / "run" / "final").glob("pytorch_model_fsdp*"))


def planned_bytes(*, is_sharded: bool) -> int:
    """Bytes of a checkpoint, but for what does not grow with the model."""
    config = load_configuration(CONFIGS / "tiny.yaml")
    model = load_run_task(config).model
    assert model is not None
    return disk_plan(config, model, 1, is_sharded=is_sharded).checkpoint_bytes - CHECKPOINT_OVERHEAD


def test_what_a_run_cannot_go_back_with_is_refused() -> None:
    sharding.check(FullyShardedDataParallelPlugin(fsdp_version=2, state_dict_type="FULL_STATE_DICT"))
    with pytest.raises(UserError, match="fsdp_state_dict_type=SHARDED_STATE_DICT"):
        sharding.check(FullyShardedDataParallelPlugin(fsdp_version=2, state_dict_type="SHARDED_STATE_DICT"))
    with pytest.raises(UserError, match="fsdp_version=1 is not supported"):
        sharding.check(FullyShardedDataParallelPlugin(fsdp_version=1, state_dict_type="FULL_STATE_DICT"))
