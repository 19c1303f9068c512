"""Scalable drawings without a plotting library: elements, axes, lines.

Text is text and every colour is a CSS class, so that one drawing serves a light and a dark page, and print.

Not here: what is drawn (`figures`, `lineage_drawing`) and the colours (`style.css`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from nearfuture.run.report.formats import THIN, count

MOST_Y_TICKS = 6
Point = tuple[float, float]


def element(name: str, *children: str, **attributes: object) -> str:
    """Write one element; `class_` becomes `class`, underscores become hyphens, None is left out.

    Example:
        >>> element("text", "a &lt; b", class_="tick", text_anchor="end", x=1.0)
        '<text class="tick" text-anchor="end" x="1">a &lt; b</text>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def text(words: str, x: float, y: float, class_: str, anchor: str = "start") -> str:
    """Write a line of text; the words are escaped here."""
    return element("text", escape(words), class_=class_, x=x, y=y, text_anchor=None if anchor == "start" else anchor)


def path(points: Iterable[Point], class_: str, *, is_closed: bool = False) -> str:
    """Write a line through points."""
    steps = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return element("path", class_=class_, d=f"M{steps}{'Z' if is_closed else ''}") if steps else ""


def drawing(width: float, height: float, label: str, *children: str, class_: str) -> str:
    """Write a whole drawing; `label` is what a screen reader says in its place."""
    return (
        f'<svg class="{class_}" viewBox="0 0 {_number(width)} {_number(height)}" role="img" '
        f'aria-label="{escape(label)}" preserveAspectRatio="xMidYMid meet">{"".join(children)}</svg>'
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area of a panel, and how data become positions in it."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: float = 480
    height: float = 250
    left: float = 46
    right: float = 46
    top: float = 30
    bottom: float = 38

    def x(self, value: float) -> float:
        """Return where a value lies from the left."""
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Return where a value lies from the top."""
        low, high = self.y_range
        return self.height - self.bottom - (value - low) / (high - low) * (self.height - self.top - self.bottom)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> list[Point]:
        """Return where values lie."""
        return [(self.x(x), self.y(y)) for x, y in zip(xs, ys, strict=True)]

    @property
    def floor(self) -> float:
        """The height of the horizontal axis."""
        return self.height - self.bottom

    @property
    def end(self) -> float:
        """The right end of the horizontal axis."""
        return self.width - self.right


def axes(frame: Frame, x_label: str) -> str:
    """Draw horizontal grid lines with their values, the axis below with its ticks, and its name."""
    drawn = []
    y_ticks = ticks(*frame.y_range, most=MOST_Y_TICKS)
    digits = _digits(y_ticks)
    for value in y_ticks:
        y = frame.y(value)
        drawn.append(path([(frame.left, y), (frame.end, y)], "grid"))
        drawn.append(text(f"{value:.{digits}f}", frame.left - 7, y + 4, "tick", "end"))
    drawn.append(path([(frame.left, frame.floor), (frame.end, frame.floor)], "axis"))
    for value in ticks(*frame.x_range, most=6):
        x = frame.x(value)
        drawn.append(path([(x, frame.floor), (x, frame.floor + 4)], "axis"))
        drawn.append(text(_short(value), x, frame.floor + 18, "tick", "middle"))
    drawn.append(text(x_label, frame.end, frame.height - 4, "axis-name", "end"))
    return "".join(drawn)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round values between two limits, `most` at most.

    Example:
        >>> ticks(0, 120, 6)
        [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0]
    """
    step = _tick_step(low, high, most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 10) + 0.0 for index in range(first, last + 1)]


def nice_range(values: Sequence[float], *, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """Return limits around values, the lower one on a tick; `low` and `high` are crossed only by values beyond them."""
    bottom, top = min(values), max(values)
    if top - bottom < 1e-9:
        bottom, top = bottom - 0.05, top + 0.05
    room = 0.04 * (top - bottom)
    step = _tick_step(bottom - room, top + room, most=MOST_Y_TICKS)
    bottom, top = math.floor(bottom / step + 1e-9) * step, top + room
    bottom = bottom if low is None or min(values) < low else max(low, bottom)
    top = top if high is None or max(values) > high else min(high, top)
    return bottom, top


def spread(wanted: Sequence[float], gap: float, lowest: float, highest: float) -> list[float]:
    """Move positions apart until neighbours are `gap` apart, in their order, inside the limits where they fit.

    Example:
        >>> spread([10, 12, 40], gap=10, lowest=0, highest=100)
        [10, 20, 40]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = list(wanted)
    for before, index in itertools.pairwise(order):
        placed[index] = max(placed[index], placed[before] + gap)
    ceiling = highest
    for index in reversed(order):
        placed[index] = max(lowest, min(placed[index], ceiling))
        ceiling = placed[index] - gap
    return placed


def _tick_step(low: float, high: float, most: int) -> float:
    size: float = 10.0 ** math.floor(math.log10((high - low) / most))
    return next(size * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (size * factor) <= most)


def _short(value: float) -> str:
    number, _, unit = count(value).partition(THIN)
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{THIN if unit else ''}{unit}"


def _digits(values: Sequence[float]) -> int:
    return next((digits for digits in range(5) if all(abs(round(v, digits) - v) < 1e-9 for v in values)), 5)


def _attribute(value: object) -> str:
    return _number(value) if isinstance(value, float) else escape(str(value))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
