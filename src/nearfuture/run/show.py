"""What people see during a run: a live line in a terminal, plain lines elsewhere.

Not here: the report after it (`nearfuture.lab.report`), the records (`nearfuture.record.folder`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nearfuture.guidance import CollectionCounts
from nearfuture.method.lineage import Lineage
from nearfuture.run.disk import DiskPlan
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import num_steps_ahead
from nearfuture.types import PolicyRef

LINES_PER_RUN = 20
SHOWN = {"reward": "npo/reward", "pass": "npo/pass_rate", "entropy": "npo/entropy"}
GUIDED = "npo/guided_frac"
CLIPPED = "completions/clipped_ratio"


class Display:
    """Shows a run. In a terminal one progress bar over all steps it will pay for; otherwise a line now and then."""

    def __init__(self, config: Configuration, plan: DiskPlan, *, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self.config, self.all_steps = config, num_steps_ahead(config)
        self.line_every = max(1, self.all_steps // LINES_PER_RUN)
        self.pass_rate = float("nan")
        self._latest: dict[str, Any] = {}
        self._last = (time.perf_counter(), 0)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal or quiet,
        )
        self.bar = self.progress.add_task("", total=self.all_steps)
        self.console.print(f"disk: {plan}")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def notes(self, notes: Sequence[str]) -> None:
        """Say what there is to know of the data and the policy before step 1."""
        for note in notes:
            self.console.print(f"note: {note}")

    def warning(self, text: str) -> None:
        """Say what is not as it should be, whatever else is silent."""
        self.console.print(f"warning: {text}") if not self.console.quiet else print(f"warning: {text}", file=sys.stderr)

    def segment(self, lineage: Lineage, start: int, until: int) -> None:
        """A segment begins, or is taken up again."""
        head = lineage.head
        ahead = num_steps_ahead(self.config, lineage.end_head(start, "so far"))
        self.all_steps = max(self.all_steps, lineage.total_steps(start) + ahead)
        guided = ""
        if head.intervention is not None:
            guide = head.intervention.guide
            guided = f", guided by segment {guide.segment} step {guide.step}"
        origin = "the base weights" if start == 0 else f"step {start}"
        self.console.print(f"segment {head.id}: from {origin} to step {until}{guided}")
        self._last = (time.perf_counter(), lineage.total_steps(start))
        self.progress.update(self.bar, completed=lineage.total_steps(start), total=self.all_steps)

    def collecting(self, guide: PolicyRef, num_prompts: int) -> None:
        """A collection begins."""
        self.console.print(
            f"collecting guidance from segment {guide.segment} step {guide.step} for {num_prompts} prompts"
        )

    def collected(self, counts: CollectionCounts) -> None:
        """A batch of a collection is done."""
        text = f"collecting: {counts.num_solved}/{counts.num_prompts} solved, {counts.num_samples} samples"
        text += _cut_off(counts.num_dropped_no_eos / max(1, counts.num_samples))
        self.progress.update(self.bar, description=text)

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """The held-out prompts were evaluated."""
        self.pass_rate = metrics["eval/pass_rate"]
        if not self.console.is_terminal:
            cut_off = _cut_off(metrics.get("eval/clipped_frac"))
            self.console.print(f"  step {step:>5}  held-out pass rate {self.pass_rate:.3f}{cut_off}")

    def base(self, num_samples: int, num_correct: int, num_cut_off: int) -> None:
        """What the base policy does, before a guide is paid for."""
        self.console.print(
            f"base policy: {num_correct} of {num_samples} samples correct, {num_cut_off} cut off at "
            "max_completion_length"
        )
        if num_cut_off == num_samples:
            self.console.print(
                "  none of them ended, so none is correct or can be guidance. Raise max_completion_length, or use a "
                "prompt and a model that end their answers."
            )

    def step(self, row: dict[str, Any]) -> None:
        """An optimizer step is done; one that generated nothing shows the rollouts it was trained on."""
        self._latest |= {name: row[name] for name in (*SHOWN.values(), GUIDED, CLIPPED) if name in row}
        text = "  ".join(f"{word} {_number(self._latest.get(name))}" for word, name in SHOWN.items())
        guided = self._latest.get(GUIDED)
        text += "" if guided is None else f"  guided {guided:.0%}"
        text += _cut_off(self._latest.get(CLIPPED))
        held_out = "" if self.pass_rate != self.pass_rate else f"  held-out {self.pass_rate:.3f}"
        description = f"segment {row['segment']}  {text}{held_out}"
        self.progress.update(self.bar, completed=row["total_steps"], description=description)
        if not self.console.is_terminal and (row["total_steps"] % self.line_every == 0 or row["step"] == 1):
            self.console.print(f"  step {row['step']:>5}  {text}  {self._time_left(row['total_steps'])}")

    def _time_left(self, total_steps: int) -> str:
        began, at = self._last
        if total_steps <= at:
            return ""
        left = (time.perf_counter() - began) / (total_steps - at) * (self.all_steps - total_steps)
        return f"{left / 60:.0f} min left" if left >= 90 else f"{left:.0f} s left"


def _cut_off(share: float | None) -> str:
    """Say which share of completions was cut off, where any was."""
    return f"  cut off {share:.0%}" if share else ""


def _number(value: float | None) -> str:
    """Three decimals; a dash where no rollout could be judged, or none is known yet (a resume within a batch)."""
    return "-" if value is None else f"{value:.3f}"
