"""Read one value as a sympy expression, with math-verify's parser, without losing or inventing anything.

The parser drops what it does not know (the prime of f', the case of A). So it is given a spelling in which it keeps
every name: anything it would misread becomes a new name, written in digits (`encode`).

    A, A_1, f', \\nabla, \\frac{d^2y}{dx^2}      a symbol
    f'(x), f^{-1}(x), \\operatorname{Var}(X)    a function known only by name
    0.25, 3\\frac{1}{2}, 30\\degree, 28%         exact

The most common spellings need no grammar: `descent` gives the same result in a fraction of the time.

Not here: evaluating an expression (`evaluation`), texts that must not be read (`guards`).
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse
from sympy.core.function import AppliedUndef

from nearfuture.verify.descent import descend
from nearfuture.verify.guards import ROW_BREAK, is_balanced

_CONFIG = LatexExtractionConfig(
    normalization_config=NormalizationConfig(basic_latex=False, units=False, boxed="none"), boxed_match_priority=-1
)
_MIXED = re.compile(r"(?<![\d.}\\^_])(\d+)\s?\\frac\s?\{(\d+)\}\s?\{(\d+)\}")
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_CAPITAL = re.compile(r"\\[A-Za-z]+|([A-Z])(?:_(\{[A-Za-z\d]*\}|\w))?")
_NAME = r"[A-Za-z](?:_(?:\{\w{1,8}\}|\w))?"
_PRIMED = re.compile(rf"({_NAME})\s?((?:'|\^\s?\{{\s?(?:\\prime\s?)+\}}|\^\s?\\prime)+|\^\s?\{{\s?'+\s?\}})")
_INVERSE = re.compile(r"(?<![A-Za-z\\])([f-hF-H])\s?\^\s?\{\s?-\s?1\s?\}\s?(?=\()")
_BLACKBOARD = re.compile(r"\\(?:mathbb|mathcal|mathscr|mathfrak)\s?\{?\s?([A-Za-z])\s?\}?")
_DERIVATIVE = re.compile(
    rf"\\frac\s?\{{\s?(?:d|\\partial)\s?(?:\^\s?\{{?(\d)\}}?\s?)?({_NAME}|\\[a-z]+)\s?\}}\s?"
    rf"\{{((?:\s?(?:d|\\partial)\s?(?:{_NAME}|\\[a-z]+)\s?(?:\^\s?\{{?\d\}}?)?){{1,3}})\s?\}}"
)
_BOUNDS = re.compile(r"(\\(?:int|sum|prod))\s?_\s?(\w|\\[a-z]+)\s?\^\s?(\w|\\[a-z]+)")
_OPERATOR = re.compile(
    r"\\?(?<![A-Za-z])(sgn|sign|Re|Im|arg|erf|cis|tr|rank|dim|Var|Cov|Res|deg|ord|lcm|gcd|sech|csch|coth|arcoth|arsech"
    r"|arcsch|nabla|wp|ell|hbar)(?![A-Za-z])"
)
_BARE_ARGUMENT = re.compile(
    r"(\\?(?<![A-Za-z])(?:coth|sech|csch|arcoth|arsech|arcsch))\s*(\d{0,3}\s?[A-Za-z](?![A-Za-z(])|\d+)"
)
_KNOWN = {"coth": sympy.coth, "sech": sympy.sech, "csch": sympy.csch, "sgn": sympy.sign, "sign": sympy.sign} | {
    "arcoth": sympy.acoth, "arsech": sympy.asech, "arcsch": sympy.acsch, "erf": sympy.erf,
}  # fmt: skip
_LEAVE = frozenset(("lcm", "gcd"))
_CODE = re.compile(r"z_\{9(\d+)\}")

logging.getLogger("math_verify").setLevel(logging.ERROR)


def encode(name: str) -> str:
    """Write a name as one that the parser keeps: z_{9...}, three digits per character."""
    return "z_{9" + "".join(f"{ord(char):03d}" for char in name.replace(" ", "") if ord(char) < 1000) + "}"


def decode(name: str) -> str:
    """Return the name that was encoded."""
    code = _CODE.fullmatch(name)
    if code is None:
        return name
    return "".join(chr(int(code[1][index : index + 3])) for index in range(0, len(code[1]), 3))


@lru_cache(maxsize=1024)
def read(text: str) -> Any:
    """Read LaTeX as a sympy expression with exact decimals; None if math-verify cannot."""
    if not is_balanced(text):
        return None
    spelled = _for_parser(text)
    expression = descend(spelled)
    if expression is None:
        expression = read_by_grammar(spelled)
    return None if expression is None else _exact(expression)


def read_by_grammar(spelled: str) -> Any:
    """Read a rewritten text with math-verify's parser; None if that fails."""
    found = parse(
        f"${spelled}$",
        [_CONFIG],
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=None,
    )
    return None if not found or isinstance(found[0], str) else found[0]


