r"""Read the commonest LaTeX by recursive descent, into the very expression that math-verify's grammar gives.

The parser of that grammar is general and slow: nearly all of a verdict's time went there. Read here is the part in
which nothing is ambiguous; of anything else `descend` says None, and the grammar is asked.

    sum       product, + or - product         product   signed, \cdot \times * / signed
    signed    +/- signed, or factors          factor    base, ^atom or ^{sum}, !
    base      number, name, (sum), \frac, \binom, \sqrt, e^x, \sin x, \log_2(sum)

Sums and products are joined by the library's own converter, unevaluated as there.

Not here: what is spelled out before (`parsing`).
"""

from __future__ import annotations

import re
from typing import Any

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from latex2sympy2_extended.symbols import get_symbol
from math_verify.grader import should_treat_as_complex

_GREEK = r"\\(?:alpha|beta|theta|phi|lambda|mu|omega|sigma|pi)(?![A-Za-z])"
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?![\d.,]))"
    rf"|(?P<name>(?:(?<![A-Za-z])[abcf-z](?![A-Za-z]{{2}})|(?<![A-Za-z])[abcf-z]|(?<=[a-z])[abcf-z]|{_GREEK})(?:_(?:[\da-z](?!\d)|\{{\d+\}}))?)"
    r"|(?P<sign>\\[A-Za-z]+|[-+*/^!(){}\[\]e_])"
)
_TIMES, _OVER = (r"\cdot", r"\times", "*"), ("/", r"\div")
_FUNCTIONS = {
    rf"\{prefix}{name}": getattr(sympy, f"{prefix[:1]}{name}")
    for name in ("sin", "cos", "tan", "cot", "sec", "csc")
    for prefix in ("", "arc")
} | {r"\ln": sympy.log, r"\log": sympy.log}
_ENDS = ("", "+", "-", ")", "}", "]")
Token = tuple[str | None, str]


class _Beyond(Exception):  # noqa: N818 (no error: a text for the grammar)
    """A text that is not read here."""


def descend(text: str) -> Any:
    """Read a text that the grammar would read alike; None where the grammar must be asked.

    Example:
        >>> descend("2\\\\sqrt{3}+1").doit(), descend("f(x)"), descend("1, 2")
        (1 + 2*sqrt(3), None, None)
    """
    tokens = _tokens(text)
    if not tokens:
        return None
    try:
        reader = _Reader([*tokens, (None, "")], is_real=not should_treat_as_complex(text))
        value = reader.sum()
        return value if reader.index == len(tokens) else None
    except _Beyond:
        return None


def _tokens(text: str) -> list[Token] | None:
    tokens: list[Token] = []
    index = 0
    while index < len(text):
        if text[index] == " ":
            index += 1
            continue
        mark = _TOKEN.match(text, index)
        if mark is None:
            return None
        tokens.append((mark.lastgroup, mark.group()))
        index = mark.end()
    return tokens


