"""Laws of whole runs on two processes of one CPU (gloo), launched with each file of recipes/: `make test-distributed`.

A run has both interventions, so two rollbacks and three trainers. ZeRO 3 only trains; what it cannot do is refused.

Not here: GPUs, offloading, ZeRO++; two processes against one (`tests/test_two_processes.py`), images
(`tests/test_vision_two_processes.py`).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cluster_script
import pytest
import torch
from accelerate.commands import launch
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from auto_runs import SETTINGS as AUTONPO
from commands import FINAL
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from warm import CONTEXT, HANGS_AFTER

from nearfuture.train import checkpoint

ROOT = Path(__file__).parent.parent
TINY = ROOT / "configs" / "apprentice" / "tiny.yaml"
SMALL = (
    *("max_steps=8", "scout_steps=2", "guide_step=6", "rollback_to=4", "per_device_train_batch_size=32"),
    *("learning_rate=1e-3", "save_steps=2", "eval_every=4", "eval_num_samples=1"),
)
PLAIN = ("scout_steps=0", "guide_step=null", "rollback_to=null", "max_steps=4")
SHARDS = {
    "accelerate_1x8_ddp": "optimizer.pt",
    "accelerate_1x8": "pytorch_model_fsdp.bin",
    "accelerate_1x8_zero1": "global_step*",
    "accelerate_1x8_zero2": "global_step*",
}
"""The files that are launched, and what only such a run writes into a checkpoint."""
ZERO_3 = "accelerate_1x8_zero3"


def launcher_of(recipe: str, *options: str) -> list[str]:
    """Two processes where the file says eight, and numbers of full length: bfloat16 on a CPU takes minutes."""
    command = ["--config_file", str(ROOT / "recipes" / f"{recipe}.yaml"), "--num_processes", "2"]
    command += ["--mixed_precision", "no", "--main_process_port", "0", *options]
    return [*command, str(Path(__file__).with_name("cluster_script.py"))]


def variables(recipe: str) -> dict[str, str]:
    devices = {"ACCELERATE_TORCH_DEVICE": "cpu", "DS_ACCELERATOR": "cpu"} if "zero" in recipe else {}
    return {**os.environ, **devices, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}


def of_launcher(arguments: list[str]) -> dict[str, str]:
    """The variables that accelerate's launcher would begin the processes with."""
    found: dict[str, str] = {}
    deepspeed = patch.object(
        launch, "deepspeed_launcher", lambda args: found.update(prepare_deepspeed_cmd_env(args)[1])
    )
    others = patch.object(launch, "multi_gpu_launcher", lambda args: found.update(prepare_multi_gpu_env(args)))
    with deepspeed, others:
        launch.launch_command(launch.launch_command_parser().parse_args(arguments))
    return {name: value for name, value in found.items() if value != os.environ.get(name)}


