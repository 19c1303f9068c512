"""Countdown as a task: its shipped prompts, verifier and base model.

Not here: the rules of the world (`world`), and how the files were made (scripts/build_countdown.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nearfuture.tasks.countdown import world
from nearfuture.tasks.task import Task

FOLDER = Path(__file__).parent


def _rows(name: str) -> list[dict[str, Any]]:
    with (FOLDER / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def countdown_task() -> Task:
    """Load the task: 3 or 4 numbers to train on, held-out sets of numbers to look at, and six test families."""
    return Task(
        name="countdown",
        train=_rows("train.jsonl"),
        evaluation=_rows("evaluation.jsonl"),
        verify=world.verify,
        verifier_version="1",
        gold_column="answer",
        model=str(FOLDER / "model"),
        groups=("family", "operators"),
        test=_rows("test.jsonl"),
    )
