"""Countdown's world: write an expression that uses every given number once and hits the target.

A prompt such as `7 3 12>43=` gives the numbers 7, 3 and 12 and the target 43; `7+3*12` is one of its right answers.
An answer is numbers joined by `+`, `-` and `*`, where `*` binds tighter; there are no brackets and no signs.
Numbers and targets are 1 to 99. Many answers can be right, so the rules judge, never a stored answer.

Not here: which prompts there are (`families`), the shipped files (`shipped`), how they were made
(scripts/build_countdown.py).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nearfuture.types import Verdict

OPERATORS = "+-*"
SYMBOLS = f"0123456789{OPERATORS} >="

_NUMBER = "[1-9][0-9]?"
_PROMPT = re.compile(f"({_NUMBER}(?: {_NUMBER})+)>({_NUMBER})=")
_ANSWER = re.compile(f"{_NUMBER}(?:[+*-]{_NUMBER})*")


class Puzzle(NamedTuple):
    """The numbers, in the order in which they are shown, and the target."""

    numbers: tuple[int, ...]
    target: int


class Expression(NamedTuple):
    """Numbers, and the operators between them: one fewer."""

    numbers: tuple[int, ...]
    operators: tuple[str, ...]


def parse(prompt: object) -> Puzzle | None:
    """Read `7 3 12>43=` as the numbers (7, 3, 12) and the target 43; None if it is not such a prompt."""
    found = _PROMPT.fullmatch(prompt) if isinstance(prompt, str) else None
    return Puzzle(tuple(map(int, found[1].split(" "))), int(found[2])) if found else None


def write(puzzle: Puzzle) -> str:
    """Write a puzzle as a prompt; the inverse of `parse`."""
    return f"{' '.join(map(str, puzzle.numbers))}>{puzzle.target}="


def read(completion: str) -> Expression | None:
    """Read an answer; None if it is not numbers (1 to 99, no leading zero) joined by operators."""
    if _ANSWER.fullmatch(completion) is None:
        return None
    return Expression(tuple(map(int, re.split("[+*-]", completion))), tuple(c for c in completion if c in OPERATORS))


def spell(expression: Expression) -> str:
    """Write an expression as an answer; the inverse of `read`."""
    first, *others = expression.numbers
    return f"{first}{''.join(f'{o}{n}' for o, n in zip(expression.operators, others, strict=True))}"


def value(expression: Expression) -> int:
    """Compute an expression: products first, then sums and differences from left to right.

    Example:
        >>> value(Expression((7, 3, 12), ("+", "*")))
        43
    """
    first, *others = expression.numbers
    terms = [first]
    for operator, number in zip(expression.operators, others, strict=True):
        if operator == "*":
            terms[-1] *= number
        else:
            terms.append(number if operator == "+" else -number)
    return sum(terms)


def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
    """Judge one answer: it is an expression, uses every number of the prompt exactly once, and hits the target."""
    puzzle = parse(row.get("prompt"))
    if puzzle is None:
        return Verdict.INVALID_GOLD
    expression = read(completion)
    if expression is None:
        return Verdict.NO_ANSWER
    uses_all = sorted(expression.numbers) == sorted(puzzle.numbers)
    return Verdict.CORRECT if uses_all and value(expression) == puzzle.target else Verdict.WRONG


def solutions(puzzle: Puzzle) -> Iterator[Expression]:
    """Return every right answer by trying all: 4 numbers give 648 expressions, 5 give 9,720 (some of them twice)."""
    for numbers in itertools.permutations(puzzle.numbers):
        for operators in itertools.product(OPERATORS, repeat=len(numbers) - 1):
            expression = Expression(numbers, operators)
            if value(expression) == puzzle.target:
                yield expression


def needs_times(puzzle: Puzzle) -> bool:
    """True if no choice of signs gives the target, so that there is no right answer without `*`.

    The target is positive, so at least one sign of a hit is plus, and that number can be written first.
    """
    signs = itertools.product((1, -1), repeat=len(puzzle.numbers))
    return all(sum(s * n for s, n in zip(sign, puzzle.numbers, strict=True)) != puzzle.target for sign in signs)
