"""Keep the training rows of a task whose pass rate lies within limits: the paper's filter, for a task.

Not here: measuring (`nearfuture.lab.measure.difficulty`), the same for a data set (`data.loading`).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.tasks.rows import as_dataset
from nearfuture.tasks.task import Task
from nearfuture.types import NoSignalError, UserError


def within_difficulty(task: Task, path: Path, low: float | None, high: float | None) -> Task:
    """Leave out the training rows whose pass rate is outside the limits, or was never judged.

    Args:
        task: the task; its held-out rows stay unchanged.
        path: the file that `nearfuture data difficulty` wrote for this task.
        low: the lowest pass rate to keep.
        high: the highest pass rate to keep.

    Raises:
        UserError: there is no such file, or it was measured on other rows.
        NoSignalError: no row is left.
    """
    from datasets import Dataset

    if not path.is_file():
        raise UserError(f"task_difficulty={path} does not exist. `nearfuture data difficulty` writes it.")
    found = with_prompt_ids(Dataset.from_parquet(str(path)))
    if "difficulty" not in found.column_names:
        raise UserError(f"task_difficulty={path} has no column difficulty. `nearfuture data difficulty` writes it.")
    rates = dict(zip(found["prompt_id"], found["difficulty"], strict=True))
    train = as_dataset(task.train, f"task {task.name!r}")
    ids = with_prompt_ids(train)["prompt_id"]
    if unknown := [index for index, prompt_id in enumerate(ids) if prompt_id not in rates]:
        raise UserError(
            f"task_difficulty={path}: {len(unknown)} of {len(ids)} training rows of {task.name} are not in it, the "
            f"first is row {unknown[0]}. It was measured on other rows: measure these."
        )
    kept = [index for index, prompt_id in enumerate(ids) if _is_within(rates[prompt_id], low, high)]
    if not kept:
        raise NoSignalError(
            f"task_difficulty={path}: none of {len(ids)} training rows of {task.name} has a pass rate from "
            f"{0 if low is None else low} to {1 if high is None else high}. Widen the limits."
        )
    note = f"task_difficulty: {len(kept)} of {len(ids)} training rows are within the limits"
    return dataclasses.replace(task, train=train.select(kept), notes=(*task.notes, note))


def _is_within(rate: float | None, low: float | None, high: float | None) -> bool:
    return rate is not None and (low is None or rate >= low) and (high is None or rate <= high)
