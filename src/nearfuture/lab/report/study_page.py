"""Writes the report of a comparison: the page, `comparison.json`, `comparison.csv` and `comparison.txt`.

Not here: the numbers (`nearfuture.lab.study.comparison`), what is drawn, said and tabulated (`study_figures`,
`study_words`, `study_tables`), what a page is (`nearfuture.lab.page`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup
from rich.console import Group as Shown
from rich.console import RenderableType
from rich.text import Text as Line

from nearfuture.lab.page.charts import draw_key
from nearfuture.lab.page.page import Block, Folded, Group, Heading, Items, Page, Section, Text, titled
from nearfuture.lab.page.table import as_text
from nearfuture.lab.report import study_figures as figures
from nearfuture.lab.report import study_tables as tables
from nearfuture.lab.report import study_words as words
from nearfuture.lab.report.samples import NUM_SAMPLES, plain_row, searchable, still_sample
from nearfuture.lab.study.comparison import Comparison, compare
from nearfuture.lab.study.export import as_csv, as_json
from nearfuture.record.lock import writing
from nearfuture.record.writing import write_json, write_whole

WIDTH = 160
EQUAL = Markup(
    "Two runs with the same seed are compared where the first of them ends on that clock; the claims in words below "
    "give the positions. What a run holds there is the last step of its kept path that was paid for: while it trains "
    "ahead on a stretch that it will abandon, that step stands still. <b>Steps</b> are positions on the kept path; "
    "<b>total steps</b> count scouts and abandoned tails too; <b>tokens</b> are everything generated for training, "
    "rollouts and guides; <b>wall-clock</b> is training and collecting, without evaluation and start-up, on a machine "
    "that several runs shared."
)
EFFICIENCY = (
    "Speed-up: how many times less a method paid until it first reached the level that {} of the same seed has "
    "half-way (50 %) and at its end (100 %); 1 is as fast, above 1 is faster. Geometric means; both times are those of "
    "first reaching the level. A method that did not reach it with every seed has no speed-up. Mean on the way: the "
    "area under the curve."
)
AGGREGATES = (
    "The interquartile mean leaves out the lowest and the highest quarter of all runs on all families. The optimality "
    "gap is how far the mean falls short of 1. The last column is how likely a run of {} beats one of the method on a "
    "family drawn at random."
)
RESAMPLED = (
    "Intervals draw whole seeds with replacement, because one policy answers every family. Beside it stands the "
    "interval as rliable draws it, each family of each seed by itself: for comparison with other papers, and here too "
    "narrow. Both are percentile bootstraps, which cover less than 95 % with few seeds; claims rest on Student's "
    "intervals above."
)
DYNAMICS = "On the kept path, each run's trailing mean, averaged over seeds; the shade is {} at each step."
LEDGER = "Means over seeds of one run each. Steps that were computed again after a kill are not counted."
MARKS = Text(["▲ supported, ▼ contradicted, ○ not supported."], "aside")


def write_study_report(folder: Path, path: Path, command: str) -> Path:
    """Write the report of a comparison.

    Args:
        folder: the comparison's folder.
        path: where the page goes; the other files go beside it.
        command: what the user typed, for the footer.

    Returns:
        The page.

    Raises:
        UserError: the folder holds no comparison, or none of its runs is finished.
    """
    comparison = compare(folder)
    beside, page = path.parent, study_page(comparison, command)
    with writing(beside, "report", wait=True):  # four files that belong together
        write_json(beside / "comparison.json", as_json(comparison))
        write_whole(beside / "comparison.csv", as_csv(comparison))
        write_whole(beside / "comparison.txt", full_text(comparison))
        return page.write(path)


def study_page(comparison: Comparison, command: str) -> Page:
    """Make the page of a comparison."""
    look = figures.looks_of(comparison)
    head: list[Block] = [
        Text(words.lead(comparison), "lead"),
        words.measured(comparison),
        Items(words.headlines(comparison)),
        Text([words.caution(comparison)], "caution"),
    ]
    reference = comparison.reference.method if comparison.reference else ""
    sections = [
        Section("Methods by held-out families", list(_families(comparison, look))),
        Section(f"What is claimed about {reference}", list(_claimed(comparison))),
        Section("At equal cost", list(_equal(comparison))),
        Section("Sample efficiency", list(_efficiency(comparison, look))),
        Section("Aggregates over runs and families", list(_aggregates(comparison, look))),
        Section("Training dynamics", list(_dynamics(comparison, look))),
        Section("One setting changed", list(_ablations(comparison, look))),
        Section("Ledger", [tables.ledger_table(comparison), Text([LEDGER], "aside")]),
        Section("Every run", list(_runs(comparison))),
        Section("Samples", _samples(comparison)),
        Section("Notes", [Items(words.notes(comparison), "")]),
    ]
    runs = [comparison.study.runs[0].records]
    return Page("comparison", words.title(comparison), command, head, sections, runs)


def _samples(comparison: Comparison) -> list[Block]:
    """Show what the runs answered on the test prompts; studies of earlier versions kept no answers."""
    tests = {run.records.name: run.test for run in comparison.study.runs}
    if comparison.study.base is not None:
        tests = {"untrained": comparison.study.base, **tests}
    stored, still = [], []
    for name, test in tests.items():
        kept = [{**sample, "source": comparison.study.split} for sample in test.protocol.get("samples", [])]
        stored.append([plain_row(sample, name) for sample in kept])
        still += [still_sample(sample) for sample in kept[:1]]
    return searchable(stored, still[:NUM_SAMPLES], "test.json in each run's folder")


def _families(comparison: Comparison, look: figures.Looks) -> Iterator[Block]:
    n, k = comparison.num_samples, comparison.largest_k
    yield from titled(f"Mean@{n}: how often a sample is right", [tables.rates_table(comparison, 1)])
    if k > 1:
        yield from titled(f"Pass@{k}: how often one of {k} samples is right", [tables.rates_table(comparison, k)])
    yield Text(
        [
            "Means over training seeds; ± is the half width of the 95 % interval. Pass@k is the unbiased estimate from "
            f"{n} samples per prompt. A method that only sharpens raises mean@{n} and leaves pass@k where it was; one "
            "that adds ability raises pass@k as well."
        ],
        "aside",
    )
    baseline = (
        f"{comparison.baseline.method}, which changes nothing of the base settings, and " if comparison.baseline else ""
    )
    read = Markup(
        "<b>How to read the curves.</b> Strong lines are {}{}; their shade is {}. Lines that "
        "meet at the right solve the same prompts if they may try often enough."
    ).format(baseline, _reference(comparison), words.shade(comparison))
    levels, coverage = figures.level_figures(comparison), figures.coverage_figure(comparison, look)
    yield Group([*levels, coverage, Text([read], "aside reading")])


def _claimed(comparison: Comparison) -> Iterator[Block]:
    claimed = tables.reference_table(comparison)
    if not claimed:
        return
    yield claimed
    yield Text([_verdicts(comparison)], "aside")
    yield from _beside_baseline(comparison, [tables.baseline_table(comparison)])
    exact = Text(["The untrained model has no seeds: its one evaluation is taken as exact."], "aside")
    if table := tables.base_table(comparison):
        yield from titled("Every method beside the untrained model", [table, exact])


def _verdicts(comparison: Comparison) -> str:
    read = Markup(
        "Differences are paired by training seed. <b>Supported</b>: the interval lies above 0. <b>Contradicted</b>: "
        "below 0. Otherwise <b>not supported</b>, which does not prove that there is no difference."
    )
    if comparison.largest_k == 1:
        return read
    return read + Markup(
        " Together: a method <b>adds ability</b> where more pass@{k} is supported, because {k} samples solve more "
        "prompts; it <b>sharpens</b> where more mean@{n} is supported and more pass@{k} is not; it <b>blunts</b> where "
        "less mean@{n} is supported; it <b>loses coverage</b> where less pass@{k} is supported."
    ).format(k=comparison.largest_k, n=comparison.num_samples)


def _beside_baseline(comparison: Comparison, blocks: Sequence[Block]) -> list[Block]:
    """Show claims about every method beside the baseline, unless the reference is the baseline."""
    baseline = comparison.baseline
    if baseline is None or baseline is comparison.reference or not blocks[0]:
        return []
    return titled(f"Every method beside {baseline.method}", blocks)


def _equal(comparison: Comparison) -> Iterator[Block]:
    if comparison.against:
        yield Group([*figures.difference_figures(comparison), Text([EQUAL], "aside reading")])
        yield from _beside_baseline(comparison, [tables.equal_table(comparison.beside_baseline), MARKS])


def _efficiency(comparison: Comparison, look: figures.Looks) -> Iterator[Block]:
    drawn = figures.efficiency_figure(comparison, look)
    yield Group([drawn], "plots") if drawn else Text(["No run was evaluated during training."], "aside")
    if comparison.baseline is not None and (table := tables.efficiency_table(comparison)):
        yield table
        yield Text([EFFICIENCY.format(comparison.baseline.method)], "aside")


def _aggregates(comparison: Comparison, look: figures.Looks) -> Iterator[Block]:
    yield tables.aggregates_table(comparison)
    yield Items([Markup(draw_key(found)) + f" {name}" for name, found in look.items()], "legend only-still")
    read = Text([AGGREGATES.format(_reference(comparison)), RESAMPLED], "aside reading")
    yield Group([figures.profile_figure(comparison, look), read])


def _dynamics(comparison: Comparison, look: figures.Looks) -> Iterator[Block]:
    beside = f", beside {comparison.baseline.method} (blue)" if comparison.baseline else ""
    for key, (name, _) in figures.DYNAMICS.items():
        panels = Group(list(figures.dynamics_figures(comparison, look, key)), "triple")
        yield from titled(name + beside, [panels or Text(["Not written by every run."], "aside")])
    yield Text([DYNAMICS.format(words.shade(comparison))], "aside")


def _ablations(comparison: Comparison, look: figures.Looks) -> Iterator[Block]:
    if not comparison.ablations:
        return
    yield tables.ablations_table(comparison)
    yield MARKS
    for found in comparison.ablations:
        if found.key == "weighting":
            shown = [side for side in (comparison.baseline, found.plain, found.variant) if side is not None]
            label = f"{found.plain.method} {found.variant.method}"
            yield Heading(f"Weighting of guided tokens: {found.variant.method} beside {found.plain.method}")
            yield Text([words.claim(found.beside.mean)], "told")
            yield Group(list(figures.weighting_figures(shown, look, label)))


def _runs(comparison: Comparison) -> Iterator[Block]:
    table, claims = tables.runs_table(comparison), words.claims(comparison)
    yield Folded(f"{len(table.rows)} runs", [table])
    yield Folded(f"{len(claims)} claims in words", [Items(claims)])


def _reference(comparison: Comparison) -> str:
    return comparison.reference.method if comparison.reference else "the reference"


def study_text(comparison: Comparison) -> Shown:
    """The summary for the terminal: what each method reached and paid, and the claims about the reference."""
    claims = words.headlines(comparison, "total_steps")
    return _shown(comparison, [tables.overview_table(comparison).for_terminal()], claims)


def full_text(comparison: Comparison) -> str:
    """Everything as text: the tables of families, and every claim."""
    parts: list[RenderableType] = []
    for k in dict.fromkeys((1, comparison.largest_k)):
        name = f"mean@{comparison.num_samples}" if k == 1 else f"pass@{k}"
        parts += [name, tables.rates_table(comparison, k).for_terminal(), ""]
    parts.append(tables.overview_table(comparison).for_terminal())
    return as_text(_shown(comparison, parts, words.claims(comparison)), WIDTH)


def _shown(comparison: Comparison, parts: Sequence[RenderableType], claims: Sequence[str]) -> Shown:
    blocks = ([*words.lead(comparison), words.measured(comparison)], claims, [words.caution(comparison)])
    lines = [line for block in blocks for line in (*block, "")]
    return Shown(*parts, Line(), *map(Line, [*lines[:-1], *words.notes(comparison)]))