class _Reader:
    """Reads tokens from left to right; `index` is the next one."""

    def __init__(self, tokens: list[Token], *, is_real: bool) -> None:
        self.tokens, self.index, self.is_real = tokens, 0, is_real
        self.library = _Joiner(is_real=is_real, config=_CONFIG)

    def sum(self) -> Any:
        value = self.product()
        while (sign := self.take("+", "-")) is not None:
            term = self.product()
            if sign == "-":
                term = -term if term.func.is_Number else self.library.mul_flat(-1, term)
            value = self.library.add_flat(value, term)
        return value

    def product(self) -> Any:
        value = self.signed()
        while (sign := self.take(*_TIMES, *_OVER)) is not None:
            factor = self.signed()
            value = self.library.mul_flat(value, factor) if sign in _TIMES else _quotient(value, factor)
        return value

    def signed(self) -> Any:
        sign = self.take("+", "-")
        if sign is None:
            return self.library.convert_postfix_list(self.factors())
        value = self.signed()
        if sign == "+":
            return value
        return -value if value.is_Number else self.library.mul_flat(-1, value)

    def factors(self) -> list[Any]:
        """Read what stands side by side; a number may only be the first."""
        factors = [self.factor()]
        while self.starts_factor():
            factors.append(self.factor())
        return factors

    def starts_factor(self) -> bool:
        kind, text = self.tokens[self.index]
        if kind == "number":
            raise _Beyond
        return kind == "name" or text in ("(", "e") or (text[:1] == "\\" and text not in (*_TIMES, *_OVER))

    def factor(self) -> Any:
        value = self.base()
        if self.take("^") is not None:
            value = sympy.Pow(value, self.raised(), evaluate=False)
        while self.take("!") is not None:
            value = sympy.factorial(value, evaluate=False)
        if self.tokens[self.index][1] == "^":
            raise _Beyond
        return value

    def raised(self) -> Any:
        return self.group("{", "}") if self.tokens[self.index][1] == "{" else self.atom()

    def base(self) -> Any:
        kind, text = self.tokens[self.index]
        if kind in ("number", "name"):
            return self.atom()
        if text == "(":
            return self.group("(", ")")
        self.index += 1
        if text == r"\frac":
            return _quotient(self.group("{", "}"), self.group("{", "}"))
        if text == r"\binom":
            return sympy.binomial(self.group("{", "}"), self.group("{", "}"))
        if text == r"\sqrt":
            degree = 2 if self.tokens[self.index][1] != "[" else self.group("[", "]")
            return sympy.Pow(self.group("{", "}"), 1 / sympy.sympify(degree), evaluate=False)
        if text == "e":
            return sympy.exp(self.raised() if self.take("^") is not None else 1)
        if text in _FUNCTIONS:
            return self.function(text)
        raise _Beyond

    def atom(self) -> Any:
        kind, text = self.tokens[self.index]
        self.index += 1
        if kind == "number":
            return self.library.parse_number(text)
        if kind != "name" or self.tokens[self.index][1] == "(":  # f(x) may be a function or a product
            raise _Beyond
        name, _, index = text.partition("_")
        index = index.strip("{}")
        below = f"_{{{index}}}" if len(index) > 1 else f"_{index}" if index else ""
        return get_symbol(name + below, self.is_real, lowercase_symbols=True)

    def function(self, name: str) -> Any:
        r"""Read \sin^2(x), \ln x or \log_2 8, where nothing stands behind that may belong to the argument."""
        base: Any = sympy.E if name == r"\ln" else 10
        if self.take("_") is not None:
            base = self.raised()
            if name != r"\log":
                raise _Beyond
        power = self.raised() if self.take("^") is not None else None
        argument = self.group("(", ")") if self.tokens[self.index][1] == "(" else self.atom()
        if self.tokens[self.index][1] not in _ENDS or power == -1:
            raise _Beyond
        arguments = (argument, base) if _FUNCTIONS[name] is sympy.log else (argument,)
        value = _FUNCTIONS[name](*arguments, evaluate=False)
        return sympy.Pow(value, power, evaluate=False) if power else value

    def group(self, opening: str, closing: str) -> Any:
        if self.take(opening) is None:
            raise _Beyond
        value = self.sum()
        if self.take(closing) is None:
            raise _Beyond
        return value

    def take(self, *signs: str) -> str | None:
        """Pass the next token where it is one of these."""
        text = self.tokens[self.index][1]
        if text not in signs:
            return None
        self.index += 1
        return text


class _Joiner(_Latex2Sympy):
    """The library's converter, given factors that are read already."""

    def convert_postfix(self, postfix: Any) -> Any:
        return postfix


_CONFIG = ConversionConfig()


def _quotient(top: Any, bottom: Any) -> Any:
    if top.is_Integer and bottom.is_Integer:
        return sympy.Rational(top, bottom)
    return sympy.Mul(top, sympy.Pow(bottom, -1, evaluate=False), evaluate=False)
