"""The lineage as a drawing: x is the step, and each segment has a lane, in the order of training.

A solid bar is on the head's path, a hatched one was abandoned. An arrow leads back from where a policy had trained
ahead to where the run started again; the diamond is the guide, and the outlined stretch is where its trajectories were
injected.

Not here: curves (`figures`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfuture.lab.page import svg
from nearfuture.lab.report.words import FROM
from nearfuture.method.lineage import Segment
from nearfuture.record.formats import plural
from nearfuture.record.records import RunRecords

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 560
TOP, LANE, BAR = 36, 62, 12
NOTE_WIDTH = 140


def draw_lineage(records: RunRecords, style: int) -> str:
    """Draw the tree of one run in the colour of `style`."""
    box = svg.Box(WIDTH, TOP + LANE * len(records.segments) + 8, left=14, right=26, bottom=26)
    label = f"Lineage of {records.name}. " + " ".join(
        f"Segment {segment.id}: {describe(records, segment)}." for segment in records.segments
    )
    return svg.drawing(
        box, f"lineage {style}", label, "lineage", lambda axes: _Lanes(records, svg.colour(style), axes, box).draw()
    )


def describe(records: RunRecords, segment: Segment) -> str:
    """Describe a segment in a few words: `late guidance, steps 60 to 120, 40 abandoned`."""
    what, *rest = _traits(records, segment)
    return ", ".join([what, f"steps {segment.start_step} to {records.last_step(segment.id)}", *rest])


def _traits(records: RunRecords, segment: Segment) -> list[str]:
    steps = records.last_step(segment.id) - segment.start_step
    abandoned = records.last_step(segment.id) - records.kept_until(segment.id)
    learned = FROM.get(str(records.config.get("source")))
    plain = "GRPO" if learned is None else f"GRPO with {learned}"
    traits = [f"{segment.kind} guidance" if segment.kind else ("scout" if segment.reason == "scout" else plain)]
    if abandoned:
        traits.append("all abandoned" if abandoned == steps else f"{abandoned} abandoned")
    if segment.id == records.head and segment.end_step is None:
        traits.append("no end yet")
    return traits


class _Lanes:
    """The axes of one tree: x in steps, y in pixels from the top."""

    def __init__(self, records: RunRecords, colour: str, axes: Axes, box: svg.Box) -> None:
        from matplotlib.ticker import MaxNLocator

        self.records, self.colour, self.axes = records, colour, axes
        last = max([1, *(records.last_step(segment.id) for segment in records.segments)])
        self.pixels = box.inner_width / last  # of one step
        self.floor = box.inner_height
        axes.set(xlim=(0, last), ylim=(box.inner_height, 0), yticks=[])
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="x")

    def draw(self) -> None:
        """Draw all lanes; the ways back come first so that the bars cover them."""
        for segment in self.records.segments[1:]:
            self._way_back(segment)
        for segment in self.records.segments:
            self._bars(segment)
            self._guide(segment)
            self._name(segment)
        self._text("optimizer step", self.axes.get_xlim()[1], self.floor - 7, "note", "right")

    def _bars(self, segment: Segment) -> None:
        start, last, kept = segment.start_step, self.records.last_step(segment.id), self.records.kept_until(segment.id)
        y = _y(segment)
        if segment.intervention is not None:
            end = segment.intervention.end_step
            end = last if end is None else min(end, last)
            self._bar(start, end, y - 5, BAR + 10, facecolor=self.colour, alpha=0.14, linewidth=0)
            self._bar(start, end, y - 5, BAR + 10, facecolor="none", linestyle=(0, (3, 2)))
        self._bar(start, kept, y, BAR, facecolor=self.colour)
        self._bar(kept, last, y, BAR, facecolor="none", hatch="////")
        if segment.id == self.records.head and segment.end_step is None:
            self._line([last + 9 / self.pixels], [y + BAR / 2], marker=">", markersize=8)

    def _bar(self, first: float, last: float, top: float, height: float, **looks: Any) -> None:
        if last > first:
            looks = {"edgecolor": self.colour, "linewidth": 1, "zorder": 3, "clip_on": False} | looks
            self.axes.barh(top, last - first, height, first, align="edge", **looks)

    def _way_back(self, segment: Segment) -> None:
        """Draw the way from the end of the previous segment to the start of this one, and the checkpoint it loads."""
        before = self.records.segments[segment.id - 1]
        start, end = segment.start_step, self.records.last_step(before.id)
        turn, top = _y(before) + BAR + 11, _y(segment) - 10
        way: dict[str, Any] = {"color": svg.SOFT, "linewidth": 1.2}
        self._line([end, end, start, start], [_y(before) + BAR, turn, turn, top], **way)
        self._line([start], [top], marker="v", markersize=7, **way)
        if segment.parent is not None and segment.parent < before.id:
            loaded = self.records.segment(segment.parent)
            self._line([start, start], [_y(loaded) + BAR, turn], linestyle=(0, (1.5, 2.5)), **way)
        if end > start and end * self.pixels < WIDTH - NOTE_WIDTH:
            self._text(f"back {plural(end - start, 'step')}", end + 7 / self.pixels, turn + 5, "note", "left")

    def _guide(self, segment: Segment) -> None:
        if segment.intervention is None:
            return
        guide = segment.intervention.guide
        y = _y(self.records.segment(guide.segment))
        looks: dict[str, Any] = {"markerfacecolor": svg.PALETTE["paper"], "markeredgewidth": 2}
        self._line([guide.step], [y + BAR / 2], marker="D", markersize=10, **looks)
        is_at_the_end = guide.step * self.pixels > WIDTH - 110
        side, above = ("right", 7) if is_at_the_end else ("left", -BAR + 2)
        away = -4 if is_at_the_end else 14
        self._text("guide", guide.step + away / self.pixels, y - above, "name", side)

    def _name(self, segment: Segment) -> None:
        words = f"{segment.id}: {', '.join(_traits(self.records, segment))}"
        start = segment.start_step
        if start * self.pixels < WIDTH * 0.42:
            self._text(words, start + (9 / self.pixels if segment.id else 0), _y(segment) - 11, "name", "left")
        else:
            self._text(words, start - 10 / self.pixels, _y(segment) + BAR - 2, "name", "right")

    def _line(self, xs: list[float], ys: list[float], **looks: Any) -> None:
        all_looks: dict[str, Any] = {"color": self.colour, "zorder": 4, "clip_on": False, **looks}
        self.axes.plot(xs, ys, **all_looks)

    def _text(self, words: str, x: float, y: float, class_: str, side: str) -> None:
        ink = svg.SOFT if class_ == "note" else svg.PALETTE["ink"]
        self.axes.text(x, y, words, color=ink, gid=class_, ha=side, va="baseline", zorder=6)


def _y(segment: Segment) -> float:
    return TOP + LANE * segment.id - 10
