"""The report: one page about one or more runs or about a comparison, and the same sentences for the terminal.

Not here: what is drawn, said and tabulated (`figures`, `lineage_drawing`, `words`, `tables`, `samples`), the page of a
comparison (`study_page`), what a page is (`nearfuture.lab.page`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Group as Shown
from rich.text import Text as Line

from nearfuture.lab.page.page import Block, Figure, Group, Heading, Items, Page, Plotted, Section, Text, titled
from nearfuture.lab.report import samples, tables, words
from nearfuture.lab.report.curves import plot_of
from nearfuture.lab.report.figures import METRICS, Metric, StyledRun, draw_panel, legend, run_key
from nearfuture.lab.report.lineage_drawing import draw_lineage
from nearfuture.lab.report.pieces import window_of
from nearfuture.lab.study.folder import StudyFolder
from nearfuture.record.clocks import Clock
from nearfuture.record.equal_clocks import AtEqualClock, at_equal_clocks, last_measured
from nearfuture.record.formats import command_line
from nearfuture.record.ledger import build_ledger
from nearfuture.record.records import RunRecords
from nearfuture.types import UserError

CLOCKS = Markup(
    "<b>Step</b> is the position on the kept path. <b>Total steps</b> also counts steps that were trained ahead and "
    "abandoned. <b>Tokens</b> counts everything generated for training, rollouts and guides. At an equal clock a run "
    "holds the last step of its kept path that was paid for by then; between two evaluations its pass rate is read off "
    "a straight line."
)
LONGEST_NAME = 80
NOISE = (
    " The noise is the 95 % sampling error of the difference (Agresti and Caffo), with all samples taken as "
    "independent; a smaller difference does not count as one."
)
CURVES = Markup(
    "<b>How to read the curves.</b> A solid line is the kept path. By step it is one line; by what was paid it falls "
    "back wherever the run rolled back, and the dashed line is what it had trained ahead and gave up."
)
LINEAGE = (
    "One lane per segment, in the order of training. Solid bars were kept, hatched ones abandoned. An arrow leads back "
    "to the step where the run started again; the diamond is the guide, and the frame the stretch where its verified "
    "trajectories were injected."
)
LEDGER = (
    "A guide's samples are charged to the segment that they were collected for. Shares of tokens are of rollouts and "
    "guides; shares of time are of training, collecting and evaluating. A dash is a number that was not written."
)


def write_report(runs: Sequence[Path], output: Path) -> Path:
    """Write the report of some runs, or of a comparison.

    Args:
        runs: run folders, or the one folder that `nearfuture compare` filled; runs are compared with the first one
            without interventions.
        output: the page, or a folder that will hold `index.html`.

    Returns:
        The page that was written.

    Raises:
        UserError: no run was named, or one of them is not a run or has no row yet.
    """
    output = Path(output)
    page = output if output.suffix == ".html" else output / "index.html"
    command = command_line("nearfuture", "report", *runs, "--output", output)
    if is_study(runs):
        from nearfuture.lab.report.study_page import write_study_report  # scipy, which a single run does not need

        return write_study_report(Path(runs[0]), page, command)
    return report_page(Runs.load(runs), command).write(page)


def page_of(runs: Sequence[Path]) -> Path:
    """Return where the report of some runs goes; it never replaces the page of a single run.

    Example:
        >>> str(page_of([Path("a")])), str(page_of([Path("a"), Path("runs/b")]))
        ('a/report/index.html', 'a/report/beside-b.html')
    """
    first, *others = runs
    folder = Path(first) / "report"
    if not others:
        return folder / "index.html"
    names = "-".join(Path(other).resolve().name for other in others)
    if len(names) > LONGEST_NAME:
        digest = hashlib.sha256("/".join(str(Path(other).resolve()) for other in others).encode()).hexdigest()[:8]
        names = f"{len(others)}-runs-{digest}"
    return folder / f"beside-{names}.html"


def is_study(runs: Sequence[Path]) -> bool:
    """True if exactly one folder was named and it holds a comparison.

    Raises:
        UserError: a comparison was named together with something else.
    """
    studies = [run for run in runs if StudyFolder(Path(run)).is_study]
    if studies and len(runs) > 1:
        raise UserError(
            f"{studies[0]} is a comparison and is reported alone; {len(runs)} folders were named. Name it alone, or "
            "the runs in it."
        )
    return bool(studies)


@dataclass(frozen=True)
class Runs:
    """Some runs with what each paid, and how each compares with the baseline at equal clocks."""

    records: Sequence[RunRecords]
    ledgers: Sequence[dict[str, Any]]
    baseline: RunRecords
    compared: Sequence[tuple[RunRecords, list[AtEqualClock]]]

    @classmethod
    def load(cls, folders: Sequence[Path]) -> Runs:
        """Read run folders and give each a unique name.

        Raises:
            UserError: no run was named, or one of them is not a run or has no row yet.
        """
        if not folders:
            raise UserError("No run was named, and a report needs one at least. Name one or more run folders.")
        runs = [RunRecords.load(Path(folder)) for folder in folders]
        names = [run.name for run in runs]
        runs = [
            run if names.count(run.name) == 1 else run.renamed(f"{run.folder.resolve().parent.name}/{run.name}")
            for run in runs
        ]
        baseline = words.pick_baseline(runs)
        compared = [(run, at_equal_clocks(run, baseline)) for run in runs if run is not baseline]
        return cls(runs, [build_ledger(run) for run in runs], baseline, compared)

    @property
    def notes(self) -> list[list[str]]:
        """Notes on what is torn, repeated or missing in each run."""
        return list(map(words.notes, self.records, self.ledgers))


def report_page(runs: Runs, command: str) -> Page:
    """Make the page of some runs."""
    styled = [StyledRun(run, style) for style, run in enumerate(runs.records)]
    keys = [Markup("{} {}").format(run_key(run.style), run.records.name) for run in styled]
    is_guided = any(segment.intervention for run in runs.records for segment in run.segments)
    ledgers = ([tables.ledger_table(*pair)] for pair in zip(runs.records, runs.ledgers, strict=True))
    sections = [
        Section("At a glance", list(_glance(runs, keys))),
        Section("Curves", list(_curves(styled, keys))),
        Section("Lineage", [Text([LINEAGE], "aside"), *map(_tree, styled, keys)]),
        Section("Ledger", [*_by_run(keys, ledgers), Text([LEDGER], "aside")]),
        Section("Held-out pass rate by family", [tables.families_table(runs.records)]),
        Section(
            "Samples beside their guidance" if is_guided else "Samples",
            samples.samples_blocks([(run.records, run.style) for run in styled]),
        ),
        Section("Notes", _by_run(keys, ([Items(notes, "")] for notes in runs.notes))),
    ]
    return Page("report", words.title(runs.records), command, list(_head(runs)), sections, runs.records)


def _head(runs: Runs) -> Iterator[Block]:
    yield Text(list(map(words.outcome, runs.records)), "lead")
    for run, readings in runs.compared:
        yield Text([f"{run.name} beside {runs.baseline.name}:"], "before-list")
        yield Items(words.comparison(run, runs.baseline, readings))
    yield " ".join(filter(None, map(words.story, runs.records)))
    yield " ".join(map(words.costs, runs.records, runs.ledgers))
    yield Text([words.caution(runs.records)], "caution")


def _glance(runs: Runs, keys: Sequence[str]) -> Iterator[Block]:
    yield tables.overview_table(keys, runs.records, runs.ledgers)
    for run, readings in runs.compared:
        yield Heading(f"{run.name} beside {runs.baseline.name}")
        yield tables.comparison_table(run, runs.baseline, readings)
    yield Text([CLOCKS + NOISE if runs.compared else CLOCKS], "aside")


def _curves(runs: Sequence[StyledRun], keys: Sequence[str]) -> Iterator[Block]:
    yield legend(keys, runs)
    plots = [Plotted(plot_of(runs, metric), partial(_drawn, runs, metric)) for metric in METRICS]
    yield Group(plots, "plots")
    yield Text([_without(runs, metric) for metric in METRICS], "aside")
    yield _reading(runs)


def _drawn(runs: Sequence[StyledRun], metric: Metric) -> list[Block]:
    """Draw the curves for readers without scripts: over two clocks, and held-out metrics also over tokens."""
    clocks: dict[Clock, str] = {"step": "by step", "total_steps": "by total steps paid"}
    drawn = [Figure(draw_panel(runs, metric, clock), metric.name, note) for clock, note in clocks.items()]
    over_tokens = draw_panel(runs, metric, "tokens") if metric is METRICS[0] else None
    return [Group(drawn), Group([Figure(over_tokens, metric.name, "by generated tokens")])]


def _without(runs: Sequence[StyledRun], metric: Metric) -> str:
    names = [run.records.name for run in runs if not run.records.has(metric.key)]
    return f"{metric.name}: {', '.join(names)} did not write {metric.key}." if names else ""


def _reading(runs: Sequence[StyledRun]) -> Text:
    window = max(window_of(run.records, metric.key) for run in runs for metric in METRICS)
    has_margin = any((measured := last_measured(run.records)) and measured.num_samples for run in runs)
    said = [
        "The shade around a held-out pass rate is its 95 % sampling error." if has_margin else "",
        f"Lines of single steps are trailing means over up to {window} steps, with the steps themselves behind them."
        if window > 1
        else "",
    ]
    return Text([CURVES, " ".join(filter(None, said))], "aside reading")


def _tree(run: StyledRun, key: str) -> Figure:
    return Figure(draw_lineage(run.records, run.style), key, look="tree")


def _by_run(keys: Sequence[str], blocks: Iterable[Iterable[Block]]) -> list[Block]:
    """Show blocks of each run under its name."""
    return [block for key, found in zip(keys, blocks, strict=True) for block in titled(key, found)]


def report_text(runs: Sequence[Path]) -> Shown:
    """Return the summary of some runs, or of a comparison, to be printed by a rich console.

    Raises:
        UserError: no run was named, or one of them is not a run or has no row yet.
    """
    if is_study(runs):
        from nearfuture.lab.report.study_page import study_text  # scipy, which a single run does not need
        from nearfuture.lab.study.comparison import compare

        return study_text(compare(Path(runs[0])))
    loaded = Runs.load(runs)
    records, baseline = loaded.records, loaded.baseline
    compared = [
        f"{run.name} beside {baseline.name}: {'; '.join(words.comparison(run, baseline, readings))}."
        for run, readings in loaded.compared
    ]
    lines = [
        *map(words.outcome, records),
        *compared,
        *filter(None, map(words.story, records)),
        *map(words.costs, records, loaded.ledgers),
        words.caution(records),
        *(f"{run.name}: {note}" for run, notes in zip(records, loaded.notes, strict=True) for note in notes),
    ]
    overview = tables.overview_table([run.name for run in records], records, loaded.ledgers)
    return Shown(overview.for_terminal(), Line(), *map(Line, lines))
