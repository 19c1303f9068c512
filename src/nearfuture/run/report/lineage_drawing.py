"""The lineage as a drawing: x is the step, one lane a segment, in the order they were trained.

A solid bar is on the head's path, a hatched one was abandoned. An arrow leads from where a policy had trained ahead
back to where the run started anew; the diamond is the guide, the outlined stretch is where its trajectories were
injected.

Not here: curves (`figures`).
"""

from __future__ import annotations

from nearfuture.algo.lineage import Segment
from nearfuture.run.records import RunRecords
from nearfuture.run.report import svg
from nearfuture.run.report.figures import NUM_STYLES
from nearfuture.run.report.formats import plural

WIDTH = 720
LEFT, RIGHT = 14, 24
TOP = 26
LANE = 64
BAR = 12
NOTE_WIDTH = 110


def draw_lineage(records: RunRecords, style: int) -> str:
    """Draw the tree of one run in the colour of `style`."""
    last = max([1, *(records.last_step(segment.id) for segment in records.segments)])
    height = TOP + LANE * len(records.segments) + 34
    frame = svg.Frame((0.0, float(last)), (0.0, 1.0), WIDTH, height, LEFT, RIGHT, top=0, bottom=34)
    hatch = f"hatch-{style}"
    drawn = [_hatch(hatch, style), _arrow_head(style), _axis(frame)]
    drawn += [_branch(records, frame, lane, style) for lane in range(1, len(records.segments))]
    for lane, segment in enumerate(records.segments):
        drawn += [
            _window(records, frame, lane, segment, style),
            _bar(records, frame, lane, segment, style, hatch),
            _label(records, frame, lane, segment),
            _guide(records, frame, lane, segment, style),
        ]
    label = f"Lineage of {records.name}. " + " ".join(
        f"Segment {segment.id}: {describe(records, segment)}." for segment in records.segments
    )
    return svg.drawing(WIDTH, height, label, *drawn, class_="lineage")


def describe(records: RunRecords, segment: Segment) -> str:
    """Describe a segment in a few words: `late guidance, steps 60 to 120, 40 abandoned`."""
    what, *rest = _traits(records, segment)
    return ", ".join([what, f"steps {segment.start_step} to {records.last_step(segment.id)}", *rest])


def _traits(records: RunRecords, segment: Segment) -> list[str]:
    steps = records.last_step(segment.id) - segment.start_step
    abandoned = records.last_step(segment.id) - records.kept_until(segment.id)
    traits = [f"{segment.kind} guidance" if segment.kind else ("scout" if segment.reason == "scout" else "GRPO")]
    if abandoned:
        traits.append("all abandoned" if abandoned == steps else f"{abandoned} abandoned")
    if segment.id == records.head and segment.end_step is None:
        traits.append("no end yet")
    return traits


def _y(lane: int) -> float:
    return TOP + LANE * lane + 12


def _axis(frame: svg.Frame) -> str:
    drawn = [svg.path([(frame.left, frame.floor), (frame.end, frame.floor)], "axis")]
    for value in svg.ticks(*frame.x_range, most=8):
        x = frame.x(value)
        drawn.append(svg.path([(x, 6), (x, frame.floor + 4)], "grid"))
        drawn.append(svg.text(f"{value:.0f}", x, frame.floor + 20, "tick", "middle"))
    drawn.append(svg.text("step", frame.end, frame.floor - 6, "axis-name", "end"))
    return "".join(drawn)


def _bar(records: RunRecords, frame: svg.Frame, lane: int, segment: Segment, style: int, hatch: str) -> str:
    last, kept = records.last_step(segment.id), records.kept_until(segment.id)
    colour = f"s{style % NUM_STYLES}"
    drawn = []
    if kept > segment.start_step:
        drawn.append(_box(frame, segment.start_step, kept, _y(lane), BAR, f"kept {colour}"))
    if last > kept:
        drawn.append(_box(frame, kept, last, _y(lane), BAR, f"tail {colour}", fill=f"url(#{hatch})"))
    if segment.id == records.head and segment.end_step is None:
        x, y = frame.x(last), _y(lane)
        drawn.append(svg.path([(x + 4, y), (x + 11, y + BAR / 2), (x + 4, y + BAR)], f"running {colour}"))
    return "".join(drawn)


