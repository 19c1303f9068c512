"""The tables of a report as plain rows of text.

Not here: what a table is (`nearfuture.lab.page.table`), rollouts (`samples`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nearfuture.lab.page.table import Table
from nearfuture.lab.report.lineage_drawing import describe
from nearfuture.lab.report.words import CLOCK_NAMES
from nearfuture.record.equal_clocks import AtEqualClock, first_measured, last_measured
from nearfuture.record.formats import MISSING, count, duration, percent, rate, signed
from nearfuture.record.records import RunRecords


def overview_table(names: Sequence[str], runs: Sequence[RunRecords], ledgers: Sequence[dict[str, Any]]) -> Table:
    """What every run reached and paid."""
    rows = [[name, *_reached(run, ledger)] for name, run, ledger in zip(names, runs, ledgers, strict=True)]
    columns = ["run", "held-out, first", "held-out, last", "step", "total steps", "tokens", "by guides", "time"]
    return Table([*columns, "state"], rows, "What every run reached and paid", last_is_text=True)


def _reached(run: RunRecords, ledger: dict[str, Any]) -> list[str]:
    totals = ledger["totals"]
    first, last = first_measured(run), last_measured(run)
    return [
        rate(first.pass_rate if first else None),
        rate(last.pass_rate if last else None),
        count(run.last_step(run.head)),
        count(totals["steps"]),
        count(totals["generated_tokens"]),
        percent(totals["guide_frac"]),
        duration(_time(totals)),
        "finished" if run.is_finished else "no end written",
    ]


def comparison_table(run: RunRecords, baseline: RunRecords, readings: Sequence[AtEqualClock]) -> Table:
    """Show two runs side by side at each clock."""
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
    columns = ["at equal", run.name, baseline.name, "difference", "noise", "result"]
    return Table(columns, rows, "Held-out pass rates at equal clocks", last_is_text=True)


def ledger_table(run: RunRecords, ledger: dict[str, Any]) -> Table:
    """List what was paid, segment by segment."""
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
    foot = ["total", *_paid(totals), *everything]
    return Table(LEDGER, rows, f"What {run.name} paid, by segment", "ledger", foot, LEDGER_GROUPS)


LEDGER_GROUPS = (("", 1), ("steps", 3), ("tokens", 4), ("time", 3), ("share of", 2))
LEDGER = (
    *("segment", "all", "kept", "abandoned", "rollouts", "guides", "trained on", "evaluation"),
    *("training", "collecting", "evaluating", "tokens", "time"),
)


def families_table(runs: Sequence[RunRecords]) -> Table:
    """Show the first and the last held-out pass rate on the head's path for every task family."""
    rows = []
    for family in sorted({family for run in runs for family in run.families()}):
        row = [family]
        for run in runs:
            values = run.curve(f"eval/{family}/pass_rate").values
            first, last = (float(values[0]), float(values[-1])) if len(values) else (math.nan, math.nan)
            row += [rate(first), rate(last), signed(last - first)]
        rows.append(row)
    columns = ["family", *[what for _ in runs for what in ("first", "last", "change")]]
    groups = [("", 1), *[(run.name, 3) for run in runs]]
    return Table(columns, rows, "Held-out pass rate by task family", groups=groups)


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
