"""The proof of exactness that users run on their own machine: the training layer's laws, and a run that is killed.

    kill      a run with both interventions, killed with SIGKILL and resumed   ==   one that was not killed

Not here: the laws of the training layer (`nearfuture.train.proofs`).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from nearfuture.run import build
from nearfuture.tasks import load_task
from nearfuture.train.checkpoint import MARKER
from nearfuture.train.proofs import Comparison, prove_training

RUN = {
    "task": "apprentice",
    "max_steps": 12,
    "scout_steps": 4,
    "guide_step": 9,
    "rollback_to": 6,
    "per_device_train_batch_size": 64,
    "max_completion_length": 8,
    "learning_rate": 1e-3,
    "save_steps": 2,
}
TIMEOUT = 3600
"""Seconds after which a command counts as hanging; on a busy machine one takes minutes."""


def run_selftest(steps: int) -> list[Comparison]:
    """Run all four proofs in a temporary folder; the first three with `steps` optimizer steps."""
    task = load_task("apprentice")
    an_epoch_ends_inside = build.training_rows(task).select(range(8 * max(1, steps // 2)))
    with tempfile.TemporaryDirectory() as scratch:
        return [*prove_training(task, an_epoch_ends_inside, Path(scratch), steps), _prove_kill(Path(scratch))]


def _prove_kill(folder: Path) -> Comparison:
    """Compare two runs through the command line, one of which is killed in the middle of its replay."""
    law = "SIGKILL and --resume = never killed"
    config = folder / "run.yaml"
    config.write_text("".join(f"{key}: {value}\n" for key, value in RUN.items()))
    _command(config, folder / "unkilled").wait(TIMEOUT)
    killed = _command(config, folder / "killed")
    _wait_for(folder / "killed" / "segments" / "001" / "checkpoint-6" / MARKER, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait(TIMEOUT)
    _command(config, folder / "killed", "--resume").wait(TIMEOUT)
    finals = [folder / run / "final" / "model.safetensors" for run in ("unkilled", "killed")]
    missing = [str(path.relative_to(folder)) for path in finals if not path.exists()]
    if missing:
        return Comparison(law, "final weights", f"{missing[0]} was not written")
    one, other = map(load_file, finals)
    first = next((f"weights of {name}" for name in one if not torch.equal(one[name], other[name])), None)
    return Comparison(law, f"{sum(map(torch.numel, one.values()))} final weights", first)


def _command(config: Path, run_dir: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nearfuture", "train", str(config), f"run_dir={run_dir}", "--quiet", *flags]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + TIMEOUT
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
