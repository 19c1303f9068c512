"""The apprentice as a task: its shipped prompts, verifier and base model.

Not here: the rules of the world (`world`), and how the files were made (scripts/build_apprentice.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfuture.tasks.task import Task
from nearfuture.tasks.worlds.apprentice import world
from nearfuture.verify.files import read_rows

FOLDER = Path(__file__).parent


def apprentice_task() -> Task:
    """Load the task: prompts that the base fails in 4 of 4 samples, unfiltered held-out prompts, test families."""
    return Task(
        name="apprentice",
        train=read_rows(FOLDER / "train.jsonl"),
        evaluation=read_rows(FOLDER / "evaluation.jsonl"),
        verify=world.verify,
        reads=_read,
        time_limit=None,  # it reads a line of text in microseconds
        verifier_version="3",
        gold_column="answer",
        model=str(FOLDER / "model"),
        traces=str(FOLDER / "teacher.jsonl"),
        groups=("family", "operator"),
        test=read_rows(FOLDER / "test.jsonl"),
    )


def _read(completion: str, row: Mapping[str, Any]) -> str | None:
    return world.read(completion)
