"""What a task is: prompts, a verifier, and the reward, checks and loading that follow from the two.

    verdict   correct   wrong, no answer   invalid gold, timeout, crash
    reward    1.0       0.0                None (TRL leaves the row out)

Not here: which prompt is which (`identity`), the worlds that ship (`apprentice`, `countdown`), and everything about
models.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfuture.types import NoSignalError, UserError, Verdict

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]
Verify = Callable[[str, dict[str, Any]], Verdict | bool | None]

SHIPPED: dict[str, str] = {
    "apprentice": "nearfuture.tasks.apprentice:apprentice_task",
    "countdown": "nearfuture.tasks.countdown:countdown_task",
    "shapes": "nearfuture.tasks.shapes:shapes_task",
}
"""The tasks that come with the package: name, and the function that makes it."""

NOT_COLUMNS = ("trainer_state", "log_extra", "log_metric", "environments")
"""What TRL hands to a reward function beside the columns of the data set."""

_logged_crashes: set[tuple[str, str, type[Exception]]] = set()


@dataclass(frozen=True)
class Task:
    """Prompts with a verifier.

    Attributes:
        name: how the task is called in reports.
        train: rows with at least `prompt`, a string or a list of messages.
        evaluation: held-out rows that are looked at on the way, during training.
        verify: judges one completion given its row; None means that it cannot be judged.
        verifier_version: changes whenever `verify` may judge differently, so that old guidance is not trusted.
        gold_column: a column with a completion that must verify as correct.
        model: path of a base model that comes with the task.
        traces: path of an external teacher's traces that come with the task, as LUFFY has them.
        groups: columns of the held-out rows that group the pass rate, where a row has them.
        test: held-out rows by `family`, looked at only by a final comparison: no setting, no checkpoint and no
            rollback is chosen by them. Empty where a task has none.
        notes: what a user should know of the rows before step 1: how many were left out, and why.
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
    notes: tuple[str, ...] = ()


def judge(task_verify: Verify, completion: str, row: Row) -> Verdict:
    """Judge one completion; a verifier that fails gives a verdict too, never an exception.

    Raises:
        TypeError: the verifier returned something else than a Verdict, a bool or None.
    """
    try:
        answer = task_verify(completion, dict(row))
    except TimeoutError:
        return Verdict.TIMEOUT
    except Exception as error:  # noqa: BLE001 (whatever a verifier raises, it says nothing about the completion)
        _log_crash(task_verify, error)
        return Verdict.CRASH
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, bool):
        return Verdict.CORRECT if answer else Verdict.WRONG
    if answer is None:
        return Verdict.INVALID_GOLD
    raise TypeError(
        f"the verifier {_name(task_verify)} returned {answer!r} of type {type(answer).__name__}. "
        "It must return a Verdict, a bool or None; a score needs a threshold, e.g. `return score == 1.0`."
    )


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _log_crash(task_verify: Verify, error: Exception) -> None:
    """Log the first crash of a kind with its traceback; the count of the others is in the metrics."""
    kind = (getattr(task_verify, "__module__", ""), _name(task_verify), type(error))
    if kind not in _logged_crashes:
        _logged_crashes.add(kind)
        logger.error("the verifier %s crashed; further %s are only counted", kind[1], kind[2].__name__, exc_info=error)


class VerdictReward:
    """A reward function for TRL: 1 for a correct completion, 0 for a wrong one, None where nothing was judged."""

    def __init__(self, task: Task) -> None:
        self.__name__ = "correct"
        self.task = task
        self.verdicts: Counter[Verdict] = Counter()

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], completion_ids: Any = None, **columns: Any
    ) -> list[float | None]:
        """Judge every completion with its row; `columns` holds one list per column, and what TRL adds."""
        log_metric = columns.get("log_metric")
        data = {name: values for name, values in columns.items() if name not in NOT_COLUMNS} | {"prompt": prompts}
        verdicts = [
            judge(self.task.verify, _text(completion), {name: values[i] for name, values in data.items()})
            for i, completion in enumerate(completions)
        ]
        counts = Counter(verdicts)
        self.verdicts.update(counts)
        if log_metric is not None:
            for verdict in _REPORTED:
                log_metric(f"verifier/{verdict.value}_frac", counts[verdict] / max(len(verdicts), 1))
        return [_reward(verdict) for verdict in verdicts]


_REPORTED = (Verdict.NO_ANSWER, Verdict.INVALID_GOLD, Verdict.TIMEOUT, Verdict.CRASH)


def _reward(verdict: Verdict) -> float | None:
    return float(verdict is Verdict.CORRECT) if verdict.is_judged else None


def _text(completion: Any) -> str:
    """Take the text of a completion: itself, or the content of its last message (text parts joined)."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return content or ""


def check_gold(task: Task) -> None:
    """Verify every gold completion of the training, evaluation and test rows against its own row.

    Raises:
        NoSignalError: there are no training rows.
        UserError: a gold completion is missing or does not verify as correct.
    """
    if len(task.train) == 0:
        raise NoSignalError(f"task {task.name!r} has 0 training rows, so there is nothing to learn. Check its filter.")
    if task.gold_column is None:
        return
    failed: list[str] = []
    splits = {"train": task.train, "evaluation": task.evaluation, "test": task.test}
    for split, rows in splits.items():
        for index, row in enumerate(rows):
            gold = row.get(task.gold_column)
            verdict = "missing" if gold is None else judge(task.verify, _text(gold), row).value
            if verdict != Verdict.CORRECT:
                failed.append(f"{split}[{index}] prompt={str(row.get('prompt'))[:80]!r} {gold!r} -> {verdict}")
    if failed:
        raise UserError(
            f"{len(failed)} of {sum(map(len, splits.values()))} gold completions in column "
            f"{task.gold_column!r} do not verify as correct: {'; '.join(failed[:3])}. "
            "A verifier must accept its own gold: correct the verifier or these rows, or set gold_column=None."
        )


def load_task(spec: str) -> Task:
    """Load a task: the name of a shipped one, or `path/to/file.py:function` for your own.

    Raises:
        UserError: unknown name, missing file or function, or a function that does not return a Task.
    """
    if spec in SHIPPED:
        module_name, _, attribute = SHIPPED[spec].partition(":")
        make = getattr(importlib.import_module(module_name), attribute)
    else:
        make = _from_file(spec)
    task = make()
    if not isinstance(task, Task):
        raise UserError(f"task={spec!r} returned {type(task).__name__}. It must return a nearfuture.tasks.Task.")
    return task


def _from_file(spec: str) -> Callable[[], object]:
    """Import the file of `path/to/file.py:function` and return the function."""
    file, colon, attribute = spec.rpartition(":")
    if not colon or not attribute:
        near = difflib.get_close_matches(spec, SHIPPED, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"task={spec!r} is no shipped task ({', '.join(SHIPPED)}).{hint} "
            "Give one of these, or your own as path/to/file.py:function."
        )
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise UserError(f"task={spec!r}: there is no file {path}. Give the path from {Path.cwd()}, or an absolute one.")
    name = f"nearfuture_task_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise UserError(f"task={spec!r}: {path.name} is not a Python file. Its name must end in .py.")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    make: Callable[[], object] | None = getattr(module, attribute, None)
    if make is None or not callable(make):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        near = difflib.get_close_matches(attribute, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else f" It has: {', '.join(names) or 'no function'}."
        raise UserError(f"task={spec!r}: {path.name} has no function {attribute!r}.{hint}")
    return make
