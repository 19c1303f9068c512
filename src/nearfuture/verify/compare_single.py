"""Compare single answers: values with units, ratios, times of day, matrices, congruences.

    5 cm is 50 mm and is not 5 m         7:32 may be a ratio, 12:30 is a time: it would be written 2:5
    60 degrees is \\pi/3                 2 (1, 2)^T is (2, 4)^T
    x + c is x + C: the constant of integration may have any name, and any value: sin(x)^2 + C is C - cos(x)^2
    n ≡ 7 (mod 10) is n ≡ 17 (mod 10), and 7

Not here: answers with several parts (`compare`), one value (`values`, `symbolic`).
"""

from __future__ import annotations

import math
import re

from nearfuture.verify.answer import Clock, Congruence, Matrix, Node, Ratio, Scalar
from nearfuture.verify.compare_reals import Judge
from nearfuture.verify.numbers import read_number

HALF_A_DAY = 12 * 3600
_DEGREES, _RADIANS = (("deg", 1),), (("rad", 1),)
_COMMAND = re.compile(r"\\(?!theta)[A-Za-z]+")
_CONSTANT = re.compile(r"(?:(?<=\+)\s?|\A)([CcKk](?:_\{?[01]\}?)?)(?=\s?(?:[-+]|\Z))")


def same_scalars(gold: Scalar, answer: Scalar, judge: Judge) -> bool:
    """Compare two values with a unit on both sides, on one, or on neither."""
    if gold.unit is None and answer.unit is None:
        integrals = _with_constant(gold.text), _with_constant(answer.text)
        if integrals[0] is None or integrals[1] is None:
            return judge.equal(gold.text, answer.text)
        return judge.equal(integrals[0], integrals[1]) or judge.same_slope(integrals[0], integrals[1])
    units = gold.unit, answer.unit
    if gold.unit is None or answer.unit is None:
        if (gold.unit or answer.unit) is not None and _in_radians(
            *((gold, answer) if gold.unit is None else (answer, gold))
        ):
            return judge.equal(*(_as_radians(side) for side in (gold, answer)))
        return judge.equal(gold.text, answer.text)
    if {gold.unit.dimension, answer.unit.dimension} == {_DEGREES, _RADIANS}:
        return judge.equal(*(_as_radians(side) for side in (gold, answer)))
    if gold.unit.dimension != answer.unit.dimension:
        return False
    if gold.unit.factor == answer.unit.factor:
        return judge.equal(gold.text, answer.text)
    return judge.equal(
        *(_scaled(side.text, unit.factor) for side, unit in zip((gold, answer), units, strict=True) if unit)
    )


def _with_constant(text: str) -> str | None:
    """Rename the constant of integration, a lone term beside a variable, to C; None if no term is one."""
    mark = _CONSTANT.search(text)
    if mark is None or sum(text.count(char, 0, mark.start()) for char in "({") != sum(
        text.count(char, 0, mark.start()) for char in ")}"
    ):
        return None
    rest = _COMMAND.sub(" ", text[: mark.start(1)] + text[mark.end(1) :])
    is_one = re.search("[r-z]", rest) is not None and mark[1][0] not in rest
    return f"{text[: mark.start(1)]}C{text[mark.end(1) :]}" if is_one else None


def _as_radians(side: Scalar) -> str:
    is_degrees = side.unit is not None and side.unit.dimension == _DEGREES
    return f"({side.text})\\cdot\\frac{{\\pi}}{{180}}" if is_degrees else side.text


def _in_radians(bare: Scalar, with_unit: Scalar) -> bool:
    is_degrees = with_unit.unit is not None and with_unit.unit.dimension == _DEGREES
    return is_degrees and r"\pi" in bare.text


def _scaled(text: str, factor: object) -> str:
    number = read_number(text)
    if number is not None:
        value = number.value * factor  # type: ignore[operator]
        return f"{value.numerator}/{value.denominator}"
    return f"({text})\\cdot({factor})"


