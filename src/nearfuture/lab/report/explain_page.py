"""What a run decided: as a page with figures, as text for the terminal, and as plain values.

Not here: the facts (`nearfuture.record.decisions`), the sentences (`decision_words`), the drawings
(`decision_figures`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Group as Shown
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text as Line

from nearfuture.lab.page.page import Block, Figure, Group, Page, Plotted, Section, Text
from nearfuture.lab.page.table import Table
from nearfuture.lab.report import decision_words as words
from nearfuture.lab.report.curves import Firings, plot_of
from nearfuture.lab.report.decision_figures import FORMS, draw_candidates, firings, is_thin, plot_branches
from nearfuture.lab.report.figures import METRICS, Metric, StyledRun, draw_panel, legend, run_key
from nearfuture.lab.report.words import costs, outcome
from nearfuture.record.clocks import Clock
from nearfuture.record.decisions import RunDecision, decisions_of
from nearfuture.record.formats import command_line, duration, percent, rate, signed
from nearfuture.record.ledger import build_ledger
from nearfuture.record.records import EVALUATION, RunRecords
from nearfuture.record.yields import ENTROPY, Brought, Cost, Number, Reading

WATCHED = (
    Metric("autonpo/reward_ema", "On-policy pass rate, moving average", "share of rollouts that were correct"),
    Metric("autonpo/entropy_ema", "On-policy entropy, moving average", "nats per token", is_share=False),
)
UNWATCHED = METRICS[1:3]
BRANCH_FIGURES = {EVALUATION: "Held-out pass rate", ENTROPY: "On-policy entropy"}
CURVES = (
    "Total steps count every step paid for, in the order it was trained; a curve that falls back is the run going back."
)
FIRINGS = (
    " A numbered triangle is where the trigger fired, full where the run went back; the shade before it is the window "
    "the trigger looked at, along the path that led there."
)


def write_explanation(run: Path, output: Path | None = None) -> Path:
    """Write the page of a run.

    Args:
        run: its folder.
        output: the page; `report/explain.html` in the run by default.

    Returns:
        The page that was written.

    Raises:
        UserError: the folder is not a run, or has no metrics yet.
    """
    path = Path(run) / "report" / "explain.html" if output is None else Path(output)
    command = command_line("nearfuture", "explain", run, *(["--output", path] if output is not None else []))
    return explanation_page(run, command).write(path)


def explanation_page(run: Path, command: str) -> Page:
    """Make the page of a run."""
    records = RunRecords.load(run)
    decisions = decisions_of(records)
    lead = [words.opening(records, decisions), outcome(records), costs(records, build_ledger(records))]
    sections = [
        Section("The run", list(_run(records, partial(firings, records, decisions)))),
        *(
            Section(f"{number}. {words.heading(decision)}", list(_decision(records, decision, number)))
            for number, decision in enumerate(decisions, 1)
        ),
    ]
    return Page("explain", f"What {records.name} decided", command, [Text(lead, "lead")], sections, [records])


def _run(records: RunRecords, marked: Firings) -> Iterator[Block]:
    run = StyledRun(records, 0)
    metrics = WATCHED if any(records.has(metric.key) for metric in WATCHED) else UNWATCHED
    clocks: tuple[Clock, ...] = ("total_steps", "step", "tokens", "seconds")
    yield legend([run_key(0) + " kept"], [run])
    plots = [
        Plotted(plot_of([run], metric, clocks, marked), partial(_drawn, run, metric, marked)) for metric in metrics
    ]
    yield Group(plots, "plots pair")
    yield Text([f"{m.name}: the run did not write {m.key}." for m in metrics if not records.has(m.key)], "aside")
    yield Text([CURVES + FIRINGS if marked("total_steps") else CURVES], "aside")


def _drawn(run: StyledRun, metric: Metric, marked: Firings) -> list[Figure]:
    drawing = draw_panel([run], metric, "total_steps", marked("total_steps"))
    return [Figure(drawing, metric.name, "by total steps paid")]


def _decision(records: RunRecords, decision: RunDecision, number: int) -> Iterator[Block]:
    """Show a decision in the order of `decision_words.told`, with its figures and tables."""
    probe = words.probed(decision.probe, decision.step) if decision.probe is not None else ""
    yield Text([words.seen(decision), probe], "told")
    yield from _candidates(records, decision, number)
    chosen = words.chosen(decision) if decision.outcome != "undecided" else ""
    yield Text([chosen, words.collected(decision) if decision.collection is not None else ""], "told")
    brought: list[str] = []
    tables: list[Block] = []
    if decision.brought is not None:
        yield Group([plot_branches(records, decision, number, key, name) for key, name in BRANCH_FIGURES.items()])
        brought += words.brought(decision, decision.brought)
        tables.append(_yield_table(decision.brought, number, is_finished=records.is_finished))
    compared = words.compared(decision.comparison, decision.kept) if decision.comparison is not None else ""
    yield Text([*brought, compared], "told")
    if decision.cost.tokens != 0:
        tables.append(_cost_table(decision.cost, number))
    yield Group(tables, "side-by-side")


def _candidates(records: RunRecords, decision: RunDecision, number: int) -> Iterator[Block]:
    setting = records.config.get("autonpo.min_prompts")
    least = setting if isinstance(setting, int) else None
    drawn = [draw_candidates(decision, number, form, least) for form in FORMS] if decision.candidates else []
    yield Group([Figure(drawing) for drawing in drawn], "triple")
    if any(drawn) and any(is_thin(row, least) for row in decision.candidates):
        yield Text([f"Hollow points rest on fewer than {least} probed prompts (autonpo.min_prompts)."], "aside")
    yield Table(*words.candidate_table(decision), f"Candidates of decision {number}", last_is_text=True)


def _cost_table(cost: Cost, number: int) -> Table:
    """List what a decision cost; work that was not done is left out, numbers that were not written are unknown."""
    rows = [
        ("steps trained twice", cost.steps_twice),
        ("tokens of the probe", cost.probe_tokens),
        ("tokens of the collection", cost.collection_tokens),
        ("tokens of the comparison", cost.comparison_tokens),
        ("tokens of rollouts in the steps trained twice", cost.rollout_tokens),
    ]
    counted = [(what, words.known(paid)) for what, paid in rows if paid != 0]
    told = [
        ("tokens in all", words.known(cost.tokens)),
        ("of all tokens the run has generated", words.known(cost.token_frac, percent)),
        ("sampling and training", words.known(cost.seconds, duration)),
    ]
    return Table(("cost", ""), [*counted, *told], f"What decision {number} cost")


def _yield_table(found: Brought, number: int, *, is_finished: bool) -> Table:
    """Show both branches side by side, and the current state of the run."""
    old, new, end = found.abandoned, found.guided, found.end
    judged = found.judgement
    margin = None if judged is None else judged.margin
    noise = "" if margin is None else f" ± {rate(margin)}"
    rows = [
        _reading("abandoned tail", old),
        _reading("guided branch", new),
        (
            "guided minus abandoned",
            words.UNKNOWN if judged is None else f"{signed(judged.difference)}{noise}",
            "",
            words.known(_difference(new.entropy, old.entropy), signed),
            "",
        ),
        _reading("the run at its end" if is_finished else "the run so far", end),
    ]
    return Table(("brought", "held-out", "at step", "entropy", "at step"), rows, f"What decision {number} brought")


def _reading(name: str, reading: Reading) -> Sequence[str]:
    return (
        name,
        words.known(reading.pass_rate, rate),
        words.known(reading.eval_step, str),
        words.known(reading.entropy, rate),
        str(reading.step),
    )


def _difference(new: Number, old: Number) -> Number:
    return None if new is None or old is None else new - old


def explanation_text(folder: Path) -> Shown:
    """Tell a run's story for the terminal.

    Raises:
        UserError: the folder is not a run, or has no metrics yet.
    """
    records = RunRecords.load(folder)
    decisions = decisions_of(records)
    parts: list[RenderableType] = [Line(f"{records.name}: {words.opening(records, decisions)}"), Line()]
    for number, decision in enumerate(decisions, 1):
        parts.append(Line(f"{number}. {words.heading(decision)}", style="bold"))
        parts += [Padding(Line(sentence), (0, 0, 0, 3), expand=False) for sentence in words.told(decision)]
        if decision.candidates:
            table = Table(*words.candidate_table(decision), last_is_text=True).for_terminal()
            parts.append(Padding(table, (0, 0, 0, 3), expand=False))
        parts.append(Line())
    return Shown(*parts, Line(words.closing(records)))


def explanation_facts(folder: Path) -> dict[str, Any]:
    """Return the story as plain values: what `--json` writes.

    Raises:
        UserError: the folder is not a run, or has no metrics yet.
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
