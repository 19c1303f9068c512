"""Figures from plain values: intervals in rows, and curves with their bands and names.

A band or a bar is a 95 % interval; the page says of what. `plotted` returns interactive curves, `draw_lines` draws the
same curves for readers without scripts.

Not here: choosing the values (the pages), putting a drawing into a page (`svg`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearfuture.lab.page import svg
from nearfuture.lab.page.page import Figure, Plotted
from nearfuture.lab.page.plot import Line, Plot, Points, Span
from nearfuture.lab.page.svg import DASHES, DOTS, LEFT, dress
from nearfuture.record.formats import fixed, rate, signed
from nearfuture.stats.seeds import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
ROW = 19
LETTER, VALUES_RIGHT = 6.6, 104
FEWEST = 2
"""With this many seeds (or fewer) an interval says next to nothing."""
NAMES_RIGHT, NAME_HEIGHT = 112, 12
HEIGHT, SMALL_HEIGHT = 270, 170
GOOD, BAD, OPEN = svg.colour(2), svg.colour(1), svg.SOFT
LINES: tuple[Any, ...] = ("solid", DASHES, DOTS, (0, (7, 2, 1.5, 2)))


@dataclass(frozen=True, slots=True)
class Look:
    """How a method or a policy is drawn, the same in every figure."""

    colour: str
    line: Any
    is_strong: bool


@dataclass(frozen=True, slots=True)
class Series:
    """A curve, with a name if it has one.

    `band` is value, lower and upper bound, [3, X]; `is_marked` marks the points that were measured.
    """

    name: str
    look: Look
    xs: Floats
    band: Floats
    has_band: bool = True
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """An interval with its name; `verdict` colours it."""

    name: str
    estimate: Estimate
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """The surroundings of a figure's curves.

    Attributes:
        name: the drawing's unique name on the page.
        title: the title for a screen reader.
        unit: the text above the vertical axis.
        x_label: the text below the horizontal axis.
        is_small: whether this is a small panel, without names.
        has_names: whether names stand beside the ends of the lines.
        ticks: replaces the ticks of the horizontal axis.
        x_limits: the limits of the horizontal axis, unless the data decide.
        places: steps marked with a word each, above the axes.
        axis: the kind of horizontal axis: figures with the same one are zoomed and read together; `x` is on its own.
    """

    name: str
    title: str
    unit: str
    x_label: str
    is_small: bool = False
    has_names: bool = True
    ticks: Sequence[tuple[float, str]] = ()
    x_limits: tuple[float, float] | None = None
    places: Sequence[tuple[float, str]] = ()
    axis: str = "x"


def looks(methods: Sequence[str], baseline: str | None, reference: str | None) -> dict[str, Look]:
    """Choose a look for each method: strong lines for baseline and reference, colours, then dashes for the others."""
    found = {}
    others = 0
    for method in methods:
        if method in (baseline, reference):
            found[method] = Look(svg.colour(0 if method == baseline else 1), LINES[0], True)
        else:
            found[method] = Look(svg.colour(2 + others % 4), LINES[others // 4 % len(LINES)], False)
            others += 1
    return found


def draw_rows(
    rows: Sequence[Row], name: str, label: str, *, mark: float | None = None, is_difference: bool, digits: int = 3
) -> str:
    """Draw estimates with their intervals, one below the other.

    Args:
        rows: from top to bottom.
        name: the drawing's unique name on the page.
        label: text for a screen reader, before the values.
        mark: where a vertical line stands: 0 for differences, the untrained model's figure for shares.
        is_difference: whether values carry a sign.
        digits: how many decimals the values have.
    """
    form = partial(signed if is_difference else fixed, digits=digits)
    left = 14 + LETTER * max(len(row.name) for row in rows)
    box = svg.Box(420, 34 + ROW * len(rows) + 22, left, VALUES_RIGHT, 8, 26)
    known = _in_sight([row.estimate for row in rows], [] if mark is None else [mark])

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        room = 0.06 * (max(known) - min(known)) or 0.05
        ends = (min(known) - room, max(known) + room)
        axes.set(xlim=ends, ylim=(len(rows) - 0.4, -0.6), autoscale_on=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        axes.set_yticks([])
        axes.grid(axis="x")
        if mark is not None:
            axes.axvline(mark, color=svg.SOFT, linewidth=1, linestyle=DOTS if mark else "solid")
        for at, row in enumerate(rows):
            _row(axes, box, at, row, form)

    told = "; ".join(f"{row.name} {_told(row.estimate, form)}" for row in rows)
    return svg.drawing(box, name, f"{label}: {told}.", "panel", paint)


def _in_sight(estimates: Sequence[Estimate], marks: Sequence[float]) -> list[float]:
    """The range the axis must show: values, marks and intervals, but only part of an interval from two seeds.

    Student's factor for two seeds is 12.7, so such an interval would squeeze the others out of sight.
    """
    values = [found.value for found in estimates if math.isfinite(found.value)]
    bounds = [bound for found in estimates for bound in (found.low, found.high) if math.isfinite(bound)]
    wide = [b for found in estimates if found.num != FEWEST for b in (found.low, found.high) if math.isfinite(b)]
    known = [*values, *wide, *marks]
    reach = (max(known) - min(known)) or 0.05 if known else 0.0
    return [*known, *(min(max(bound, min(known) - reach), max(known) + reach) for bound in bounds)]


def _row(axes: Axes, box: svg.Box, at: int, row: Row, form: Callable[[float], str]) -> None:
    colour = {"supported": GOOD, "contradicted": BAD}.get(row.verdict, OPEN)
    estimate = row.estimate
    beside = axes.get_yaxis_transform()
    left, right = -6 / box.inner_width, 1 + 8 / box.inner_width
    axes.text(left, at, row.name, ha="right", va="center", transform=beside, gid="row")
    if math.isfinite(estimate.value):
        if math.isfinite(estimate.low):
            axes.plot([estimate.low, estimate.high], [at, at], color=colour, linewidth=2)
            _cut_ends(axes, at, estimate, colour)
        is_decided = row.verdict in ("", "supported", "contradicted")
        face = colour if is_decided else svg.PALETTE["paper"]
        axes.plot([estimate.value], [at], "o", color=colour, markersize=6.5, markerfacecolor=face)
    axes.text(right, at, _told(estimate, form), va="center", color=svg.SOFT, transform=beside, gid="row")


def _cut_ends(axes: Axes, at: int, estimate: Estimate, colour: str) -> None:
    """Draw an arrow where an interval extends beyond the axis."""
    left, right = axes.get_xlim()
    for bound, end, mark in ((estimate.low, left, "<"), (estimate.high, right, ">")):
        if bound < left or bound > right:
            axes.plot([end], [at], mark, color=colour, markersize=5, clip_on=False)


def _told(estimate: Estimate, form: Callable[[float], str]) -> str:
    """The value and its interval: as a half width if both sides are equal, otherwise as two ends."""
    if not math.isfinite(estimate.value):
        return "not known"
    if not math.isfinite(estimate.low):
        return form(estimate.value)
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    half = form(above).lstrip("+")
    if form(below).lstrip("+") == half:
        return f"{form(estimate.value)} ±{half}"
    return f"{form(estimate.value)} [{form(estimate.low)}, {form(estimate.high)}]"


def draw_lines(series: Sequence[Series], chart: Chart, beside: Sequence[Series] = ()) -> str | None:
    """Draw curves; None if there are none.

    Args:
        series: the curves, with their bands if they have any.
        chart: their surroundings.
        beside: the curves of panels beside this one, which share its vertical axis.
    """
    series = [found for found in series if np.isfinite(found.band[0]).any()]
    if not series:
        return None
    width, height = (300, SMALL_HEIGHT) if chart.is_small else (420, HEIGHT)
    is_named = chart.has_names and not chart.is_small
    box = svg.Box(width, height, LEFT, NAMES_RIGHT if is_named else 10, 36 if chart.places else 22, 40)

    def paint(axes: Axes) -> None:
        first, last = (float(pick([pick(found.xs) for found in series])) for pick in (min, max))
        x_limits = chart.x_limits or (first if chart.ticks else min(0.0, first), last)
        dress(axes, box, x_limits, limits([*series, *beside]), chart.unit, chart.x_label)
        if chart.ticks:
            axes.set_xticks([at for at, _ in chart.ticks], [text for _, text in chart.ticks])
        _places(axes, box, chart.places)
        for found in sorted(series, key=lambda found: found.look.is_strong):
            _line(axes, found)
        if is_named:
            _names(axes, box, named)

    named = [found for found in series if found.name]
    ends = (f"{found.name} ends at {rate(_last(found)[1])}" for found in named)
    return svg.drawing(box, chart.name, f"{chart.title}. {', '.join(ends)}.", "panel", paint)


def plotted(
    charts: Sequence[tuple[Chart, Sequence[Series]]], title: str, note: str = "", beside: Sequence[Series] = ()
) -> Plotted:
    """Make interactive curves over one or several axes; each chart is also drawn for readers without scripts.

    Args:
        charts: the surroundings and the curves for each axis: the same curves in the same order.
        title: the figure's title.
        note: lighter text after the title, for what no axis says.
        beside: the curves of panels beside this one.
    """
    drawn = [(chart, [found for found in series if np.isfinite(found.band[0]).any()]) for chart, series in charts]
    drawn = [(chart, series) for chart, series in drawn if series]
    first = drawn[0][0] if drawn else Chart("", "", "", "")
    lines: dict[tuple[str, str], Line] = {}
    for chart, series in drawn:
        for key, line in _lines_of(chart.axis, series):
            found = lines.setdefault(key, line)
            lines[key] = replace(found, on={**found.on, **line.on})
    plot = Plot(
        title=f"{title}, {note}" if note and len(drawn) < 2 else title,
        unit=first.unit,
        axes={chart.axis: chart.x_label for chart, _ in drawn},
        lines=list(lines.values()),
        spans=[Span(words, svg.SOFT, {first.axis: (x, x)}) for x, words in first.places],
        ticks=first.ticks,
        is_shared=first.axis != "x",
    )
    return Plotted(plot, lambda: _still(charts, title, note, beside))


def _lines_of(axis: str, series: Sequence[Series]) -> Iterator[tuple[tuple[str, str], Line]]:
    """Turn series into named lines; a line without a name belongs to the one before it."""
    name = ""
    for found in series:
        part = "" if found.name else "reference"
        name = found.name or name
        low, high = (found.band[1], found.band[2]) if found.has_band else (None, None)
        is_banded = low is not None and bool(np.isfinite(low).any())
        points = Points(found.xs, found.band[0], low if is_banded else None, high if is_banded else None)
        look = found.look
        is_dashed = look.line != "solid"
        line = Line(name, look.colour, {axis: points}, part, "", is_dashed, look.is_strong, found.is_marked)
        yield (name, part), line


def _still(
    charts: Sequence[tuple[Chart, Sequence[Series]]], title: str, note: str, beside: Sequence[Series]
) -> list[Figure]:
    words = (note if len(charts) == 1 else f"by {chart.x_label}" for chart, _ in charts)
    pairs = zip(charts, words, strict=True)
    return [Figure(draw_lines(series, chart, beside), title, said) for (chart, series), said in pairs]


def draw_key(look: Look) -> str:
    """Write the sample line of a legend; by hand, because a whole figure is too much work for one line."""
    dashes = "" if look.line == "solid" else f"; stroke-dasharray: {','.join(map(str, look.line[1]))}"
    stroke = f"stroke: {svg.VARIABLES[look.colour]}; stroke-width: {2.2 if look.is_strong else 1.3}{dashes}"
    line = f'<path d="M 1 8 L 35 8" style="fill: none; {stroke}" />'
    return f'<svg class="key" viewBox="0 0 36 16" aria-hidden="true">{line}</svg>'


def limits(series: Sequence[Series]) -> tuple[float, float]:
    """Begin at 0 unless all lines are in the upper half; bands may widen the axis by a quarter, then are cut off."""
    lines = np.concatenate([found.band[0] for found in series])
    bands = np.concatenate([lines, *(found.band.ravel() for found in series if found.has_band)])
    least, most = float(np.nanmin(lines)), float(np.nanmax(lines))
    room = 0.05 * (most - least) or 0.05
    low = max(float(np.nanmin(bands)), least - 5 * room) - room
    high = min(float(np.nanmax(bands)), most + 5 * room) + room
    return (low if least > most / 2 and low > 0 else min(0.0, least)), high


def _places(axes: Axes, box: svg.Box, places: Sequence[tuple[float, str]]) -> None:
    top_of_data = axes.get_xaxis_transform()
    for x, words in places:
        axes.plot([x, x], [0, 1], color=svg.SOFT, linewidth=0.8, linestyle=DOTS, transform=top_of_data)
        axes.text(x, 1 + 3 / box.inner_height, words, gid="kind", ha="center", transform=top_of_data)


def _line(axes: Axes, found: Series) -> None:
    mean, low, high = found.band
    look = found.look
    if found.has_band and np.isfinite(low).any():
        axes.fill_between(found.xs, low, high, color=look.colour, alpha=0.15, linewidth=0)
    width = 2.2 if look.is_strong else 1.3
    axes.plot(found.xs, mean, color=look.colour, linewidth=width, linestyle=look.line)
    if found.is_marked:
        axes.plot(found.xs, mean, "o", color=look.colour, markersize=4, clip_on=False)


def _last(found: Series) -> tuple[float, float]:
    known = np.flatnonzero(np.isfinite(found.band[0]))
    return float(found.xs[known[-1]]), float(found.band[0][known[-1]])


def _names(axes: Axes, box: svg.Box, series: Sequence[Series]) -> None:
    """Write each name beside the end of its line, kept apart, with a thin line leading there."""
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    to_pixels, pixel = box.inner_height / (high - low), (right - left) / box.inner_width
    ends = [_last(found) for found in series]
    heights = svg.spread([(y - low) * to_pixels for _, y in ends], NAME_HEIGHT, 0, box.inner_height + 14)
    for found, (x, y), height in zip(series, ends, heights, strict=True):
        at = low + height / to_pixels
        hair: dict[str, Any] = {"color": found.look.colour, "linewidth": 0.7, "alpha": 0.6, "clip_on": False}
        axes.plot([x, right], [y, y], **hair, linestyle=DOTS)
        axes.plot([right, right + 3 * pixel, right + 11 * pixel], [y, y, at], **hair)
        axes.text(right + 14 * pixel, at, found.name, color=found.look.colour, va="center", gid="series", zorder=5)
