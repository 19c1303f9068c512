"""The numbers of a run in one line, the most important first, and how long the rest will take.

Not here: where the line goes (`show`), what the numbers mean (docs/metrics.md).
"""

from __future__ import annotations

import time
from typing import Any

from nearfuture.method.lineage import Lineage, Segment

HELD_OUT = "eval/pass_rate"
NUMBERS = {"pass": "npo/pass_rate", "entropy": "npo/entropy"}
SHARES = {"guided": "npo/guided_frac", "cut off": "completions/clipped_ratio"}
WIDE = {"length": "completions/mean_length", "s/step": "seconds"}
WIDEST = {"grad norm": "grad_norm", "lr": "learning_rate", "zero-variance": "frac_reward_zero_std"}
"""What is shown in addition from 120 columns on, and from 160 columns on."""
NAMES = (*NUMBERS.values(), *SHARES.values(), *WIDE.values(), *WIDEST.values())


class Readings:
    """The latest value of every number; a step that generated nothing keeps those of the rollouts it trained on."""

    def __init__(self) -> None:
        self.latest: dict[str, Any] = {}
        self.held_out: list[tuple[int, float]] = []
        self.last = 0
        self.is_new = False

    def stepped(self, row: dict[str, Any]) -> None:
        """Record the numbers of a step."""
        self.last = row.get("step", self.last)
        self.latest |= {name: row[name] for name in NAMES if name in row}

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Record an evaluation; the line of its step is shown."""
        self.held_out.append((step, metrics[HELD_OUT]))
        self.is_new = True

    def back_to(self, step: int) -> None:
        """Forget what belongs to a stretch that was abandoned: the run goes on from this step."""
        self.held_out = [found for found in self.held_out if found[0] <= step]
        if step < self.last:
            self.latest, self.last = {}, step

    def line(self, width: int) -> str:
        """The line for a terminal of this width."""
        parts = [self._held_out()] if self.held_out else []
        parts += [f"{word} {_number(self.latest.get(name))}" for word, name in NUMBERS.items()]
        parts += [f"{word} {self.latest[name]:.0%}" for word, name in SHARES.items() if name in self.latest]
        more = {**(WIDE if width >= 120 else {}), **(WIDEST if width >= 160 else {})}
        parts += [f"{word} {self.latest[name]:.3g}" for word, name in more.items() if self.latest.get(name) is not None]
        return "  ".join(filter(None, parts))

    def _held_out(self) -> str:
        rates = [rate for _, rate in self.held_out]
        change = f" ({rates[-1] - rates[-2]:+.3f})" if len(rates) > 1 else ""
        return f"held-out {rates[-1]:.3f}{change}"


class Pace:
    """Estimates how long the remaining steps will take, from those since the segment began."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, total_steps: int) -> None:
        """Start measuring."""
        self._began, self._at = time.perf_counter(), total_steps

    def left(self, total_steps: int, all_steps: int) -> str:
        """The remaining time, in words; empty before the first step."""
        if total_steps <= self._at:
            return ""
        left = (time.perf_counter() - self._began) / (total_steps - self._at) * (all_steps - total_steps)
        if left >= 5400:
            return f"{left / 3600:.1f} h left"
        return f"{left / 60:.0f} min left" if left >= 90 else f"{left:.0f} s left"


def lineage_line(lineage: Lineage, until: int) -> str:
    """The segments of a run in the order in which they began: from > to, and whose guidance they had."""
    return "lineage " + ", ".join(
        f"{segment.start_step}>{until if segment.end_step is None else segment.end_step}" + _guide_of(segment)
        for segment in lineage.segments
    )


def _guide_of(segment: Segment) -> str:
    if segment.intervention is None:
        return ""
    guide = segment.intervention.guide
    return f" by {guide.segment}@{guide.step}"


def _number(value: float | None) -> str:
    """Three decimals; a dash if no rollout could be judged, or none is known yet (a resume within a batch)."""
    return "-" if value is None else f"{value:.3f}"
