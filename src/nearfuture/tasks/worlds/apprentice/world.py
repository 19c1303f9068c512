"""The apprentice's world: chains of binary operations over the digits 0..5, and the apprentice's false beliefs.

A prompt such as `3|4;1+0=` means: start with 3, apply `|4`, then `;1`, then `+0`, from left to right. The answer is the
trace of all intermediate results, one digit per operation: `055`. A second notation, closed with the end-of-prompt
sign, is also right: `055=`; the base model does not write it, an external teacher does.

`+` is addition modulo 6; every other operator is a random 6x6 table drawn once from a fixed seed, so it cannot be
derived from anything: it has to be known or tried.

The base model learned from an apprentice who gets each operator right with a certain probability (`SKILL`), and
otherwise mostly believes in one fixed wrong value per operand pair (`MISCONCEPTIONS`). Some wrong answers are therefore
more likely than the right ones, which makes exploration hard late in training.

Not here: the shipped prompts and checkpoint (`shipped`), and how they were made (scripts/build_apprentice.py).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from nearfuture.types import Verdict

Table = tuple[tuple[int, ...], ...]
Chain = tuple[int, tuple[tuple[str, int], ...]]

N = 6
DIGITS = "012345"
END_OF_PROMPT = "="
TABLE_SEED = 2604

SKILL: Mapping[str, float] = {"+": 0.9, "|": 0.7, ";": 0.25, "~": 0.03}
"""How often a demonstration gets an operation right, by operator."""

STUBBORNNESS = 0.8
"""How often a wrong demonstration writes the misconception rather than any other wrong value."""

OPERATORS = "".join(SKILL)


def _draw(rng: random.Random, n: int) -> int:
    """Draw from 0..n-1 using only `random()`, whose sequence Python guarantees to keep between releases."""
    return int(rng.random() * n)


def _table(rng: random.Random) -> Table:
    return tuple(tuple(_draw(rng, N) for _ in range(N)) for _ in range(N))


def _tables() -> tuple[dict[str, Table], dict[str, Table]]:
    """Draw the true table and the misconceptions of every operator; a misconception is never the truth."""
    rng = random.Random(TABLE_SEED)
    truth = {op: _table(rng) for op in OPERATORS}
    truth["+"] = tuple(tuple((a + b) % N for b in range(N)) for a in range(N))
    belief = {
        op: tuple(tuple((truth[op][a][b] + 1 + _draw(rng, N - 1)) % N for b in range(N)) for a in range(N))
        for op in OPERATORS
    }
    return truth, belief


TABLES, MISCONCEPTIONS = _tables()


def parse(prompt: object) -> Chain | None:
    """Read `3|4;1=` as `(3, (("|", 4), (";", 1)))`; None unless it is a chain of at least one operation."""
    if not isinstance(prompt, str) or len(prompt) < 4 or len(prompt) % 2 or not prompt.endswith(END_OF_PROMPT):
        return None
    operators, digits = prompt[1:-1:2], prompt[0:-1:2]
    if any(op not in OPERATORS for op in operators) or any(digit not in DIGITS for digit in digits):
        return None
    return int(digits[0]), tuple(zip(operators, map(int, digits[1:]), strict=True))


def write(chain: Chain) -> str:
    """Write a chain as a prompt; the inverse of `parse`."""
    start, steps = chain
    return f"{start}{''.join(f'{op}{operand}' for op, operand in steps)}{END_OF_PROMPT}"


def trace(chain: Chain) -> str:
    """Return the right answer: every intermediate result, one digit per operation."""
    value, steps = chain
    results = []
    for op, operand in steps:
        value = TABLES[op][value][operand]
        results.append(str(value))
    return "".join(results)


def hardest_operator(chain: Chain) -> str:
    """Name the operator of the chain that the apprentice gets right least often."""
    return min((op for op, _ in chain[1]), key=lambda op: SKILL[op])


def sample_chain(rng: random.Random, length: int) -> Chain:
    """Draw a chain of `length` operations, uniformly over digits and operators."""
    steps = tuple((OPERATORS[_draw(rng, len(OPERATORS))], _draw(rng, N)) for _ in range(length))
    return _draw(rng, N), steps


def demonstrate(chain: Chain, rng: random.Random) -> str:
    """Answer as the apprentice does: right with probability `SKILL`, otherwise mostly wrong; errors carry over.

    One operation with operator o and operands (a, b) gives

        truth_o(a, b) with probability SKILL[o], else belief_o(a, b) with STUBBORNNESS, else one of the other four
        values.
    """
    value, steps = chain
    results = []
    for op, operand in steps:
        right, believed = TABLES[op][value][operand], MISCONCEPTIONS[op][value][operand]
        if rng.random() < SKILL[op]:
            value = right
        elif rng.random() < STUBBORNNESS:
            value = believed
        else:
            others = [digit for digit in range(N) if digit not in (right, believed)]
            value = others[_draw(rng, len(others))]
        results.append(str(value))
    return "".join(results)


def close(answer: str) -> str:
    """Write an answer in the teacher's notation: `055` becomes `055=`."""
    return answer + END_OF_PROMPT


def read(completion: str) -> str | None:
    """Read an answer in either notation as digits alone; None if it is in neither.

    Example:
        >>> read("055"), read("055="), read("05=5")
        ('055', '055', None)
    """
    digits = completion.removesuffix(END_OF_PROMPT)
    return digits if digits and all(digit in DIGITS for digit in digits) else None


def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
    """Judge one answer in either notation: it is correct only if its length and every digit are right.

    The truth is computed from the prompt, not read from the `answer` column, so that a wrong file is noticed.
    """
    chain = parse(row.get("prompt"))
    if chain is None:
        return Verdict.INVALID_GOLD
    answer = read(completion)
    if answer is None:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if answer == trace(chain) else Verdict.WRONG