@dataclass
class Cluster:
    """The processes of a run, as accelerate's launcher begins them: with its variables, but in forks (`warm`)."""

    processes: list[Any]
    output: Path

    @classmethod
    def begin(cls, recipe: str, options: tuple[str, ...], arguments: Sequence[object]) -> Cluster:
        shared = variables(recipe) | of_launcher(launcher_of(recipe, *options))
        shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
        output = Path(tempfile.mkdtemp()) / "output.txt"
        output.touch()
        asked = ([str(argument) for argument in arguments], output)
        ranks = [{**shared, "RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
        processes = [CONTEXT.Process(target=cluster_script.run, args=(*asked, environment)) for environment in ranks]
        for process in processes:
            process.start()
        return cls(processes, output)

    def is_running(self) -> bool:
        return any(process.is_alive() for process in self.processes)

    def end(self) -> tuple[int, str]:
        """Wait; where one fails, the other would wait for it for ever, and is ended as the launcher ends it."""
        began = time.monotonic()
        while self.is_running() and not any(process.exitcode for process in self.processes):
            assert time.monotonic() - began < HANGS_AFTER
            time.sleep(0.05)
        code = max((abs(process.exitcode) for process in self.processes if process.exitcode), default=0)
        time.sleep(1.0 if self.is_running() else 0.0)  # what it has to say
        self.kill()
        return code, self.output.read_text()

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return str(taken.getsockname()[1])


def start(recipe: str, run_dir: Path, *arguments: object, options: tuple[str, ...] = ()) -> Cluster:
    return Cluster.begin(recipe, options, ["train", TINY, f"run_dir={run_dir}", *SMALL, *arguments])


def trained(recipe: str, run_dir: Path, *arguments: object) -> Path:
    code, output = start(recipe, run_dir, *arguments).end()
    assert code == 0, output[-5000:]
    return run_dir


def killed(recipe: str, run_dir: Path, moment: Path) -> Path:
    """A run whose processes are all killed (SIGKILL) as soon as `moment` is there."""
    cluster = start(recipe, run_dir)
    while cluster.is_running() and not moment.exists():
        time.sleep(0.02)
    cluster.kill()
    assert moment.exists() and not (run_dir / "final").exists(), cluster.output.read_text()[-5000:]
    return run_dir


@pytest.fixture(scope="module", params=SHARDS)
def recipe(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(recipe, tmp_path_factory.mktemp("whole") / "run")


def events(run_dir: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (run_dir / "events.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_it_goes_back_twice_on_two_processes(whole: Path, recipe: str) -> None:
    assert events(whole).count("rollback") == events(whole).count("collected") == 2
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert max(row.get("npo/guided_frac", 0) for row in rows) > 0
    saved = whole / "segments" / "001" / "checkpoint-6"
    assert json.loads((saved / checkpoint.MARKER).read_text())["num_processes"] == 2
    assert list(saved.glob(SHARDS[recipe])), "it was trained with something else"


def test_the_final_policy_is_a_policy_and_nothing_else(whole: Path) -> None:
    final = whole / "final"
    assert {path.name for path in final.iterdir()} == FINAL
    model, tokenizer = AutoModelForCausalLM.from_pretrained(final), AutoTokenizer.from_pretrained(final)
    assert same(weights(final), dict(model.state_dict()))
    with torch.no_grad():
        assert model(**tokenizer(["3+4="], return_tensors="pt")).logits.isfinite().all()
    assert not same(weights(final), weights(whole / "segments" / "000" / "checkpoint-2"))


def test_killed_in_a_replay_and_resumed_it_ends_with_the_same_weights(whole: Path, recipe: str, tmp_path: Path) -> None:
    run = killed(recipe, tmp_path / "run", tmp_path / "run/segments/001/checkpoint-4/nearfuture_state.json")
    trained(recipe, run, "--resume")
    assert "resumed" in events(run) and same(weights(whole / "final"), weights(run / "final"))


@pytest.mark.parametrize("name", ["accelerate_1x8_ddp", "accelerate_1x8", "accelerate_1x8_zero2"])
def test_autonpo_goes_back_by_itself(name: str, tmp_path: Path) -> None:
    run = trained(name, tmp_path / "run", *AUTONPO, "per_device_train_batch_size=32")
    happened = events(run)
    assert happened.index("triggered") < happened.index("probe") < happened.index("rollback")
    assert {path.name for path in (run / "final").iterdir()} == FINAL


def test_zero_3_trains_and_the_launcher_itself_begins_it(tmp_path: Path) -> None:
    run, command = tmp_path / "run", [sys.executable, "-m", "accelerate.commands.launch", *launcher_of(ZERO_3)]
    command += ["train", str(TINY), f"run_dir={run}", *SMALL, *PLAIN]
    done = subprocess.run(command, env=variables(ZERO_3), capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert {path.name for path in (run / "final").iterdir()} == FINAL
    AutoModelForCausalLM.from_pretrained(run / "final")


@pytest.mark.parametrize(
    ("name", "options", "arguments", "said"),
    [
        (ZERO_3, (), (), "guides, probes and comparisons only sample"),
        (ZERO_3, ("--zero3_save_16bit_model", "false"), PLAIN, "would hold no weights in one piece"),
        ("accelerate_1x8", ("--fsdp_state_dict_type", "SHARDED_STATE_DICT"), (), "from which no guide can be loaded"),
        ("accelerate_1x8", ("--fsdp_version", "1"), (), "accelerate refuses what is set for FSDP here"),
    ],
    ids=["zero 3 with guides", "zero 3 in shards", "fsdp2 in shards", "fsdp 1"],
)
def test_what_a_run_could_not_go_back_with_is_refused_before_anything_is_there(
    name: str, options: tuple[str, ...], arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    code, output = start(name, tmp_path / "run", *arguments, options=options).end()
    assert code == 2 and said in " ".join(output.split()), output[-5000:]
    assert "src/nearfuture" not in output  # no line of ours in a traceback
    assert not (tmp_path / "run").exists()
