"""Texts that sympy is never given, since they would take minutes or fill the memory. They are compared as text.

A guard does not replace the time limit (see `pool`): it keeps simple, common traps from costing a worker.

Not here: reading or comparing (`reading`, `compare`).
"""

from __future__ import annotations

import re

ROW_BREAK = "\ue000"
"""Stands for the two backslashes between the rows of a matrix; no answer holds it."""
MAX_CHARS, MAX_DEPTH, MAX_NESTED_EXPONENT = 600, 24, 1000
_FORBIDDEN = re.compile(
    r"\\(?:iint|iiint|oint|limsup|liminf|ldots|forall|exists|cdots|underbrace|overbrace)(?![A-Za-z])"
    r"|[+-](?:\s?[+-]){3}|(?<![_\d.])\d+(?:\.\d+)?\s+\d|(?<![A-Za-z}'])'|(?<![\d.}])0\s?\^\s?\{?0|\d_"
    r"|\d{3,}\s?\}?\)?\s?!|!\s?!|(?<![a-z])!\s?\}?\)?\s?\^|\)\s?\}?\s?\)\s?!|[∧∨¬≈\u4e00-\u9fff]"
)
_OPERATOR = re.compile(r"\\(?:sum|prod|int|lim)(?![A-Za-z])")
_HEAVY = re.compile(r"\d{4}|\^\s?\{?\s?\d{3}|\^\s?\{[^{}]*\^|\^\s?\w\s?\^|!\s?[\^!]")
_BOUND = re.compile(r"\\(?:sum|prod)\s?(?:[_^]\s?(?:\{[^{}]*\}|\\infty|\w)\s?){2}")
_PLAIN_BOUND = re.compile(r"\\(?:sum|prod)(?:[_^]\{?[A-Za-z]?=?[+-]?(?:\d{1,3}|[A-Za-z]|\\infty)\}?){2}")
MAX_OPERATORS, MAX_OPERATOR_CHARS, MAX_CELLS = 2, 160, 36
_LARGE_GAMMA = re.compile(r"\\(?:Gamma|zeta|phi)\s?[({][^)}]*(?:\d{3,}|\^)")
_LARGE_BINOMIAL = re.compile(r"\\[dt]?binom\s?\{[^{}]*\d{4,}|\\[dt]?binom\s?\{[^{}]*[!^]")
_EXPONENT = re.compile(r"\^\s?(?:\{([^{}]*)\}|(\S))")
_TOWER = re.compile(r"\^\s?\{[^{}]*\^")
_REPEATED = re.compile(r"[\^!][^A-Za-z]{0,40}?[)}]\s?\^|\^\s?\d+\s?\^")
_FACTORIAL_OF = re.compile(r"\(([^()]*)\)\s?!|\{([^{}]*)\}\s?!")


def is_blocked(text: str) -> bool:
    """True if the text must not reach sympy.

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
        or text.count("&") + text.count(ROW_BREAK) > MAX_CELLS
        or (r"\to" in text and r"\lim" not in text)
        or _has_heavy_operators(text)
    ):
        return True
    for mark in _FACTORIAL_OF.finditer(text):
        if re.search(r"\d{3,}|[\^!]|\\cdot|\\times|\*", mark[1] or mark[2] or ""):
            return True
    if any(re.search(r"\d{5,}", mark[1] or "") for mark in _EXPONENT.finditer(text)):
        return True
    return _has_numeric_tower(text)


def _has_heavy_operators(text: str) -> bool:
    """True for sums, products, integrals and limits that may take long: too many, too long, or over large numbers."""
    number = len(_OPERATOR.findall(text))
    if not number:
        return False
    if number > MAX_OPERATORS or len(text) > MAX_OPERATOR_CHARS or _HEAVY.search(text):
        return True
    return any(_PLAIN_BOUND.fullmatch(re.sub(r"\s", "", mark.group())) is None for mark in _BOUND.finditer(text))


def _has_numeric_tower(text: str) -> bool:
    """True for an exponent on or in an exponent if both are plain numbers; with a name in them nothing is evaluated."""
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
    """True if braces open and close in order; escaped braces are ignored."""
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += (brace == "{") - (brace == "}")
        if depth < 0:
            return False
    return depth == 0
