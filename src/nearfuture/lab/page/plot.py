"""An interactive figure: its curves as numbers, which the page's scripts draw, zoom, smooth and read at a step.

A static drawing of the same curves is there for print and for readers without scripts. Every array of a page is written
once, however many curves and axes share it.

Not here: the static drawings (`svg`, `charts`), the scripts (`scripts/`), placing a plot on a page (`page`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nearfuture.lab.page.svg import VARIABLES

Floats = NDArray[np.float64]
NUM_DIGITS = 4
MOST_POINTS = 60_000
"""If a page's curves have more points than this, only every second, third ... is written, to keep the page small."""
LONG = 200
"""A curve always keeps at least this many points."""
LEAD = 49
"""How many values before a curve's first a trailing mean may look back at."""


@dataclass(frozen=True, slots=True)
class Points:
    """A curve on one axis; `low` and `high` bound its band, `before` holds the values before it for a trailing mean."""

    xs: Floats
    ys: Floats
    low: Floats | None = None
    high: Floats | None = None
    before: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A curve. All lines of one `name` (a run, a method) are switched on and off together.

    Attributes:
        name: the name of the run or method.
        colour: one of the page's colours.
        on: the curve by axis.
        part: which part of the run it is, such as `abandoned`; empty for the run itself.
        group: the method that the run belongs to; its runs can be switched together.
        is_dashed: whether it is drawn with dashes.
        is_strong: whether it is drawn wide.
        is_marked: whether each point has a mark, because it was measured there.
    """

    name: str
    colour: str
    on: Mapping[str, Points]
    part: str = ""
    group: str = ""
    is_dashed: bool = False
    is_strong: bool = True
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch or place (`low` = `high`) of the horizontal axis.

    Attributes:
        words: its name.
        colour: one of the page's colours.
        on: its ends by axis.
        line: the run it belongs to.
        mark: of a place, a triangle above it: `full`, `hollow`, or none.
    """

    words: str
    colour: str
    on: Mapping[str, tuple[float, float]]
    line: str = ""
    mark: Literal["", "full", "hollow"] = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over one axis or several.

    Attributes:
        title: what is drawn.
        unit: the unit of the values.
        axes: name and label of each horizontal axis; the first is shown.
        lines: the curves.
        spans: the marks behind them.
        window: how many points a trailing mean takes at first; 0: these curves must not be smoothed.
        ticks: replaces the ticks of the horizontal axis.
        is_shared: whether it is zoomed and read together with the page's other shared figures.
    """

    title: str
    unit: str
    axes: Mapping[str, str]
    lines: Sequence[Line]
    spans: Sequence[Span] = ()
    window: int = 0
    ticks: Sequence[tuple[float, str]] = ()
    is_shared: bool = False

    def __bool__(self) -> bool:
        return any(np.isfinite(points.ys).any() for line in self.lines for points in line.on.values())

    @property
    def num_points(self) -> int:
        """The number of points on its longest axis."""
        return sum(max((len(points.ys) for points in line.on.values()), default=0) for line in self.lines)


@dataclass
class PageData:
    """What a page's scripts read: its plots and its samples."""

    plots: list[Plot] = field(default_factory=list)
    samples: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, plot: Plot) -> int:
        """Add a plot and return its number."""
        self.plots.append(plot)
        return len(self.plots) - 1

    def add_samples(self, samples: Sequence[Mapping[str, Any]]) -> int:
        """Add samples and return how many there are."""
        self.samples += samples
        return len(self.samples)

    def json(self) -> str:
        """Everything as JSON that is safe inside a `<script>`."""
        every = math.ceil(sum(plot.num_points for plot in self.plots) / MOST_POINTS) or 1
        pool = _Pool()
        plots = [_plain(plot, every, pool) for plot in self.plots]
        found = {"plots": plots, "arrays": pool.arrays, "samples": self.samples, "every": every}
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class _Pool:
    """Arrays, each once."""

    def __init__(self) -> None:
        self.arrays: list[list[float | int | None]] = []
        self._places: dict[tuple[float | int | None, ...], int] = {}

    def put(self, values: Floats | Sequence[float] | None) -> int:
        """The number of an array; -1 if there is no array."""
        if values is None or not len(values):
            return -1
        plain = tuple(map(short, values))
        if plain not in self._places:
            self._places[plain] = len(self.arrays)
            self.arrays.append(list(plain))
        return self._places[plain]


def short(value: float) -> float | int | None:
    """Round a number to the digits a screen can show; None if it is not finite. Steps and counts keep all digits.

    Example:
        >>> short(0.123456), short(12345.0), short(float("nan"))
        (0.1235, 12345, None)
    """
    if not math.isfinite(value):
        return None
    value = float(value)
    return int(value) if value.is_integer() else float(f"{value:.{max(NUM_DIGITS, len(str(int(abs(value)))))}g}")


def _plain(plot: Plot, every: int, pool: _Pool) -> dict[str, Any]:
    return {
        "title": plot.title,
        "unit": plot.unit,
        "axes": dict(plot.axes),
        "window": plot.window,
        "shared": plot.is_shared,
        "ticks": [[short(at), words] for at, words in plot.ticks],
        "lines": [_plain_line(line, every, pool) for line in plot.lines],
        "spans": [
            {
                "words": span.words,
                "line": span.line,
                "colour": css(span.colour),
                "on": _plain_places(span),
                **({"mark": span.mark} if span.mark else {}),
            }
            for span in plot.spans
        ],
    }


def _plain_places(span: Span) -> dict[str, list[float | int | None]]:
    return {axis: [short(low), short(high)] for axis, (low, high) in span.on.items()}


def _plain_line(line: Line, every: int, pool: _Pool) -> dict[str, Any]:
    shown = {name: True for name in ("is_dashed", "is_strong", "is_marked") if getattr(line, name)}
    on = {}
    for axis, points in line.on.items():
        thin = _thinner(len(points.ys), every)
        arrays = [None if a is None else a[thin] for a in (points.xs, points.ys, points.low, points.high)]
        on[axis] = [*map(pool.put, arrays), pool.put(list(points.before)[-LEAD:])]
    return {"name": line.name, "part": line.part, "group": line.group, "colour": css(line.colour), "on": on, **shown}


def _thinner(num_points: int, every: int) -> slice:
    """Keep points at regular intervals, including the last."""
    return slice(None) if num_points <= LONG else slice((num_points - 1) % every, None, every)


def css(colour: str) -> str:
    """The name of the page's variable for a colour."""
    return VARIABLES.get(colour, "var(--soft)").removeprefix("var(").removesuffix(")")


Still = Callable[[], Sequence[Any]]
"""Draws the static figures that replace a plot; called only if they are wanted."""
