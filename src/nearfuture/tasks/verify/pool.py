"""A pool of workers that can be killed: the only place where judging may take long, and the only one with a clock.

Each worker has one request in flight. One that does not answer in time is killed and replaced when it is next needed;
what comes of it is `TimedOut`, and `Crashed` where it died or raised. Safe from any thread; after a fork the child
starts workers of its own.

Not here: what is asked (`verifier`, `external`), the other end (`worker`).
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

START_LIMIT = 60.0
MEMORY_BYTES = 2 * 1024**3
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from nearfuture.tasks.verify.worker import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5], int(sys.argv[6]))"
)


class TimedOut(Exception):  # noqa: N818
    """A worker did not answer within the limit and was killed."""


class Crashed(Exception):  # noqa: N818
    """A worker died, or what it ran raised; the message is what it said."""


def default_size() -> int:
    """Number of workers: the cores this process may use, shared with the other processes of the run, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))))


class WorkerPool:
    """Workers that all run the same service.

    Args:
        make: `module:function` that builds the service in the worker, from `argument`.
        argument: text handed to it.
        size: most workers at a time; they start when they are needed.
        memory: bytes of address space for one worker; 0 sets no limit.
    """

    def __init__(self, make: str, argument: str = "", *, size: int | None = None, memory: int = MEMORY_BYTES) -> None:
        self.make, self.argument, self.memory = make, argument, memory
        self.size = size or default_size()
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        """Forget workers of another process: a fork's child must not speak to them."""
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._slots = threading.BoundedSemaphore(self.size)
        self._lock = threading.Lock()

    def ask(self, payload: Any, *, limit: float) -> Any:
        """Have one worker answer; waits for a free one.

        Args:
            payload: what can be written as JSON.
            limit: seconds the answer may take.

        Raises:
            TimedOut: it took longer. The worker is gone.
            Crashed: the worker died or raised.
        """
        with self._slots:
            worker = self._take()
            try:
                result = worker.ask(payload, limit)
            except _Raised as error:
                self._give_back(worker)
                raise Crashed(str(error)) from None
            except BaseException:
                self._drop(worker)
                raise
            self._give_back(worker)
            return result

    def ask_many(self, payloads: Sequence[Any], *, limit: float) -> list[Any]:
        """Have all workers answer; an answer that failed is the exception `ask` would have raised."""
        if len(payloads) < 2 or self.size == 1:
            return [self._ask_or_error(payload, limit) for payload in payloads]
        with ThreadPoolExecutor(min(self.size, len(payloads))) as threads:
            return list(threads.map(lambda payload: self._ask_or_error(payload, limit), payloads))

    def _ask_or_error(self, payload: Any, limit: float) -> Any:
        try:
            return self.ask(payload, limit=limit)
        except (TimedOut, Crashed) as error:
            return error

    def close(self) -> None:
        """Kill all workers; the next question starts new ones."""
        with self._lock:
            workers, self._all, self._idle = self._all, set(), []
        for worker in workers:
            worker.kill()

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive:
                    return worker
                self._all.discard(worker)
        worker = _Worker(self.make, self.argument, self.memory)
        with self._lock:
            self._all.add(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if worker in self._all:
                self._idle.append(worker)

    def _drop(self, worker: _Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.kill()


class _Raised(Exception):  # noqa: N818
    """The service raised; the worker lives on."""


class _Worker:
    """One process and its socket."""

    def __init__(self, make: str, argument: str, memory: int) -> None:
        ours, theirs = socket.socketpair()
        path = json.dumps([entry for entry in sys.path if entry])
        command = [
            sys.executable,
            "-c",
            _START,
            path,
            str(theirs.fileno()),
            str(os.getpid()),
            make,
            argument,
            str(memory),
        ]
        with theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        self.connection = Connection(ours.detach())
        self.num_asked = 0
        try:
            self._receive(0, START_LIMIT)
        except (TimedOut, Crashed, _Raised) as error:
            self.kill()
            raise Crashed(f"a verifier worker could not start: {error}") from None

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, payload: Any, limit: float) -> Any:
        self.num_asked += 1
        message = {"id": self.num_asked, "limit": limit, "payload": payload}
        try:
            self.connection.send_bytes(json.dumps(message).encode())
        except OSError as error:
            raise Crashed(f"the worker is gone ({error})") from None
        return self._receive(self.num_asked, limit)

    def _receive(self, number: int, limit: float) -> Any:
        deadline = time.monotonic() + limit
        try:
            if not self.connection.poll(max(0.0, deadline - time.monotonic())):
                raise TimedOut(f"no answer within {limit:g} s")
            reply = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            if time.monotonic() >= deadline:
                raise TimedOut(f"no answer within {limit:g} s") from None
            raise Crashed(f"the worker died (exit code {self._exit_code()})") from None
        if "error" in reply:
            raise _Raised(reply["error"])
        assert reply["id"] == number, reply
        return reply["result"]

    def _exit_code(self) -> int | None:
        try:
            return self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _reset_all() -> None:
    for pool in list(_pools):
        pool._reset()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_reset_all)
