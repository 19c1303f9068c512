"""The page of a study in progress: which runs are done, and the curves of all that have begun.

Not here: the comparison of finished methods (`study_page`), a single run (`report_page`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nearfuture.lab.page.page import Block, Figure, Group, Page, Plotted, Section, Text
from nearfuture.lab.page.table import Table
from nearfuture.lab.report import samples
from nearfuture.lab.report.curves import plot_of
from nearfuture.lab.report.figures import METRICS, Metric, StyledRun, draw_panel
from nearfuture.lab.study.folder import BASE, Grid, StudyFolder
from nearfuture.record.equal_clocks import last_measured
from nearfuture.record.formats import MISSING, plural, rate
from nearfuture.record.records import RunRecords
from nearfuture.types import UserError

CURVES = "Runs of one method have one colour. A run appears with its first step."
States = dict[str, str]


def progress_page(path: Path, command: str) -> Page:
    """Make the page of a study from whatever its runs have written so far.

    Raises:
        UserError: the folder holds no study.
    """
    folder = StudyFolder(path)
    grid = folder.read_grid()
    runs = begun(folder, grid)
    states = {name: _state(folder, grid, name) for name in _names(grid)}
    done = sum(state == "finished" for state in states.values())
    lead = f"{done} of {plural(len(states), 'run')} finished and evaluated; {len(runs)} have written a step."
    sections = [
        Section("Runs", [_table(states, {run.records.name: run.records for run in runs})]),
        Section("Curves", [_curves(runs), Text([CURVES if runs else ""], "aside")]),
        Section("Samples", samples.samples_blocks([(run.records, run.style) for run in runs])),
    ]
    return Page("study", f"{path.resolve().name}, going on", command, [Text([lead], "lead")], sections)


def begun(folder: StudyFolder, grid: Grid) -> list[StyledRun]:
    """Return the runs that have a step, in the colour of their method."""
    methods = list(grid.methods)
    found = []
    for method, seed in grid.cells:
        try:
            records = RunRecords.load(folder.run(f"{method}-{seed}"))
        except UserError:
            continue  # no step yet, or not started; its state says so
        found.append(StyledRun(records, methods.index(method), method))
    return found


def _names(grid: Grid) -> list[str]:
    return [f"{method}-{seed}" for method, seed in grid.cells]


def _state(folder: StudyFolder, grid: Grid, name: str) -> str:
    if folder.is_evaluated(name, grid.test_num_samples):
        return "finished"
    if folder.is_trained(name):
        return "trained, being evaluated"
    return "training or stopped" if folder.run(name).exists() else "waiting"


def _table(states: States, records: dict[str, RunRecords]) -> Table:
    rows = [[name, *_reached(records.get(name)), state] for name, state in states.items() if name != BASE]
    return Table(["run", "step", "total steps", "held-out", "state"], rows, "The runs", "dense", last_is_text=True)


def _reached(run: RunRecords | None) -> list[str]:
    if run is None:
        return [MISSING] * 3
    step, measured = run.last_step(run.head), last_measured(run)
    total = run.total_steps_at(run.head, step)
    return [str(step), str(total), rate(measured.pass_rate if measured else None)]


def _curves(runs: Sequence[StyledRun]) -> Group:
    return Group([Plotted(plot_of(runs, metric), partial(_drawn, runs, metric)) for metric in METRICS], "plots")


def _drawn(runs: Sequence[StyledRun], metric: Metric) -> list[Block]:
    return [Figure(draw_panel(runs, metric, "step"), metric.name, "by step")]