def _window(records: RunRecords, frame: svg.Frame, lane: int, segment: Segment, style: int) -> str:
    if segment.intervention is None:
        return ""
    end = segment.intervention.end_step
    last = records.last_step(segment.id)
    end = last if end is None else min(end, max(last, segment.start_step))
    return _box(frame, segment.start_step, end, _y(lane) - 5, BAR + 10, f"injected s{style % NUM_STYLES}")


def _label(records: RunRecords, frame: svg.Frame, lane: int, segment: Segment) -> str:
    start = frame.x(segment.start_step)
    is_left = start < WIDTH * 0.42
    at, anchor = (start + (8 if lane else 0), "start") if is_left else (start - 8, "end")
    y = _y(lane) - 11 if is_left else _y(lane) + BAR - 2
    return svg.text(f"{segment.id}: {', '.join(_traits(records, segment))}", at, y, "lane-name", anchor)


def _branch(records: RunRecords, frame: svg.Frame, lane: int, style: int) -> str:
    """Draw the way from the end of the segment before to the start of this one, and the checkpoint it loads."""
    before, segment = records.segments[lane - 1], records.segments[lane]
    start, end = frame.x(segment.start_step), frame.x(records.last_step(before.id))
    bottom, turn, top = _y(lane - 1) + BAR, _y(lane - 1) + BAR + 9, _y(lane) - 7
    colour = f"s{style % NUM_STYLES}"
    way = [(end, bottom), (end, turn), (start, turn), (start, top)]
    drawn = [
        svg.element(
            "path",
            class_=f"rollback {colour}",
            d="M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in way),
            marker_end=f"url(#arrow-{style})",
        )
    ]
    parent = segment.parent
    lanes = {entry.id: index for index, entry in enumerate(records.segments)}
    if parent is not None and lanes[parent] < lane - 1 and segment.start_step > 0:
        drawn.append(svg.path([(start, _y(lanes[parent]) + BAR), (start, turn)], f"loaded {colour}"))
    distance = records.last_step(before.id) - segment.start_step
    if distance > 0 and end - start > NOTE_WIDTH:
        words = f"back {plural(distance, 'step')}"
        drawn.append(svg.text(words, end - 4, turn + 12, "lane-note", "end"))
    return "".join(drawn)


def _guide(records: RunRecords, frame: svg.Frame, lane: int, segment: Segment, style: int) -> str:
    if segment.intervention is None:
        return ""
    guide = segment.intervention.guide
    x, y, r = frame.x(guide.step), _y(guide.segment) + BAR / 2, 8
    diamond = svg.path([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], f"guide s{style % NUM_STYLES}", is_closed=True)
    is_near_the_end = x > WIDTH - 90
    at, anchor = (x - r - 4, "end") if is_near_the_end else (x + r + 4, "start")
    return diamond + svg.text("guide", at, y - BAR / 2 - 4 if is_near_the_end else y + 4, "lane-note strong", anchor)


def _box(
    frame: svg.Frame, first: float, last: float, top: float, height: float, class_: str, fill: str | None = None
) -> str:
    left, right = frame.x(first), frame.x(last)
    return svg.element(
        "rect", class_=class_, x=left, y=float(top), width=max(1.0, right - left), height=float(height), fill=fill
    )


def _hatch(name: str, style: int) -> str:
    line = svg.element("path", class_=f"hatching s{style % NUM_STYLES}", d="M0,6 L6,0")
    pattern = svg.element("pattern", line, id=name, width=6, height=6, patternUnits="userSpaceOnUse")
    return svg.element("defs", pattern)


def _arrow_head(style: int) -> str:
    head = svg.element("path", class_=f"arrow s{style % NUM_STYLES}", d="M0,0 L8,4 L0,8Z")
    return svg.element(
        "defs",
        svg.element("marker", head, id=f"arrow-{style}", refX=7, refY=4, markerWidth=8, markerHeight=8, orient="auto"),
    )
