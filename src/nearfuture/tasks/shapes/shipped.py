"""Shapes as a task: its shipped scenes, drawn when they are loaded, its verifier and its base model.

Not here: the rules of the world (`world`), the pixels (`drawing`), how the files were made (scripts/build_shapes.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nearfuture.tasks.shapes import world
from nearfuture.tasks.shapes.drawing import draw
from nearfuture.tasks.task import Task

FOLDER = Path(__file__).parent


def with_image(row: dict[str, Any]) -> dict[str, Any]:
    """Add the prompt and the image to a row that ships."""
    content = [{"type": "image", "text": None}, {"type": "text", "text": f"{row['question']}?>"}]
    return {"prompt": [{"role": "user", "content": content}], "images": [draw(world.parse(row["scene"]))], **row}


def _rows(name: str) -> list[dict[str, Any]]:
    with (FOLDER / name).open(encoding="utf-8") as lines:
        return [with_image(json.loads(line)) for line in lines]


def shapes_task() -> Task:
    """Load the task: training and held-out prompts of five families, test prompts of seven."""
    return Task(
        name="shapes",
        train=_rows("train.jsonl"),
        evaluation=_rows("evaluation.jsonl"),
        verify=world.verify,
        verifier_version="1",
        gold_column="answer",
        model=str(FOLDER / "model"),
        test=_rows("test.jsonl"),
    )
