"""The curves: a metric of every run over one clock, with interventions, abandoned tails and the head's path.

Not here: the tree of segments (`lineage_drawing`), axes and elements (`svg`), the cutting of curves (`pieces`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from nearfuture.run.clocks import Clock, has_tokens, paid_at
from nearfuture.run.records import EVALUATION, RunRecords
from nearfuture.run.report import svg
from nearfuture.run.report.comparison import num_judged, sampling_margin
from nearfuture.run.report.formats import count, rate
from nearfuture.run.report.pieces import GUIDED, Piece, pieces, thinned

X_LABELS: dict[Clock, str] = {"step": "step", "total_steps": "total steps paid", "tokens": "tokens generated"}
NUM_STYLES = 6
MARKS_ON_A_LINE = 9
STRIP = 9
VALUE_WIDTH = 36
KIND_WIDTH = 32


@dataclass(frozen=True, slots=True)
class Metric:
    """What one row of panels shows."""

    key: str
    name: str
    is_share: bool = True
    from_zero: bool = False


@dataclass(frozen=True, slots=True)
class StyledRun:
    """A run and its colour and mark, the same in every figure."""

    records: RunRecords
    style: int


METRICS = (
    Metric(EVALUATION, "Held-out pass rate"),
    Metric("npo/pass_rate", "On-policy pass rate"),
    Metric("npo/entropy", "On-policy entropy (nats a token)", is_share=False),
    Metric(GUIDED, "Share of groups with a guide", from_zero=True),
)


def draw_panel(runs: Sequence[StyledRun], metric: Metric, clock: Clock) -> str | None:
    """Draw one metric over one clock; None where no run can show it."""
    cut = {
        run.style: pieces(run.records, metric.key, clock)
        for run in runs
        if clock != "tokens" or has_tokens(run.records)
    }
    cut = {style: found for style, found in cut.items() if found}
    if not cut:
        return None
    frame = _frame(runs, [piece for found in cut.values() for piece in found], metric, clock)
    shown = [run for run in runs if run.style in cut]
    drawn = [svg.axes(frame, X_LABELS[clock]), _interventions(frame, runs, clock)]
    drawn += [_margins(frame, run, cut[run.style]) for run in shown if metric.key == EVALUATION]
    drawn += [_lines(frame, run, cut[run.style], is_evaluation=metric.key == EVALUATION) for run in shown]
    drawn.append("" if metric.key == GUIDED else _ends(frame, cut))
    label = f"{metric.name} over {X_LABELS[clock]}. " + " ".join(_in_words(run, cut[run.style]) for run in shown)
    return svg.drawing(frame.width, frame.height, label, *drawn, class_="panel")


def mark(x: float, y: float, style: int, tooltip: str = "") -> str:
    """Draw the mark of a style: circle, square, triangle, diamond, cross or bar; runs differ by more than colour."""
    r = 3.4
    point, tip = r + 1, r + 1.5
    cross = f"h{r - 1} v{1 - r} h2 v{r - 1} h{r - 1} v2 h{1 - r} v{r - 1} h-2 v{1 - r} h{1 - r}Z"
    diamond = f"l{point},{tip} l{-point},{tip} l{-point},{-tip}Z"
    shapes = (
        svg.element("circle", "{}", cx=x, cy=y, r=r),
        svg.element("rect", "{}", x=x - r, y=y - r, width=2 * r, height=2 * r),
        svg.element("path", "{}", d=f"M{x:.1f},{y - point:.1f} l{point},{2 * r} h{-2 * point}Z"),
        svg.element("path", "{}", d=f"M{x:.1f},{y - tip:.1f} {diamond}"),
        svg.element("path", "{}", d=f"M{x - r:.1f},{y - 1:.1f} {cross}"),
        svg.element("rect", "{}", x=x - 1.5, y=y - r - 1, width=3.0, height=2 * r + 2),
    )
    title = svg.element("title", escape(tooltip)) if tooltip else ""
    return svg.element("g", shapes[style % NUM_STYLES].replace("{}", title), class_=f"mark s{style % NUM_STYLES}")


def key_sample(style: int) -> str:
    """Draw the sample of a run that the legend shows."""
    line = svg.path([(1, 8), (35, 8)], f"line s{style % NUM_STYLES}")
    return f'<svg class="key" viewBox="0 0 36 16" aria-hidden="true">{line}{mark(18, 8, style)}</svg>'


def _frame(runs: Sequence[StyledRun], cut: Sequence[Piece], metric: Metric, clock: Clock) -> svg.Frame:
    ys = [float(value) for piece in cut for value in piece.values] + ([0.0] if metric.from_zero else [])
    last = max(float(piece.xs.max()) for piece in cut)
    limits = (0.0, 1.0) if metric.is_share else (0.0, None)
    num_strips = sum(bool(windows(run.records, clock)) for run in runs)
    y_range = svg.nice_range(ys, low=limits[0], high=limits[1])
    return svg.Frame((0.0, max(last, 1.0)), y_range, top=14 + (STRIP + 5) * num_strips)


def windows(records: RunRecords, clock: Clock) -> list[tuple[float, float, str]]:
    """Return where guidance was injected: from, to, kind; an open window ends where its segment does.

    By `step` only what was kept of it, because segments overlap there; by what was paid all of it.
    """
    if clock == "tokens" and not has_tokens(records):
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
            found.append((float(low), float(high), segment.kind or "guided"))
    return sorted(found)


def _interventions(frame: svg.Frame, runs: Sequence[StyledRun], clock: Clock) -> str:
    guided = [run for run in runs if windows(run.records, clock)]
    drawn = []
    for row, run in enumerate(guided):
        top = 8 + row * (STRIP + 5)
        style = f"s{run.style % NUM_STYLES}"
        found = windows(run.records, clock)
        next_starts = [frame.x(low) for low, _, _ in found[1:]] + [frame.end + 40]
        for (low, high, kind), next_start in zip(found, next_starts, strict=True):
            left, right = frame.x(low), frame.x(high)
            if len(guided) == 1:
                drawn.append(_box(left, frame.top, right, frame.floor, f"window {style}"))
            drawn.append(_box(left, top, max(right, left + 1.5), top + STRIP, f"strip {style}"))
            drawn += [svg.path([(x, top), (x, frame.floor)], f"border {style}") for x in (left, right)]
            if right - left > KIND_WIDTH:
                drawn.append(svg.text(kind, (left + right) / 2, top + STRIP - 1, "kind", "middle"))
            elif next_start - right > KIND_WIDTH:
                drawn.append(svg.text(kind, right + 4, top + STRIP - 1, "kind"))
    return "".join(drawn)


def _lines(frame: svg.Frame, run: StyledRun, cut: Sequence[Piece], *, is_evaluation: bool) -> str:
    style = f"s{run.style % NUM_STYLES}"
    drawn = []
    for piece in cut:
        is_smoothed = piece.is_kept and not (piece.raw == piece.values).all()
        if is_smoothed:
            inside = piece.raw.clip(*frame.y_range)
            drawn.append(svg.path(frame.points(*_listed(piece.xs, inside)), f"raw {style}"))
        line = "line" if piece.is_kept else "abandoned"
        drawn.append(svg.path(frame.points(*_listed(piece.xs, piece.values)), f"{line} {style}"))
    num_kept = sum(len(piece.xs) for piece in cut if piece.is_kept)
    for piece in cut:
        every = 1 if is_evaluation else max(1, num_kept // MARKS_ON_A_LINE)
        marked = range(len(piece.xs) - 1, -1, -every) if piece.is_kept else range(0)
        marks = [
            mark(
                frame.x(float(piece.xs[i])),
                frame.y(float(piece.values[i])),
                run.style,
                f"{run.records.name}, segment {piece.ats[i][0]}, step {piece.ats[i][1]}: {piece.values[i]:.3f}",
            )
            for i in marked
        ]
        drawn += marks
    return "".join(drawn)


def _margins(frame: svg.Frame, run: StyledRun, cut: Sequence[Piece]) -> str:
    drawn = []
    for piece in cut:
        counts = [num_judged(run.records.rows[at]) for at in piece.ats]
        if not piece.is_kept or not all(counts) or len(counts) < 2:
            continue
        halves = [sampling_margin(float(v), int(n or 0)) for v, n in zip(piece.values, counts, strict=True)]
        low, high = frame.y_range
        upper = [min(high, float(v) + h) for v, h in zip(piece.values, halves, strict=True)]
        lower = [max(low, float(v) - h) for v, h in zip(piece.values, halves, strict=True)]
        xs = [float(x) for x in piece.xs]
        around = frame.points(xs, upper) + frame.points(xs, lower)[::-1]
        drawn.append(svg.path(around, f"margin s{run.style % NUM_STYLES}", is_closed=True))
    return "".join(drawn)


def _ends(frame: svg.Frame, cut: dict[int, list[Piece]]) -> str:
    """Write the last kept value of each run beside its line, apart from each other where two lines end together."""
    last = {style: [piece for piece in found if piece.is_kept][-1:] for style, found in cut.items()}
    ends = [(style, float(kept[0].xs[-1]), float(kept[0].values[-1])) for style, kept in last.items() if kept]
    ends.sort(key=lambda end: end[1])
    columns: list[list[tuple[int, float, float]]] = []
    for end in ends:
        if columns and frame.x(end[1]) - frame.x(columns[-1][-1][1]) < VALUE_WIDTH:
            columns[-1].append(end)
        else:
            columns.append([end])
    drawn = []
    for column in columns:
        heights = svg.spread([frame.y(value) for _, _, value in column], 15, frame.top + 4, frame.floor)
        for (style, x, value), y in zip(column, heights, strict=True):
            drawn.append(svg.text(f"{value:.2f}", frame.x(x) + 7, y + 4, f"value s{style % NUM_STYLES}"))
    return "".join(drawn)


def _in_words(run: StyledRun, cut: Sequence[Piece]) -> str:
    kept = [piece for piece in cut if piece.is_kept]
    if not kept:
        return f"{run.records.name}: nothing on the head's path yet."
    first, last = kept[0], kept[-1]
    return (
        f"{run.records.name}: from {rate(float(first.values[0]))} to {rate(float(last.values[-1]))} at "
        f"{count(float(last.xs[-1]))}."
    )


def _listed(xs: object, ys: object) -> tuple[list[float], list[float]]:
    thin_xs, thin_ys = thinned(xs, ys)  # type: ignore[arg-type]
    return thin_xs.tolist(), thin_ys.tolist()


def _box(left: float, top: float, right: float, bottom: float, class_: str) -> str:
    return svg.element(
        "rect", class_=class_, x=left, y=top, width=float(max(0.0, right - left)), height=float(bottom - top)
    )
