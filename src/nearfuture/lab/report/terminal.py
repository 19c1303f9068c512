"""The summary of a report for the terminal: the same sentences as the page, and one table.

Not here: the page (`page`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from nearfuture.lab.report import tables, words
from nearfuture.lab.report.page import is_study, load_runs
from nearfuture.record.equal_clocks import at_equal_clocks
from nearfuture.record.ledger import build_ledger


def report_text(runs: Sequence[Path]) -> Group:
    """Return the summary of some runs, or of a comparison, to be printed by a rich console.

    Raises:
        UserError: no run was named, or one of them is not a run or has no row yet.
    """
    if is_study(runs):
        from nearfuture.lab.report.study_terminal import study_text  # scipy, which a single run does not need
        from nearfuture.lab.study.comparison import compare

        return study_text(compare(Path(runs[0])))
    records = load_runs(runs)
    baseline = words.pick_baseline(records)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", overflow="fold")
    for column in tables.OVERVIEW:
        table.add_column(column.replace(", ", "\n").replace(" ", "\n"), justify="right", no_wrap=True)
    sentences, remarks = [], []
    for run in records:
        ledger = build_ledger(run)
        table.add_row(run.name, *tables.overview_row(run, ledger))
        sentences.append(words.costs(run, ledger))
        remarks += [f"{run.name}: {note}" for note in words.notes(run, ledger)]
    compared = [
        f"{run.name} beside {baseline.name}: {'; '.join(clauses)}."
        for run in records
        if run is not baseline
        for clauses in [words.comparison(run, baseline, at_equal_clocks(run, baseline))]
    ]
    stories = filter(None, map(words.story, records))
    lines = [*map(words.outcome, records), *compared, *stories, *sentences, words.caution(records), *remarks]
    return Group(table, Text(), *map(Text, lines))
