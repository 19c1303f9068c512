"""Runs the real command line in real processes, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from typer.testing import CliRunner
from warm import WarmProcess

from nearfuture.cli import app
from nearfuture.tasks.worlds import apprentice

CONFIGS = Path(__file__).parent.parent / "configs" / "apprentice"
WORLD = Path(apprentice.__file__).parent
MODEL = WORLD / "model"
# The smallest run with both interventions; steps, checkpoints and batches as the tests of kills need them.
SMALL = [
    "max_steps=10",
    "scout_steps=3",
    "guide_step=8",
    "rollback_to=5",
    "per_device_train_batch_size=64",
    "learning_rate=1e-3",
    "save_steps=2",
    "eval_every=10",
    "eval_num_samples=1",
]


POLICY = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
FINAL = POLICY | {"nearfuture_state.json", "README.md"}
"""What `final/` holds: the policy, the digests of its files, and its card."""


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nearfuture", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )


def warm(*arguments: object, file_size: int | None = None, until: Path | None = None) -> WarmProcess:
    """Start a command whose libraries are loaded already; see `warm`."""
    output = Path(tempfile.mkdtemp()) / "output.txt"
    told = [str(argument) for argument in arguments]
    return WarmProcess(told, output, environment(), file_size, until, forks=True)


def run(*arguments: object, file_size: int | None = None) -> tuple[int, str]:
    """Exit code and everything that was printed."""
    return warm(*arguments, file_size=file_size).result()


def invoke(*arguments: object) -> tuple[int, str]:
    """The same application in this process, which has loaded the libraries already; for what ends before training."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.output


def train(run_dir: Path, *arguments: object, config: str = "tiny") -> tuple[int, str]:
    return run("train", CONFIGS / f"{config}.yaml", f"run_dir={run_dir}", *SMALL, *arguments)


def train_and_kill(run_dir: Path, when: Path, *arguments: object) -> bool:
    """Train, and SIGKILL the process as soon as `when` exists. True if it was killed before it ended."""
    process = warm("train", CONFIGS / "tiny.yaml", f"run_dir={run_dir}", *SMALL, *arguments, until=when)
    while process.is_running and not when.exists():
        time.sleep(0.002)
    was_running = process.is_running
    process.kill()
    return was_running
