"""The summary of a report for the terminal: the same sentences as the page, and one table.

Not here: the page (`report_page`), the summary of a comparison (`study_words`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from nearfuture.lab.report import tables, words
from nearfuture.lab.report.report_page import is_study, load_runs
from nearfuture.record.equal_clocks import at_equal_clocks
from nearfuture.record.ledger import build_ledger


def report_text(runs: Sequence[Path]) -> Group:
    """Return the summary of some runs, or of a comparison, to be printed by a rich console.

    Raises:
        UserError: no run was named, or one of them is not a run or has no row yet.
    """
    if is_study(runs):
        from nearfuture.lab.report.study_page import study_text  # scipy, which a single run does not need
        from nearfuture.lab.study.comparison import compare

        return study_text(compare(Path(runs[0])))
    records = load_runs(runs)
    baseline = words.pick_baseline(records)
    ledgers = [build_ledger(run) for run in records]
    compared = [
        f"{run.name} beside {baseline.name}: {'; '.join(clauses)}."
        for run in records
        if run is not baseline
        for clauses in [words.comparison(run, baseline, at_equal_clocks(run, baseline))]
    ]
    lines = [
        *map(words.outcome, records),
        *compared,
        *filter(None, map(words.story, records)),
        *map(words.costs, records, ledgers),
        words.caution(records),
        *(
            f"{run.name}: {note}"
            for run, ledger in zip(records, ledgers, strict=True)
            for note in words.notes(run, ledger)
        ),
    ]
    overview = tables.overview_table([run.name for run in records], records, ledgers)
    return Group(overview.for_terminal(), Text(), *map(Text, lines))
