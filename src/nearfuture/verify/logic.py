"""Statements: p ∧ q, \\neg p ∨ q, p \\to q. Two are the same if they are true for the same assignments.

Not here: other kinds of answers (`reading`).
"""

from __future__ import annotations

import re
from itertools import product

from nearfuture.verify.answer import Statement

MAX_NAMES = 6
_SIGNS = {
    r"\\(?:neg|lnot|sim)(?![A-Za-z])": "¬",
    r"\\(?:leftrightarrow|Leftrightarrow|iff|equiv)(?![A-Za-z])|<->|↔": "↔",
    r"\\(?:rightarrow|Rightarrow|to|implies)(?![A-Za-z])|->|→": "→",
}
_TOKEN = re.compile(r"\s*([A-Za-z](?![A-Za-z])|[∧∨¬→↔()])")
_LEVELS = ("↔", "→", "∨", "∧")
_MEANING = {
    "↔": lambda a, b: a == b,
    "→": lambda a, b: not a or b,
    "∨": lambda a, b: a or b,
    "∧": lambda a, b: a and b,
}


def read_statement(text: str) -> Statement | None:
    """Read a statement with one-letter names; None if the text is something else.

    Example:
        >>> read_statement("p ∧ q") == read_statement("q ∧ p"), read_statement("p ∧ q") == read_statement("p ∨ q")
        (True, False)
    """
    for pattern, sign in _SIGNS.items():
        text = re.sub(pattern, sign, text)
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text) or not set(tokens) & set("∧∨¬→↔"):
        return None
    names = tuple(sorted({token for token in tokens if token.isalpha() and token.isascii()}))
    if not 0 < len(names) <= MAX_NAMES:
        return None
    try:
        rows = product((False, True), repeat=len(names))
        truths = tuple(_value(tokens, dict(zip(names, row, strict=True))) for row in rows)
    except (IndexError, KeyError, RecursionError):
        return None
    return Statement(names, truths)


def _value(tokens: list[str], truth: dict[str, bool]) -> bool:
    rest = list(tokens)
    value = _level(rest, 0, truth)
    if rest:
        raise KeyError(rest[0])
    return value


def _level(rest: list[str], level: int, truth: dict[str, bool]) -> bool:
    """Take one operand and those joined to it by this level's sign; an arrow groups to the right."""
    if level == len(_LEVELS):
        return _operand(rest, truth)
    value = _level(rest, level + 1, truth)
    while rest and rest[0] == _LEVELS[level]:
        sign = rest.pop(0)
        value = _MEANING[sign](value, _level(rest, level if sign == "→" else level + 1, truth))
    return value


def _operand(rest: list[str], truth: dict[str, bool]) -> bool:
    token = rest.pop(0)
    if token == "¬":
        return not _operand(rest, truth)
    if token == "(":
        value = _level(rest, 0, truth)
        if rest.pop(0) != ")":
            raise KeyError("(")
        return value
    return truth[token]
