"""The command line in a process of its own that need not import torch and TRL again: a fork of a server that has.

Such a process has its own id, signals, streams and memory, and ends as any other does; the server holds the libraries
and nothing of the tests. It spares a start its import, ten seconds on two slow cores. The interpreters that it starts
itself (the runs of a grid, the commands of the self-test) can be such forks as well (`forks`). What a fork cannot show
is a start from nothing: `commands.start` does that, in `make test-long` for what takes minutes.

A moment is a file, not a time: the process stops itself when it has made it (`until`), however late the test sees that.
"""

from __future__ import annotations

import gc
import importlib.util
import multiprocessing
import os
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, reduction
from pathlib import Path
from typing import IO, Any

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
        program: what an interpreter is called with before the arguments, where it is not the command line.
        forks: True where the commands of ours that it starts are forks of the server too, and no children of its own.
    """

    def __init__(
        self,
        arguments: list[str],
        output: Path,
        environment: dict[str, str],
        file_size: int | None = None,
        until: Path | None = None,
        program: Sequence[str] = ("-m", "nearfuture"),
        forks: bool = False,
    ) -> None:
        self.output = output
        command = [*program, *arguments]
        self.process = CONTEXT.Process(target=_main, args=(command, output, environment, file_size, until, forks))
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
    command: list[str],
    output: Path,
    environment: dict[str, str],
    file_size: int | None,
    until: Path | None,
    forks: bool,
) -> None:
    """In the fork: the streams, the variables, and the program as an interpreter would run it."""
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    if until is not None:
        stop_once_there(until)
    if forks:
        forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]  (it is: it made this process)
        subprocess.Popen = ForkedWhereItCanBe  # type: ignore[assignment, misc]
    _interpret(command, (stream, stream), environment)


def _interpret(command: Sequence[str], streams: tuple[int, int], environment: Mapping[str, str]) -> None:
    """`python -m MODULE ...` or `python FILE ...`, with everything imported already."""
    os.dup2(streams[0], sys.stdout.fileno())
    os.dup2(streams[1], sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    gc.freeze()  # what the libraries have made is not gone through each time a trainer collects garbage
    if command[0] == "-m":
        sys.argv = list(command[1:])
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(command)
        sys.path.insert(0, str(Path(command[0]).parent))
        runpy.run_path(command[0], run_name="__main__")


REAL_POPEN = subprocess.Popen


class ForkedWhereItCanBe(REAL_POPEN):
    """`subprocess.Popen`; a command of ours, `python -m nearfuture...`, is a fork of the server.

    A class still, since libraries write `subprocess.Popen[bytes]` and derive from it.
    """

    def __new__(cls, command: Any, *args: Any, **how: Any) -> Any:
        is_ours = isinstance(command, list) and command[:2] == [sys.executable, "-m"] and "nearfuture" in command[2]
        return Forked(command[1:], **how) if is_ours else super().__new__(cls)


class Forked:
    """What our code asks of a `subprocess.Popen`, for a fork of the server."""

    def __init__(
        self,
        command: list[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: IO[bytes] | int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        assert stdin == subprocess.DEVNULL and stderr in (subprocess.DEVNULL, subprocess.STDOUT)
        with open(os.devnull, "wb") as null:
            out = null if isinstance(stdout, int) else stdout
            error = out if stderr == subprocess.STDOUT else null
            streams = Handed(out.fileno()), Handed(error.fileno())
            arguments = (command, streams, dict(os.environ if env is None else env), start_new_session)
            self.process = CONTEXT.Process(target=_forked, args=arguments)
            self.process.start()

    @property
    def pid(self) -> int | None:
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("a fork", timeout or 0)
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self.pid is not None:
            os.kill(self.pid, number)


class Handed:
    """A descriptor that goes with the arguments into the fork, locks on its file included."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return _received, (reduction.DupFd(self.descriptor),)


def _received(handed: Any) -> int:
    return int(handed.detach())


def _forked(command: list[str], streams: tuple[int, int], environment: dict[str, str], new_session: bool) -> None:
    if new_session:
        os.setsid()
    _interpret(command, streams, environment)


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
