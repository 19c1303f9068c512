"""The reward of a log as a curve: its last slope, its best stretch, and whether most of that was lost.

Not here: what follows from it (`recommend`), the trigger's own evidence (`nearfuture.method.trigger`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nearfuture.method.trends import MIN_ROWS, Line, fit_line
from nearfuture.method.trigger_config import SLOPE_STEPS
from nearfuture.record.logs import Log

CLEARLY, MANY_ROWS = 4.0, 20
"""Standard errors by which a reward has clearly fallen, over this many rows at least."""
LOST_SHARE = 0.25
"""A reward that lost this share of its best, and of what it had ever gained, has collapsed."""


@dataclass(frozen=True)
class Collapse:
    """A reward that is far below its best: its means now and then, where that was, and the step after which it fell."""

    best: float
    now: float
    first: int
    last: int
    after: int


@dataclass(frozen=True)
class Curve:
    """The finite rewards of a log.

    Attributes:
        rows: step and reward.
        is_pass_rate: all rewards lie between 0 and 1.
    """

    rows: list[tuple[int, float]]
    is_pass_rate: bool

    @classmethod
    def of(cls, log: Log) -> Curve:
        """Take the rows of a log that have a reward."""
        rows = [(s, r) for s, r in zip(log.steps, log.rewards, strict=True) if math.isfinite(r)]
        return cls(rows, all(0 <= reward <= 1 for _, reward in rows))

    @property
    def last_step(self) -> int:
        """The step of the last row."""
        return self.rows[-1][0]

    def line(self, least: int = MIN_ROWS) -> Line:
        """Fit a line through the last `SLOPE_STEPS` steps, over `least` rows at least."""
        recent = sum(step > self.last_step - SLOPE_STEPS for step, _ in self.rows)
        rows = self.rows[-max(recent, least) :]
        return fit_line([step for step, _ in rows], [reward for _, reward in rows])

    def tail(self, num_rows: int) -> list[float]:
        """Return the last rewards."""
        return [reward for _, reward in self.rows[-num_rows:]]

    def best(self, num_rows: int) -> float:
        """Return the largest mean of `num_rows` rows in a row; of all if there are fewer."""
        rewards = np.array([reward for _, reward in self.rows])
        return float(np.convolve(rewards, np.ones(size := min(num_rows, len(rewards))) / size, "valid").max())

    def collapse(self) -> Collapse | None:
        """Return what was lost, if most of it was: clearly more than the noise, and `LOST_SHARE` of the best."""
        size = max(MIN_ROWS, min(MANY_ROWS, len(self.rows) // 5))
        blocks = [self.rows[end - size : end] for end in range(len(self.rows), size - 1, -size)][::-1]
        if len(blocks) < 3:
            return None
        rewards = np.array([[reward for _, reward in block] for block in blocks])
        means, errors = rewards.mean(1), rewards.std(1, ddof=1) / math.sqrt(size)
        best = int(means.argmax())
        lost = means[best] - means[-1]
        if lost <= CLEARLY * math.hypot(errors[best], errors[-1]):
            return None
        if lost < LOST_SHARE * max(means[best] - means.min(), abs(means[best])):
            return None
        steepest = best + int(np.argmax([earlier - later for earlier, later in pairwise(means[best:])]))
        first, last = blocks[best][0][0], blocks[best][-1][0]
        return Collapse(float(means[best]), float(means[-1]), first, last, blocks[steepest][-1][0])
