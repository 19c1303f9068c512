"""Laws of the workers: they end, whatever they are asked; die with their parent; serve any thread of any process; and
a busy machine ends none of them.

Not here: what they compute (`test_verify.py`), verdicts under load (`test_verify_load.py`).
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

from nearfuture.types import Verdict
from nearfuture.verify import Item, Verifier
from nearfuture.verify.pool import CannotStart, Crashed, TimedOut, WorkerPool

SERVICE = "verify_services:make"
AMPLE = 30.0
"""Seconds of CPU time that no honest request of these tests comes near."""


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(SERVICE, size=2)
    yield pool
    pool.close()


@pytest.fixture
def impatient() -> Iterator[WorkerPool]:
    """A worker that stands still for a second is given up, as others are after `PATIENCE`."""
    pool = WorkerPool(SERVICE, size=1, patience=1.0)
    yield pool
    pool.close()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    """Wait as long as it takes: a worker that stays makes the suite hang, not pass."""
    while any(map(is_running, pids)):
        time.sleep(0.05)


@pytest.mark.parametrize("what", ["compute", "compute elsewhere"])
def test_a_request_ends_when_its_cpu_time_is_used_up(pool: WorkerPool, what: str) -> None:
    """By the worker itself, or by a process that it started, which the kernel does not count."""
    pid = pool.ask(["pid", 0], limit=AMPLE)
    with pytest.raises(TimedOut, match=r"0\.5 s of CPU time"):
        pool.ask([what, 3600], limit=0.5)
    assert not is_running(pid)
    assert pool.ask(["echo", 5], limit=AMPLE) == 5


def test_time_that_is_waited_is_not_time_that_is_used(pool: WorkerPool) -> None:
    """What a busy machine does to a worker, it does to itself here: most of its time it has no core."""
    assert pool.ask(["sleep", 0.7], limit=0.2) == 0.7
    assert pool.ask(["compute", 0.2], limit=2.0) == 0.2


def test_a_request_that_stands_still_ends_too(impatient: WorkerPool) -> None:
    pid = impatient.ask(["pid", 0], limit=AMPLE)
    with pytest.raises(TimedOut, match="idle for 1 s"):
        impatient.ask(["sleep", 3600], limit=AMPLE)
    assert not is_running(pid)
    assert impatient.ask(["echo", 5], limit=AMPLE) == 5


@pytest.mark.parametrize("what", ["sleep once", "be killed once"])
def test_a_request_whose_worker_was_lost_is_asked_again(impatient: WorkerPool, what: str, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    assert impatient.ask([what, mark], limit=AMPLE) == mark
    assert Path(mark).exists()


def test_a_worker_that_was_lost_at_its_start_is_started_again(tmp_path: Path) -> None:
    assert WorkerPool(SERVICE, f"once {tmp_path / 'mark'}").ask(["echo", 1], limit=AMPLE) == 1


@pytest.mark.parametrize("payload", [["exit", 3], ["raise", "broken"], ["fill memory", 8 * 1024**3]])
def test_a_worker_that_fails_is_a_crash_and_the_next_question_is_served(
    pool: WorkerPool, payload: list[object]
) -> None:
    with pytest.raises(Crashed, match=r"exit code 3|RuntimeError: broken|MemoryError"):
        pool.ask(payload, limit=AMPLE)
    assert pool.ask(["echo", 5], limit=AMPLE) == 5


def test_a_worker_that_was_killed_from_outside_is_replaced(pool: WorkerPool) -> None:
    pid = pool.ask(["pid", 0], limit=AMPLE)
    os.kill(pid, signal.SIGKILL)
    wait_until_gone([pid])
    assert pool.ask(["echo", 5], limit=AMPLE) == 5


def test_what_a_worker_started_ends_with_it(pool: WorkerPool) -> None:
    started = pool.ask(["start", 0], limit=AMPLE)
    assert is_running(started)
    with pytest.raises(Crashed):
        pool.ask(["exit", 3], limit=AMPLE)
    wait_until_gone([started])


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(CannotStart, match=r"could not start(?s:.*)no such library"):
        WorkerPool(SERVICE, "cannot start").ask(["echo", 1], limit=AMPLE)


def test_where_no_process_can_be_had_that_is_a_crash_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(CannotStart, match="/no/such/python"):
        WorkerPool(SERVICE).ask(["echo", 1], limit=AMPLE)
    decision = Verifier(size=1).decide(Item("\\boxed{\\sqrt{12}}", "2\\sqrt{3}", "math"))
    assert decision.verdict is Verdict.CRASH


def test_a_worker_loads_sympy_and_no_torch() -> None:
    pool = WorkerPool(SERVICE, "built-in", size=1)
    loaded = pool.ask(["modules", ["sympy", "torch", "numpy", "transformers", "datasets"]], limit=AMPLE)
    pool.close()
    assert loaded == ["sympy"]


def test_sets_have_one_order_in_all_workers() -> None:
    pools = [WorkerPool(SERVICE, size=1) for _ in range(2)]
    hashes = {pool.ask(["hash", "a symbol"], limit=AMPLE) for pool in pools}
    for pool in pools:
        pool.close()
    assert len(hashes) == 1 or "PYTHONHASHSEED" in os.environ


def test_failures_of_a_batch_are_answers_too(pool: WorkerPool) -> None:
    replies = pool.ask_many([["echo", 1], ["exit", 3], ["compute", 3600], ["echo", 4]], limit=0.5)
    assert [type(reply).__name__ for reply in replies] == ["int", "Crashed", "TimedOut", "int"]


def test_threads_get_their_own_answers(pool: WorkerPool) -> None:
    wrong: list[int] = []

    def ask(number: int) -> None:
        for index in range(20):
            value = 1000 * number + index
            if pool.ask(["echo", value], limit=AMPLE) != value:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pool._all) <= 2


def test_the_verifier_answers_in_a_thread() -> None:
    verifier = Verifier(time_limit=1.0, size=1)
    items = [Item("\\boxed{\\exp(\\exp(\\exp(100)))}", "x", "math"), Item("\\boxed{\\sqrt{12}}", "2\\sqrt{3}", "math")]
    verdicts: list[Verdict] = []
    thread = threading.Thread(target=lambda: verdicts.extend(one.verdict for one in verifier.decide_many(items)))
    thread.start()
    thread.join()
    assert verdicts == [Verdict.TIMEOUT, Verdict.CORRECT]


def test_a_forked_child_has_workers_of_its_own(pool: WorkerPool) -> None:
    parents = pool.ask(["pid", 0], limit=AMPLE)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(pool.ask(["pid", 0], limit=AMPLE)).encode())
        pool.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 32)) != parents
    assert pool.ask(["pid", 0], limit=AMPLE) == parents


SCRIPT = """
import sys, threading, time
from nearfuture.verify.pool import WorkerPool
how, mark = sys.argv[1:]
pool = WorkerPool("verify_services:make", size=1)
print(pool.ask(["pid", 0], limit=30), flush=True)
if how.endswith("once"):
    threading.Thread(target=lambda: pool.ask([how, mark], limit=3600), daemon=True).start()
if how != "end":
    time.sleep(3600)
"""


@pytest.mark.parametrize("how", ["compute once", "sleep once", "idle", "end"])
def test_no_worker_outlives_its_parent(how: str, tmp_path: Path) -> None:
    """The script has no `__main__` guard: workers do not import it."""
    script, mark = tmp_path / "script.py", tmp_path / "mark"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(script), how, str(mark)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        while how.endswith("once") and not mark.exists():
            time.sleep(0.01)
        if how != "end":
            parent.kill()
    wait_until_gone([worker])
