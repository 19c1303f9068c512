"""Static curves: a metric of every run over one clock, with interventions, abandoned tails and the head's path.

Not here: the interactive curves (`curves`), the tree of segments (`lineage_drawing`), putting a drawing into a page
(`nearfuture.lab.page.svg`), cutting curves (`pieces`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from nearfuture.lab.page import svg
from nearfuture.lab.page.page import Items
from nearfuture.lab.page.svg import DASHES, DOTS, LEFT, dress
from nearfuture.lab.report.pieces import GUIDED, Piece, bands, pieces
from nearfuture.record.clocks import Clock, has_prices, paid_at
from nearfuture.record.formats import count, rate
from nearfuture.record.records import EVALUATION, RunRecords

if TYPE_CHECKING:
    from matplotlib.axes import Axes

X_LABELS: dict[Clock, str] = {
    "step": "optimizer step",
    "total_steps": "total steps paid",
    "tokens": "tokens generated",
    "seconds": "seconds of training and collecting",
}
MARKERS = ("o", "s", "^", "D", "P", "X")
MARKS_ON_A_LINE = 9
WIDTH, HEIGHT = 420, 240
RIGHT, BOTTOM = 42, 40
UNIT, STRIP, GAP = 22, 12, 4
VALUE_WIDTH, VALUE_HEIGHT = 36, 15
KIND_WIDTH = 32
Cut = dict[int, list[Piece]]


@dataclass(frozen=True, slots=True)
class Metric:
    """What one row of panels shows."""

    key: str
    name: str
    unit: str
    is_share: bool = True


@dataclass(frozen=True, slots=True)
class Firing:
    """A trigger to mark: where it fired, the window it looked at (in parts), and whether the run went back."""

    number: int
    at: float
    spans: tuple[tuple[float, float], ...]
    went_back: bool


@dataclass(frozen=True, slots=True)
class StyledRun:
    """A run with its colour and mark, the same in every figure; its `group` may be a method."""

    records: RunRecords
    style: int
    group: str = ""

    @property
    def colour(self) -> str:
        """The colour of its lines."""
        return svg.colour(self.style)


METRICS = (
    Metric(EVALUATION, "Held-out pass rate", "share of samples that were correct"),
    Metric("npo/pass_rate", "On-policy pass rate", "share of rollouts that were correct"),
    Metric("npo/entropy", "On-policy entropy", "nats per token", is_share=False),
    Metric(GUIDED, "Groups with guidance", "share of groups"),
)


def draw_panel(runs: Sequence[StyledRun], metric: Metric, clock: Clock, firings: Sequence[Firing] = ()) -> str | None:
    """Draw one metric over one clock, with the windows of triggers; None if no run has it."""
    cut = {run.style: pieces(run.records, metric.key, clock) for run in runs if has_prices(run.records, clock)}
    cut = {style: found for style, found in cut.items() if found}
    if not cut:
        return None
    panel = _Panel([run for run in runs if run.style in cut], cut, metric, clock, firings)
    label = f"{metric.name} over {X_LABELS[clock]}. " + " ".join(_in_words(run, cut[run.style]) for run in panel.runs)
    return svg.drawing(panel.box, f"{metric.key} {clock}", label, "panel", panel.paint)


def legend(keys: Sequence[str], runs: Sequence[StyledRun]) -> Items:
    """The legend: a key per run (`run_key` with a name), and keys for whatever some of the curves show."""
    segments = [(run.records, segment) for run in runs for segment in run.records.segments]
    items = list(keys)
    if any(run.last_step(segment.id) > run.kept_until(segment.id) for run, segment in segments):
        items.append(_key(lambda axes: _key_line(axes, svg.SOFT, 1.3, DASHES)) + " abandoned")
    if any(segment.intervention for _, segment in segments):
        strip: dict[str, Any] = {"color": svg.SOFT, "alpha": 0.35, "linewidth": 0, "clip_on": False}
        items.append(_key(lambda axes: axes.bar(18, 10, 32, 3, **strip)) + " guidance injected")
    return Items(items, "legend")


def run_key(style: int) -> Markup:
    """Draw the sample line of a run for a legend."""

    def paint(axes: Axes) -> None:
        from matplotlib.markers import MarkerStyle
        from matplotlib.patches import PathPatch
        from matplotlib.transforms import Affine2D

        _key_line(axes, svg.colour(style), 2, "solid")
        marker = MarkerStyle(MARKERS[style % svg.NUM_STYLES])
        placed = Affine2D(marker.get_transform().get_matrix()).scale(7.5).translate(18, 8)
        shape = marker.get_path().transformed(placed)
        axes.add_patch(PathPatch(shape, facecolor=svg.colour(style), linewidth=0, clip_on=False))

    return _key(paint)


def _key(paint: Callable[[Axes], object]) -> Markup:
    def paint_all(axes: Axes) -> None:
        axes.set(xlim=(0, 36), ylim=(0, 16), autoscale_on=False)
        axes.set_axis_off()
        paint(axes)

    return Markup(svg.drawing(svg.Box(36, 16), "key", "", "key", paint_all))


def _key_line(axes: Axes, colour: str, width: float, line: Any) -> None:
    axes.plot([1, 35], [8, 8], color=colour, linewidth=width, linestyle=line, clip_on=False)


def windows(records: RunRecords, clock: Clock) -> list[tuple[float, float, str]]:
    """Return where guidance was injected: from, to, kind; an open window ends where its segment does.

    On the clock `step` only the kept part is returned, because segments overlap there; on the paid clocks, all of it.
    """
    if not has_prices(records, clock):
        return []
    found = []
    for segment in records.segments:
        if segment.intervention is None:
            continue
        last = records.kept_until(segment.id) if clock == "step" else records.last_step(segment.id)
        end = segment.intervention.end_step
        end = last if end is None else min(end, last)
        if end > segment.start_step:
            low, high = paid_at(records, clock, [(segment.id, segment.start_step), (segment.id, end)])
            found.append((float(low), float(high), segment.intervention.kind))
    return sorted(found)


class _Panel:
    """One metric over one clock: limits and sizes are decided here, then `paint` draws."""

    def __init__(
        self, runs: Sequence[StyledRun], cut: Cut, metric: Metric, clock: Clock, firings: Sequence[Firing]
    ) -> None:
        self.runs, self.cut, self.metric, self.clock, self.firings = runs, cut, metric, clock, firings
        self.windows = {run.style: found for run in runs if (found := windows(run.records, clock))}
        self.bands = {run.style: list(bands(run.records, cut[run.style])) for run in runs if metric.key == EVALUATION}
        num_strips = len(self.windows) + bool(firings)
        self.box = svg.Box(WIDTH, HEIGHT, LEFT, RIGHT, UNIT + (STRIP + GAP) * num_strips, BOTTOM)
        self.last = max(1.0, *(_last_paid(run.records, clock) for run in runs))

    def paint(self, axes: Axes) -> svg.Titles:
        """Draw axes, windows of guidance, bands, lines, marks and end values; return the tooltips of the marks."""
        self._axes(axes)
        for row, run in enumerate((run for run in self.runs if run.style in self.windows), start=bool(self.firings)):
            self._guidance(axes, run, row)
        for firing in self.firings:
            self._firing(axes, firing)
        titles: dict[str, list[str]] = {}
        for run in self.runs:
            for piece, low, high in self.bands.get(run.style, []):
                axes.fill_between(piece.xs, low, high, color=run.colour, alpha=0.13, linewidth=0)
            self._lines(axes, run)
            titles |= self._marks(axes, run)
        if self.metric.key != GUIDED:
            self._end_values(axes)
        return titles

    def _axes(self, axes: Axes) -> None:
        dress(axes, self.box, (0, self.last), self._y_limits(), self.metric.unit, X_LABELS[self.clock])

    def _y_limits(self) -> tuple[float, float]:
        """Begin at 0 unless all values are in the upper half; a share ends at 1."""
        values = [float(value) for found in self.cut.values() for piece in found for value in piece.values]
        for found in self.bands.values():
            values += [float(bound) for _, low, high in found for bound in (*low, *high)]
        low, high = min(values), max(values)
        low = min(0.0, low) if low <= high / 2 else low
        room = 0.05 * (high - low) or 0.05
        high = high + room
        return (low - room if low > 0 else low), (min(high, 1.0) if self.metric.is_share and max(values) <= 1 else high)

    def _guidance(self, axes: Axes, run: StyledRun, row: int) -> None:
        found = self.windows[run.style]
        pixel, height = self.last / self.box.inner_width, self.box.inner_height
        bottom = 1 + (2 + row * (STRIP + GAP)) / height
        top_of_data = axes.get_xaxis_transform()
        next_starts = [low for low, _, _ in found[1:]] + [self.last + RIGHT * pixel]
        for (low, high, kind), next_start in zip(found, next_starts, strict=True):
            if len(self.windows) == 1:
                axes.axvspan(low, high, color=run.colour, alpha=0.07, linewidth=0, zorder=0.5)
            strip = {"alpha": 0.3, "linewidth": 0, "transform": top_of_data, "clip_on": False}
            axes.bar(low, STRIP / height, max(high - low, 1.5 * pixel), bottom, align="edge", color=run.colour, **strip)
            borders: dict[str, Any] = {
                "color": run.colour,
                "linewidth": 0.8,
                "linestyle": DOTS,
                "transform": top_of_data,
            }
            for x in (low, high):
                axes.plot([x, x], [0, bottom], clip_on=False, **borders)
            is_wide = high - low > KIND_WIDTH * pixel
            if is_wide or next_start - high > KIND_WIDTH * pixel:
                x, side = ((low + high) / 2, "center") if is_wide else (high + 4 * pixel, "left")
                axes.text(x, bottom + 2.6 / height, kind, ha=side, gid="kind", transform=top_of_data)

    def _firing(self, axes: Axes, firing: Firing) -> None:
        """Shade what the trigger looked at; the triangle where it fired is filled if the run went back."""
        for low, high in firing.spans:
            axes.axvspan(low, high, color=svg.SOFT, alpha=0.16, linewidth=0, zorder=0.6)
        pixel, top_of_data = self.last / self.box.inner_width, axes.get_xaxis_transform()
        line: dict[str, Any] = {"color": svg.SOFT, "linewidth": 0.8, "transform": top_of_data}
        axes.plot([firing.at, firing.at], [0, 1], **line)
        face = svg.PALETTE["ink" if firing.went_back else "paper"]
        looks: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": svg.PALETTE["ink"], "clip_on": False}
        height = self.box.inner_height
        axes.plot([firing.at], [1 + 5 / height], "v", markersize=7, transform=top_of_data, **looks)
        where = (firing.at + 6 * pixel, 1 + 2 / height)
        axes.text(*where, str(firing.number), gid="value", transform=top_of_data, zorder=5)

    def _lines(self, axes: Axes, run: StyledRun) -> None:
        for piece in self.cut[run.style]:
            if not piece.is_kept:
                looks: dict[str, Any] = {"linewidth": 1.3, "linestyle": DASHES, "alpha": 0.8}
                axes.plot(piece.xs, piece.values, color=run.colour, **looks)
                continue
            if not (piece.raw == piece.values).all():
                axes.plot(piece.xs, piece.raw, color=run.colour, linewidth=0.7, alpha=0.3)
            axes.plot(piece.xs, piece.values, color=run.colour, linewidth=2)

    def _marks(self, axes: Axes, run: StyledRun) -> dict[str, list[str]]:
        kept = [piece for piece in self.cut[run.style] if piece.is_kept]
        every = 1 if self.metric.key == EVALUATION else max(1, sum(len(p.xs) for p in kept) // MARKS_ON_A_LINE)
        marked = [(piece, i) for piece in kept for i in range(len(piece.xs) - 1, -1, -every)]
        if not marked:
            return {}
        gid = f"marks run-{run.style}"
        xs, ys = [float(piece.xs[i]) for piece, i in marked], [float(piece.values[i]) for piece, i in marked]
        looks: dict[str, Any] = {"markersize": 6.5, "markeredgecolor": svg.PALETTE["paper"], "markeredgewidth": 0.8}
        marker = MARKERS[run.style % svg.NUM_STYLES]
        axes.plot(xs, ys, marker, color=run.colour, clip_on=False, gid=gid, zorder=3, **looks)
        named = ((*piece.ats[i], piece.values[i]) for piece, i in marked)
        return {gid: [f"{run.records.name}, segment {s}, step {step}: {value:.3f}" for s, step, value in named]}

    def _end_values(self, axes: Axes) -> None:
        """Write the last kept value of each run beside its line, kept apart where two lines end together."""
        last = {style: [piece for piece in found if piece.is_kept][-1:] for style, found in self.cut.items()}
        ends = [(style, float(kept[0].xs[-1]), float(kept[0].values[-1])) for style, kept in last.items() if kept]
        pixel = self.last / self.box.inner_width
        columns: list[list[tuple[int, float, float]]] = []
        for end in sorted(ends, key=lambda end: end[1]):
            if columns and end[1] - columns[-1][-1][1] < VALUE_WIDTH * pixel:
                columns[-1].append(end)
            else:
                columns.append([end])
        low, high = axes.get_ylim()
        to_pixels = self.box.inner_height / (high - low)
        digits = 2 if high - low > 0.1 else 3
        for column in columns:
            wanted = [(value - low) * to_pixels for _, _, value in column]
            heights = svg.spread(wanted, VALUE_HEIGHT, 4, self.box.inner_height - 4)
            for (style, x, value), height in zip(column, heights, strict=True):
                where = (x + 7 * pixel, low + (height - 4) / to_pixels)
                axes.text(*where, f"{value:.{digits}f}", color=svg.colour(style), gid="value", zorder=5)


def _last_paid(records: RunRecords, clock: Clock) -> float:
    """Return where a clock ends; it is the same for every metric, so that stacked panels can be compared."""
    ends = [(segment.id, records.last_step(segment.id)) for segment in records.segments]
    return float(paid_at(records, clock, ends).max())


def _in_words(run: StyledRun, cut: Sequence[Piece]) -> str:
    kept = [piece for piece in cut if piece.is_kept]
    if not kept:
        return f"{run.records.name}: nothing on the head's path yet."
    first, last = kept[0], kept[-1]
    return (
        f"{run.records.name}: from {rate(float(first.values[0]))} to {rate(float(last.values[-1]))} at "
        f"{count(float(last.xs[-1]))}."
    )
