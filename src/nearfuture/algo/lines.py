"""A straight line through a short, noisy series, with the standard error of its slope.

Standard library only, so that a log can be replayed without numpy or torch.

Not here: laws over distance (`fits`), what a slope means for a run (`trigger`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """y = mean + slope (x - mean x), with the standard error of the slope."""

    mean: float
    slope: float
    slope_se: float


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit a line by least squares.

        b = sum (x - mx)(y - my) / sum (x - mx)^2,    SE(b)^2 = RSS / (n - 2) / sum (x - mx)^2

    The error is judged by the residuals, taken as independent: those of on-policy rewards are nearly (lag-1
    correlation between -0.3 and 0.1 on the apprentice's runs, docs/methods/autonpo.md). Values are taken relative to
    the first, so that a constant series has slope 0 and error 0 to the last bit.

    Args:
        x: at least 3, not all equal.
        y: one a value of x, finite.

    Returns:
        The line.

    Example:
        >>> fit_line([0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0])
        Line(mean=4.0, slope=2.0, slope_se=0.0)
    """
    num = len(x)
    assert num == len(y) >= 3
    mean_x = math.fsum(x) / num
    dx = [value - mean_x for value in x]
    dy = [value - y[0] for value in y]
    mean_dy = math.fsum(dy) / num
    dy = [value - mean_dy for value in dy]
    spread = math.fsum(value * value for value in dx)
    slope = math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / spread
    residual = math.fsum((b - slope * a) ** 2 for a, b in zip(dx, dy, strict=True))
    return Line(mean=y[0] + mean_dy, slope=slope, slope_se=math.sqrt(residual / (num - 2) / spread))
