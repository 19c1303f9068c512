"""Run the grid of a study: every method with every seed, several at once; finished work is not repeated.

    each cell   python -m nearfuture train CELL.yaml --resume      unless it has `final/`
                python -m nearfuture.lab.study.test_split ...      unless it has `test.json`

A cell that fails does not affect the others. After a kill, the same command continues the grid.

Not here: what a cell is (`study_config`), files (`folder`), locks and signals (`processes`), the report.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Any, Literal

from nearfuture.lab.study.folder import BASE, Grid, StudyFolder
from nearfuture.lab.study.processes import INTERRUPTED, Children, last_lines
from nearfuture.lab.study.study_config import Cell, StudyConfig, cells, check_runs
from nearfuture.lab.study.test_split import final_rows
from nearfuture.record import flat_yaml
from nearfuture.record.lock import writing
from nearfuture.record.writing import write_whole
from nearfuture.run import build
from nearfuture.run.settings.plan import num_steps_ahead
from nearfuture.train import needs

State = Literal["finished", "failed", "interrupted"]
LINES_OF_A_FAILURE = 8


@dataclass(frozen=True)
class Outcome:
    """How one cell ended.

    Attributes:
        name: the cell's name.
        state: `finished` if its final evaluation exists.
        seconds: time spent on it now; 0 if nothing was left to do.
        last_lines: the end of its log, if it failed.
    """

    name: str
    state: State
    seconds: float
    last_lines: str = ""


@dataclass(frozen=True)
class Job:
    """A cell with the optimizer steps it will pay for at least, from which the remaining time is estimated."""

    cell: Cell
    num_steps: int


class GridRunner:
    """One grid in its folder."""

    def __init__(self, study: StudyConfig, num_jobs: int | None = None) -> None:
        """Check every run of the grid and write the files it needs.

        Raises:
            UserError: see `study_config.check_runs`; or settings differ from those of existing runs.
        """
        self.study, self.folder = study, StudyFolder(study.run_dir)
        configurations = check_runs(study)
        for configuration in configurations.values():
            needs.check_packages(configuration.trl_settings)
        self.split = final_rows(build.load_checked_task(configurations[BASE]))[0]
        names = visible_devices()
        self.num_jobs = num_jobs or len(names) or num_cores()
        self._devices: SimpleQueue[str | None] = SimpleQueue()
        for i in range(self.num_jobs):
            self._devices.put(names[i % len(names)] if names else None)
        self._children = Children()
        self.jobs = [Job(cell, num_steps_ahead(configurations[cell.method])) for cell in self._with_base(cells(study))]
        self._write_files()

    def _with_base(self, grid: Sequence[Cell]) -> list[Cell]:
        settings = {**self.study.base, "run_dir": str(self.folder.run(BASE)), "seed": self.study.first_seed}
        return [Cell(BASE, self.study.first_seed, settings), *grid]

    def _write_files(self) -> None:
        study = self.study
        grid = Grid(
            base=study.base,
            methods=study.methods,
            cells=tuple((job.cell.method, job.cell.seed) for job in self.jobs if job.cell.method != BASE),
            test_num_samples=study.test_num_samples,
            pass_at=study.pass_at,
            reference=study.reference or list(study.methods)[-1],
        )
        with writing(self.folder.path, "comparison", wait=True):  # a second grid shares the work, and joins the file
            self.folder.write_grid(grid)
            for job in self.jobs:
                write_whole(self.folder.config(job.cell.name), flat_yaml.dump(job.cell.settings))

    def run(self, say: Callable[[Outcome, float | None], None]) -> list[Outcome]:
        """Run the rest of the grid.

        Args:
            say: called with every outcome as it comes, and the seconds that the rest will take (None: unknown so far).

        Returns:
            The outcomes, in the order they came.

        Raises:
            KeyboardInterrupt: SIGINT or SIGTERM came; the children have saved and ended.
        """
        pool = ThreadPoolExecutor(self.num_jobs)
        waiting = {pool.submit(self._run_cell, job.cell): job for job in self.jobs}
        outcomes: list[Outcome] = []
        paid = _Paid(self.num_jobs)
        try:
            with _interruptible():
                while waiting:
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        job, outcome = waiting.pop(future), future.result()
                        outcomes.append(outcome)
                        paid.add(job, outcome)
                        say(outcome, paid.seconds_left(waiting.values()))
        except BaseException:
            self._children.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return outcomes

    def _run_cell(self, cell: Cell) -> Outcome:
        name, began = cell.name, time.perf_counter()
        device = self._devices.get()
        try:
            with self._children.log(self.folder.log(name)) as log:
                code = INTERRUPTED if log is None else self._train_and_evaluate(cell, log, _environment(self, device))
        finally:
            self._devices.put(device)
        seconds = time.perf_counter() - began
        if code == 0 and self.folder.is_evaluated(name, self.study.test_num_samples):
            return Outcome(name, "finished", seconds)
        if code == INTERRUPTED:
            return Outcome(name, "interrupted", seconds)
        return Outcome(name, "failed", seconds, last_lines(self.folder.log(name), LINES_OF_A_FAILURE))

    def _train_and_evaluate(self, cell: Cell, log: IO[bytes], environment: dict[str, str]) -> int:
        name, folder, num_samples = cell.name, self.folder, self.study.test_num_samples
        if cell.method != BASE and not folder.is_trained(name):
            begun = folder.run(name).is_dir() and any(folder.run(name).iterdir())
            train = [sys.executable, "-m", "nearfuture", "train", str(folder.config(name))]
            train += ["--resume"] if begun else []
            if code := self._children.run(train, log, environment):
                return code
        if folder.is_evaluated(name, num_samples):
            return 0
        evaluate = [sys.executable, "-m", "nearfuture.lab.study.test_split", str(folder.config(name))]
        evaluate += [str(folder.config(BASE)), str(folder.test(name)), str(num_samples)]
        return self._children.run(evaluate, log, environment)


def visible_devices() -> list[str]:
    """Return the accelerators that processes may be spread over, as `CUDA_VISIBLE_DEVICES` names them."""
    import torch

    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    count = torch.cuda.device_count()
    return given[:count] if given else [str(i) for i in range(count)]


def num_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _environment(runner: GridRunner, device: str | None) -> dict[str, str]:
    threads = {"OMP_NUM_THREADS": "1"} if runner.num_jobs > 1 else {}
    return threads if device is None else {**threads, "CUDA_VISIBLE_DEVICES": device}


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt (in the main thread), even if a shell's `&` had SIGINT ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Paid:
    """What this process has spent so far, and what the rest will take at that rate."""

    def __init__(self, num_jobs: int) -> None:
        self.num_jobs = num_jobs
        self.seconds = 0.0
        self.num_steps = 0

    def add(self, job: Job, outcome: Outcome) -> None:
        if job.cell.method != BASE and outcome.state == "finished" and outcome.seconds > 1:
            self.seconds += outcome.seconds
            self.num_steps += job.num_steps

    def seconds_left(self, waiting: Any) -> float | None:
        if not self.num_steps:
            return None
        return self.seconds / self.num_steps * sum(job.num_steps for job in waiting) / self.num_jobs
