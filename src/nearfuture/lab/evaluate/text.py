"""An evaluation as text and as rows for other programs: the terminal, `evaluation.txt`, `evaluation.csv`.

Not here: the page (`page`), tables and sentences (`tables`, `words`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from nearfuture.lab.evaluate import tables, words
from nearfuture.lab.report.tables import Table

WIDTH = 200
COLUMNS = ("policy", "step", "suite", "metric", "value", "low", "high", "num")


def summary(result: Mapping[str, Any]) -> Group:
    """What the terminal shows: the table, differences, what kept responses from counting, notes."""
    parts: list[RenderableType] = [_table(tables.main_table(result)), Text()]
    for found in result["comparisons"]:
        parts += [_table(tables.differences_table(result, found)), Text()]
    parts += [_table(tables.quality_table(result)), Text()]
    return Group(*parts, *map(Text, [*words.lead(result), words.measured(result), *words.notes(result)]))


def full_text(result: Mapping[str, Any]) -> str:
    """Everything, for a file."""
    parts: list[RenderableType] = [summary(result), Text()]
    for policy in result["policies"]:
        parts += [Text(policy["label"]), _table(tables.pass_table(result, policy)), Text()]
    metrics = tables.metrics_table(result)
    parts += [_table(metrics), Text()] if metrics.rows else []
    parts.append(_table(tables.suites_table(result)))
    written = io.StringIO()
    Console(file=written, width=WIDTH, no_color=True).print(Group(*parts))
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


def as_csv(result: Mapping[str, Any]) -> str:
    """A line a number: policy, suite, metric, value and interval as shares; empty where nothing is known."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for policy in result["policies"]:
        where = {"policy": policy["label"], "step": policy["step"]}
        for suite in result["suites"]:
            score = policy["scores"][suite["name"]]
            numbers = {suite["metric"]: score, **score["metrics"]}
            numbers |= {f"pass@{k}": found for k, found in score["pass_at"].items()}
            for metric, found in numbers.items():
                writer.writerow({**where, "suite": suite["name"], "metric": metric, **found})
            for name, value in score["rates"].items():
                line = {"suite": suite["name"], "metric": f"rate/{name}", "value": value, "num": score["num_responses"]}
                writer.writerow(where | line)
    return written.getvalue()


def _table(table: Table) -> RichTable:
    shown = RichTable(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(table.columns):
        shown.add_column(name.replace(" ", "\n"), justify="right" if index else "left", no_wrap=not index)
    for row in table.rows:
        shown.add_row(*row)
    return shown
