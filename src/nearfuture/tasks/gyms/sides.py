"""Which questions are trained on, held out, or kept for the final comparison, and how they are asked.

A question's own hash decides its side, so sides cannot overlap, whatever is drawn and however few different questions
there are. A question that is drawn again is left out and counted.

Not here: where questions come from (`reasoning`, `environments`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from nearfuture.types import UserError

MAX_DRAWS = 4
"""After this many draws per requested question, a source counts as exhausted."""
Side = Literal["train", "evaluation", "test"]
E = TypeVar("E")


@dataclass(frozen=True)
class Sizes:
    """What `task_args` may contain in addition to the parameters of the package.

    Attributes:
        num_train: the number of questions to train on.
        num_evaluation: the number of held-out questions used during training.
        num_test: the number of questions for the final comparison.
        prompt: `messages` for a model with a chat template, `text` for one without.
        instruction: a sentence after every question; empty: none.
        correct_threshold: the lowest score that counts as correct. Scorers give partial credit for the right form.
    """

    num_train: int = 2048
    num_evaluation: int = 128
    num_test: int = 256
    prompt: Literal["messages", "text"] = "messages"
    instruction: str = ""
    correct_threshold: float = 1.0

    def __post_init__(self) -> None:
        numbers = {"num_train": self.num_train, "num_evaluation": self.num_evaluation, "num_test": self.num_test}
        if (
            not all(type(number) is int for number in numbers.values())
            or min(*numbers.values(), self.num_train - 1) < 0
        ):
            raise UserError(
                f"task_args: {', '.join(f'{name}={number!r}' for name, number in numbers.items())}. A task needs at "
                "least one question to train on, and these are whole numbers, none negative."
            )
        if self.prompt not in ("messages", "text"):
            raise UserError(f"task_args.prompt={self.prompt!r}. It is messages or text.")

    @classmethod
    def names(cls) -> set[str]:
        """Names of all fields."""
        return {field.name for field in dataclasses.fields(cls)}

    @property
    def wanted(self) -> dict[Side, int]:
        """The number of questions of each side."""
        return {"train": self.num_train, "evaluation": self.num_evaluation, "test": self.num_test}

    def put(self, prompt: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        """Write a question as the model is asked it: with the instruction, as messages or as text."""
        messages = [{"role": "user", "content": prompt.strip()}] if isinstance(prompt, str) else prompt
        if self.instruction:
            last = messages[-1]
            messages = [*messages[:-1], {**last, "content": f"{last['content']}\n{self.instruction}"}]
        return messages if self.prompt == "messages" else "\n\n".join(one["content"] for one in messages)


@dataclass(frozen=True)
class Drawn(Generic[E]):
    """What was drawn: the entries of each side, how many there were, and how many of them had been drawn before."""

    sides: dict[Side, list[E]]
    num_drawn: int
    num_again: int

    def notes(self, name: str, wanted: Mapping[Side, int]) -> Iterator[str]:
        """Say how many questions there are, and where that is fewer than requested."""
        counts = ", ".join(f"{len(rows)} {side}" for side, rows in self.sides.items())
        yield f"{name}: {counts} questions of {self.num_drawn} drawn ({self.num_again} had been drawn before)"
        missing = [f"{wanted[side] - len(rows)} {side}" for side, rows in self.sides.items()]
        if any(len(rows) < wanted[side] for side, rows in self.sides.items()):
            yield f"{name} seems to have no more different questions; missing: {', '.join(missing)}"


def draw(
    entries: Iterable[E], key: Callable[[E], str], wanted: Mapping[Side, int], taken: Iterable[str] = ()
) -> Drawn[E]:
    """Take entries until every side is full, or there are no more.

    Args:
        entries: questions, in order.
        key: two questions with the same key are the same question.
        wanted: the number of questions of each side; a side that wants none gets none.
        taken: keys that count as drawn before.
    """
    sides: dict[Side, list[E]] = {"train": [], "evaluation": [], "test": []}
    seen = set(taken)
    num_drawn = num_again = 0
    for entry in entries:
        num_drawn += 1
        if (question := key(entry)) in seen:
            num_again += 1
            continue
        seen.add(question)
        side = side_of(question, wanted)
        if len(sides[side]) < wanted[side]:
            sides[side].append(entry)
        if all(len(sides[name]) == wanted[name] for name in sides):
            break
    return Drawn(sides, num_drawn, num_again)


def side_of(question: str, wanted: Mapping[Side, int]) -> Side:
    """Return the side of a question, by its hash alone, in proportion to the numbers wanted.

    Example:
        >>> {side_of(str(i), {"train": 1, "evaluation": 0, "test": 0}) for i in range(9)}
        {'train'}
    """
    place = int.from_bytes(hashlib.sha256(question.encode()).digest()[:8], "big") % sum(wanted.values())
    if place < wanted["test"]:
        return "test"
    return "evaluation" if place < wanted["test"] + wanted["evaluation"] else "train"
