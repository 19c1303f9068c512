"""Judge two values with sympy, read by math-verify. Runs in a worker, where a hang or a crash costs nothing.

    1  read         math-verify's LaTeX parser, the first match only, the text wrapped in $...$; decimals become exact
    2  evaluate     both values at random points, to many digits: one difference settles that they are not equal
    3  math-verify  only where nothing could be evaluated (undefined functions, sets)

Evaluation comes first because it is the safer judge: math-verify rounds to six decimals and drops what is small, so
that 1/2^99 and 1/2^98 are equal to it. Points at which only one side is real count as a difference (full turns of a
logarithm left out); points where neither is are skipped. So sqrt(1/n) and 1/sqrt(n) agree, and |x| and x do not.

Not here: the rules that come before (`values`), the process around it (`worker`).
"""

from __future__ import annotations

import logging
import random
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse
from math_verify import verify as math_verify

from nearfuture.tasks.verify.guards import is_balanced
from nearfuture.tasks.verify.numbers import MAX_EXPONENT, Number, close, read_number
from nearfuture.tasks.verify.values import RuleJudge, Undecided, UnreadableGold

DIGITS = 50
NUM_POINTS, MIN_POINTS = 10, 4
_SMALL, _LARGE = sympy.Float(10) ** -MAX_EXPONENT, sympy.Float(10) ** MAX_EXPONENT
_AGREE = sympy.Float(10) ** -35
_CONFIG = LatexExtractionConfig(
    normalization_config=NormalizationConfig(basic_latex=False, units=False, boxed="none"), boxed_match_priority=-1
)
_CAPITAL = re.compile(r"\\[A-Za-z]+|([A-Z])(?:_(\{[A-Za-z\d]*\}|\w))?")
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_MIXED = re.compile(r"(?<![\d.}\\])(\d+)\s?\\frac\s?\{(\d+)\}\s?\{(\d+)\}")

logging.getLogger("math_verify").setLevel(logging.ERROR)


class SymbolicJudge(RuleJudge):
    """Judges by rule where it can, with sympy where it must."""

    def equal(self, gold: str, answer: str) -> bool:
        """Say whether two values are equal.

        Raises:
            UnreadableGold: the gold value cannot be read.
        """
        verdict = self.by_rule(gold, answer)
        if verdict is not None:
            return verdict
        self.rule = "symbolic"
        expected, said = _read_gold(gold), read(answer)
        if said is None:
            self.rule = "unreadable"
            return False
        if not getattr(expected, "free_symbols", None) and not getattr(said, "free_symbols", None):
            return self._same_constants(expected, said, read_number(gold), read_number(answer))
        agreement = agree(expected, said)
        return _by_math_verify(expected, said) if agreement is None else agreement

    def factor(self, gold: str, answer: str) -> float | None:
        """Give the constant factor between two expressions, None where it is not constant.

        Raises:
            UnreadableGold: the gold expression cannot be read.
        """
        try:
            return super().factor(gold, answer)
        except Undecided:
            self.rule = "symbolic"
        expected, said = _read_gold(gold), read(answer)
        if said is None:
            self.rule = "unreadable"
            return None
        return _constant_factor(expected, said) if expected.free_symbols else None

    def _same_constants(self, gold: Any, answer: Any, gold_number: Number | None, answer_number: Number | None) -> bool:
        values = evaluate(gold, {}), evaluate(answer, {})
        if None in values:
            return _by_math_verify(gold, answer)
        if _near(*values):
            return True
        if gold_number is None and answer_number is None and self.tolerance is None:
            return False
        if not all(value.is_real and _SMALL < abs(value) < _LARGE for value in values):
            return False
        numbers = [
            shown if shown is not None else Number(_fraction(value))
            for shown, value in zip((gold_number, answer_number), values, strict=True)
        ]
        return close(numbers[0], numbers[1], self.tolerance)


def _fraction(value: Any) -> Fraction:
    exact = sympy.Rational(value)
    return Fraction(int(exact.p), int(exact.q))


@lru_cache(maxsize=256)
def read(text: str) -> Any:
    """Read LaTeX as a sympy expression with exact decimals; None where math-verify cannot."""
    if not is_balanced(text):
        return None
    found = parse(
        f"${_for_parser(text)}$",
        [_CONFIG],
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=None,
    )
    if not found or isinstance(found[0], str):
        return None
    return _exact(found[0])


def _for_parser(text: str) -> str:
    """Spell out what the parser would misread: mixed numbers, degrees, percent, capitals (it lowers them)."""
    text = _MIXED.sub(_as_sum, text)
    text = re.sub(r"\\degree", r"\\cdot\\frac{\\pi}{180}" if _TRIGONOMETRIC.search(text) else "", text)
    text = re.sub(r"\\unit\{([A-Za-z])\}", r"\1", text)
    text = re.sub(r"(\d+(?:\.\d+)?)\s?%", r"\\frac{\1}{100}", text)
    text = re.sub(r"\\lg(?![A-Za-z])", r"\\log_{10}", text)
    return _CAPITAL.sub(_lowered, text)