def _for_parser(text: str) -> str:
    """Rewrite what the parser would misread: names, mixed numbers, degrees, percent, capitals (it lowers them)."""
    text = text.replace(ROW_BREAK, r"\\")
    text = _BOUNDS.sub(r"\1_{\2}^{\3}", text)
    text = _MIXED.sub(_as_sum, text)
    text = _BLACKBOARD.sub(lambda mark: encode(f"bb{mark[1]}"), text)
    text = _DERIVATIVE.sub(_derivative, text)
    text = _PRIMED.sub(lambda mark: encode(mark[1] + "'" * max(mark[2].count("'"), mark[2].count("prime"))), text)
    text = _INVERSE.sub(lambda mark: encode(mark[1] + "^-1"), text)
    text = _BARE_ARGUMENT.sub(r"\1(\2)", text)
    text = _OPERATOR.sub(lambda mark: mark.group() if mark[1] in _LEAVE else encode(mark[1]), text)
    text = re.sub(r"\\degree", r"\\cdot\\frac{\\pi}{180}" if _TRIGONOMETRIC.search(text) else "", text)
    text = re.sub(r"\\unit\{([A-Za-z])\}", r"\1", text)
    text = re.sub(r"(\d+(?:\.\d+)?)\s?%", r"\\frac{\1}{100}", text)
    text = re.sub(r"\\lg(?![A-Za-z])", r"\\log_{10}", text)
    text = re.sub(r"\\bmod(?![A-Za-z])", r"\\mod", text)
    return _CAPITAL.sub(_lowered, text)


def _derivative(mark: re.Match[str]) -> str:
    """Turn dy/dx into a name, since its value is unknown; d/dx of an expression is left to sympy."""
    return encode(f"D{mark[1] or 1}({mark[2]},{mark[3]})") if "d" in mark[3] or "partial" in mark[3] else mark.group()


def _lowered(mark: re.Match[str]) -> str:
    """Write A and A_1 as names that differ from a and a_1."""
    return mark.group() if mark[1] is None else encode(mark[1] + (mark[2] or "").strip("{}"))


def _as_sum(mark: re.Match[str]) -> str:
    whole, top, bottom = mark.groups()
    return f"({whole}+\\frac{{{top}}}{{{bottom}}})" if 0 < int(top) < int(bottom) else mark.group()


def _exact(expression: Any) -> Any:
    """Replace floats by the fractions they were written as, the name i by the imaginary unit, and known names."""
    try:
        exact = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
        units = {symbol: sympy.I for symbol in expression.free_symbols if symbol.name == "i"}
        expression = expression.xreplace(exact | units)
        return expression.replace(lambda term: isinstance(term, AppliedUndef), _known)
    except (AttributeError, TypeError, ValueError):
        return expression


def _known(term: Any) -> Any:
    function = _KNOWN.get(decode(term.func.__name__))
    return function(*term.args) if function is not None and len(term.args) == 1 else term
