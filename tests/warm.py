"""The command line in a process of its own that need not import torch and TRL again: a fork of a server that has.

Such a process has its own id, signals, streams and memory, and ends as any other does; the server holds the libraries
and nothing of the tests. It spares a start its import, ten seconds on two slow cores. What it cannot show is a start
from nothing: `commands.start` does that, and the grids that are killed or interrupted use it.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["nearfuture.cli", "nearfuture.run.start", "nearfuture.run.executor"])


class WarmProcess:
    """A command of `nearfuture` on its way.

    Args:
        arguments: of the command line.
        output: the file its two streams are written to.
        environment: its variables.
        file_size: bytes no file may grow beyond, as on a disk that is full then (EFBIG); None: none.
    """

    def __init__(
        self, arguments: list[str], output: Path, environment: dict[str, str], file_size: int | None = None
    ) -> None:
        self.output = output
        self.process = CONTEXT.Process(target=_main, args=(arguments, output, environment, file_size))
        self.process.start()

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return self.process.is_alive()

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGINT)

    def pause(self) -> None:
        """Stop it where it is (SIGSTOP); it lives, and holds what it holds, until it is killed."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.join()

    def result(self, timeout: float) -> tuple[int, str]:
        """Wait for the end; exit code (negative: a signal) and everything that was printed."""
        self.process.join(timeout)
        if self.is_running:
            self.kill()
            raise TimeoutError(f"still running after {timeout} s; it printed:\n{self.output.read_text()}")
        assert self.process.exitcode is not None
        return self.process.exitcode, self.output.read_text()


def _main(arguments: list[str], output: Path, environment: dict[str, str], file_size: int | None) -> None:
    """In the fork: the streams, the variables, and the command line as `python -m nearfuture` calls it."""
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, sys.stdout.fileno())
    os.dup2(stream, sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    sys.argv = ["nearfuture", *arguments]
    from nearfuture.cli import main

    main()