def same_matrices(gold: Matrix, answer: Matrix, judge: Judge) -> bool:
    """Compare two matrices cell by cell."""
    if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
        return False
    pairs = zip([x for row in gold.rows for x in row], [x for row in answer.rows for x in row], strict=True)
    return all(judge.equal(g, a) for g, a in pairs)


def same_ratios(gold: Ratio, answer: Ratio, judge: Judge) -> bool:
    """Compare a:b:c by the quotients with its first member."""
    if len(gold.items) != len(answer.items):
        return False
    if gold.items == answer.items:
        return True
    firsts = gold.items[0], answer.items[0]
    return all(
        judge.equal(f"\\frac{{{g}}}{{{firsts[0]}}}", f"\\frac{{{a}}}{{{firsts[1]}}}")
        for g, a in zip(gold.items[1:], answer.items[1:], strict=True)
    )


def ratio_and_scalar(gold: Node, answer: Node, judge: Judge) -> bool:
    """Compare a:b with a fraction."""
    texts = [
        f"\\frac{{{side.items[0]}}}{{{side.items[1]}}}" if isinstance(side, Ratio) and len(side.items) == 2 else side
        for side in (gold, answer)
    ]
    texts = [text.text if isinstance(text, Scalar) and text.unit is None else text for text in texts]
    return isinstance(texts[0], str) and isinstance(texts[1], str) and judge.equal(texts[0], texts[1])


def same_clocks(gold: Clock, answer: Clock, judge: Judge) -> bool:
    """Compare times of day; if one lacks am or pm, they may differ by half a day."""
    if (gold.half and answer.half) or gold.half == answer.half:
        return gold.seconds == answer.seconds
    return (gold.seconds - answer.seconds) % HALF_A_DAY == 0


def clock_and_other(gold: Node, answer: Node, judge: Judge) -> bool:
    """Compare what looks like a time of day with a ratio: 7:32 may be a ratio, 12:30 would be written 2:5."""
    clock, other = (gold, answer) if isinstance(gold, Clock) else (answer, gold)
    assert isinstance(clock, Clock)
    numbers = list(map(int, clock.ratio.items))
    if clock.half or (clock is gold and math.gcd(*numbers) != 1):
        return False
    if isinstance(other, Ratio):
        return same_ratios(*((clock.ratio, other) if clock is gold else (other, clock.ratio)), judge)
    assert isinstance(other, Scalar)
    return other.text in (f"\\frac{{{numbers[0]}}}{{{numbers[-1]}}}", f"{numbers[0]}/{numbers[-1]}")


def matrix_and_scalar(gold: Node, answer: Node, judge: Judge) -> bool:
    """Compare a matrix with an expression that contains one: a multiple, a sum, a power."""
    texts = [side.text for side in (gold, answer) if isinstance(side, Matrix | Scalar)]
    return any(r"\begin" in side.text for side in (gold, answer) if isinstance(side, Scalar)) and judge.equal(*texts)


def same_congruences(gold: Congruence, answer: Congruence, judge: Judge) -> bool:
    """Compare two congruences with one modulus: n ≡ -1 (mod 4) is n ≡ 3; a bare 7 (mod 4) is not yet a remainder."""
    if gold.modulus != answer.modulus:
        return False
    numbers = [read_number(side.value.text) for side in (gold, answer)]
    if gold.left and answer.left and gold.modulus.isdigit() and numbers[0] and numbers[1]:
        return (numbers[0].value - numbers[1].value) % int(gold.modulus) == 0
    return judge.equal(gold.value.text, answer.value.text)


def number_and_congruence(gold: Scalar, answer: Congruence, judge: Judge) -> bool:
    """Compare a number with a congruence for a name: n ≡ 7 (mod 10) stands for 7, 7 (mod 10) for a whole class."""
    return bool(answer.left) and gold.unit is None and judge.equal(gold.text, answer.value.text)
