"""Has a noisy rising curve stopped rising? A likelihood ratio over every place where it may have stopped.

Training curves bend: their gain per step falls like 1 / step, while their gain per e-fold of steps hardly changes. So
time is x = log(step + 20) here, in which a healthy curve is a straight line. The window is the last `look_back` of a
run.

    stopped at k    y = a + c min(x, x_k)
    goes on         y = a + c (min(x, x_k) + slowdown max(x - x_k, 0)),     c >= min_pace sigma in both
    evidence        max_k [RSS(goes on) - RSS(stopped)] / (2 sigma^2)       in nats

sigma is estimated from first differences of the latest rows. If nothing rose, "stopped" is just a level, and only
`min_pace` says what a rise would have been. See "Sequential Analysis" (Tartakovsky, Nikiforov, Basseville, 2014),
generalised likelihood ratio. Standard library only, so that a log can be replayed without numpy or torch.

Not here: laws over distance (`nearfuture.stats.fits`), what a movement means for a run (`trigger`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LARGEST = 1e100
"""A larger value, whose square would be infinite, is no reward and no entropy: it is ignored like NaN."""
START = 20.0
"""Steps added to the clock: without them the first steps would be most of the run."""
NOISE_ROWS = 100
MIN_ROWS = 6
"""The fewest rows on either side of a place where a curve may have stopped."""
GROWTH = 1.2
"""The factor between the lengths of successive stretches that are tried."""
SMALLEST = 1e-12
"""The noise assumed for a curve without noise, as a share of 1: a constant curve has stopped, to the last bit."""


@dataclass(frozen=True, slots=True)
class Line:
    """y = mean + slope (x - mean x), with the standard error of the slope."""

    mean: float
    slope: float
    slope_se: float


@dataclass(frozen=True, slots=True)
class Halt:
    """Where a curve most likely stopped, and the evidence for it.

    Attributes:
        after: the last step at which it rose.
        evidence: nats in favour of "stopped"; negative: it goes on.
    """

    after: int
    evidence: float


@dataclass(frozen=True, slots=True)
class Pace:
    """What counts as a rise; see the module.

    Attributes:
        min_pace: noise widths per e-fold of steps.
        slowdown: share of its pace at which a rise still goes on.
        look_back: the share of the run that is examined.
        min_stretch: steps of the shortest stretch that is tried.
    """

    min_pace: float
    slowdown: float
    look_back: float
    min_stretch: int


def ema_weight(weight: float, num_steps: float) -> float:
    """Return the weight of a row that stands for `num_steps` steps: 1 - (1 - w)^n, w where no step was skipped."""
    return weight if num_steps == 1 else 1.0 - (1.0 - weight) ** num_steps


Sums = tuple[float, float, float, float, float, float]
"""The sums of a stretch of a curve: number of rows, sums of x, x^2, y, x y, y^2."""


def _plus(a: Sums, b: Sums) -> Sums:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5]


def _minus(a: Sums, b: Sums) -> Sums:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3], a[4] - b[4], a[5] - b[5]


def _bent(sums: Sums, at: float, share: float) -> Sums:
    """The same rows with x replaced by at + share (x - at)."""
    num, x, xx, y, xy, yy = sums
    a = (1.0 - share) * at
    squares = num * a * a + 2.0 * a * share * x + share * share * xx
    return num, num * a + share * x, squares, y, a * y + share * xy, yy


def _residual(sums: Sums, min_slope: float) -> float:
    """Residual sum of squares of the best line whose slope is at least `min_slope`."""
    num, x, xx, y, xy, yy = sums
    spread, common = xx - x * x / num, xy - x * y / num
    slope = max(common / spread if spread > 1e-9 else 0.0, min_slope)
    return yy - y * y / num - 2.0 * slope * common + slope * slope * spread


class Curve:
    """A series that grows by one row at a time, and can be cut.

    Values are taken relative to the first, so that neither zero nor scale matters.

    Example:
        >>> curve = Curve()
        >>> for step in range(1, 301):
        ...     curve.append(step, math.log(min(step, 200) + 20.0) + 0.01 * (-1) ** step)
        >>> curve.halt(Pace(min_pace=3.0, slowdown=0.6, look_back=0.7, min_stretch=12)).after
        199
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: list[float] = []
        self._sums: list[Sums] = [(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)]
        self._noise = [0.0]

    def append(self, step: int, value: float) -> None:
        """Add a row; steps grow and may skip."""
        change = (value - self.values[-1]) ** 2 / 2.0 if self.values else 0.0
        self.steps.append(step)
        self.values.append(value)
        x, y = math.log(step + START), value - self.values[0]
        self._sums.append(_plus(self._sums[-1], (1.0, x, x * x, y, x * y, y * y)))
        self._noise.append(self._noise[-1] + change)

    def cut(self, step: int) -> None:
        """Forget everything after a step."""
        num = bisect_right(self.steps, step)
        del self.steps[num:], self.values[num:], self._sums[num + 1 :], self._noise[num + 1 :]

    def rows_after(self, step: int) -> int:
        """Return the number of rows after a step."""
        return len(self.steps) - bisect_right(self.steps, step)

    def sigma(self) -> float:
        """The noise of a row, from the first differences of the latest rows."""
        num = len(self.values)
        first = max(1, num - NOISE_ROWS)
        changes = max(num - first, 1)
        return math.sqrt(max((self._noise[num] - self._noise[first]) / changes, SMALLEST**2))

    def halt(self, pace: Pace) -> Halt | None:
        """Return where the curve most likely stopped; None while there are too few rows to tell."""
        num, now = len(self.steps), self.steps[-1] if self.steps else 0
        low = bisect_right(self.steps, int((1.0 - pace.look_back) * now))
        if num - low < MIN_ROWS or now - (self.steps[low - 1] if low else 0) < pace.min_stretch:
            return None
        sigma = self.sigma()
        found: Halt | None = None
        for first in self._candidates(low, pace.min_stretch):
            evidence = self._evidence(low, first, pace, sigma)
            if found is None or evidence > found.evidence:
                found = Halt(self.steps[first - 1] if first else 0, evidence)
        return found

    def _candidates(self, low: int, min_stretch: int) -> Iterator[int]:
        """Yield the rows that may be the first of a stretch without a rise; the first row of the window comes last."""
        num, length, before = len(self.steps), float(min_stretch), -1
        while (first := bisect_right(self.steps, self.steps[-1] - math.ceil(length))) >= low + MIN_ROWS:
            if first != before and num - first >= MIN_ROWS:
                yield first
            before, length = first, math.ceil(length * GROWTH)
        yield low

    def _evidence(self, low: int, first: int, pace: Pace, sigma: float) -> float:
        """Return the nats for a stop before the row `first`, against going on."""
        rising, after = _minus(self._sums[first], self._sums[low]), _minus(self._sums[-1], self._sums[first])
        at = math.log((self.steps[first - 1] if first else 0) + START)
        min_slope = pace.min_pace * sigma
        goes_on = _residual(_plus(rising, _bent(after, at, pace.slowdown)), min_slope)
        if first > low:
            has_stopped = _residual(_plus(rising, _bent(after, at, 0.0)), min_slope)
        else:
            has_stopped = after[5] - after[3] * after[3] / after[0]
        return (goes_on - has_stopped) / (2.0 * sigma * sigma)


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit a line by least squares.

        b = sum (x - mx)(y - my) / sum (x - mx)^2,    SE(b)^2 = RSS / (n - 2) / sum (x - mx)^2

    The error is estimated from the residuals, assumed independent. Values are taken relative to the first, so that a
    constant series has slope 0 and error 0 to the last bit.

    Args:
        x: at least 3, not all equal.
        y: one finite value per value of x.

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
