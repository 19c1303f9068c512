r"""Read the most common LaTeX by recursive descent, into exactly the expression that math-verify's grammar gives.

That grammar's parser is general and slow: it took nearly all the time of a verdict. Only the unambiguous part is read
here; for anything else `descend` returns None, and the grammar is used.

    sum       product, + or - product         product   signed, \cdot \times * / signed
    signed    +/- signed, or factors          factor    base, ^atom or ^{sum}, !
    base      number, name, f(x), (sum), |sum|, or a command with what belongs to it (`commands`)

Sums and products are joined by the library's own converter, unevaluated as in the grammar.

Not here: the rewriting that comes first (`parsing`), cutting into tokens (`tokens`).
"""

from __future__ import annotations

from typing import Any

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from latex2sympy2_extended.symbols import get_symbol
from math_verify.grader import should_treat_as_complex

from nearfuture.verify.commands import COMMANDS, FUNCTIONS, quotient
from nearfuture.verify.tokens import Beyond, Tokens

_TIMES, _OVER = (r"\cdot", r"\times", "*"), ("/", r"\div")
_FAILURES = (TypeError, ValueError, AttributeError, ArithmeticError, NotImplementedError)
_BEHIND = (*_TIMES, *_OVER, r"\mod", r"\rfloor", r"\rceil", r"\to")
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
_ENDS = ("", "+", "-", ")", "}", "]", ",")


def descend(text: str) -> Any:
    """Read a text as the grammar would; None if the grammar is needed.

    Example:
        >>> descend("2\\\\sqrt{3}+1").doit(), descend("x(x+1)").doit(), descend("1, 2")
        (1 + 2*sqrt(3), x*(x + 1), None)
    """
    try:
        reader = Reader(text)
        value = reader.relation()
    except (Beyond, *_FAILURES):
        return None
    return value if reader.text == "" and reader.index else None


class _Joiner(_Latex2Sympy):
    """The library's converter, for factors that have been read already."""

    def convert_postfix(self, postfix: Any) -> Any:
        return postfix


_CONFIG = ConversionConfig()


