"""The user's first own task, as a file to change: for the tiny model that ships, or for one that reads messages.

Not here: the configuration beside it (`first`), what a task is (`nearfuture.tasks.task`).
"""

from __future__ import annotations


def task_file(function: str, *, for_tiny_model: bool) -> str:
    """The text of a Python file whose function of this name returns a task."""
    return (TINY if for_tiny_model else CHAT).replace("FUNCTION", function)


TINY = '''"""Sums modulo six, a task of your own: change the rows and the judge to yours.

The model is a tiny one that ships and reads digits from 0 to 5, so that this runs anywhere. For your own model take
`model=...` out, and set `model` in the configuration.
"""

import random

from nearfuture import Task, load_task


def FUNCTION() -> Task:
    """What is trained on, what is evaluated, and the judge of both."""
    rows = [row(random.Random(number)) for number in range(576)]
    return Task("FUNCTION", train=rows[64:], evaluation=rows[:64], verify=is_right, model=load_task("apprentice").model)


def row(draw: random.Random) -> dict[str, str]:
    """A prompt such as `3+4+1=`, and whatever the judge needs: `12`, what each `+` makes modulo six."""
    digits = [draw.randrange(6) for _ in range(5)]
    totals = [sum(digits[:count]) % 6 for count in range(2, 6)]
    return {"prompt": "+".join(map(str, digits)) + "=", "answer": "".join(map(str, totals))}


def is_right(completion: str, row: dict[str, str]) -> bool:
    """Judge one completion; None would say that it cannot be judged."""
    return completion.strip() == row["answer"]
'''

CHAT = '''"""Products, a task of your own: change the rows and the judge to yours."""

import random
import re

from nearfuture import Task


def FUNCTION() -> Task:
    """What is trained on, what is evaluated, and the judge of both."""
    rows = [row(random.Random(number)) for number in range(576)]
    return Task("FUNCTION", train=rows[64:], evaluation=rows[:64], verify=is_right)


def row(draw: random.Random) -> dict[str, object]:
    """A prompt, text or messages, and whatever the judge needs."""
    a, b = draw.randrange(11, 100), draw.randrange(11, 100)
    question = f"What is {a} * {b}? Think briefly, and end with the number."
    return {"prompt": [{"role": "user", "content": question}], "answer": str(a * b)}


def is_right(completion: str, row: dict[str, str]) -> bool:
    """Judge one completion by its last number; None would say that it cannot be judged."""
    return re.findall(r"\\d+", completion.replace(",", ""))[-1:] == [row["answer"]]
'''
