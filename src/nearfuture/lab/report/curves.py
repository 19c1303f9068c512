"""Interactive curves of runs: every clock, every piece, and the marks on them.

Not here: their static drawings for readers without scripts (`figures`), cutting them (`pieces`), what a plot is
(`nearfuture.lab.page.plot`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from nearfuture.lab.page.plot import Floats, Line, Plot, Points, Span
from nearfuture.lab.page.svg import SOFT
from nearfuture.lab.report.figures import X_LABELS, Firing, Metric, StyledRun, windows
from nearfuture.lab.report.pieces import Piece, bands, pieces, window_of
from nearfuture.record.clocks import Clock, has_prices, paid_at
from nearfuture.record.records import EVALUATION

CLOCKS: tuple[Clock, ...] = ("step", "total_steps", "tokens", "seconds")
Firings = Callable[[Clock], Sequence[Firing]]


def plot_of(
    runs: Sequence[StyledRun], metric: Metric, clocks: Sequence[Clock] = CLOCKS, firings: Firings | None = None
) -> Plot:
    """Plot a metric of some runs over every clock that one of them has.

    Args:
        runs: the runs, whose names and colours the lines take.
        metric: what is drawn.
        clocks: the clocks in the order offered; the first is shown.
        firings: the triggers to mark, by clock.
    """
    known = {clock: [run for run in runs if has_prices(run.records, clock)] for clock in clocks}
    offered = [clock for clock in clocks if known[clock]]
    return Plot(
        title=metric.name,
        unit=metric.unit,
        axes={clock: X_LABELS[clock] for clock in offered},
        lines=[line for run in runs for line in _lines(run, metric, [c for c in offered if run in known[c]])],
        spans=[*_guided(runs, known), *(_fired({c: firings(c) for c in offered}) if firings else ())],
        window=max((window_of(run.records, metric.key) for run in runs), default=0) if is_smoothed(metric) else 0,
        is_shared=True,
    )


def is_smoothed(metric: Metric) -> bool:
    """False for metrics that are averages already, and for those with intended jumps."""
    return not metric.key.startswith(("eval/", "autonpo/")) and metric.key != "npo/guided_frac"


def _lines(run: StyledRun, metric: Metric, clocks: Sequence[Clock]) -> Iterator[Line]:
    cut = pieces(run.records, metric.key, "step")
    places = [place for piece in cut for place in piece.places]
    positions = {clock: dict(zip(places, paid_at(run.records, clock, places), strict=True)) for clock in clocks}
    found = {id(piece): (low, high) for piece, low, high in bands(run.records, cut)} if metric.key == EVALUATION else {}
    for piece in cut:
        on: dict[str, Points] = {str(clock): _points(piece, positions[clock], found.get(id(piece))) for clock in clocks}
        part = "" if piece.is_kept else "abandoned"
        is_marked = metric.key == EVALUATION and piece.is_kept
        yield Line(run.records.name, run.colour, on, part, run.group, bool(part), not part, is_marked)


def _points(
    piece: Piece, positions: Mapping[tuple[int, int], float], bounds: tuple[list[float], list[float]] | None
) -> Points:
    xs: Floats = np.array([positions[place] for place in piece.places])
    low, high = (None, None) if bounds is None else (np.array(bounds[0]), np.array(bounds[1]))
    return Points(xs, piece.raw, low, high, piece.before.tolist())


def _guided(runs: Sequence[StyledRun], known: Mapping[Clock, Sequence[StyledRun]]) -> Iterator[Span]:
    """Return spans where guidance was injected, one for each window on each clock."""
    for run in runs:
        for clock, able in known.items():
            if run in able:
                for low, high, kind in windows(run.records, clock):
                    yield Span(f"guidance injected ({kind})", run.colour, {clock: (low, high)}, run.records.name)


def _fired(found: Mapping[Clock, Sequence[Firing]]) -> Iterator[Span]:
    """Return where triggers fired, and the windows they looked at."""
    for clock, firings in found.items():
        for firing in firings:
            mark: Literal["full", "hollow"] = "full" if firing.went_back else "hollow"
            yield Span(str(firing.number), SOFT, {clock: (firing.at, firing.at)}, mark=mark)
            for low, high in firing.spans:
                yield Span(f"what trigger {firing.number} looked at", SOFT, {clock: (low, high)})
