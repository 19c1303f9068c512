"""The options of a multiple-choice question in every form they are stored in, and which one an answer names.

    ["red", "blue"]    {"A": "red", "B": "blue"}    {"text": ["red", "blue"], "label": ["1", "2"]}
    [{"label": "A", "text": "red"}, ...]             the text of a JSON or Python list             A) red B) blue

An answer is a letter, a label, the option's text, or a number that counts from 0 or from 1, which only all rows
together tell.

Not here: options that the question itself lists (`gold.choice_in`), how a choice is judged (`nearfuture.verify`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nearfuture.json_text import loads
from nearfuture.tasks.data.asking import LETTERS, lettered_options
from nearfuture.tasks.data.gold import clean_gold, listed_options
from nearfuture.types import UserError


@dataclass(frozen=True)
class Choices:
    """The texts of the options in order, and the labels they are stored with, if any."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def letter(self, gold: str) -> str:
        """Return the letter of a label; the answer itself if it is none."""
        return LETTERS[self.labels.index(gold)] if gold in self.labels[: len(LETTERS)] else gold


def read_choices(value: Any) -> Choices | None:
    """Read the options of a row; without texts if it has none, None if what is there cannot be read.

    Example:
        >>> read_choices("[A] red [B] blue") is None, read_choices("A) red B) blue").texts, read_choices(None).texts
        (True, ('red', 'blue'), ())
    """
    if isinstance(value, str):
        value = _written(value) if value.strip() else None
        if isinstance(value, str):
            return None
    if value is None:
        return Choices()
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        return Choices(tuple(map(str, value["text"])), tuple(map(str, value.get("label") or ())))
    if isinstance(value, Mapping):
        return Choices(tuple(listed_options(value)))
    if not isinstance(value, list | tuple):
        return None
    if value and all(isinstance(one, Mapping) and "text" in one for one in value):
        labels = tuple(str(one["label"]) for one in value if one.get("label") is not None)
        return Choices(tuple(str(one["text"]) for one in value), labels)
    return Choices(tuple("" if one is None else str(one) for one in value))


def first_number(golds: Iterable[Any], options: Iterable[Any]) -> int | None:
    """Tell what number the first option has in a data set whose answers number the options.

    Args:
        golds: the answers of all rows.
        options: the options of all rows, as they are stored.

    Returns:
        0 or 1; None if answers are letters, labels or texts.

    Raises:
        UserError: the numbers fit both.

    Example:
        >>> first_number([0, 1], [["red", "blue"], ["up", "down"]]), first_number(["4"], [["3", "4", "5"]])
        (0, None)
        >>> first_number([0, "blue", -1], [["red", "blue"]] * 3)  # a text among them, and a row without a label
        0
    """
    found = [(clean_gold(gold), read_choices(value)) for gold, value in zip(golds, options, strict=True)]
    pairs = [(gold, choices) for gold, choices in found if gold and choices is not None and choices.texts]
    counted = [
        (number, gold, choices)
        for gold, choices in pairs
        if gold not in choices.labels and (number := whole_number(gold)) is not None and number >= 0
    ]
    if all(gold in map(str.strip, choices.texts) for _, gold, choices in counted):
        return None
    numbers = [number for number, _, _ in counted]
    if 0 in numbers:
        return 0
    if any(number == len(choices.texts) for number, _, choices in counted):
        return 1
    raise UserError(
        f"the answers are numbers from {min(numbers)} to {max(numbers)} beside options, never 0 and never the number "
        "of options, so it is unknown whether the first option is 0 or 1. Write letters, or the options' texts."
    )


def whole_number(gold: str) -> int | None:
    """Read an answer that numbers an option; a column with a gap in it stores whole numbers as 1.0."""
    return int(float(gold)) if re.fullmatch(r"-?\d{1,3}(\.0)?", gold) else None


def _written(text: str) -> Any:
    """Read options out of a text; the text itself if it holds none."""
    for read in (loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            if isinstance(found := read(text.strip()), list | tuple | dict):
                return found
    return lettered_options(text) or text
