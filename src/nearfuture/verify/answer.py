"""What an answer is made of: values, groups, sets of reals, assignments, equations, matrices, ratios, words.

    2\\sqrt{3} cm         Scalar, with a unit          (1, 2)  [1, 2]  \\{1, 2\\}  1, 2     Group
    x = 5, f(x) = x^2    Named                        2x + y = 4                       Equation
    0 \\le x < 1, [0, 1)  RealSet                      2x + 1 > 5                       Inequality
    2:3                  Ratio                        12:30, 12:30 PM                  Clock
    4\\pi ≈ 12.57         Rounded                      p ∧ ¬q                           Statement
    n ≡ 7 (mod 10)       Congruence
    no solution          Words

Values are kept as text; `numbers` reads them exactly, `symbolic` reads them with sympy.

Not here: reading an answer into these types (`reading`, `reals`), deciding when two are equal (`compare`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.verify.units import Unit


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, as text, and its unit."""

    text: str
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """A phrase, compared as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Several answers: `bracket` is `()`, `[]`, `{}`, or empty for a bare list such as the roots "1, 2"."""

    bracket: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """`name = value`."""

    name: str
    value: Node


@dataclass(frozen=True, slots=True)
class Chain:
    """`2 + 3 = 5`: values that claim to be equal."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Rounded:
    """`exact ≈ near`."""

    exact: Node
    near: Scalar


@dataclass(frozen=True, slots=True)
class Congruence:
    """`left ≡ value (mod modulus)`; `left` is empty if only `value (mod modulus)` is said."""

    left: str
    value: Scalar
    modulus: str


@dataclass(frozen=True, slots=True)
class Equation:
    """`left = right`, where neither side is a name."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Span:
    """An interval: its ends as text, and whether each belongs to it."""

    low: str
    high: str
    has_low: bool
    has_high: bool


@dataclass(frozen=True, slots=True)
class Inequality:
    """`left < right` or `left ≤ right`."""

    left: str
    right: str
    is_strict: bool


@dataclass(frozen=True, slots=True)
class RealSet:
    """A union of intervals, the name it describes, and the inequality it came from if there was exactly one."""

    spans: tuple[Span, ...]
    name: str | None = None
    source: Inequality | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of values as text, and the whole matrix as text."""

    rows: tuple[tuple[str, ...], ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """`a:b:c`."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in seconds; `half` is am or pm where the text says so. The same text read as a ratio differs."""

    seconds: int
    half: str
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Statement:
    """Names joined by logical signs: the names, and the truth of every assignment to them."""

    names: tuple[str, ...]
    truths: tuple[bool, ...]


Node = (
    Scalar
    | Words
    | Group
    | Named
    | Chain
    | Rounded
    | Congruence
    | Equation
    | Inequality
    | RealSet
    | Matrix
    | Ratio
    | Clock
    | Statement
)

EVERYTHING = RealSet((Span(r"-\infty", r"\infty", False, False),))
NOTHING = Group("{}", ())
