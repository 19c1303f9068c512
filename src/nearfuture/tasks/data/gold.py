"""Reduce a gold answer as a data set writes it to the answer: take it out of its box, dollars or worked solution.

Not here: how it is compared, and whether it can be compared (`nearfuture.verify`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nearfuture.tasks.data.asking import LETTERS, letter_of, lettered_options

WHOLE_FORMULAS = (r"\$\$([^$]+)\$\$", r"\$([^$]+)\$", r"\\\((.+)\\\)", r"\\\[(.+)\\\]")
"""Delimiters around a whole answer: display and inline mathematics."""
BESIDE = re.compile(r"[\s$,;]*(?:and|or)?[\s$]*")
SOLVED = re.compile(r"####\s*(.+)\s*$")


def clean_gold(value: Any) -> str:
    """Reduce a gold answer to its text; empty if there is none.

    A worked solution is reduced to its last box, or to what follows `####`; boxes side by side form one answer.
    A list of several values is not an answer, since it is unknown whether all of them or any one of them is right.

    Example:
        >>> [clean_gold(value) for value in ("$2$", 5, ["7"], "so \\\\boxed{3}.", "1+1\\n#### 1,024", None, ["1", "2"])]
        ['2', '5', '7', '3', '1,024', '', '']
        >>> clean_gold(r"\\boxed{1} and \\boxed{2}")
        '1, 2'
    """
    if isinstance(value, list | tuple):
        return clean_gold(value[0]) if len(value) == 1 else ""
    text = "" if value is None else str(value).strip()
    text = boxed(text) or text
    if found := SOLVED.search(text):
        text = found[1]
    for pattern in WHOLE_FORMULAS:
        if whole := re.fullmatch(pattern, text, re.DOTALL):
            text = whole[1]
    return text.strip()


def boxed(text: str) -> str:
    """Return the content of the last `\\boxed{}` whose braces close, and of those beside it; empty if there is none.

    Example:
        >>> boxed(r"so \\boxed{1}, that is \\boxed{\\frac{1}{2}}."), boxed(r"\\boxed{1}, \\boxed{2}"), boxed("no box")
        ('\\\\frac{1}{2}', '1, 2', '')
    """
    boxes = [
        (found.start(), end, text[found.end() : end])
        for found in re.finditer(r"\\boxed\s*\{", text)
        if (end := _closing(text, found.end())) is not None
    ]
    joined: list[str] = []
    after = len(text)
    for start, end, inside in reversed(boxes):
        if joined and not BESIDE.fullmatch(text, end + 1, after):
            break
        joined.insert(0, inside)
        after = start
    return ", ".join(joined)


def _closing(text: str, start: int) -> int | None:
    """Return where the brace that opened before `start` closes."""
    depth = 1
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return end
    return None


def letter_in(gold: str, options: Sequence[str]) -> str:
    """Return the letter that an answer names: alone, before an option's text, or by that text; otherwise the answer.

    Example:
        >>> [letter_in(gold, ["red", "blue"]) for gold in ("(B)", "B. blue", "blue", "B. red")]
        ['B', 'B', 'B', 'B. red']
    """
    if named := re.fullmatch(r"\(?([A-J])[).:]*", gold):
        return named[1]
    named = re.fullmatch(r"\(?([A-J])[).:]+\s*(.+)", gold, re.DOTALL)
    if named and letter_of(named[2], options) == named[1]:
        return named[1]
    return letter_of(gold, options)


def is_ambiguous(gold: str, options: Sequence[str]) -> bool:
    """True for an answer that is the letter of one option and the text of another.

    Example:
        >>> is_ambiguous("A", ["B", "A"]), is_ambiguous("A", ["A", "B"]), is_ambiguous("A", ["red", "blue"])
        (True, False, False)
    """
    texts = [option.strip() for option in options]
    return gold in LETTERS[: len(texts)] and gold in texts and texts[LETTERS.index(gold)] != gold


def choice_in(question: str, gold: str) -> tuple[str, list[str]] | None:
    """Return the right letter and the options that the question lists; None if the answer names no letter.

    Example:
        >>> choice_in("Which?\\nA. red\\nB. blue", "blue"), choice_in("Which?", "blue"), choice_in("Which?", "C")
        (('B', ['red', 'blue']), None, ('C', []))
    """
    options = lettered_options(question)
    letter = letter_in(gold, options)
    if letter not in LETTERS:
        return None
    return letter, options if LETTERS.index(letter) < len(options) else []


def listed_options(value: Any) -> list[str]:
    """Return options in order, from a list or from a mapping of the letters A, B, ... to texts."""
    if isinstance(value, Mapping):
        value = [value[letter] for letter in LETTERS if value.get(letter) is not None]
    return [str(option) for option in value or []]
