"""Drawings by matplotlib as part of a page: text stays text, and every colour is one of the page's.

A painter uses the colours of `PALETTE`; the output has `var(--c0)` and so on in their place, so that one drawing suits
a light page, a dark one and print. The page also sets the font size, because a narrow screen shrinks a drawing and
should not shrink its words. The `gid` of an artist becomes the CSS class of its group. Ids are hashed from the name
of the drawing and kept only if something refers to them: the ids of two drawings on a page do not collide, and the
same run gives the same text. matplotlib is imported by the first drawing.

Not here: what is drawn (`charts`, and the figures of `nearfuture.lab.report`), the page's colours and fonts
(`style.css`).
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from nearfuture.record.formats import tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT = 42
DASHES = (0, (4, 3))
DOTS = (0, (1.5, 2.5))
WHOLE_BELOW = 10_000
NUM_STYLES = 6
PALETTE = {
    **{"paper": "#fdfdfb", "ink": "#1d1f21", "soft": "#5d6166", "hair": "#d9d8d2"},
    **{"c0": "#0065a3", "c1": "#c24e00", "c2": "#007d5a", "c3": "#a3447d", "c4": "#8a6a00", "c5": "#4a4f57"},
}
VARIABLES = {colour: f"var(--{name})" for name, colour in PALETTE.items()}
SOFT = PALETTE["soft"]
RC = {
    **{"svg.fonttype": "none", "figure.facecolor": "none", "axes.facecolor": "none", "font.size": 11},
    **{"axes.edgecolor": SOFT, "axes.axisbelow": True, "grid.color": PALETTE["hair"], "grid.linewidth": 1},
    **{"axes.spines.left": False, "axes.spines.top": False, "axes.spines.right": False},
    **{"xtick.major.size": 4, "xtick.major.pad": 4, "ytick.major.size": 0, "ytick.major.pad": 6},
    **{"text.color": PALETTE["ink"], "xtick.color": SOFT, "ytick.color": SOFT},
    **{"lines.scale_dashes": False, "lines.solid_joinstyle": "round", "hatch.linewidth": 1},
}
NUMBER = re.compile(r"-?\d+\.\d+")
PLAIN = {"Creator": None, "Date": None, "Format": None, "Type": None}
Titles = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Box:
    """A drawing's size and the margins around its axes, in pixels at its own scale."""

    width: float
    height: float
    left: float = 0
    right: float = 0
    top: float = 0
    bottom: float = 0

    @property
    def inner_width(self) -> float:
        """The length of the horizontal axis."""
        return self.width - self.left - self.right

    @property
    def inner_height(self) -> float:
        """The length of the vertical axis."""
        return self.height - self.top - self.bottom


def colour(style: int) -> str:
    """Return the colour of a run, the same in every drawing."""
    return PALETTE[f"c{style % NUM_STYLES}"]


def drawing(box: Box, name: str, label: str, class_: str, paint: Callable[[Axes], Titles | None]) -> str:
    """Return a drawing as an `<svg>` for a page.

    Args:
        box: its size.
        name: its unique name on the page, from which its ids are hashed.
        label: what a screen reader says instead; empty if it would add nothing to the words beside the drawing.
        class_: its CSS class.
        paint: draws into empty axes; may return, for the `gid` of a line, a tooltip for each of its marks.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", {**RC, "svg.hashsalt": name}]):
        figure = Figure(figsize=(box.width / 72, box.height / 72), dpi=72)
        left, bottom = box.left / box.width, box.bottom / box.height
        axes = figure.add_axes((left, bottom, box.inner_width / box.width, box.inner_height / box.height))
        titles = paint(axes) or {}
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=PLAIN)
    return _inlined(written.getvalue(), label, class_, titles)


def dress(
    axes: Axes, box: Box, x_limits: tuple[float, float], y_limits: tuple[float, float], unit: str, x_label: str
) -> None:
    """Set limits, ticks and labels; an axis that does not begin at 0 says where it begins.

    Args:
        axes: the axes to dress.
        box: the drawing's box; its left margin is `LEFT`.
        x_limits: limits in steps or tokens.
        y_limits: limits that the values need; a lower one above 0 is moved down to a round number.
        unit: the text above the vertical axis.
        x_label: the text below the horizontal axis.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = y_limits
    is_cut = low > 0
    if is_cut:
        low = float(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(low, high)[0])
    axes.set(xlim=x_limits, ylim=(low, high), autoscale_on=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=x_limits[1] < WHOLE_BELOW))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.grid(axis="y")
    if is_cut:  # no zero line where there is no zero
        axes.spines["bottom"].set(linestyle=DOTS)
    words = f"{unit}; axis begins at {low:.3g}" if is_cut else unit
    left, top, bottom = -LEFT / box.inner_width, 1 + (box.top - 11) / box.inner_height, -35 / box.inner_height
    axes.text(left, top, words, color=SOFT, transform=axes.transAxes)
    axes.text(1, bottom, x_label, color=SOFT, ha="right", transform=axes.transAxes)


def spread(wanted: Sequence[float], gap: float, lowest: float, highest: float) -> list[float]:
    """Move positions apart until neighbours are `gap` apart, in order, and within the limits if they fit.

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


def _inlined(written: str, label: str, class_: str, titles: Titles) -> str:
    written = re.sub(r' xmlns(:xlink)?="[^"]*"', "", written).replace("xlink:href", "href")
    root = ElementTree.fromstring(written)
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib |= {"class": class_, "viewBox": view}
    root.attrib |= {"role": "img", "aria-label": label} if label else {"aria-hidden": "true"}
    for parent in root.iter():
        for child in [child for child in parent if child.tag in ("metadata", "style")]:
            parent.remove(child)
    for group in root.iter("g"):
        own = group.attrib.pop("id", "")
        if own in titles:
            for mark, title in zip(group.iter("use"), titles[own], strict=True):
                ElementTree.SubElement(mark, "title").text = title
        if own and not re.search(r"_\d+$", own):  # matplotlib's own ids end like that
            group.set("class", own)
    for element in root.iter():
        if f"#{element.get('id')}" not in written:
            element.attrib.pop("id", None)
        _shorten(element)
    return ElementTree.tostring(root, encoding="unicode")


def _shorten(element: ElementTree.Element) -> None:
    """Remove from an element what the page decides, and digits that no screen shows."""
    element.tail = None
    if element.tag != "text" and element.tag != "title":
        element.text = None
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for key in ("d", "x", "y", "width", "height"):
        if key in element.attrib:
            element.set(key, " ".join(NUMBER.sub(lambda found: f"{float(found[0]):.1f}", element.attrib[key]).split()))
    parts = [part for part in element.attrib.pop("style", "").split("; ") if part and not part.startswith("font")]
    if parts:
        element.set("style", re.sub(r"#[0-9a-f]{6}\b", lambda found: VARIABLES[found[0]], "; ".join(parts)))
