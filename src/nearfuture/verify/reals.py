"""Sets of real numbers: [0, 1), x > 2, x < 1 or x > 2, x \\ne 3, R \\ {1, 2}, x \\in (0, 1], {x | x > 2}.

All become a union of intervals. `(1, 2)` and `[1, 2]` by themselves stay a group, since they may be a point or a list;
`compare` also compares them with an interval.

Not here: how two sets are compared (`compare`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

from nearfuture.verify.answer import EVERYTHING, Inequality, RealSet, Span
from nearfuture.verify.numbers import read_number
from nearfuture.verify.pieces import clean_name, is_name, split_top, strip_parentheses

INFINITY, MINUS_INFINITY = r"\infty", r"-\infty"
_RELATION = re.compile("[<>≤≥≠]")
_CONNECTIVE = re.compile(r"\s+(or|and)\s+|\s*(,)\s*(?:or\s|and\s)?\s*")
_BUILDER = re.compile(r"\\?\{\s?(?:\w+)\s?(?:∈\s?\\R\s?)?(?:\||:|\\colon)\s?(.+?)\\?\}")
_MIRRORED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}
_DISTANCE = re.compile(r"\|\s?([a-z])\s?(?:([+-])\s?([^|]{1,20}?))?\s?\|")
_INTERVAL = re.compile(r"([\[(])([^,;\[\]]+)[,;]([^,;\[\]]+)([\])])")


def read_reals(text: str) -> RealSet | None:
    """Read a set of reals; None if the text is something else."""
    builder = _BUILDER.fullmatch(text)
    if builder is not None:
        return read_reals(builder[1])
    name, _, said = text.partition("∈")
    if said and is_name(name.strip()):
        inner = read_set(said.strip())
        return None if inner is None else RealSet(inner.spans, clean_name(name))
    if _RELATION.search(text):
        return _read_relations(text)
    if "∪" in text or r"\setminus" in text:
        return read_set(text)
    interval = _read_interval(text)
    if interval is not None and (interval.has_low != interval.has_high or _is_unbounded(interval)):
        return RealSet((interval,))
    return None


def read_set(text: str) -> RealSet | None:
    """Read a union of intervals, or the reals except some points."""
    text = strip_parentheses(text)
    if text == r"\R":
        return EVERYTHING
    whole, minus, points = text.partition(r"\setminus")
    if minus:
        return _without_points(points) if whole.strip() in (r"\R", r"(-\infty,\infty)") else None
    spans: list[Span] = []
    for part in split_top(text, "∪"):
        span = _read_interval(part) or _read_point(part)
        if span is None:
            return None
        spans.append(span)
    return RealSet(tuple(spans))


def _without_points(text: str) -> RealSet | None:
    inner = text.strip().replace(r"\{", "{").replace(r"\}", "}")
    if not (inner.startswith("{") and inner.endswith("}")):
        return None
    points = split_top(inner[1:-1], ",")
    return None if not all(points) else _excluding(points)


def _excluding(points: list[str], name: str | None = None) -> RealSet | None:
    """Return the reals except some points; several points must be plain numbers, so that they can be ordered."""
    if len(points) > 1:
        numbers = {point: number.value for point in points if (number := read_number(point)) is not None}
        if len(numbers) < len(points):
            return None
        points = sorted(points, key=numbers.__getitem__)
    ends = [MINUS_INFINITY, *points, INFINITY]
    return RealSet(tuple(Span(low, high, False, False) for low, high in pairwise(ends)), name)


def _read_interval(text: str) -> Span | None:
    match = _INTERVAL.fullmatch(text.strip())
    if match is None or not match[2].strip() or not match[3].strip():
        return None
    return Span(_end(match[2]), _end(match[3]), match[1] == "[", match[4] == "]")


def _read_point(text: str) -> Span | None:
    match = re.fullmatch(r"\\?\{\s?([^,{}]+?)\s?\\?\}", text.strip())
    return Span(match[1], match[1], True, True) if match is not None else None


def _end(text: str) -> str:
    text = text.strip().replace(" ", "")
    return text.removeprefix("+") if text in (r"+\infty", r"\infty") else text


def _is_unbounded(span: Span) -> bool:
    return span.low == MINUS_INFINITY or span.high == INFINITY


def _read_relations(text: str) -> RealSet | None:
    """Read one relation, or several joined by "or" (a union) or by "and" (an interval)."""
    left, _, points = text.partition("≠")
    if "," in points and is_name(left.strip()) and not _RELATION.search(points):
        return _excluding(split_top(points, ","), clean_name(left))
    parts, words = [], []
    position = 0
    for mark in _CONNECTIVE.finditer(text):
        parts.append(text[position : mark.start()])
        words.append(mark[1] or mark[2])
        position = mark.end()
    sets = [_read_relation(part.strip()) for part in [*parts, text[position:]]]
    known = [one for one in sets if one is not None]
    if len(known) < len(sets) or len({one.name for one in known}) > 1:
        return None
    if len(known) == 1:
        return known[0]
    if set(words) == {"or"}:
        return RealSet(tuple(span for one in known for span in one.spans), known[0].name)
    return _intersection(known)


def _intersection(sets: list[RealSet]) -> RealSet | None:
    """Intersect x > 0 and x < 1, or x \\ne 1 and x \\ne 2."""
    if all(len(one.spans) == 2 and one.source is None for one in sets):
        return _excluding([one.spans[0].high for one in sets], sets[0].name)
    if len(sets) != 2 or any(len(one.spans) != 1 for one in sets):
        return _intersection_of_numbers(sets)
    lows = [one.spans[0] for one in sets if one.spans[0].high == INFINITY]
    highs = [one.spans[0] for one in sets if one.spans[0].low == MINUS_INFINITY]
    if len(lows) != 1 or len(highs) != 1:
        return None
    return RealSet((Span(lows[0].low, highs[0].high, lows[0].has_low, highs[0].has_high),), sets[0].name)


def _intersection_of_numbers(sets: list[RealSet]) -> RealSet | None:
    """Intersect any sets whose ends are plain numbers: x ≤ 5 and x ≠ 2."""
    places: dict[str, Fraction | float] = {INFINITY: math.inf, MINUS_INFINITY: -math.inf}
    for end in (end for one in sets for span in one.spans for end in (span.low, span.high) if end not in places):
        number = read_number(end)
        if number is None:
            return None
        places[end] = number.value
    spans = sets[0].spans
    for one in sets[1:]:
        both = [_overlap(left, right, places) for left in spans for right in one.spans]
        spans = tuple(span for span in both if span is not None)
    return RealSet(spans, sets[0].name)


def _overlap(one: Span, other: Span, places: Mapping[str, Fraction | float]) -> Span | None:
    """Return what two spans share, given where their ends lie on the line; None if they share nothing."""
    low = max(one, other, key=lambda span: (places[span.low], not span.has_low))
    high = min(one, other, key=lambda span: (places[span.high], span.has_high))
    width = places[high.high] - places[low.low]
    if width < 0 or (width == 0 and not (low.has_low and high.has_high)):
        return None
    return Span(low.low, high.high, low.has_low, high.has_high)


def _read_relation(text: str) -> RealSet | None:
    """Read a < x, x ≥ a, a < x ≤ b, x ≠ a."""
    signs = _RELATION.findall(text)
    sides = [side.strip() for side in _RELATION.split(text)]
    if not all(sides) or "=" in text:
        return None
    if len(signs) == 1:
        return _one_sided(sides[0], signs[0], sides[1])
    if len(signs) != 2:
        return None
    if set(signs) <= {">", "≥"}:
        sides, signs = sides[::-1], ["<" if sign == ">" else "≤" for sign in signs[::-1]]
    if not set(signs) <= {"<", "≤"}:
        return None
    if (ring := _ring(sides, signs)) is not None:
        return ring
    if not is_name(sides[1]):
        return None
    return RealSet((Span(_end(sides[0]), _end(sides[2]), signs[0] == "≤", signs[1] == "≤"),), clean_name(sides[1]))


def _one_sided(left: str, sign: str, right: str) -> RealSet | None:
    if not is_name(left) and is_name(right):
        left, right = right, left
        sign = _MIRRORED.get(sign, sign)
    around = _around(left, sign, right) or _around(right, _MIRRORED.get(sign, sign), left)
    if around is not None:
        return around
    is_strict = sign in "<>"
    small, large = (left, right) if sign in "<≤" else (right, left)
    source = Inequality(small, large, is_strict)
    if not is_name(left):
        return None if sign == "≠" else RealSet((), None, source)
    name = clean_name(left)
    if sign == "≠":
        return _excluding([_end(right)], name)
    if sign in "<≤":
        return RealSet((Span(MINUS_INFINITY, _end(right), False, not is_strict),), name, source)
    return RealSet((Span(_end(right), INFINITY, not is_strict, False),), name, source)


def _around(left: str, sign: str, right: str) -> RealSet | None:
    """Read |x - a| < b as an interval around a, and |x - a| > b as everything outside it."""
    inside, bound = _DISTANCE.fullmatch(left), read_number(right)
    if inside is None or bound is None or bound.value <= 0 or sign == "≠":
        return None
    shift = read_number(inside[3]) if inside[3] else None
    if inside[3] and shift is None:
        return None
    centre = Fraction(0) if shift is None else shift.value * (1 if inside[2] == "-" else -1)
    low, high = (_fraction(centre + side * bound.value) for side in (-1, 1))
    closed = sign in "≤≥"
    if sign in "<≤":
        return RealSet((Span(low, high, closed, closed),), inside[1])
    outside = Span(MINUS_INFINITY, low, False, closed), Span(high, INFINITY, closed, False)
    return RealSet(outside, inside[1])


def _ring(sides: list[str], signs: list[str]) -> RealSet | None:
    """Read a < |x| < b as two intervals."""
    inside, low, high = _DISTANCE.fullmatch(sides[1]), read_number(sides[0]), read_number(sides[2])
    if inside is None or inside[3] or low is None or high is None or not 0 <= low.value < high.value:
        return None
    near, far, has_near, has_far = _fraction(low.value), _fraction(high.value), signs[0] == "≤", signs[1] == "≤"
    negative = Span(_fraction(-high.value), _fraction(-low.value), has_far, has_near)
    return RealSet((negative, Span(near, far, has_near, has_far)), inside[1])


def _fraction(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"