class Reader(Tokens):
    """Reads an expression from tokens, left to right."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.bars = 0
        self.is_real = not should_treat_as_complex(text)
        self.library: Any = _Joiner(is_real=self.is_real, config=_CONFIG)

    def relation(self) -> Any:
        """Read a sum, or two that differ."""
        value = self.sum()
        return value if self.take("≠") is None else sympy.Ne(value, self.sum(), evaluate=False)

    def sum(self) -> Any:
        """Read products with + and - between them."""
        value = self.product()
        while (sign := self.take("+", "-")) is not None:
            term = self.product()
            if sign == "-":
                term = -term if term.func.is_Number else self.library.mul_flat(-1, term)
            value = self.library.add_flat(value, term)
        return value

    def product(self) -> Any:
        r"""Read factors joined by \cdot, \times, * or /."""
        value = self.signed()
        while (sign := self.take(*_TIMES, *_OVER, r"\mod")) is not None:
            factor = self.signed()
            if sign == r"\mod":
                value = sympy.Mod(value, factor, evaluate=False)
            else:
                value = self.library.mul_flat(value, factor) if sign in _TIMES else quotient(value, factor)
        return value

    def signed(self) -> Any:
        """Read factors after any number of signs."""
        sign = self.take("+", "-")
        if sign is None:
            return self.library.convert_postfix_list(self.factors())
        value = self.signed()
        if sign == "+":
            return value
        return -value if value.is_Number else self.library.mul_flat(-1, value)

    def factors(self) -> list[Any]:
        """Read factors side by side; only the first may be a number."""
        factors = [self.factor() if self.take("|") is None else self.absolute()]
        while self.starts_factor():
            factors.append(self.factor() if self.take("|") is None else self.absolute())
        return factors

    def starts_factor(self) -> bool:
        """Decide whether another factor follows; a number there may be a mistake, and f[2] a function."""
        kind, text = self.kind, self.text
        if kind == "number" or (text == "[" and self.tokens[self.index - 1][0] == "name"):
            raise Beyond
        is_group = text in ("(", "[") or (text == "{" and self.depth > 0) or (text == "|" and not self.bars)
        return kind == "name" or is_group or text == "e" or (text[:1] == "\\" and text not in _BEHIND)

    def factor(self) -> Any:
        """Read a base with its power and its factorials."""
        value = self.base()
        if self.take("^") is not None:
            value = sympy.Pow(value, self.raised(), evaluate=False)
        while self.take("!") is not None:
            value = sympy.factorial(value, evaluate=False)
        if self.text == "^":
            raise Beyond
        return value

    def raised(self) -> Any:
        """Read what follows ^ or _."""
        value = self.group("{", "}") if self.text == "{" else self.atom()
        if self.text == "(" and self.tokens[self.index - 1][0] == "name":
            raise Beyond
        return value

    def base(self) -> Any:
        """Read a self-contained value."""
        kind, text = self.kind, self.text
        if kind == "number":
            return self.atom()
        if kind == "name":
            return self.name_or_function()
        if text in ("(", "[") or (text == "{" and self.depth):  # at the top they are a set
            return self.group(text, _CLOSED_BY[text])
        self.index += 1
        if text in FUNCTIONS:
            return self.function(text)
        read = COMMANDS.get(text)
        if read is None:
            raise Beyond
        return read(self)

    def absolute(self) -> Any:
        """Read |sum| after its first bar; inside it, a bar behind a value closes it."""
        self.bars += 1
        value = sympy.Abs(self.enclosed("|"), evaluate=False)
        self.bars -= 1
        if self.text not in _ENDS and self.text != "|":
            raise Beyond
        return value

    def atom(self) -> Any:
        """Read a number or a name."""
        kind, text = self.kind, self.text
        self.index += 1
        if kind == "number":
            return sympy.Float(text) if "." in text else sympy.Integer(int(text))
        if text == r"\infty":
            return sympy.oo
        if kind != "name":
            raise Beyond
        name, _, index = text.partition("_")
        index = index.strip("{}")
        below = f"_{{{index}}}" if len(index) > 1 else f"_{index}" if index else ""
        return get_symbol(name + below, self.is_real, lowercase_symbols=True)

    def name_or_function(self) -> Any:
        """Read x; as in the grammar, f(x) and f(2) are functions and x(x+1) is a product."""
        following = [text for _, text in self.tokens[self.index + 1 : self.index + 4]]
        if following[0] != "(":
            return self.atom()
        text = self.text
        if text.startswith("\\") or following[2:] == ["^"]:
            raise Beyond
        if following[2:] != [")"]:
            return self.atom()
        self.index += 2
        argument = self.atom()
        self.must_take(")")
        if self.text not in _ENDS:
            raise Beyond
        return sympy.Function(text)(argument)

    def function(self, name: str) -> Any:
        r"""Read \sin^2(x), \ln x, \log_2 8 or \ln \ln x, if nothing follows that might belong to the argument."""
        base: Any = sympy.E if name == r"\ln" else 10
        if self.take("_") is not None:
            base = self.raised()
            if name != r"\log":
                raise Beyond
        power = self.raised() if self.take("^") is not None else None
        is_enclosed = False
        if self.text in FUNCTIONS and power is None:
            self.index += 1
            argument = self.function(self.tokens[self.index - 1][1])
        else:
            is_enclosed = self.text == "("
            argument = self.group("(", ")") if is_enclosed else self.raised()
        if (self.text not in _ENDS and not (is_enclosed and self.text in _TIMES)) or power == -1:
            raise Beyond
        arguments = (argument, base) if FUNCTIONS[name] is sympy.log else (argument,)
        value = FUNCTIONS[name](*arguments, evaluate=False)
        return sympy.Pow(value, power, evaluate=False) if power else value

    def arguments(self) -> list[Any]:
        """Read (a, b)."""
        arguments = []
        sign: str | None = self.must_take("(")
        while sign != ")":
            arguments.append(self.sum())
            sign = self.must_take(",", ")")
        return arguments

    def group(self, opening: str, closing: str) -> Any:
        """Read a sum in brackets."""
        self.must_take(opening)
        return self.enclosed(closing)

    def enclosed(self, closing: str) -> Any:
        """Read a sum up to the closing sign."""
        self.depth += closing != ")"
        value = self.sum()
        self.depth -= closing != ")"
        self.must_take(closing)
        return value
