"""What sympy is never asked: texts that would hold it for minutes or fill the memory. They are compared as text.

A guard is not the time limit (`pool` has that): it keeps the cheap and common traps from costing a worker.

Not here: reading or comparing (`reading`, `compare`).
"""

from __future__ import annotations

import re

MAX_CHARS, MAX_DEPTH, MAX_NESTED_EXPONENT = 600, 24, 1000
_FORBIDDEN = re.compile(
    r"\\(?:sum|prod|int|iint|oint|lim|limsup|liminf|ldots|forall|exists|cdots|begin|underbrace|overbrace|to)(?![A-Za-z])"
    r"|[+-](?:\s?[+-]){3}|(?<![_\d.])\d+(?:\.\d+)?\s+\d|'|(?<![\d.}])0\s?\^\s?\{?0|\\prime|\d_|\d{3,}\s?\}?\)?\s?!|!\s?!|!\s?\}?\)?\s?\^|\)\s?\}?\s?\)\s?!"
)
_LARGE_GAMMA = re.compile(r"\\(?:Gamma|zeta|phi)\s?[({][^)}]*(?:\d{3,}|\^)")
_LARGE_BINOMIAL = re.compile(r"\\[dt]?binom\s?\{[^{}]*\d{4,}|\\[dt]?binom\s?\{[^{}]*[!^]")
_EXPONENT = re.compile(r"\^\s?(?:\{([^{}]*)\}|(\S))")
_TOWER = re.compile(r"\^\s?\{[^{}]*\^")
_REPEATED = re.compile(r"[\^!][^A-Za-z]{0,40}?[)}]\s?\^|\^\s?\d+\s?\^")
_FACTORIAL_OF = re.compile(r"\(([^()]*)\)\s?!|\{([^{}]*)\}\s?!")


def is_blocked(text: str) -> bool:
    """True where the text must not reach sympy.

    Example:
        >>> [is_blocked(text) for text in ("9^{9^{9}}", "10000!", "2^{100}", "x^{n^{2}}")]
        [True, True, False, False]
    """
    if (
        len(text) > MAX_CHARS
        or _depth(text) > MAX_DEPTH
        or _FORBIDDEN.search(text)
        or _LARGE_BINOMIAL.search(text)
        or _LARGE_GAMMA.search(text)
    ):
        return True
    for mark in _FACTORIAL_OF.finditer(text):
        if re.search(r"\d{3,}|[\^!]|\\cdot|\\times|\*", mark[1] or mark[2] or ""):
            return True
    if any(re.search(r"\d{5,}", mark[1] or "") for mark in _EXPONENT.finditer(text)):
        return True
    return _has_numeric_tower(text)


def _has_numeric_tower(text: str) -> bool:
    """True for an exponent on or in an exponent, both of numbers alone; with a name in it nothing is evaluated."""
    for mark in _TOWER.finditer(text):
        inner = text[mark.start() + 1 : mark.start() + 80]
        if not re.match(r"\s?\{[^{}]*[A-Za-z][^{}]*\^", re.sub(r"\\[A-Za-z]+", "", inner)):
            return True
    if _REPEATED.search(text) is None:
        return False
    size = 1
    for number in re.findall(r"\^\s?\{?\s?(\d+)", text):
        size *= max(1, int(number))
    return size > MAX_NESTED_EXPONENT


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        if char in "({[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")}]":
            depth -= 1
    return deepest


def is_balanced(text: str) -> bool:
    """True where braces, escaped ones left out, open and close in order."""
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += (brace == "{") - (brace == "}")
        if depth < 0:
            return False
    return depth == 0
