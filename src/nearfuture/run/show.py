"""What people see during a run: a few live lines in a terminal, plain lines elsewhere.

    held-out 0.312 (+0.021)  pass 0.250  entropy 0.710  guided 34%  cut off 2%
    lineage 0>10, 0>30 by 0@10, 20>40 by 1@30
    step 31  41 of 60 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━ 58 s left

The most important comes first, since a narrow terminal cuts off the rest. The pass rate is the policy's own; the
reward, which would only repeat it, is not shown.

Not here: the words for numbers (`readings`), the report after it (`nearfuture.lab.report`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from nearfuture.guidance import CollectionCounts
from nearfuture.method.lineage import Lineage
from nearfuture.run.disk import DiskPlan
from nearfuture.run.readings import Pace, Readings, lineage_line
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import num_steps_ahead
from nearfuture.types import PolicyRef

LINES_PER_RUN = 20


class Lines(Progress):
    """A progress bar under a few lines of text, each cut off at the edge of the terminal."""

    lines: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The lines, then the bar."""
        yield from (Text(line, no_wrap=True, overflow="ellipsis") for line in self.lines if line)
        yield from super().get_renderables()


class Display:
    """Shows a run: in a terminal as one progress bar over all steps it will pay for, otherwise as occasional lines."""

    def __init__(self, config: Configuration, plan: DiskPlan, *, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self.config, self.all_steps = config, num_steps_ahead(config)
        self.line_every = max(1, self.all_steps // LINES_PER_RUN)
        self.readings, self.pace = Readings(), Pace()
        self._lineage = self._work = ""
        self.progress = Lines(
            TextColumn("step {task.fields[step]}  {task.completed:.0f} of {task.total:.0f}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            disable=not self.console.is_terminal or quiet,
            expand=True,
        )
        self.bar = self.progress.add_task("", total=self.all_steps, step=0, left="")
        self.console.print(f"disk: {plan}")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def notes(self, notes: Sequence[str]) -> None:
        """Say what there is to know about the data and the policy before step 1."""
        for note in notes:
            self.console.print(f"note: {note}")

    def warning(self, text: str) -> None:
        """Print a warning, even if everything else is quiet."""
        self.console.print(f"warning: {text}") if not self.console.quiet else print(f"warning: {text}", file=sys.stderr)

    def segment(self, lineage: Lineage, start: int, until: int) -> None:
        """A segment begins or is resumed."""
        head = lineage.head
        ahead = num_steps_ahead(self.config, lineage.end_head(start, "so far"))
        self.all_steps = max(self.all_steps, lineage.total_steps(start) + ahead)
        guided = ""
        if head.intervention is not None:
            guide = head.intervention.guide
            guided = f", guided by segment {guide.segment} step {guide.step}"
        origin = "the base weights" if start == 0 else f"step {start}"
        if not self.console.is_terminal:
            self.console.print(f"segment {head.id}: from {origin} to step {until}{guided}")
        self._lineage, self._work = lineage_line(lineage, until), ""
        self.pace.begin(lineage.total_steps(start))
        self.readings.back_to(start)
        self._refresh(start, lineage.total_steps(start))

    def collecting(self, guide: PolicyRef, num_prompts: int) -> None:
        """A collection begins."""
        self._work = f"collecting guidance from segment {guide.segment} step {guide.step} for {num_prompts} prompts"
        if not self.console.is_terminal:
            self.console.print(self._work)
        self._draw()

    def collected(self, counts: CollectionCounts) -> None:
        """A batch of a collection is done."""
        self._work = collection_line(counts)
        self._draw()

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """The held-out prompts were evaluated; the line of the step itself follows, except for the base weights."""
        self.readings.evaluated(step, metrics)
        if not self.console.is_terminal and step == 0:
            self.console.print(f"  step 0  {self.readings.line(0)}")
        self._draw()

    def base(self, num_samples: int, num_correct: int, num_cut_off: int) -> None:
        """Show what the base policy does before a guide is paid for."""
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
        total_steps = row["total_steps"]
        is_due = self.readings.is_new or row["step"] == 1 or total_steps % self.line_every == 0
        self.readings.stepped(row)
        self._work = ""
        self._refresh(row["step"], total_steps)
        if not self.console.is_terminal and is_due:
            place = f"{total_steps:>{len(str(self.all_steps))}} of {self.all_steps}"
            left = self.pace.left(total_steps, self.all_steps)
            self.console.print(f"  step {row['step']:<5} {place}  {self.readings.line(0)}  {left}")
            self.readings.is_new = False

    def _refresh(self, step: int, total_steps: int) -> None:
        left = self.pace.left(total_steps, self.all_steps)
        self.progress.update(self.bar, completed=total_steps, total=self.all_steps, step=step, left=left)
        self._draw()

    def _draw(self) -> None:
        self.progress.lines = (self._work or self.readings.line(self.console.width), self._lineage)


def collection_line(counts: CollectionCounts) -> str:
    """The progress of a collection."""
    cut_off = counts.num_dropped_no_eos / max(1, counts.num_samples)
    solved = f"collecting: {counts.num_solved} of {counts.num_prompts} prompts solved, {counts.num_samples:,} samples"
    return f"{solved}  cut off {cut_off:.0%}" if cut_off else solved


class CollectionDisplay:
    """Shows a collection outside a run: a bar in a terminal, occasional lines elsewhere.

    Args:
        num_samples: the most samples per prompt.
    """

    def __init__(self, num_samples: int) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.most, self._shown = num_samples, 0
        is_shown = self.console.is_terminal and os.environ.get("RANK", "0") == "0"
        self.progress = Lines(BarColumn(bar_width=None), console=self.console, disable=not is_shown)
        self.bar = self.progress.add_task("")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def collected(self, counts: CollectionCounts) -> None:
        """A batch is done."""
        total = counts.num_prompts * self.most
        self.progress.lines = (collection_line(counts),)
        self.progress.update(self.bar, completed=counts.num_samples, total=total)
        if not self.console.is_terminal and counts.num_samples - self._shown >= total // LINES_PER_RUN:
            self._shown = counts.num_samples
            self.console.print(f"  {collection_line(counts)}")
