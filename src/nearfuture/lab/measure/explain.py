"""The story of a run for the terminal, and as plain values.

    nearfuture explain RUN [--json FILE]

Reads the run folder only; no torch.

Not here: the facts (`decisions`, `yields`), the sentences and the page with its figures (`report.decision_words`,
`report.explain_page`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nearfuture.lab.page.table import Table
from nearfuture.lab.report import decision_words as words
from nearfuture.record.decisions import decisions_of
from nearfuture.record.records import RunRecords


def explain(folder: Path) -> Group:
    """Tell a run's story for the terminal.

    Raises:
        UserError: the folder is no run, or has no metrics yet.
    """
    records = RunRecords.load(folder)
    decisions = decisions_of(records)
    parts: list[RenderableType] = [Text(f"{records.name}: {words.opening(records, decisions)}"), Text()]
    for number, decision in enumerate(decisions, 1):
        parts.append(Text(f"{number}. {words.heading(decision)}", style="bold"))
        parts += [Padding(Text(sentence), (0, 0, 0, 3), expand=False) for sentence in words.told(decision)]
        if decision.candidates:
            cells = [words.candidate_cells(decision, candidate) for candidate in decision.candidates]
            table = Table(words.CANDIDATE_COLUMNS, cells, last_is_text=True).for_terminal()
            parts.append(Padding(table, (0, 0, 0, 3), expand=False))
        parts.append(Text())
    return Group(*parts, Text(words.closing(records)))


def facts(folder: Path) -> dict[str, Any]:
    """Return the story as plain values: what `--json` writes.

    Raises:
        UserError: the folder is no run, or has no metrics yet.
    """
    records = RunRecords.load(folder)
    step = records.last_step(records.head)
    return {
        "run": records.name,
        "mode": records.config.get("autonpo.mode", "off"),
        "is_finished": records.is_finished,
        "step": step,
        "total_steps": records.total_steps_at(records.head, step),
        "decisions": [asdict(decision) for decision in decisions_of(records)],
    }
