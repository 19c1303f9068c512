"""Has a short, noisy series moved? By the rise of its moving average, and by the slope of a straight line.

Both come with a standard error that is judged from the series itself, so neither depends on its scale. Standard library
only, so that a log can be replayed without numpy or torch.

Not here: laws over distance (`nearfuture.stats.fits`), what a movement means for a run (`trigger`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Line:
    """y = mean + slope (x - mean x), with the standard error of the slope."""

    mean: float
    slope: float
    slope_se: float


@dataclass(frozen=True, slots=True)
class Rise:
    """How much a moving average has risen over a window, with the standard error of that."""

    rise: float
    rise_se: float


def ema_weight(weight: float, num_steps: float) -> float:
    """Return the weight of a row that stands for `num_steps` steps: 1 - (1 - w)^n, w where no step was skipped."""
    return weight if num_steps == 1 else 1.0 - (1.0 - weight) ** num_steps


def measure_rise(steps: Sequence[int], values: Sequence[float], emas: tuple[float, float], weight: float) -> Rise:
    """Judge the rise of a moving average by the noise of what it averages.

        rise      = EMA_last - EMA_first
        sigma^2   = 1 / 2(n - 1) sum_i (y_i - y_(i-1))^2
        SE^2      = sigma^2 2 w / (2 - w) (1 - (1 - w)^(n - 1))

    An exponential average of independent values has variance sigma^2 w / (2 - w); two of them n - 1 rows apart share
    the part (1 - w)^(n - 1). First differences see the noise and hardly the trend; they take the noise as independent,
    which that of on-policy rewards nearly is (docs/methods/autonpo.md).

    Args:
        steps: of the n rows from the first average's to the last's, ascending.
        values: y, one per step.
        emas: the average at the first row and at the last.
        weight: w of a single step.

    Returns:
        The rise.
    """
    num = len(values)
    assert num == len(steps) >= 2
    noise = math.fsum((b - a) ** 2 for a, b in pairwise(values)) / (2 * (num - 1))
    w = ema_weight(weight, (steps[-1] - steps[0]) / (num - 1))
    variance = noise * 2.0 * w / (2.0 - w) * (1.0 - (1.0 - w) ** (num - 1))
    return Rise(emas[1] - emas[0], math.sqrt(variance))


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit a line by least squares.

        b = sum (x - mx)(y - my) / sum (x - mx)^2,    SE(b)^2 = RSS / (n - 2) / sum (x - mx)^2

    The error is judged by the residuals, taken as independent. Values are taken relative to the first, so that a
    constant series has slope 0 and error 0 to the last bit.

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
