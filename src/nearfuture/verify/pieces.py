"""Cut the text of an answer at commas outside brackets and at enclosing parentheses; tell names and prose from values.

Not here: what the pieces mean (`reading`, `reals`).
"""

from __future__ import annotations

import re

from nearfuture.verify.functions import FUNCTIONS

BRACKETS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = set(BRACKETS.values())
_NAME = re.compile(
    r"(?:\\(?!frac|sqrt|pi|infty|pm|degree|sin|cos|tan|ln|log|exp)[A-Za-z]+\s?|m\s?(?=\\angle))*"  # \angle, \vec
    r"(?:[A-Za-z]{1,3}'{0,3}(?:_\s?(?:\{[^{}]{1,24}\}|\w))?(?:\^\s?\{-1\})?'{0,3}"  # x, AB, a_{1}, f', f^{-1}
    r"(?:\([A-Za-z\\][A-Za-z ,\d]{0,9}\)|\([+-]?\d{1,3}\))?)?"  # (x), (x, y), (0)
    r"|\\frac\{d[a-z]?\}\{d[a-z]\}|\((?:[A-Za-z]|\\[a-z]{2,7})(?:,\s?(?:[A-Za-z]|\\[a-z]{2,7})){1,3}\)|\|(?:\\[A-Za-z]{1,9}\s?(?:\{[A-Za-z]{1,3}\}|[A-Za-z]{1,3})|[A-Zzw]{1,3}|[A-Z]_(?:\{\w{1,6}\}|\w)|[A-Za-z]{2,6})\||\{[A-Z]{1,3}\}"
    r"|[A-Za-z]{4,20}(?: [A-Za-z]{1,15}){0,4}"  # Area of the circle
)
_LONG_RUN = re.compile(r"[A-Za-z]{4,}")
_COMMAND = re.compile(r"\\(?:begin|end)\{[a-zA-Z]+\}|\\[A-Za-z]+")
_OPERATOR = re.compile(r"\\(?:int|sum|prod|lim)(?![A-Za-z])")
_LETTER = re.compile(r"[A-Za-z]")


def strip_parentheses(text: str) -> str:
    """Strip parentheses that enclose everything and group nothing: ((5)) is 5, (1, 2) stays.

    Takes linear time, however deep they are.
    """
    opens: list[int] = []
    partner: dict[int, int] = {}
    for index, char in enumerate(text):
        if char == "(":
            opens.append(index)
        elif char == ")" and opens:
            partner[opens.pop()] = index
    first, last = 0, len(text) - 1
    while first < last and text[first] in "( " and (text[first] == " " or partner.get(first) == last):
        is_space = text[first] == " "
        first, last = first + 1, last if is_space else last - 1
        while not is_space and last > first and text[last] == " ":
            last -= 1
    inner = text[first : last + 1].strip()
    return inner if inner and not re.search("[,;]", inner) else (f"({inner})" if first and inner else text)


def split_top(text: str, separator: str) -> list[str]:
    """Split at a character outside all brackets; the closing bracket need not match the opening one, as in [0, 1)."""
    parts, depth, start, index = [], 0, 0, 0
    while index < len(text):
        char = text[index]
        if char == "\\" and text[index + 1 : index + 2] not in ("{", "}"):
            index += 2
            continue
        if char in BRACKETS:
            depth += 1
        elif char in CLOSERS:
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    return [part.strip() for part in [*parts, text[start:]]]


def first_close(text: str) -> int:
    """Return the index at which the bracket that opens the text is closed."""
    depth = 0
    for index, char in enumerate(text):
        depth += (char in BRACKETS) - (char in CLOSERS)
        if depth == 0:
            return index
    return -1


def is_name(text: str) -> bool:
    """True for a name that may precede an equals sign: x, a_1, f(x), \\angle ABC, Area."""
    return bool(text) and _NAME.fullmatch(text) is not None and text.strip() not in ("", r"\infty", r"\R", "e")


def clean_name(name: str) -> str:
    """Reduce a name to what distinguishes it."""
    return re.sub(r"m(?=\s?\\angle)|\\(?:angle|overline|vec|widehat|hat|triangle)|[{}|\s]", "", name)


_QUANTITY_NAME = (
    r"(?:[A-Z]{1,3}|\\(?:angle|overline|vec|triangle)\s?\{?[A-Za-z]{1,3}\}?|[a-w]|[A-Za-z]_(?:\{\w{1,6}\}|\w)|[A-Za-z]\(\w{1,3}\)"
    r"|\|[A-Z]{1,3}\||[A-Z][A-Za-z]{0,3}\s?[(\[][^()\[\]]{1,30}[)\]])"
)
_QUANTITY_TERM = rf"(?:{_QUANTITY_NAME}|\\frac\{{{_QUANTITY_NAME}\}}\{{{_QUANTITY_NAME}\}})"
_QUANTITY = re.compile(
    rf"{_QUANTITY_TERM}(?:\s?(?:[-+/:]|\\cdot|\\times)?\s?{_QUANTITY_TERM}){{1,5}}|\\frac\{{{_QUANTITY_NAME}\}}\{{{_QUANTITY_NAME}\}}|\\(?:sin|cos|tan|cot)\s?(?:\\?angle\s?)?(?:[A-Z]{{1,3}}|\\[a-z]{{2,7}})|[A-Z][A-Za-z]{{0,3}}\s?[(\[][^()\[\]]{{1,30}}[)\]]"
)


def is_quantity(text: str) -> bool:
    """True for names joined into something a question may ask for: m + n, AB \\cdot CD, a:b; not for 2x, x + y or x^2.

    Example:
        >>> is_quantity("m+n"), is_quantity("\\\\frac{NO}{BO}"), is_quantity("x+y"), is_quantity("2a")
        (True, True, False, False)
    """
    return _QUANTITY.fullmatch(text.strip()) is not None


def has_variables(text: str) -> bool:
    """True if the text has a letter that is neither part of a command nor Euler's number."""
    return _LETTER.search(_COMMAND.sub(" ", text).replace("e^", "")) is not None


def is_wordy(text: str) -> bool:
    """True for prose: a run of four letters or more, several short words, or letters only."""
    bare = _COMMAND.sub(" ", text).strip()
    if _LONG_RUN.search(bare) is not None or re.search(r"[\u4e00-\u9fff]", bare):
        return True
    if _OPERATOR.search(text) is not None:
        return False
    words = [word for word in re.findall(r"[A-Za-z]+", bare) if len(word) > 1 and word not in FUNCTIONS]
    return (
        len(words) > 2
        or re.fullmatch(r"[A-Za-z]{3,}|[A-Za-z]+(?: [A-Za-z]{2,})+|[A-Za-z]{2,}(?: [A-Za-z]+)+", bare) is not None
    )
