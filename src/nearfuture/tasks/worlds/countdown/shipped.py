"""Countdown as a task: its shipped prompts, verifier and base model.

Not here: the rules of the world (`world`), and how the files were made (scripts/build_countdown.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfuture.tasks.task import Task
from nearfuture.tasks.worlds.countdown import world
from nearfuture.verify.files import read_rows

FOLDER = Path(__file__).parent


def countdown_task() -> Task:
    """Load the task: training prompts with 3 or 4 numbers, held-out sets of numbers, and six test families."""
    return Task(
        name="countdown",
        train=read_rows(FOLDER / "train.jsonl"),
        evaluation=read_rows(FOLDER / "evaluation.jsonl"),
        verify=world.verify,
        reads=_read,
        time_limit=None,  # it reads a line of text in microseconds
        verifier_version="1",
        gold_column="answer",
        model=str(FOLDER / "model"),
        groups=("family", "operators"),
        test=read_rows(FOLDER / "test.jsonl"),
    )


def _read(completion: str, row: Mapping[str, Any]) -> str | None:
    """Return the expression of an answer with its value."""
    expression = world.read(completion)
    return None if expression is None else f"{world.spell(expression)} = {world.value(expression)}"
