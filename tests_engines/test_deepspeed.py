"""Laws of whole runs under a real DeepSpeed, two processes on a CPU (gloo): `make test-deepspeed`.

Not here: GPUs, offloading, ZeRO++.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from nearfuture.train import checkpoint

ROOT = Path(__file__).parent.parent
TINY = ROOT / "configs" / "apprentice" / "tiny.yaml"
SMALL = (
    *("max_steps=8", "scout_steps=2", "guide_step=6", "rollback_to=4", "per_device_train_batch_size=32"),
    *("learning_rate=1e-3", "save_steps=2", "eval_every=4", "eval_num_samples=1"),
)
PLAIN = ("scout_steps=0", "guide_step=null", "rollback_to=null", "max_steps=4")
POLICY = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
FINAL = POLICY | {checkpoint.MARKER}
"""The policy, and the digests of its files."""


def zero(folder: Path, stage: int, **settings: object) -> str:
    """A configuration of DeepSpeed; the argument that names it."""
    path = folder / f"zero{stage}{len(settings)}.json"
    optimization = {"stage": stage, **settings}
    auto = dict.fromkeys(("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"), "auto")
    path.write_text(json.dumps({"zero_optimization": optimization, **auto, "gradient_clipping": "auto"}))
    return f"deepspeed={path}"


def start(run_dir: Path, *arguments: str, script: str | None = None) -> subprocess.Popen[str]:
    named = str(Path(__file__).with_name("deepspeed_script.py"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-endpoint", "localhost:0"]
    command += ["--rdzv-backend", "c10d", named, "train", str(TINY), f"run_dir={run_dir}", *SMALL, *arguments]
    variables = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_TORCH_DEVICE": "cpu", "DS_ACCELERATOR": "cpu"}
    env = {**os.environ, **variables, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=env, text=True, **streams)


def train(run_dir: Path, *arguments: str) -> tuple[int, str]:
    process = start(run_dir, *arguments)
    output = process.communicate()[0]
    return process.returncode, output


@pytest.fixture(scope="module", params=[1, 2])
def stage(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def whole(stage: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zero")
    code, output = train(folder / "run", zero(folder, stage))
    assert code == 0, output[-5000:]
    return folder / "run"


def events(run_dir: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (run_dir / "events.jsonl").read_text().splitlines()]


def same(one: Path, other: Path) -> bool:
    mine, theirs = (load_file(folder / "final" / "model.safetensors") for folder in (one, other))
    return all(torch.equal(weight, theirs[name]) for name, weight in mine.items())


def test_it_goes_back_twice(whole: Path) -> None:
    assert events(whole).count("rollback") == events(whole).count("collected") == 2


def test_the_final_policy_is_a_policy_and_no_optimizer(whole: Path) -> None:
    assert {path.name for path in (whole / "final").iterdir()} == FINAL
    assert list(whole.glob("segments/*/checkpoint-*/global_step*"))  # it was DeepSpeed


def test_killed_and_resumed_it_ends_with_the_same_weights(whole: Path, stage: int, tmp_path: Path) -> None:
    moment = tmp_path / "run" / "segments" / "001" / "checkpoint-4" / "nearfuture_state.json"
    process = start(tmp_path / "run", zero(tmp_path, stage))
    while process.poll() is None and not moment.exists():
        time.sleep(0.05)
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:  # the launcher's are in other groups
        one.kill()
    process.communicate()
    assert not (tmp_path / "run" / "final").exists()
    code, output = train(tmp_path / "run", zero(tmp_path, stage), "--resume")
    assert code == 0, output[-5000:]
    assert "resumed" in events(tmp_path / "run") and same(whole, tmp_path / "run")


def test_zero_3_trains(tmp_path: Path) -> None:
    gathers = zero(tmp_path, 3, stage3_gather_16bit_weights_on_model_save=True)
    code, output = train(tmp_path / "run", gathers, *PLAIN)
    assert code == 0, output[-5000:]
    assert {path.name for path in (tmp_path / "run" / "final").iterdir()} == FINAL


@pytest.mark.parametrize(
    ("settings", "arguments", "said"),
    [
        ({"stage3_gather_16bit_weights_on_model_save": True}, (), "guides, probes and comparisons only sample"),
        ({}, PLAIN, "would hold no weights in one piece"),
    ],
)
def test_what_zero_3_cannot_do_is_refused_before_anything_is_there(
    settings: dict[str, object], arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    code, output = train(tmp_path / "run", zero(tmp_path, 3, **settings), *arguments)
    assert code != 0 and said in " ".join(output.split()), output[-5000:]
    assert "src/nearfuture" not in output  # no line of ours in a traceback
    assert not (tmp_path / "run").exists()
