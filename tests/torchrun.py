"""A script run by two real processes on a CPU (gloo), with the variables that `torchrun` gives them.

They are forks of the server of `warm`, which spares each its imports. Not here: the launcher itself
(`test_two_process_run`, tests_engines/).
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import NoReturn

import torch
from commands import environment
from warm import HANGS_AFTER, WarmProcess


def leave() -> NoReturn:
    """End one of the processes, its results on disk, when all have come here.

    Without the interpreter's shutdown: once in many times, on a busy machine, a thread of torch that still runs aborts
    it ("terminate called without an active exception", exit code -6).
    """
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    os._exit(0)


def two_processes(script: str, folder: Path) -> None:
    """Run `script folder` in two processes; where one fails both are ended, and the test fails."""
    run_two((script,), [str(folder)], folder)


def run_two(program: tuple[str, ...], arguments: list[str], folder: Path, **variables: str) -> list[str]:
    """What each of two processes printed; where one fails both are ended, and the test fails."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    started = []
    for rank in ("0", "1"):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        store = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
        output = folder / f"output-{rank}.txt"
        env = environment() | place | store | variables
        started.append(WarmProcess(arguments, output, env, program=program))
    end = time.monotonic() + HANGS_AFTER
    while all(process.is_running for process in started) and time.monotonic() < end:
        started[0].process.join(0.2)
    if any(process.process.exitcode for process in started) or time.monotonic() > end:  # one waits for ever
        said = "\n".join(process.output.read_text()[-3000:] for process in started)
        for process in started:
            process.kill()
        raise AssertionError(said)
    codes, said = zip(*(process.result() for process in started), strict=True)
    assert codes == (0, 0), said
    return list(said)
