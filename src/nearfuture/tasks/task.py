"""What a task is (prompts with a verifier), and how one is loaded.

Not here: judging (`judging`), the reward (`reward`), the check of gold answers (`gold`), the identity of prompts
(`identity`), the worlds that ship (`worlds`), and everything about models.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfuture.tasks.judging import ScoreVerifier, Verify
from nearfuture.tasks.rows import checked_rows
from nearfuture.types import UserError, did_you_mean
from nearfuture.verify.external import ExternalVerifier
from nearfuture.verify.files import function_of, require_function, split_spec
from nearfuture.verify.function import TIME_LIMIT, FunctionVerifier, why_not_in_worker
from nearfuture.verify.rows import RowVerifier

if TYPE_CHECKING:
    from datasets import Dataset

SHIPPED: dict[str, str] = {
    "apprentice": "nearfuture.tasks.worlds.apprentice:apprentice_task",
    "countdown": "nearfuture.tasks.worlds.countdown:countdown_task",
    "shapes": "nearfuture.tasks.worlds.shapes:shapes_task",
}
"""The tasks that ship with the package: name -> the function that makes it."""

LIBRARIES: dict[str, str] = {
    "reasoning_gym": "nearfuture.tasks.gyms.reasoning:reasoning_task",
    "verifiers": "nearfuture.tasks.gyms.environments:environment_task",
}
"""Packages whose tasks are named `package/name`, with the function that makes one from a name and `task_args`."""

_IN_PYTHON: dict[str, Task] = {}
"""Tasks that this process was given as objects, by their names in the configuration."""
PYTHON = "python:"

IN_WORKERS = (RowVerifier, ExternalVerifier, FunctionVerifier)
"""Verifiers that run in their own workers."""


@dataclass(frozen=True)
class Task:
    """Prompts with a verifier.

    Attributes:
        name: the task's name in reports.
        train: rows with at least `prompt`, a string or a list of messages: a list, a `Dataset`, or what yields them.
        evaluation: held-out rows that are evaluated during training.
        verify: judges one completion given its row; None means that it cannot be judged. A function is called in a
            worker that can be killed, if a worker can import it; otherwise in this process (`verify.function`).
        verifier_version: changes whenever `verify` may judge differently, so that old guidance is not trusted.
        gold_column: a column with a completion that must verify as correct.
        model: path of a base model that comes with the task.
        traces: path of an external teacher's traces that come with the task, in LUFFY's form.
        groups: columns of the held-out rows that group the pass rate, if a row has them.
        test: held-out rows by `family`, used only by a final comparison: no setting, no checkpoint and no
            rollback is chosen by them. Empty if the task has none.
        max_failure_frac: share of time-outs and crashes among the latest 1,000 verdicts beyond which the run stops.
        time_limit: seconds of CPU time that a function `verify` may use per completion; None: it is called in this
            process, without a limit.
        correct_threshold: the lowest score that counts as correct, if `verify` returns a number; None: it returns a
            verdict, and a number is refused. Anything below earns nothing: partial credit is not a verdict.
        notes: what a user should know about the rows before step 1: how many were left out, and why.
        reads: returns what `verify` reads in a completion, given its row, for people who look at samples; None if it
            finds nothing. The built-in verifier needs no such function.
    """

    name: str
    train: Dataset | list[dict[str, Any]]
    evaluation: Dataset | list[dict[str, Any]]
    verify: Verify
    verifier_version: str = "1"
    gold_column: str | None = None
    model: str | None = None
    traces: str | None = None
    groups: tuple[str, ...] = ("family",)
    test: Dataset | list[dict[str, Any]] = field(default_factory=list)
    max_failure_frac: float = 0.05
    time_limit: float | None = TIME_LIMIT
    correct_threshold: float | None = None
    notes: tuple[str, ...] = ()
    reads: Callable[[str, dict[str, Any]], Any] | None = None

    def __post_init__(self) -> None:
        for split in ("train", "evaluation", "test"):
            object.__setattr__(self, split, checked_rows(getattr(self, split), f"task {self.name!r}, {split}"))
        self._move_into_worker()
        if self.correct_threshold is not None:
            verify = self.verify.verify if isinstance(self.verify, ScoreVerifier) else self.verify
            object.__setattr__(self, "verify", ScoreVerifier(verify, self.correct_threshold))

    def _move_into_worker(self) -> None:
        """Let the verifier be called in a worker, or note why it is not."""
        if self.time_limit is None or isinstance(self.verify, (*IN_WORKERS, ScoreVerifier)):
            return
        reason = why_not_in_worker(self.verify)
        if reason is None:
            object.__setattr__(self, "verify", FunctionVerifier(self.verify, time_limit=self.time_limit))
            return
        name = getattr(self.verify, "__qualname__", type(self.verify).__qualname__)
        note = f"the verifier {name} runs in this process, without a limit: {reason}"
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, note))))


def load_task(spec: str, args: Mapping[str, Any] | None = None) -> Task:
    """Load a task.

    Args:
        spec: name of a shipped one, `reasoning_gym/NAME`, `verifiers/NAME`, or `path/to/file.py:function` for your own.
        args: arguments for the function (`task_args` of a configuration); shipped tasks take none.

    Raises:
        UserError: the name is unknown, a file, function or package is missing, the function does not take the
            arguments, or it does not return a Task.
    """
    if spec.startswith(PYTHON):
        return _in_this_process(spec)
    library, slash, name = spec.partition("/")
    if slash and library in LIBRARIES:
        found: Task = _imported(LIBRARIES[library])(name, dict(args or {}))
        return found
    make = _imported(SHIPPED[spec]) if spec in SHIPPED else function_of(*_own(spec), key="task", spec=spec)
    try:
        inspect.signature(make).bind(**(args or {}))
    except TypeError as error:
        raise UserError(f"task={spec!r} does not take task_args {dict(args or {})}: {error}. Change them.") from None
    try:
        task = make(**(args or {}))
    except UserError:
        raise
    except Exception as error:
        if spec in SHIPPED:
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"task={spec!r} raised {type(error).__name__}: {error} ({where.filename}, line {where.lineno}). Mend the "
            "function, or its task_args."
        ) from error
    if not isinstance(task, Task):
        raise UserError(f"task={spec!r} returned {type(task).__name__}. It must return a nearfuture.tasks.Task.")
    return task


def require_task(spec: str) -> None:
    """Refuse a task that does not exist, judging by names and files: nothing is imported.

    Raises:
        UserError: the name is unknown, a file or function is missing, or the task was an object of another program.
    """
    if spec.startswith(PYTHON):
        _in_this_process(spec)
    elif spec not in SHIPPED and spec.partition("/")[0] not in LIBRARIES:
        require_function(*_own(spec), key="task", spec=spec)


def _own(spec: str) -> tuple[Path, str]:
    """Return file and function of a task that does not ship."""
    unknown = (
        f"task={spec!r} is not a shipped task ({', '.join(SHIPPED)}).{did_you_mean(spec, SHIPPED, repr)} Give one of "
        "these, reasoning_gym/NAME, verifiers/NAME, or your own as path/to/file.py:function; a data set is named by "
        "dataset_name."
    )
    return split_spec(spec, key="task", otherwise=unknown)


def in_python(task: Task) -> str:
    """Register a task that exists only as an object, and return its name for `load_task` in this process."""
    _IN_PYTHON[PYTHON + task.name] = task
    return PYTHON + task.name


def _in_this_process(spec: str) -> Task:
    if spec not in _IN_PYTHON:
        raise UserError(
            f"task={spec!r} was given in Python, as an object that only that program has. Go on there, with "
            f"Run(..., task=...).train(resume=True); for the command line write a function that returns the task "
            "into a file, and name it as task=path/to/file.py:function."
        )
    return _IN_PYTHON[spec]


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
