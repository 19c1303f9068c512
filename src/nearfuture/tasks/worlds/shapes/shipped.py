"""Shapes as a task: its shipped scenes, drawn when they are loaded, its verifier and its base model.

Not here: the rules of the world (`world`), the pixels (`drawing`), how the files were made (scripts/build_shapes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfuture.tasks.task import Task
from nearfuture.tasks.worlds.shapes import world
from nearfuture.tasks.worlds.shapes.drawing import draw
from nearfuture.verify.files import read_rows

FOLDER = Path(__file__).parent


def with_image(row: dict[str, Any]) -> dict[str, Any]:
    """Add the prompt and the image to a row that ships."""
    content = [{"type": "image", "text": None}, {"type": "text", "text": f"{row['question']}?>"}]
    return {"prompt": [{"role": "user", "content": content}], "images": [draw(world.parse(row["scene"]))], **row}


def shapes_task() -> Task:
    """Load the task: training and held-out prompts of five families, test prompts of seven."""
    return Task(
        name="shapes",
        train=[with_image(row) for row in read_rows(FOLDER / "train.jsonl")],
        evaluation=[with_image(row) for row in read_rows(FOLDER / "evaluation.jsonl")],
        verify=world.verify,
        reads=_read,
        time_limit=None,  # it reads a line of text in microseconds
        verifier_version="1",
        gold_column="answer",
        model=str(FOLDER / "model"),
        test=[with_image(row) for row in read_rows(FOLDER / "test.jsonl")],
    )


def _read(completion: str, row: Mapping[str, Any]) -> int | None:
    return world.read(completion)
