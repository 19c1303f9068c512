"""A whole run on two real processes: both interventions, evaluation, collection, the final policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from commands import CONFIGS, SMALL, environment


def test_a_run_with_groups_split_over_two_processes(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-endpoint", "localhost:0"]
    launch += ["--rdzv-backend", "c10d", "-m", "nearfuture", "train", str(CONFIGS / "tiny.yaml")]
    # 60 rollouts a process are seven and a half groups of 8.
    settings = [*SMALL, "per_device_train_batch_size=60", "guide_num_samples=32", f"run_dir={tmp_path / 'run'}"]
    env = {**environment(), "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([*launch, *settings], env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("final policy:") == 1
    assert (tmp_path / "run" / "final" / "model.safetensors").exists()
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {row["mix_policy/online_groups_evaluated"] for row in rows if "loss" in row} == {15.0}
    assert max(row.get("npo/guided_frac", 0) for row in rows) > 0
    state = tmp_path / "run" / "segments" / "001" / "checkpoint-8" / "nearfuture_state.json"
    assert json.loads(state.read_text())["num_processes"] == 2
    assert os.path.exists(state.with_name("rng_state_1.pth"))
