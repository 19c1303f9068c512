"""The test families of the apprentice's world: eight ways in which a prompt can differ from the training prompts.

Training prompts are chains of 3 to 6 operations, uniform over operators and digits, that the base model failed.

    length-3, length-4, length-5, length-6   the same distribution: fresh chains, without the filter
    length-2       length          shorter than every training prompt
    one-operator   composition     one operator throughout, each of the four with each of 3 to 6 operations
    hard-half      operators       only `;` and `~`, both of them, 3 to 6 operations
    padded         surface form    3 operations with `+0` after each: every result is written twice

`length-2` and `padded` are out of distribution: no training prompt is of their kind.

Not here: the rows that ship (`shipped`), the base model's scores on them (docs/world.md).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from nearfuture.tasks.identity import prompt_hash
from nearfuture.tasks.worlds.apprentice import world

SIZE = 64
LENGTHS = (3, 4, 5, 6)
OUT_OF_DISTRIBUTION = ("length-2", "padded")

Draw = Callable[[random.Random, int], world.Chain]


def _of_length(length: int) -> Draw:
    return lambda rng, _: world.sample_chain(rng, length)


def _one_operator(rng: random.Random, index: int) -> world.Chain:
    """Draw every operator with every training length in turn."""
    start, steps = world.sample_chain(rng, LENGTHS[index // len(world.OPERATORS) % len(LENGTHS)])
    operator = world.OPERATORS[index % len(world.OPERATORS)]
    return start, tuple((operator, operand) for _, operand in steps)


def _hard_half(rng: random.Random, index: int) -> world.Chain:
    while True:
        start, steps = world.sample_chain(rng, LENGTHS[index % len(LENGTHS)])
        if {operator for operator, _ in steps} == {";", "~"}:
            return start, steps


def _padded(rng: random.Random, _: int) -> world.Chain:
    start, steps = world.sample_chain(rng, 3)
    return start, tuple(step for one in steps for step in (one, ("+", 0)))


FAMILIES: dict[str, Draw] = {
    **{f"length-{length}": _of_length(length) for length in (2, *LENGTHS)},
    "one-operator": _one_operator,
    "hard-half": _hard_half,
    "padded": _padded,
}


def describe(chain: world.Chain, family: str) -> dict[str, Any]:
    """Make the row that ships for one chain."""
    prompt = world.write(chain)
    return {
        "prompt": prompt,
        "answer": world.trace(chain),
        "prompt_id": prompt_hash({"prompt": prompt}),
        "family": family,
        "length": len(chain[1]),
        "operators": "".join(operator for operator, _ in chain[1]),
        "operator": world.hardest_operator(chain),
    }


def draw_test(rng: random.Random, others: Iterable[str]) -> list[dict[str, Any]]:
    """Draw `SIZE` rows of every family.

    Args:
        rng: the only source of randomness.
        others: prompts of the other splits; none of them is drawn, and no prompt is drawn twice.
    """
    seen, rows = set(others), []
    for family, draw in FAMILIES.items():
        for index in range(SIZE):
            row = describe(draw(rng, index), family)
            while row["prompt"] in seen:
                row = describe(draw(rng, index), family)
            seen.add(row["prompt"])
            rows.append(row)
    return rows
