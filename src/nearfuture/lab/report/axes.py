"""The axes of every curve: what is written at them, and where they begin.

Not here: the curves (`figures`, `decision_figures`), the colours (`svg`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfuture.lab.report import svg
from nearfuture.record.formats import tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT = 42
DASHES = (0, (4, 3))
DOTS = (0, (1.5, 2.5))
WHOLE_BELOW = 10_000


def dress(
    axes: Axes, box: svg.Box, x_limits: tuple[float, float], y_limits: tuple[float, float], unit: str, x_label: str
) -> None:
    """Set limits, ticks and words; an axis that does not begin at 0 says where it does.

    Args:
        axes: to be dressed.
        box: of the drawing; its left margin is `LEFT`.
        x_limits: of steps or tokens.
        y_limits: as far as the values need; one that begins above 0 is moved down to a round number.
        unit: written above the vertical axis.
        x_label: written below the horizontal one.
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
    axes.text(left, top, words, color=svg.SOFT, transform=axes.transAxes)
    axes.text(1, bottom, x_label, color=svg.SOFT, ha="right", transform=axes.transAxes)
