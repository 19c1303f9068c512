"""The command line in a process of its own that need not import torch and TRL again: a fork of a server that has.

Such a process has its own id, signals, streams and memory, and ends as any other does; the server holds the libraries
and nothing of the tests. It spares a start its import, ten seconds on two slow cores. What it cannot show is a start
from nothing: `commands.start` does that, and the grids that are killed or interrupted use it.

A moment is a file, not a time: the process stops itself when it has made it (`until`), however late the test sees that.
"""

from __future__ import annotations

import gc
import importlib.util
import multiprocessing
import os
import resource
import signal
import sys
import time
from pathlib import Path

import psutil

HANGS_AFTER = 3600.0
"""Seconds of the clock after which a process hangs; a busy machine does not come near it."""
TOUCHES_FILES = frozenset(("open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir"))
CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = (
    "nearfuture.cli",
    "nearfuture.run.start",
    "nearfuture.run.executor",
    "nearfuture.lab.forecast.dry",
    "nearfuture.lab.report.report_page",
    "nearfuture.lab.report.explain_page",
    "matplotlib.backends.backend_svg",
)
assert all(map(importlib.util.find_spec, PRELOADED))  # the server passes over what it does not find
CONTEXT.set_forkserver_preload(list(PRELOADED))


class WarmProcess:
    """A command of `nearfuture` on its way.

    Args:
        arguments: of the command line.
        output: the file its two streams are written to.
        environment: its variables.
        file_size: bytes no file may grow beyond, as on a disk that is full then (EFBIG); None: none.
        until: a file; once it is there, the process stops before it touches another (SIGSTOP).
    """

    def __init__(
        self,
        arguments: list[str],
        output: Path,
        environment: dict[str, str],
        file_size: int | None = None,
        until: Path | None = None,
    ) -> None:
        self.output = output
        self.process = CONTEXT.Process(target=_main, args=(arguments, output, environment, file_size, until))
        self.process.start()

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return self.process.is_alive()

    def wait_until_stopped(self) -> None:
        """Wait until it has stopped itself; it lives, and holds what it holds."""
        process = psutil.Process(self.process.pid)
        while process.status() != psutil.STATUS_STOPPED:
            assert self.is_running, f"it ended before it stopped:\n{self.output.read_text()}"
            time.sleep(0.01)

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does, and let it go on."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGINT)
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.join()

    def result(self) -> tuple[int, str]:
        """Wait for the end; exit code (negative: a signal) and everything that was printed."""
        self.process.join(HANGS_AFTER)
        if self.is_running:
            self.kill()
            raise TimeoutError(f"still running after {HANGS_AFTER:g} s; it printed:\n{self.output.read_text()}")
        assert self.process.exitcode is not None
        return self.process.exitcode, self.output.read_text()


def _main(
    arguments: list[str], output: Path, environment: dict[str, str], file_size: int | None, until: Path | None
) -> None:
    """In the fork: the streams, the variables, and the command line as `python -m nearfuture` calls it."""
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, sys.stdout.fileno())
    os.dup2(stream, sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    sys.argv = ["nearfuture", *arguments]
    if until is not None:
        stop_once_there(until)
    from nearfuture.cli import main

    gc.freeze()  # what the libraries have made is not gone through each time a trainer collects garbage
    main()


def stop_once_there(path: Path) -> None:
    """Have this process stop itself, once, as soon as it touches a file while `path` is there."""
    own, has_stopped = os.getpid(), False

    def look(event: str, _arguments: object) -> None:
        nonlocal has_stopped
        if event in TOUCHES_FILES and not has_stopped and os.getpid() == own and os.path.exists(path):
            has_stopped = True
            os.kill(own, signal.SIGSTOP)
            time.sleep(0.05)  # other threads may have been told first

    sys.addaudithook(look)
