"""One worker as its parent sees it: started, asked, waited for and ended, together with whatever it started itself.

Two limits, which are reached no sooner on a busy machine than on an idle one:

    CPU time      per request. The kernel ends a worker that has used it up (`worker`); the time used by processes
                  that the worker started is added up here
    standstill    seconds of wall-clock time in which the worker and these processes use no CPU at all: a lock that is
                  never released, a server that does not answer. A process that waits for a core is not still for long

Not here: which worker is asked (`pool`), the worker's end (`worker`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import psutil

from nearfuture.verify.worker import START_LIMIT

PATIENCE = 30.0
"""Seconds of wall-clock time that a worker may stand still."""
LOOK_EVERY = 1.0
PROGRESS = 0.05
"""CPU seconds that end a standstill: a process that runs a five-hundredth of the time uses them within `PATIENCE`."""
ENDED_BY_OTHERS = frozenset((signal.SIGKILL, signal.SIGTERM, signal.SIGHUP))

_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from nearfuture.verify.worker import main; main()"


class TimedOut(Exception):  # noqa: N818
    """A request used up its CPU time, or stood still twice; the worker is gone."""


class Crashed(Exception):  # noqa: N818
    """A worker died, or what it ran raised; the message is the worker's."""


class CannotStart(Crashed):
    """A worker could not even start; this says nothing about the request."""


class Raised(Crashed):
    """The service raised; the worker is still alive."""


class Lost(Exception):  # noqa: N818
    """A worker stood still or was ended from outside: the request is not to blame if this happens only once."""

    def __init__(self, failure: TimedOut | Crashed) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True)
class Start:
    """How a worker is started.

    Attributes:
        make: `module:function` that builds the service in the worker, from `argument`.
        argument: text handed to it.
        memory: bytes of address space; 0 sets no limit.
        patience: seconds of wall-clock time that it may stand still.
        is_quiet: whether to discard what it prints; otherwise it prints where this process prints.
    """

    make: str
    argument: str
    memory: int
    patience: float = PATIENCE
    is_quiet: bool = True


class Worker:
    """One process and its socket.

    Raises:
        CannotStart: no process could be started, or the service could not be built.
        Lost: it stood still at the start, or was ended from outside.
    """

    def __init__(self, start: Start) -> None:
        self.patience = start.patience
        self.num_asked = 0
        try:
            ours, theirs = socket.socketpair()
            self.connection = Connection(ours.detach())
            with theirs:
                self.process = _launch(start, theirs.fileno())
        except OSError as error:
            raise Lost(CannotStart(f"a verifier worker could not start: {error}")) from None
        try:
            self._receive(0, START_LIMIT)
        except BaseException as error:
            self.kill()
            failed = CannotStart(f"a verifier worker could not start: {error}")
            if isinstance(error, Lost):
                raise Lost(failed) from None
            if isinstance(error, TimedOut | Crashed):
                raise failed from None
            raise

    @property
    def is_alive(self) -> bool:
        """False once the process has ended."""
        return self.process.poll() is None

    def ask(self, payload: Any, limit: float) -> Any:
        """Send a request and wait for the answer.

        Args:
            payload: a value that can be written as JSON.
            limit: seconds of CPU time.

        Raises:
            TimedOut, Raised, Crashed, Lost: see their docstrings. Only after `Raised` may the worker be asked again.
        """
        self.num_asked += 1
        message = {"id": self.num_asked, "limit": limit, "payload": payload}
        try:
            self.connection.send_bytes(json.dumps(message).encode())
        except OSError:
            raise self._death(limit) from None
        return self._receive(self.num_asked, limit)

    def _receive(self, number: int, limit: float) -> Any:
        try:
            self._wait(limit)
            reply = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            raise self._death(limit) from None
        if "error" in reply:
            raise Raised(reply["error"])
        assert reply["id"] == number, reply
        return reply["result"]

    def _wait(self, limit: float) -> None:
        """Wait until there is something to read, be it only the end of the stream.

        Raises:
            TimedOut: the processes that it started used up the limit, which the kernel does not notice.
            Lost: it stood still.
        """
        look_every = min(LOOK_EVERY, self.patience)
        if self.connection.poll(look_every):
            return
        begin = latest = self._cpu_seconds()
        moved = time.monotonic()
        while not self.connection.poll(look_every):
            if not self.is_alive and not self.connection.poll():
                raise self._death(limit)
            used = self._cpu_seconds()
            if used - begin > limit:
                raise TimedOut(f"no answer within {limit:g} s of CPU time")
            if abs(used - latest) >= PROGRESS:  # less, where a process that it started has ended
                latest, moved = used, time.monotonic()
            elif time.monotonic() - moved > self.patience:
                raise Lost(TimedOut(f"no answer, and idle for {self.patience:g} s"))

    def _cpu_seconds(self) -> float:
        """Return the CPU time of the worker and of everything it started."""
        total = 0.0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += sum(one.cpu_times()[:4])  # user and system time, and those of children it waited for
        return total

    def _death(self, limit: float) -> Exception:
        """Say what became of a worker that no longer answers."""
        try:
            code = self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            return Crashed("the worker closed its connection")
        if code == -signal.SIGPROF:
            return TimedOut(f"no answer within {limit:g} s of CPU time")
        died = Crashed(f"the worker died (exit code {code})")
        return Lost(died) if -code in ENDED_BY_OTHERS else died

    def kill(self) -> None:
        """End the worker and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()


def _launch(start: Start, descriptor: int) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter that leads its own process group and orders sets the same way in every run."""
    path = [entry or os.getcwd() for entry in sys.path]
    service = (start.make, start.argument, str(start.memory))
    where = subprocess.DEVNULL if start.is_quiet else None
    return subprocess.Popen(
        [sys.executable, "-c", _START, json.dumps(path), str(descriptor), str(os.getpid()), *service],
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=where,
        stderr=where,
        env={"PYTHONHASHSEED": "0"} | os.environ | {"OMP_NUM_THREADS": "1"},
        process_group=0,
    )
