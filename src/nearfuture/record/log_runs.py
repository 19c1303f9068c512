"""Which rows of a log belong to one run: where the steps restart, and whether a file or folder holds several runs.

A log continues as long as its steps grow. If they fall back, a run was either resumed or started again:

    1 2 3 4 | 3 4 5     resumed from step 2: the rows it wrote again replace the old ones
    1 2 3 4 | 1 2       another run: its first step is no later than that of the run before

A series that splices two runs jumps at the seam as no policy does, which would set off the trigger. So several runs are
never read as one: they are listed, and the user names one.

Not here: the forms of files (`log_text`, `event_files`), columns (`logs`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nearfuture.record.log_values import Row
from nearfuture.types import UserError

NUM_RUNS_SHOWN = 30


@dataclass
class LoggedRun:
    """One run: its name, its rows by ascending step, and where it was resumed."""

    name: str
    rows: list[tuple[int, Row]] = field(default_factory=list)
    resumed_at: list[int] = field(default_factory=list)
    num_replaced: int = 0

    def add(self, step: int, row: Row) -> None:
        """Append a row, or merge it with the one of its step; an earlier step replaces what came after it."""
        if self.rows and step < self.rows[-1][0]:
            kept = [old for old in self.rows if old[0] < step]
            self.num_replaced += len(self.rows) - len(kept)
            self.resumed_at.append(step)
            self.rows = kept
        if self.rows and step == self.rows[-1][0]:
            self.rows[-1][1].update(row)
        else:
            self.rows.append((step, dict(row)))

    def describe(self) -> str:
        """Return its name, length and steps."""
        return f"{self.name} ({len(self.rows)} rows, steps {self.rows[0][0]} to {self.rows[-1][0]})"

    def note(self) -> str | None:
        """Say where it was resumed."""
        if not self.resumed_at:
            return None
        places = ", ".join(str(step) for step in self.resumed_at)
        return (
            f"The steps restart at {places}: the run was resumed there. Rows it had written beyond are left out: "
            f"{self.num_replaced}."
        )


@dataclass(frozen=True)
class Part:
    """The rows of one file. Parts of one `group`, such as the event files of one folder, may continue each other."""

    name: str
    rows: list[Row]
    group: str


def split_runs(parts: list[Part], step_column: str, is_wanted: Callable[[Row], bool]) -> list[LoggedRun]:
    """Split a log into its runs.

    Args:
        parts: its files, in the order they were written.
        step_column: the column with a row's step.
        is_wanted: whether a row has any requested value; other rows do not count as a restart.
    """
    runs: list[LoggedRun] = []
    group = None
    for part in parts:
        started = 0
        for row in part.rows:
            if step_column not in row or not is_wanted(row):
                continue
            step = int(row[step_column])
            if group != part.group or _is_another(runs[-1], step):
                started += 1
                runs.append(LoggedRun(part.name if started == 1 else f"{part.name}, run {started}"))
                group = part.group
            runs[-1].add(step, row)
    return runs


def _is_another(run: LoggedRun, step: int) -> bool:
    """Whether a row starts another run: the steps fall back to where the run began, or before."""
    return step < run.rows[-1][0] and step <= run.rows[0][0]


def choose_run(path: Path, runs: list[LoggedRun], wanted: str | None) -> LoggedRun:
    """Return the requested run, by number or name, or the only one.

    Raises:
        UserError: there is none, or there are several, and none or an unknown one was named.
    """
    listed = "".join(f"\n  {number}. {run.describe()}" for number, run in enumerate(runs[:NUM_RUNS_SHOWN], 1))
    if len(runs) > NUM_RUNS_SHOWN:
        listed += f"\n  ... and {len(runs) - NUM_RUNS_SHOWN} more"
    if not runs:
        raise UserError(
            f"{path} has no row with both a step and a reward or entropy in the columns that were read. Name others "
            "with --step, --reward and --entropy, or write the step into every row."
        )
    if wanted is None and len(runs) == 1:
        return runs[0]
    if wanted is None:
        raise UserError(
            f"{path} holds {len(runs)} runs; read as one, it would jump where the next one starts. Name one by its "
            f"number or name, --run 1:{listed}"
        )
    for number, run in enumerate(runs, 1):
        if wanted in (str(number), run.name):
            return run
    raise UserError(f"{path} has no run {wanted}. It holds {len(runs)}:{listed}")
