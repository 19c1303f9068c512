"""The apprentice with so few training prompts that they come back within a few steps: `few_prompts.py:few`."""

from __future__ import annotations

from dataclasses import replace

from nearfuture.tasks import Task, load_task


def few() -> Task:
    task = load_task("apprentice")
    return replace(task, train=task.train[:16])
