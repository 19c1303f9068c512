r"""Read LaTeX commands together with their arguments: \frac, \sqrt, \max(a, b), \sum_{k=1}^n k.

Not here: the expression around a command (`descent`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import sympy

from nearfuture.verify.tokens import Beyond


class Reader(Protocol):
    """What a command needs from the reader of the text around it (`descent.Reader`)."""

    index: int
    is_real: bool
    library: Any

    @property
    def kind(self) -> str | None:
        """The kind of the next token."""

    @property
    def text(self) -> str:
        """The text of the next token."""

    def take(self, *signs: str) -> str | None:
        """Consume the next token if it is one of these."""

    def must_take(self, *signs: str) -> str:
        """Consume the next token, which must be one of these."""

    def sum(self) -> Any:
        """Read products with + and - between them."""

    def product(self) -> Any:
        """Read factors."""

    def raised(self) -> Any:
        """Read what follows ^ or _."""

    def atom(self) -> Any:
        """Read a number or a name."""

    def arguments(self) -> list[Any]:
        """Read (a, b)."""

    def group(self, opening: str, closing: str) -> Any:
        """Read a sum in brackets."""

    def enclosed(self, closing: str) -> Any:
        """Read a sum up to the closing sign."""


_CIRCULAR = ("sin", "cos", "tan", "cot", "sec", "csc")
_HYPERBOLIC = ("sinh", "cosh", "tanh")
FUNCTIONS: dict[str, Any] = (
    {rf"\{prefix}{name}": getattr(sympy, prefix[:1] + name) for name in _CIRCULAR for prefix in ("", "arc")}
    | {rf"\{prefix}{name}": getattr(sympy, prefix[:1] + name) for name in _HYPERBOLIC for prefix in ("", "ar")}
    | {r"\ln": sympy.log, r"\log": sympy.log, r"\exp": sympy.exp}
)


def quotient(top: Any, bottom: Any) -> Any:
    """Divide, unevaluated except for integers."""
    if top.is_Integer and bottom.is_Integer:
        return sympy.Rational(top, bottom)
    return sympy.Mul(top, sympy.Pow(bottom, -1, evaluate=False), evaluate=False)


def _binomial(reader: Reader) -> Any:
    return sympy.binomial(reader.group("{", "}"), reader.group("{", "}"))


def _fraction(reader: Reader) -> Any:
    return quotient(reader.group("{", "}"), reader.group("{", "}"))


def _root(reader: Reader) -> Any:
    degree = reader.group("[", "]") if reader.text == "[" else sympy.Integer(2)
    return sympy.Pow(reader.group("{", "}"), 1 / degree, evaluate=False)


def _exponential(reader: Reader) -> Any:
    return sympy.exp(reader.raised() if reader.take("^") is not None else 1)


def _of_several(name: str) -> Callable[[Reader], Any]:
    def read(reader: Reader) -> Any:
        arguments = reader.arguments()
        if reader.text == "^":
            raise Beyond
        if name in ("gcd", "lcm"):
            return reader.library.handle_gcd_lcm(name, arguments)
        return getattr(sympy, name.capitalize())(*arguments, evaluate=False)

    return read


def _series(kind: Any) -> Callable[[Reader], Any]:
    def read(reader: Reader) -> Any:
        reader.must_take("_")
        reader.must_take("{")
        name = reader.atom()
        reader.must_take("=")
        low = reader.sum()
        reader.must_take("}")
        reader.must_take("^")
        high = reader.raised()
        return kind(reader.product(), (name, low, high))

    return read


def _limit(reader: Reader) -> Any:
    reader.must_take("_")
    reader.must_take("{")
    name = reader.atom()
    reader.must_take(r"\to")
    end = reader.sum()
    reader.must_take("}")
    return sympy.Limit(reader.product(), name, end, "+")


def _integral(reader: Reader) -> Any:
    bounds: tuple[Any, ...] = ()
    if reader.take("_") is not None:
        low = reader.raised()
        reader.must_take("^")
        bounds = (low, reader.raised())
    integrand = 1 if reader.kind == "differential" else reader.sum()
    kind, text = reader.kind, reader.text
    if kind != "differential":
        raise Beyond
    reader.index += 1
    return sympy.Integral(integrand, (sympy.Symbol(text[-1], real=reader.is_real), *bounds))


COMMANDS: dict[str, Callable[[Reader], Any]] = {
    r"\frac": _fraction,
    r"\binom": _binomial,
    r"\sqrt": _root,
    "e": _exponential,
    r"\infty": lambda _: sympy.oo,
    r"\lfloor": lambda reader: reader.library.handle_floor(reader.enclosed(r"\rfloor")),
    r"\lceil": lambda reader: reader.library.handle_ceil(reader.enclosed(r"\rceil")),
    **{rf"\{name}": _of_several(name) for name in ("gcd", "lcm", "max", "min")},
    r"\sum": _series(sympy.Sum),
    r"\prod": _series(sympy.Product),
    r"\lim": _limit,
    r"\int": _integral,
}
