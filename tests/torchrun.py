"""A script run by two real processes, as `torchrun` starts them (gloo, on a CPU)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import torch
from warm import HANGS_AFTER


def leave() -> NoReturn:
    """End one of the processes, its results on disk, when all have come here.

    Without the interpreter's shutdown: once in many times, on a busy machine, a thread of torch that still runs aborts
    it ("terminate called without an active exception", exit code -6).
    """
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    os._exit(0)


def two_processes(script: str, folder: Path) -> None:
    """Run `script folder` in two processes; those that wait for each other for ever are ended, and the test fails."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, str(folder)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.PIPE, text=True) as launcher:
        try:
            _, errors = launcher.communicate(timeout=HANGS_AFTER)
        except subprocess.TimeoutExpired:
            launcher.terminate()  # and, unlike `kill`, the two processes with it
            raise
    assert launcher.returncode == 0, errors[-3000:]
