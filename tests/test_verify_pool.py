"""Laws of the workers: they end in time, die with their parent, and serve any thread of any process.

Not here: what they compute (`test_verify.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearfuture.tasks.verify import Item, Verifier
from nearfuture.tasks.verify.pool import Crashed, TimedOut, WorkerPool
from nearfuture.types import Verdict

SERVICE = "verify_services:make"


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(SERVICE, size=2)
    yield pool
    pool.close()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int], limit: float = 8.0) -> list[int]:
    end = time.monotonic() + limit
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return [pid for pid in pids if is_running(pid)]


def test_a_worker_that_hangs_is_killed_in_time_and_the_next_question_is_served(pool: WorkerPool) -> None:
    pid = pool.ask(["pid", 0], limit=2)
    begin = time.monotonic()
    with pytest.raises(TimedOut):
        pool.ask(["sleep", 60], limit=0.3)
    assert 0.3 <= time.monotonic() - begin < 1.0
    assert not is_running(pid)
    assert pool.ask(["echo", 5], limit=2) == 5


@pytest.mark.parametrize("payload", [["exit", 3], ["raise", "broken"], ["fill memory", 8 * 1024**3]])
def test_a_worker_that_fails_is_a_crash_and_the_next_question_is_served(
    pool: WorkerPool, payload: list[object]
) -> None:
    with pytest.raises(Crashed, match=r"exit code 3|RuntimeError: broken|MemoryError"):
        pool.ask(payload, limit=5)
    assert pool.ask(["echo", 5], limit=2) == 5


def test_a_worker_that_was_killed_from_outside_is_replaced(pool: WorkerPool) -> None:
    pid = pool.ask(["pid", 0], limit=2)
    os.kill(pid, signal.SIGKILL)
    wait_until_gone([pid])
    assert pool.ask(["echo", 5], limit=2) == 5


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(Crashed, match=r"could not start(?s:.*)no such library"):
        WorkerPool(SERVICE, "cannot start").ask(["echo", 1], limit=2)


def test_a_worker_loads_sympy_and_no_torch_and_starts_within_a_second() -> None:
    pool = WorkerPool(SERVICE, "built-in", size=1)
    begin = time.monotonic()
    loaded = pool.ask(["modules", ["sympy", "torch", "numpy", "transformers", "datasets"]], limit=5)
    seconds = time.monotonic() - begin
    pool.close()
    assert loaded == ["sympy"]
    assert seconds < 3.0, "under one second on an idle core (benchmarks/verifiers.py); this machine is busy"


def test_failures_of_a_batch_are_answers_too(pool: WorkerPool) -> None:
    replies = pool.ask_many([["echo", 1], ["exit", 3], ["sleep", 9], ["echo", 4]], limit=0.5)
    assert [type(reply).__name__ for reply in replies] == ["int", "Crashed", "TimedOut", "int"]


def test_threads_get_their_own_answers(pool: WorkerPool) -> None:
    wrong: list[int] = []

    def ask(number: int) -> None:
        for index in range(20):
            value = 1000 * number + index
            if pool.ask(["echo", value], limit=5) != value:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pool._all) <= 2


def test_the_verifier_answers_in_a_thread_with_a_time_limit() -> None:
    verifier = Verifier(time_limit=0.5, size=1)
    items = [Item("\\boxed{\\exp(\\exp(\\exp(100)))}", "x", "math"), Item("\\boxed{\\sqrt{12}}", "2\\sqrt{3}", "math")]
    verdicts: list[Verdict] = []
    thread = threading.Thread(target=lambda: verdicts.extend(one.verdict for one in verifier.decide_many(items)))
    thread.start()
    thread.join(20)
    assert verdicts == [Verdict.TIMEOUT, Verdict.CORRECT]


def test_a_forked_child_has_workers_of_its_own(pool: WorkerPool) -> None:
    parents = pool.ask(["pid", 0], limit=2)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(pool.ask(["pid", 0], limit=5)).encode())
        pool.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 32)) != parents
    assert pool.ask(["pid", 0], limit=2) == parents


SCRIPT = """
import sys, threading, time
from nearfuture.tasks.verify import verify
from nearfuture.tasks.verify.verifier import _shared
print(verify("\\\\boxed{\\\\sqrt{12}}", "2\\\\sqrt{3}", kind="math"), flush=True)
print(*[worker.process.pid for worker in _shared.pool._all], flush=True)
if sys.argv[1] == "busy":
    verify("\\\\boxed{\\\\exp(\\\\exp(\\\\exp(100)))}", "x", kind="math")
time.sleep(60 if sys.argv[1] != "end" else 0)
"""


@pytest.mark.parametrize(("how", "num_parents"), [("busy", 2), ("idle", 1), ("end", 1)])
def test_no_worker_outlives_its_parent(how: str, num_parents: int, tmp_path: Path) -> None:
    """The script has no `__main__` guard: workers do not import it."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parents = [
        subprocess.Popen([sys.executable, str(script), how], stdout=subprocess.PIPE, text=True)
        for _ in range(num_parents)
    ]
    workers: list[int] = []
    for parent in parents:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == "correct"
        workers += map(int, parent.stdout.readline().split())
    assert len(workers) == num_parents
    if how != "end":
        time.sleep(0.2)
        for parent in parents:
            parent.send_signal(signal.SIGKILL)
    for parent in parents:
        parent.wait(20)
    assert wait_until_gone(workers) == []
