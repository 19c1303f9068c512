"""Exact numbers: read one without sympy, and decide whether two are the same.

Two numbers are the same if they are equal as fractions. They may differ only if one of them is a decimal that cannot be
exact (1/3 written 0.333333): by less than its last digit, with at least six decimals, and by at most one part in a
million. So 3.14 is not pi, and 1000000 is not 1000001.

Not here: units (`units`), and values that need sympy (`symbolic`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any

from nearfuture.types import UserError

MAX_CHARS, MAX_EXPONENT = 600, 400
MIN_DECIMALS = 6
MAX_RELATIVE_ERROR = Fraction(1, 10**6)
NOISE_DIGITS, NOISE = 15, Fraction(1, 10**12)
"""A decimal with this many digits (15) or more is a float in disguise: 0.30000000000000004 is 0.3."""

_PLAIN = r"(?:(?!0)\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+"
_DECIMAL = rf"[+-]?\s?(?:{_PLAIN})"
_POWER = r"10\s?\^\s?(?:\{\s?(?P<exp>[+-]?\d+)\s?\}|(?P<digit>\d))"
_NUMBER = re.compile(rf"(?P<mantissa>{_DECIMAL})(?:\s?(?:\\times|\\cdot)\s?{_POWER})?")
_POWER_ALONE = re.compile(rf"(?P<sign>[+-]?)\s?{_POWER}")
_FRACTION = re.compile(
    rf"(?P<sign>[+-]?)\s?\\frac\s?\{{\s?(?P<top>{_DECIMAL})\s?\}}\s?\{{\s?(?P<bottom>{_DECIMAL})\s?\}}"
)
_SLASH = re.compile(rf"(?P<sign>[+-]?)\s?\(?(?P<top>{_PLAIN})\)?\s?/\s?\(?(?P<bottom>{_PLAIN})\)?")
_MIXED = re.compile(
    r"(?P<sign>[+-]?)\s?(?P<whole>\d+)(?:\s?\\frac\s?\{\s?(?P<top>\d+)\s?\}\s?\{\s?(?P<bottom>\d+)\s?\}"
    r"|(?:\s|\s?(?:and)\s)(?P<top2>\d+)\s?/\s?(?P<bottom2>\d+))"
)
_REPEATING = re.compile(
    r"(?P<sign>[+-]?)\s?(?P<head>\d+\.\d*)\s?(?:(?:\\overline|\\dot)\s?\{?|\()\s?(?P<tail>\d+)\s?[})]?"
)
_RECURRING = re.compile(
    r"(?P<sign>[+-]?)\s?(?P<head>\d+\.\d*?)(?P<tail>(?P<one>\d)(?=(?P=one){2})|\d{2,6})(?P=tail)+\s?\\ldots"
)
_DECIMAL_COMMA = re.compile(r"(?<![\d,.(\[{])(?P<whole>\d{1,3}(?:\.\d{3})+|\d+)(?:,|\{,\})(?P<part>\d+)(?![\d,.)\]}])")
_QUANTITY = re.compile(r"\s?(?:[cmk]?[gml]|°|€|\\%|%)(?![A-Za-z])")
_THOUSANDS = re.compile(r"(?!0)\d{1,3}(?:,|\{,\})\d{3}")
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
WORDS = {word: Fraction(value) for value, word in enumerate(_WORDS)}
WORDS |= {ten: Fraction(value) for ten, value in _TENS.items()}
WORDS |= {f"{ten}-{_WORDS[one]}": Fraction(value + one) for ten, value in _TENS.items() for one in range(1, 10)}
WORDS |= {
    f"{word} {part}{'s' * (value > 1)}": Fraction(value, parts)
    for value, word in enumerate(_WORDS[:10])
    for part, parts in _PARTS.items()
    if value
}


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written: its value, and the number of decimals shown (None without a decimal point)."""

    value: Fraction
    decimals: int | None = None
    digits: int = 0
    is_percent: bool = False


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a number may be off: `abs`olutely, `rel`ative to the gold answer, or after rounding to `decimals`."""

    abs: Fraction | None = None
    rel: Fraction | None = None
    decimals: int | None = None

    def allows(self, gold: Fraction, answer: Fraction) -> bool:
        """True if one of the bounds holds."""
        error = abs(gold - answer)
        if self.abs is not None and error <= self.abs:
            return True
        if self.rel is not None and error <= self.rel * abs(gold):
            return True
        return self.decimals is not None and _rounds_alike(gold, answer, self.decimals)


def read_tolerance(tolerance: Mapping[str, Any] | None) -> Tolerance | None:
    """Check a row's tolerance; None if it sets nothing.

    Raises:
        UserError: it is not a mapping, has an unknown key, or has a bound that is negative or not a number.
    """
    if tolerance is not None and not isinstance(tolerance, Mapping):
        raise UserError(f"tolerance={tolerance!r} is not a tolerance. Give a mapping with abs, rel or decimals.")
    given = {key: value for key, value in (tolerance or {}).items() if value is not None}
    for key, value in given.items():
        if key not in ("abs", "rel", "decimals"):
            raise UserError(f"tolerance has the key {key!r}. It may have abs, rel and decimals.")
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or value < 0 or (key == "decimals" and (int(value) != value or value > 30)):
            raise UserError(f"tolerance[{key!r}]={value!r} is not a bound. Give a number of at least 0.")
    if not given:
        return None
    bounds = {key: Fraction(str(given[key])) for key in ("abs", "rel") if key in given}
    return Tolerance(**bounds, decimals=int(given["decimals"]) if "decimals" in given else None)


def with_decimal_point(text: str, other: str, *, min_decimals: int = 1) -> str:
    """Write a decimal comma as a point if the other side shows that it is one: it has a point and no comma.

    Otherwise "1,5" is a list, and "1,234" is over a thousand. A number with both signs ("1.234,56") needs no other
    side. `min_decimals` is for gold answers, where "1,5" stays a list.

    Example:
        >>> with_decimal_point("3,75", "3.75"), with_decimal_point("3,75", "3, 75"), with_decimal_point("1.234,56", "9")
        ('3.75', '3,75', '1234.56')
    """
    found = list(_DECIMAL_COMMA.finditer(text)) if "," in text and len(text) <= MAX_CHARS else []
    if len(found) != 1 or _THOUSANDS.fullmatch(found[0].group()) or re.search(r"\d", _DECIMAL_COMMA.sub("", text)):
        return text
    is_long = len(found[0]["part"]) >= min_decimals or found[0]["whole"] == "0"
    is_zero = found[0]["whole"] == "0" and len(found[0]["part"]) > 1 and min_decimals == 1 and "," not in other
    is_shown = (
        "." in found[0]["whole"]
        or is_zero
        or _QUANTITY.match(text, found[0].end()) is not None
        or (is_long and re.search(r"\d\.\d", other) is not None and "," not in other)
    )
    point = f"{found[0]['whole'].replace('.', '')}.{found[0]['part']}"
    return text[: found[0].start()] + point + text[found[0].end() :] if is_shown else text


def read_number(text: str) -> Number | None:
    """Read a normalised text as a number; None if it is anything else.

    Example:
        >>> read_number("1,234.50").value, read_number("-\\\\frac{1}{2}").value, read_number("3 1/2").value
        (Fraction(2469, 2), Fraction(-1, 2), Fraction(7, 2))
    """
    return _read_short(text.strip()) if len(text) <= MAX_CHARS else None


@lru_cache(maxsize=4096)
def _read_short(text: str) -> Number | None:
    is_percent = text.endswith("%")
    text = text.removesuffix("%").rstrip()
    if not text or not text.isascii():
        return None
    sign = 1
    if text[0] in "+-" and text[1:].lstrip().startswith("(") and text.endswith(")"):
        sign = -1 if text[0] == "-" else 1
        text = text[1:].lstrip()[1:-1].strip()
    number = _read_unsigned(text)
    if number is None:
        return None
    value = number.value * sign
    return Number(value / 100 if is_percent else value, number.decimals, number.digits, is_percent)


def _read_unsigned(text: str) -> Number | None:
    if any(char.isdigit() for char in text):
        return _read_decimal(text) or _read_ratio(text) or _read_repeating(text)
    value = WORDS.get(text.lower(), WORDS.get(text.lower().replace("-", " ")))
    return None if value is None else Number(value)


def _read_decimal(text: str) -> Number | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        match = _POWER_ALONE.fullmatch(text)
        if match is None:
            return None
        mantissa = f"{match['sign']}1"
    else:
        mantissa = re.sub(r"[,\s]", "", match["mantissa"])
    exponent = int(match["exp"] or match["digit"] or 0) if len(match["exp"] or "") < 8 else MAX_EXPONENT + 1
    if abs(exponent) > MAX_EXPONENT:
        return None
    has_point = "." in mantissa
    decimals = len(mantissa.rpartition(".")[2]) - exponent if has_point else None
    digits = len(mantissa.lstrip("+-0.").replace(".", ""))
    return Number(Fraction(mantissa) * Fraction(10) ** exponent, decimals, digits)


def _read_ratio(text: str) -> Number | None:
    match = _FRACTION.fullmatch(text) or _SLASH.fullmatch(text)
    if match is not None:
        top, bottom = (Fraction(re.sub(r"[,\s]", "", match[name])) for name in ("top", "bottom"))
        whole = Fraction(0)
    elif (match := _MIXED.fullmatch(text)) is not None:
        top, bottom = Fraction(match["top"] or match["top2"]), Fraction(match["bottom"] or match["bottom2"])
        whole = Fraction(match["whole"])
        if not 0 < top < bottom:
            return None
    else:
        return None
    if bottom == 0:
        return None
    return Number((whole + top / bottom) * (-1 if match["sign"] == "-" else 1))


def _read_repeating(text: str) -> Number | None:
    """Read 0.\\overline{3}, whose tail repeats for ever."""
    match = _REPEATING.fullmatch(text)
    if match is None:
        match = _RECURRING.fullmatch(text)
    if match is None:
        return None
    shift = len(match["head"].partition(".")[2])
    tail = Fraction(int(match["tail"]), 10**shift * (10 ** len(match["tail"]) - 1))
    return Number((Fraction(match["head"].rstrip(".")) + tail) * (-1 if match["sign"] == "-" else 1))


def same_number(gold: Number, answer: Number, tolerance: Tolerance | None = None) -> bool:
    """Decide whether two numbers are the same; a percent sign may mean 1/100 or be left out.

    It may not be left out below one: a bare 0.5 is read as a share, so it differs from 0.5 %.

    Example:
        >>> same_number(read_number("1/3"), read_number("0.333333")), same_number(read_number("50"), read_number("50%"))
        (True, True)
        >>> same_number(read_number("0.5"), read_number("50")), same_number(read_number("0.5"), read_number("0.5%"))
        (False, False)
    """
    if close(gold, answer, tolerance):
        return True
    if gold.is_percent == answer.is_percent:
        return False
    gold, answer = (_without_percent(number) for number in (gold, answer))
    return abs(gold.value) >= 1 and close(gold, answer, tolerance)


def close(gold: Number, answer: Number, tolerance: Tolerance | None = None) -> bool:
    """Decide whether two values are equal, or as close as the digits shown allow (see the head of this file)."""
    if gold.value == answer.value:
        return True
    if tolerance is not None and tolerance.allows(gold.value, answer.value):
        return True
    error, size = abs(gold.value - answer.value), max(abs(gold.value), abs(answer.value))
    if max(gold.digits, answer.digits) >= NOISE_DIGITS and None not in (gold.decimals, answer.decimals):
        return error <= NOISE * size
    shown = [number.decimals for number in (gold, answer) if number.decimals is not None]
    if not shown or min(shown) < MIN_DECIMALS or all(map(_is_terminating_ratio, (gold, answer))):
        return False
    return error < Fraction(1, 10 ** min(shown)) and error <= MAX_RELATIVE_ERROR * size


def _is_terminating_ratio(number: Number) -> bool:
    """True for an exact number that a decimal can show in full, without rounding."""
    bottom = number.value.denominator
    for factor in (2, 5):
        while bottom % factor == 0:
            bottom //= factor
    return bottom == 1 and number.decimals is None


def _without_percent(number: Number) -> Number:
    return Number(number.value * 100, number.decimals, number.digits) if number.is_percent else number


def _rounds_alike(gold: Fraction, answer: Fraction, decimals: int) -> bool:
    """Compare two numbers rounded to `decimals`, halves rounded up or to even: both are common."""
    unit = Decimal(1).scaleb(-decimals)
    with localcontext() as context:
        context.prec = 2 * MAX_EXPONENT + 100
        as_decimal = [Decimal(x.numerator) / Decimal(x.denominator) for x in (gold, answer)]
        return any(
            as_decimal[0].quantize(unit, rounding) == as_decimal[1].quantize(unit, rounding)
            for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)
        )
