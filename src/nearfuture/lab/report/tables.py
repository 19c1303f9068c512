"""The tables of a report as plain rows of text.

Not here: their looks (`page.html.j2`, `style.css`), rollouts (`samples`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfuture.lab.report.lineage_drawing import describe
from nearfuture.lab.report.words import CLOCK_NAMES
from nearfuture.record.equal_clocks import AtEqualClock, first_measured, last_measured
from nearfuture.record.formats import MISSING, count, duration, percent, rate, signed
from nearfuture.record.records import RunRecords


@dataclass(frozen=True, slots=True)
class Table:
    """Column names and rows; the first column is text, `foot` is a last row set apart.

    `groups` are names above the columns with how many columns each spans.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    foot: Sequence[str] = ()
    groups: Sequence[tuple[str, int]] = ()


def overview_row(run: RunRecords, ledger: dict[str, Any]) -> list[str]:
    """Return what one run reached and paid, in the columns of `OVERVIEW`."""
    totals = ledger["totals"]
    first, last = first_measured(run), last_measured(run)
    seconds = _add(totals["train_seconds"], totals["collect_seconds"], totals["eval_seconds"])
    return [
        rate(first.pass_rate if first else None),
        rate(last.pass_rate if last else None),
        count(run.last_step(run.head)),
        count(totals["steps"]),
        count(totals["generated_tokens"]),
        percent(totals["guide_frac"]),
        duration(seconds),
        "finished" if run.is_finished else "no end written",
    ]


OVERVIEW = ("held-out, first", "held-out, last", "step", "total steps", "tokens", "by guides", "time", "state")


def comparison_table(run: RunRecords, baseline: RunRecords, readings: Sequence[AtEqualClock]) -> Table:
    """Set two runs side by side at each clock."""
    rows = []
    for reading in readings:
        if reading.run is None or reading.baseline is None or reading.judgement is None:
            rows.append([CLOCK_NAMES[reading.clock], *[MISSING] * 4, "not judged"])
            continue
        margin = reading.judgement.margin
        rows.append(
            [
                f"{CLOCK_NAMES[reading.clock]} = {count(reading.at)}",
                f"{rate(reading.run.pass_rate)} (step {reading.run.step:.0f})",
                f"{rate(reading.baseline.pass_rate)} (step {reading.baseline.step:.0f})",
                signed(reading.judgement.difference),
                MISSING if margin is None else f"±{rate(margin)}",
                reading.judgement.word,
            ]
        )
    return Table(["at equal", run.name, baseline.name, "difference", "noise", f"{run.name} is"], rows)


def ledger_table(run: RunRecords, ledger: dict[str, Any]) -> Table:
    """Set out what was paid, segment by segment."""
    totals = ledger["totals"]
    generated = totals["generated_tokens"]
    seconds = _time(totals)
    rows = [
        [
            f"{entry['segment']}: {describe(run, run.segment(entry['segment']))}",
            *_paid(entry),
            percent(_ratio(_add(entry["rollout_tokens"], entry["guide_tokens"]), generated)),
            percent(_ratio(_time(entry), seconds)),
        ]
        for entry in ledger["segments"]
    ]
    everything = [percent(None if generated is None else 1.0), percent(None if seconds is None else 1.0)]
    return Table(LEDGER, rows, ["total", *_paid(totals), *everything], LEDGER_GROUPS)


LEDGER_GROUPS = (("", 1), ("steps", 3), ("tokens", 4), ("time", 3), ("share of", 2))
LEDGER = (
    *("segment", "all", "kept", "abandoned", "rollouts", "guides", "trained on", "evaluation"),
    *("training", "collecting", "evaluating", "tokens", "time"),
)


def families_table(runs: Sequence[RunRecords]) -> Table | None:
    """Show the held-out pass rate of every task family, first and last on the head's path; None without any."""
    families = sorted({family for run in runs for family in run.families()})
    if not families:
        return None
    rows = []
    for family in families:
        row = [family]
        for run in runs:
            values = run.curve(f"eval/{family}/pass_rate").values
            first, last = (float(values[0]), float(values[-1])) if len(values) else (None, None)
            change = None if first is None or last is None else last - first
            row += [rate(first), rate(last), signed(change)]
        rows.append(row)
    columns = ["family", *[what for _ in runs for what in ("first", "last", "change")]]
    return Table(columns, rows, groups=[("", 1), *[(run.name, 3) for run in runs]])


def _paid(entry: dict[str, Any]) -> list[str]:
    counts = (
        "steps",
        "kept_steps",
        "abandoned_steps",
        "rollout_tokens",
        "guide_tokens",
        "trained_tokens",
        "eval_tokens",
    )
    times = ("train_seconds", "collect_seconds", "eval_seconds")
    return [count(entry[key]) for key in counts] + [duration(entry[key]) for key in times]


def _time(entry: dict[str, Any]) -> float | None:
    return _add(entry["train_seconds"], entry["collect_seconds"], entry["eval_seconds"])


def _add(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
