"""An evaluation as files (`evaluation.json`, `.csv`, `.txt`, the page `index.html`) and as a summary in the terminal.

Not here: the page (`page`), tables and sentences (`tables`, `words`), the files of responses (`responses`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nearfuture.lab.evaluate import tables, words
from nearfuture.lab.evaluate.page import evaluation_page
from nearfuture.lab.page.table import as_text
from nearfuture.record.lock import writing
from nearfuture.record.writing import csv_text, write_json, write_whole

WIDTH = 200
COLUMNS = ("policy", "step", "suite", "metric", "value", "low", "high", "num")


def write_evaluation(result: Mapping[str, Any], output: Path, command: str) -> Path:
    """Write everything and return the page.

    Args:
        result: what `evaluation.evaluate` returned, or its JSON read back.
        output: folder.
        command: what the user typed, for the footer.
    """
    page = evaluation_page(result, command)
    with writing(output, "evaluation", wait=True):  # four files that belong together
        write_json(output / "evaluation.json", result)
        write_whole(output / "evaluation.csv", as_csv(result))
        write_whole(output / "evaluation.txt", full_text(result))
        return page.write(output / "index.html")


def summary(result: Mapping[str, Any]) -> Group:
    """The text for the terminal: the table, differences, why responses did not count, notes."""
    shown = [tables.main_table(result)]
    shown += [tables.differences_table(result, found) for found in result["comparisons"]]
    parts = [part for table in [*shown, tables.quality_table(result)] for part in (table.for_terminal(), Text())]
    return Group(*parts, *map(Text, [*words.lead(result), words.measured(result), *words.notes(result)]))


def full_text(result: Mapping[str, Any]) -> str:
    """The full text, for a file."""
    parts: list[RenderableType] = [summary(result), Text()]
    for policy in result["policies"]:
        parts += [Text(policy["label"]), tables.pass_table(result, policy).for_terminal(), Text()]
    if metrics := tables.metrics_table(result):
        parts += [metrics.for_terminal(), Text()]
    return as_text(Group(*parts, tables.suites_table(result).for_terminal()), WIDTH)


def as_csv(result: Mapping[str, Any]) -> str:
    """One line per number: policy, suite, metric, value and interval as shares; unknown values are empty."""
    rows: list[dict[str, Any]] = []
    for policy in result["policies"]:
        for suite in result["suites"]:
            where = {"policy": policy["label"], "step": policy["step"], "suite": suite["name"]}
            score = policy["scores"][suite["name"]]
            numbers = {suite["metric"]: score, **score["metrics"]}
            numbers |= {f"pass@{k}": found for k, found in score["pass_at"].items()}
            rows += [{**where, "metric": metric, **found} for metric, found in numbers.items()]
            rates, num = score["rates"].items(), score["num_responses"]
            rows += [{**where, "metric": f"rate/{name}", "value": value, "num": num} for name, value in rates]
    return csv_text(rows, COLUMNS)
