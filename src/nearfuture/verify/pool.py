"""A pool of workers that can be killed: the only place where judging may take long.

Each worker handles one request at a time. A worker that fails is ended, and replaced when it is next needed; its
request ends in `TimedOut` or `Crashed`. A request whose worker stood still, or was ended from outside (by the system,
for lack of memory), is sent once more: that counts as the machine's fault until it happens twice. Safe from any thread;
after a fork the child starts its own workers.

Not here: the requests (`verifier`, `external`, `function`), one worker and its clocks (`process`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nearfuture.verify.process import (
    PATIENCE,
    CannotStart,
    Crashed,
    Lost,
    Raised,
    Start,
    TimedOut,
    Worker,
)

__all__ = ["CannotStart", "Crashed", "TimedOut", "WorkerPool", "default_size", "last_line"]

MEMORY_BYTES = 2 * 1024**3


def default_size() -> int:
    """Return the number of workers: the cores this process may use, divided among the run's processes, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))))


def last_line(error: Exception) -> str:
    """Return the last line of a failure: for a traceback, the exception."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


class WorkerPool:
    """Workers that all run the same service.

    Args:
        make: `module:function` that builds the service in the worker, from `argument`.
        argument: text handed to it.
        size: the most workers at a time; they start when they are needed.
        memory: bytes of address space for one worker; 0 sets no limit.
        patience: seconds of wall-clock time that a worker may stand still, using no CPU time.
        is_quiet: whether to discard what workers print.
    """

    def __init__(
        self,
        make: str,
        argument: str = "",
        *,
        size: int | None = None,
        memory: int = MEMORY_BYTES,
        patience: float = PATIENCE,
        is_quiet: bool = True,
    ) -> None:
        self.start = Start(make, argument, memory, patience, is_quiet)
        self.size = size or default_size()
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        """Forget the workers of another process: a forked child must not talk to its parent's."""
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._slots = threading.BoundedSemaphore(self.size)
        self._lock = threading.Lock()

    def ask(self, payload: Any, *, limit: float) -> Any:
        """Send a request to one worker; waits until one is free.

        Args:
            payload: a value that can be written as JSON.
            limit: seconds of CPU time that the answer may take.

        Raises:
            TimedOut: it took more, or the worker stood still twice.
            Crashed: the worker died or raised; `CannotStart` if it never started.
        """
        with self._slots:
            with contextlib.suppress(Lost):
                return self._ask(payload, limit)
            try:
                return self._ask(payload, limit)
            except Lost as lost:
                raise lost.failure from None

    def _ask(self, payload: Any, limit: float) -> Any:
        worker = self._take()
        try:
            result = worker.ask(payload, limit)
        except Raised:
            self._give_back(worker)
            raise
        except BaseException:
            self._drop(worker)
            raise
        self._give_back(worker)
        return result

    def ask_many(self, payloads: Sequence[Any], *, limit: float) -> list[Any]:
        """Send requests to all workers; a failed one yields the exception that `ask` would have raised."""
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
        """End all workers; the next request starts new ones."""
        with self._lock:
            workers, self._all, self._idle = self._all, set(), []
        for worker in workers:
            worker.kill()

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive:
                    return worker
                self._all.discard(worker)
                worker.kill()
        worker = Worker(self.start)
        with self._lock:
            self._all.add(worker)
        return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if worker in self._all:
                self._idle.append(worker)

    def _drop(self, worker: Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.kill()


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _reset_all() -> None:
    for pool in list(_pools):
        pool._reset()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_reset_all)
