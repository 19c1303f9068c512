"""Writes a report: one self-contained page for one or more runs, that opens without a network or an account.

Not here: what is drawn, said and tabulated (`figures`, `lineage_drawing`, `words`, `tables`), the frame of a page
(`rendering`).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from nearfuture.lab.report import samples, svg, tables, words
from nearfuture.lab.report.figures import METRICS, Metric, StyledRun, abandoned_key, draw_panel, guidance_key, run_key
from nearfuture.lab.report.lineage_drawing import draw_lineage
from nearfuture.lab.report.pieces import window_of
from nearfuture.lab.report.rendering import render_page
from nearfuture.lab.study.folder import StudyFolder
from nearfuture.record.equal_clocks import at_equal_clocks, last_measured
from nearfuture.record.ledger import build_ledger, write_whole
from nearfuture.record.records import RunRecords
from nearfuture.types import UserError


def write_report(runs: Sequence[Path], output: Path, *, command: str | None = None) -> Path:
    """Write the report of some runs, or of a comparison.

    Args:
        runs: run folders, of which the first one without interventions is what the others are compared with; or the
            one folder that `nearfuture compare` filled.
        output: the page, or a folder that will hold `index.html`.
        command: what the user typed, for the footer; put together from the arguments where it is not given.

    Returns:
        The page that was written.

    Raises:
        UserError: no run was named, or one of them is not a run or has no row yet.
    """
    output = Path(output)
    page = output if output.suffix == ".html" else output / "index.html"
    if command is None:
        command = shlex.join(["nearfuture", "report", *map(str, runs), "--output", str(output)])
    if is_study(runs):
        from nearfuture.lab.report.study_page import write_study_report  # scipy, which a single run does not need

        return write_study_report(Path(runs[0]), page, command)
    write_whole(page, render(load_runs(runs), command))
    return page


def is_study(runs: Sequence[Path]) -> bool:
    """True where one folder was named, and it holds a comparison.

    Raises:
        UserError: a comparison was named beside something else.
    """
    studies = [run for run in runs if StudyFolder(Path(run)).is_study]
    if studies and len(runs) > 1:
        raise UserError(
            f"{studies[0]} is a comparison and is reported alone; {len(runs)} folders were named. Name it alone, or "
            "the runs in it."
        )
    return bool(studies)


def load_runs(folders: Sequence[Path]) -> list[RunRecords]:
    """Read run folders and give each a name of its own."""
    if not folders:
        raise UserError("No run was named, and a report needs one at least. Name one or more run folders.")
    runs = [RunRecords.load(Path(folder)) for folder in folders]
    names = [run.name for run in runs]
    return [
        run if names.count(run.name) == 1 else run.renamed(f"{run.folder.resolve().parent.name}/{run.name}")
        for run in runs
    ]


def render(runs: Sequence[RunRecords], command: str) -> str:
    """Return the page as text."""
    return render_page("page.html.j2", "report", words.title(runs), runs, command, _content(runs))


def _content(runs: Sequence[RunRecords]) -> dict[str, Any]:
    styled = [StyledRun(run, style) for style, run in enumerate(runs)]
    ledgers = [build_ledger(run) for run in runs]
    baseline = words.pick_baseline(runs)
    compared = [(run, at_equal_clocks(run, baseline)) for run in runs if run is not baseline]
    return {
        "lead": [words.outcome(run) for run in runs],
        "comparisons": [(run.name, words.comparison(run, baseline, readings)) for run, readings in compared],
        "stories": [story for run in runs if (story := words.story(run))],
        "costs": [words.costs(run, ledger) for run, ledger in zip(runs, ledgers, strict=True)],
        "baseline": baseline.name,
        "caution": words.caution(runs),
        "overview": tables.OVERVIEW,
        "runs": [_of_run(run, ledger) for run, ledger in zip(styled, ledgers, strict=True)],
        "compared": [tables.comparison_table(run, baseline, readings) for run, readings in compared],
        "abandoned_key": Markup(abandoned_key()),
        "guidance_key": Markup(guidance_key()),
        "panels": [_panels(styled, metric) for metric in METRICS],
        "over_tokens": Markup(draw_panel(styled, METRICS[0], "tokens") or ""),
        "has_margin": any((measured := last_measured(run)) and measured.num_samples for run in runs),
        "window": max(window_of(run, metric.key) for run in runs for metric in METRICS),
        "families": tables.families_table(runs),
    }


def _panels(runs: Sequence[StyledRun], metric: Metric) -> dict[str, Any]:
    over_step, over_total = (draw_panel(runs, metric, clock) for clock in ("step", "total_steps"))
    without = [run.records.name for run in runs if not run.records.has(metric.key)]
    return {
        "name": metric.name,
        "key": metric.key,
        "over_step": Markup(over_step or ""),
        "over_total": Markup(over_total or ""),
        "without": without,
    }


def _of_run(run: StyledRun, ledger: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": run.records.name,
        "style": run.style % svg.NUM_STYLES,
        "key": Markup(run_key(run.style)),
        "overview": tables.overview_row(run.records, ledger),
        "has_tail": ledger["totals"]["abandoned_steps"] > 0,
        "has_guide": any(segment.intervention for segment in run.records.segments),
        "lineage": Markup(draw_lineage(run.records, run.style)),
        "ledger": tables.ledger_table(run.records, ledger),
        "samples": samples.shown_samples(run.records),
        "notes": words.notes(run.records, ledger),
    }
