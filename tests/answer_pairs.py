"""Values printed in several notations: pairs of answers that are equal, and pairs that nearly are, from one generator.

A family draws parameters, spells them in all notations it knows, and draws a neighbour that is a different value. What
is equal is known from the parameters, never from a verifier.

Not here: who judges the pairs (`test_verify_pairs.py`, `measurements/verifiers.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from random import Random
from typing import Any

import notations as spelled

Params = tuple[Any, ...]
SQUARE_FREE = (2, 3, 5, 6, 7, 10, 11, 13)


@dataclass(frozen=True)
class Family:
    """How to draw a value, spell it, and find one beside it that differs."""

    name: str
    draw: Callable[[Random], Params]
    spell: Callable[..., list[str]]
    neighbour: Callable[..., Params]


@dataclass(frozen=True)
class Pair:
    """A gold answer, an answer, and whether they are the same value."""

    family: str
    gold: str
    answer: str
    is_equal: bool


def nonzero(rng: Random, low: int, high: int) -> int:
    return rng.choice([k for k in range(low, high + 1) if k])


def draw_fraction(rng: Random) -> Params:
    while True:
        p, q = nonzero(rng, -40, 40), rng.randint(2, 12)
        if gcd(p, q) == 1:
            return p, q


def fraction_neighbour(rng: Random, p: int, q: int) -> Params:
    choices = [(q, p) if p > 0 else (-q, -p), (-p, q), (p + q, q), (p, q + 1), (p + 1, q)]
    return rng.choice(
        [
            (a, b)
            for a, b in choices
            if b > 1 and a and Fraction(a, b) != Fraction(p, q) and Fraction(a, b).denominator > 1
        ]
    )


def integer_neighbour(rng: Random, n: int) -> Params:
    return (
        rng.choice([m for m in (n + 1, n - 1, -n, 10 * n, n + 100, int(str(abs(n))[::-1]) + 1) if m not in (n, 0)]),
    )


def ints(*ranges: tuple[int, int]) -> Callable[[Random], Params]:
    return lambda rng: tuple(nonzero(rng, *bounds) for bounds in ranges)


def shifted(rng: Random, *params: Any) -> Params:
    """Move one parameter by one, or turn its sign."""
    index = rng.randrange(len(params))
    step = [params[index] + 1, params[index] - 1, -params[index]]
    value = rng.choice([new for new in step if new not in (0, params[index])])
    return (*params[:index], value, *params[index + 1 :])


def upward(rng: Random, *params: Any) -> Params:
    """Move one parameter up: for families whose parameters stay positive."""
    index = rng.randrange(len(params))
    return (*params[:index], params[index] + rng.randint(1, 2), *params[index + 1 :])


def ordered(rng: Random, num: int) -> Params:
    return tuple(sorted(rng.sample([k for k in range(-20, 21) if k], num)))


def flip_flag(rng: Random, a: int, b: int, left: bool, right: bool) -> Params:
    return rng.choice(
        [(a, b, not left, right), (a, b, left, not right), (a - 1, b, left, right), (a, b + 1, left, right)]
    )


def distinct_line(rng: Random, a: int, b: int, c: int) -> Params:
    return rng.choice([(a, b, c + 1 if c != -1 else 2), (a, -b, c), (-a, b, c)])


FAMILIES = (
    Family("fraction", draw_fraction, spelled.spell_fraction, fraction_neighbour),
    Family(
        "integer",
        lambda rng: (rng.choice((-1, 1)) * rng.randint(1000, 99_999_999),),
        spelled.spell_integer,
        integer_neighbour,
    ),
    Family(
        "surd",
        lambda rng: (nonzero(rng, -12, 12), rng.choice(SQUARE_FREE)),
        spelled.spell_surd,
        lambda rng, a, b: rng.choice([(-a, b), (a + 1 or 1, b), (a, 17)]),
    ),
    Family(
        "surd fraction",
        lambda rng: (rng.choice((1, 3, 5, 7)), rng.choice(SQUARE_FREE), rng.choice((2, 4, 8))),
        spelled.spell_surd_fraction,
        lambda rng, a, b, c: rng.choice([(a + 2, b, c), (a, b, 2 * c), (a, 17, c)]),
    ),
    Family(
        "pi",
        lambda rng: (rng.randint(2, 30), rng.choice((1, 3, 4, 6, 7))),
        spelled.spell_pi,
        lambda rng, p, q: (p + rng.randint(1, 2), q),
    ),
    Family(
        "quadratic",
        ints((-9, 9), (-9, 9)),
        spelled.spell_quadratic,
        lambda rng, a, b: rng.choice([(a, b + 10), (a + 10, b), (a + 10, b + 10)]),
    ),
    Family("linear", ints((-9, 9), (-20, 20)), spelled.spell_linear, shifted),
    Family(
        "interval",
        lambda rng: (*ordered(rng, 2), rng.random() < 0.5, rng.random() < 0.5),
        spelled.spell_interval,
        flip_flag,
    ),
    Family(
        "ray",
        lambda rng: (nonzero(rng, -20, 20), rng.random() < 0.5, rng.random() < 0.5),
        spelled.spell_ray,
        lambda rng, a, up, closed: rng.choice([(a, not up, closed), (a, up, not closed), (a + 1 or 1, up, closed)]),
    ),
    Family(
        "union",
        lambda rng: ordered(rng, 2),
        spelled.spell_union,
        lambda rng, a, b: rng.choice([(a - 1, b), (a, b + 1)]),
    ),
    Family(
        "roots",
        lambda rng: ordered(rng, rng.randint(2, 3)),
        spelled.spell_roots,
        lambda rng, *r: rng.choice([(*r, 21), (*r[:-1], 21), (-21, *r[1:])]),
    ),
    Family(
        "point",
        lambda rng: ordered(rng, 2),
        spelled.spell_point,
        lambda rng, a, b: rng.choice([(b, a), (a, b + 1), (a - 1, b)]),
    ),
    Family(
        "percent", lambda rng: (rng.randint(2, 99),), spelled.spell_percent, lambda rng, n: (n + rng.choice((1, -1)),)
    ),
    Family(
        "scientific",
        lambda rng: (rng.randint(11, 99), rng.choice((-6, -4, -3, 3, 4, 6, 9))),
        spelled.spell_scientific,
        lambda rng, m, e: rng.choice([(m + 1, e), (m, e + 1), (m, -e)]),
    ),
    Family("length", lambda rng: (rng.randint(2, 999),), spelled.spell_length, upward),
    Family("area", lambda rng: (rng.randint(2, 999),), spelled.spell_area, upward),
    Family("angle", lambda rng: (rng.randint(2, 359),), spelled.spell_angle, upward),
    Family("line", ints((-6, 6), (-6, 6), (-12, 12)), spelled.spell_line, distinct_line),
    Family("matrix", ints((-9, 9), (-9, 9), (-9, 9), (-9, 9)), spelled.spell_matrix, shifted),
    Family(
        "logarithm",
        lambda rng: (rng.choice((2, 3, 5, 7)), rng.randint(2, 5)),
        spelled.spell_logarithm,
        lambda rng, a, n: rng.choice([(a, n + 1), (11, n)]),
    ),
    Family("trigonometric", lambda rng: (rng.randint(1, 4),), spelled.spell_trigonometric, upward),
    Family("complex", ints((-9, 9), (-9, 9)), spelled.spell_complex, shifted),
    Family(
        "surd sum",
        lambda rng: (nonzero(rng, -9, 9), nonzero(rng, -6, 6), rng.choice(SQUARE_FREE)),
        spelled.spell_surd_sum,
        lambda rng, a, b, c: rng.choice([(a, -b, c), (-a, b, c), (a + 1 or 1, b, c)]),
    ),
    Family(
        "rational",
        lambda rng: (rng.randint(2, 5), rng.randint(11, 19), rng.randint(1, 2)),
        spelled.spell_rational,
        lambda rng, a, b, c: (a, b + rng.randint(1, 2), c),
    ),
    Family("power", lambda rng: (rng.randint(2, 12),), spelled.spell_power, upward),
    Family("big", lambda rng: (rng.randint(12, 60),), spelled.spell_big, upward),
    Family(
        "ratio",
        lambda rng: (rng.choice((2, 3, 5)), rng.choice((7, 11, 13))),
        spelled.spell_ratio,
        lambda rng, a, b: rng.choice([(b, a), (a, b + 4), (a + 15, b)]),
    ),
    Family(
        "count", lambda rng: (rng.randint(6, 12), rng.randint(2, 3)), spelled.spell_count, lambda rng, n, k: (n + 1, k)
    ),
    Family("factorial", lambda rng: (rng.randint(4, 12),), spelled.spell_factorial, upward),
    Family("money", lambda rng: (rng.randint(101, 9999),), spelled.spell_money, upward),
    Family(
        "exponential",
        lambda rng: (rng.randint(3, 9), rng.randint(1, 2)),
        spelled.spell_exponential,
        lambda rng, a, b: (a + 1, b),
    ),
    Family("function", ints((2, 9), (-9, 9)), spelled.spell_function, upward),
    Family(
        "letters", ints((2, 9), (-9, 9)), spelled.spell_letters, lambda rng, a, b: rng.choice([(a + 1, b), (a, -b)])
    ),
    Family(
        "sign",
        lambda rng: (rng.randint(1, 9), rng.choice(SQUARE_FREE)),
        spelled.spell_sign,
        lambda rng, a, b: rng.choice([(a + 1, b), (-a, b), (a, 17)]),
    ),
)


def make_pair(family: Family, rng: Random, *, is_equal: bool) -> Pair:
    """Draw two notations of one value, or one notation each of two values side by side."""
    params = family.draw(rng)
    gold = rng.choice(family.spell(*params))
    answers = [text for text in family.spell(*(params if is_equal else family.neighbour(rng, *params))) if text != gold]
    return Pair(family.name, gold, rng.choice(answers), is_equal)


def make_pairs(seed: int, num: int, *, is_equal: bool) -> Iterator[Pair]:
    """Draw pairs, the families in turn."""
    rng = Random(seed)
    for index in range(num):
        yield make_pair(FAMILIES[index % len(FAMILIES)], rng, is_equal=is_equal)