def _lowered(mark: re.Match[str]) -> str:
    """Write A as a_{90}, A_1 as a_{901}: a name of its own that is not a. (The parser knows no e_1.)"""
    if mark[1] is None:
        return mark.group()
    letter = r"\epsilon" if mark[1] == "E" else mark[1].lower()
    return f"{letter}_{{90{(mark[2] or '').strip('{}')}}}"


def _read_gold(text: str) -> Any:
    expression = read(text)
    if expression is None:
        raise UnreadableGold(text)
    return expression


def _as_sum(mark: re.Match[str]) -> str:
    whole, top, bottom = mark.groups()
    return f"({whole}+\\frac{{{top}}}{{{bottom}}})" if 0 < int(top) < int(bottom) else mark.group()


def _exact(expression: Any) -> Any:
    """Replace floats by the fractions they were written as, and the name i by the imaginary unit."""
    try:
        exact = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
        units = {symbol: sympy.I for symbol in expression.free_symbols if symbol.name == "i"}
        return expression.xreplace(exact | units)
    except (AttributeError, TypeError, ValueError):
        return expression


def evaluate(expression: Any, point: dict[Any, Any]) -> Any:
    """Evaluate to a number of `DIGITS` digits; None where that gives none."""
    try:
        value = (
            expression.doit().evalf(DIGITS, subs=point, maxn=400)
            if point
            else expression.doit().evalf(DIGITS, maxn=400)
        )
    except (TypeError, ValueError, AttributeError, ZeroDivisionError, NotImplementedError, OverflowError):
        return None
    if not getattr(value, "is_number", False) or value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return None
    real, imaginary = value.as_real_imag()
    if not (real.is_Float or real.is_Rational) or not (imaginary.is_Float or imaginary.is_Rational):
        return None
    return real if abs(imaginary) <= _AGREE * max(1, abs(real)) else value


def _near(a: Any, b: Any) -> bool:
    return bool(abs(a - b) <= _AGREE * max(abs(a), abs(b)))


def _points(symbols: list[Any]) -> list[dict[Any, Any]]:
    """Draw the same points every time: half of them positive, half of either sign."""
    draw = random.Random(len(symbols))
    points = []
    for index in range(NUM_POINTS):
        signs = [1 if index % 2 == 0 else draw.choice((-1, 1)) for _ in symbols]
        points.append(
            {s: sympy.Rational(sign * draw.randint(200, 40000), 9973) for s, sign in zip(symbols, signs, strict=True)}
        )
    return points


def agree(gold: Any, answer: Any) -> bool | None:
    """Compare at random points; None where fewer than `MIN_POINTS` could be evaluated."""
    names, renamed = _by_name(gold, answer)
    may_be_complex = all(one.has(sympy.I) for one in renamed)
    num_agreed = 0
    for point in _points(names):
        values = [evaluate(one, point) for one in renamed]
        are_real = [value is not None and bool(value.is_real) for value in values]
        if are_real[0] != are_real[1] and None not in values and not _differ_by_a_branch(*values):
            return False
        if None in values or not (may_be_complex or all(are_real)):
            continue
        if not _near(*values):
            return False
        num_agreed += 1
    if num_agreed >= MIN_POINTS:
        return True
    return None


def _differ_by_a_branch(a: Any, b: Any) -> bool:
    """True where two logarithms differ by full turns alone: ln(xy) and ln x + ln y, both negative."""
    real, imaginary = (a - b).as_real_imag()
    turns = imaginary / (2 * sympy.pi.evalf(DIGITS))
    return bool(abs(real) <= _AGREE * max(1, abs(a)) and abs(turns - round(turns)) <= _AGREE * max(1, abs(a)))


def _by_name(*expressions: Any) -> tuple[list[Any], list[Any]]:
    """Give both expressions the same symbols for the same names: the parser's assumptions may differ."""
    names = sorted({symbol.name for one in expressions for symbol in one.free_symbols})
    plain = {name: sympy.Symbol(name, real=True) for name in names}
    renamed = [one.xreplace({symbol: plain[symbol.name] for symbol in one.free_symbols}) for one in expressions]
    return [plain[name] for name in names], renamed


def _constant_factor(gold: Any, answer: Any) -> float | None:
    names, renamed = _by_name(gold, answer)
    factors = []
    for point in _points(names):
        values = [evaluate(one, point) for one in renamed]
        if None in values or not all(value.is_real for value in values) or values[1] == 0 or values[0] == 0:
            continue
        factors.append(values[0] / values[1])
    if len(factors) < MIN_POINTS or not all(_near(factors[0], other) for other in factors):
        return None
    return float(factors[0])


def _by_math_verify(gold: Any, answer: Any) -> bool:
    return bool(math_verify(gold, answer, allow_set_relation_comp=True, timeout_seconds=None))
