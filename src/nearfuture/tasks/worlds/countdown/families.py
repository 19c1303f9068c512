"""Which Countdown prompts there are: how puzzles are drawn, what is held out, and the six test families.

The hash of a puzzle's set of numbers decides its split: no set of a training prompt, in any order and with any target,
occurs in the other two splits. Training puzzles have 3 or 4 numbers, never in ascending order.

    numbers-3      numbers        3 numbers
    plus-minus     operators      4 numbers, `+` and `-` are enough
    needs-times    operators      4 numbers, no right answer without `*`
    large-target   targets        3 or 4 numbers, target of 70 or more
    numbers-5      numbers        longer than every training prompt
    ascending      surface form   3 or 4 numbers in ascending order

`numbers-5` and `ascending` are out of distribution: no training prompt is of their kind.

Not here: what is right (`world`), the base model's scores on them (docs/countdown.md).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from typing import Any

from nearfuture.tasks.identity import prompt_hash
from nearfuture.tasks.worlds.countdown import world
from nearfuture.tasks.worlds.countdown.world import Expression, Puzzle

LARGEST_NUMBER, LARGEST_TARGET, LARGE_TARGET = 15, 99, 70
LEVELS = (3, 4)
SIZE = 48
OUT_OF_DISTRIBUTION = ("numbers-5", "ascending")

Drawn = tuple[Puzzle, Expression]
Accept = Callable[[Puzzle], bool]


def split_of(numbers: Iterable[int]) -> str:
    """Name the split a set of numbers belongs to: an eighth each is for evaluation and test."""
    digest = hashlib.sha256(" ".join(map(str, sorted(numbers))).encode()).digest()
    return {0: "evaluation", 1: "test"}.get(digest[0] % 8, "train")


def is_ascending(puzzle: Puzzle) -> bool:
    """True if no number is followed by a smaller one."""
    return list(puzzle.numbers) == sorted(puzzle.numbers)


def _draw(rng: random.Random, n: int) -> int:
    """Draw from 0..n-1 using only `random()`, whose sequence Python guarantees to keep between releases."""
    return int(rng.random() * n)


def _shuffled(rng: random.Random, numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(numbers, key=lambda _: rng.random()))


def draw(rng: random.Random, count: int, split: str, accept: Accept) -> Drawn:
    """Draw an expression of `count` numbers until its puzzle belongs to the split and is accepted.

    Returns:
        The puzzle, with its numbers in a separately drawn order, and the expression, which is one right answer.
    """
    while True:
        numbers = tuple(1 + _draw(rng, LARGEST_NUMBER) for _ in range(count))
        operators = tuple(world.OPERATORS[_draw(rng, len(world.OPERATORS))] for _ in range(count - 1))
        expression = Expression(numbers, operators)
        puzzle = Puzzle(_shuffled(rng, numbers), world.value(expression))
        if 1 <= puzzle.target <= LARGEST_TARGET and split_of(numbers) == split and accept(puzzle):
            return puzzle, expression


def demonstrate(rng: random.Random, count: int, skill: float) -> tuple[Puzzle, Expression]:
    """Draw a training puzzle and a demonstrated answer: right with probability `skill`, otherwise out of habit.

    The habit writes as many numbers as are shown, each any of those shown, with any operators; it is right by chance.
    """
    puzzle, expression = draw(rng, count, "train", is_usual)
    if rng.random() < skill:
        return puzzle, expression
    numbers = tuple(puzzle.numbers[_draw(rng, count)] for _ in range(count))
    operators = tuple(world.OPERATORS[_draw(rng, len(world.OPERATORS))] for _ in range(count - 1))
    return puzzle, Expression(numbers, operators)


def is_usual(puzzle: Puzzle) -> bool:
    """True for puzzles as in training: in any order except ascending."""
    return not is_ascending(puzzle)


FAMILIES: dict[str, tuple[tuple[int, ...], Accept]] = {
    "numbers-3": ((3,), is_usual),
    "plus-minus": ((4,), lambda puzzle: is_usual(puzzle) and not world.needs_times(puzzle)),
    "needs-times": ((4,), lambda puzzle: is_usual(puzzle) and world.needs_times(puzzle)),
    "large-target": (LEVELS, lambda puzzle: is_usual(puzzle) and puzzle.target >= LARGE_TARGET),
    "numbers-5": ((5,), is_usual),
    "ascending": (LEVELS, is_ascending),
}
"""For every test family: how many numbers, in turn, and which puzzles."""


def describe(drawn: Drawn, family: str) -> dict[str, Any]:
    """Make the row that ships for one puzzle; `answer` is one of its right answers."""
    puzzle, expression = drawn
    prompt = world.write(puzzle)
    return {
        "prompt": prompt,
        "answer": world.spell(expression),
        "prompt_id": prompt_hash({"prompt": prompt}),
        "family": family,
        "numbers": len(puzzle.numbers),
        "operators": "needs-times" if world.needs_times(puzzle) else "plus-minus",
    }


def _distinct(draw_one: Callable[[int], dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Draw `count` rows with different prompts; `draw` is given the index of the row."""
    rows: dict[str, dict[str, Any]] = {}
    while len(rows) < count:
        row = draw_one(len(rows))
        rows.setdefault(row["prompt"], row)
    return list(rows.values())


def draw_level(rng: random.Random, count: int, split: str, size: int) -> list[dict[str, Any]]:
    """Draw `size` rows of a training level, with 3 or 4 numbers, for the split."""
    return _distinct(lambda _: describe(draw(rng, count, split, is_usual), f"numbers-{count}"), size)


def draw_test(rng: random.Random) -> list[dict[str, Any]]:
    """Draw `SIZE` rows of every test family; no prompt is in two families."""
    kinds = [(name, counts, accept) for name, (counts, accept) in FAMILIES.items()]

    def one(index: int) -> dict[str, Any]:
        name, counts, accept = kinds[index // SIZE]
        return describe(draw(rng, counts[index % len(counts)], "test", accept), name)

    return _distinct(one, SIZE * len(kinds))
