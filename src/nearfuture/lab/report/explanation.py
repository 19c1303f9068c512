"""Writes the page of `nearfuture explain`: what a run decided, in figures beside the sentences of the terminal.

Not here: the facts (`nearfuture.record.decisions`), the sentences (`decision_words`), the drawings
(`decision_figures`).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from nearfuture.lab.report import decision_words as words
from nearfuture.lab.report.decision_figures import FORMS, draw_branches, draw_candidates, firings, is_thin
from nearfuture.lab.report.figures import METRICS, Metric, StyledRun, abandoned_key, draw_panel, guidance_key, run_key
from nearfuture.lab.report.rendering import render_page
from nearfuture.lab.report.tables import Table
from nearfuture.lab.report.words import costs, outcome
from nearfuture.record.decisions import RunDecision, decisions_of
from nearfuture.record.formats import duration, percent, rate, signed
from nearfuture.record.ledger import build_ledger, write_whole
from nearfuture.record.records import EVALUATION, RunRecords
from nearfuture.record.yields import ENTROPY, Brought, Cost, Number, Reading

WATCHED = (
    Metric("autonpo/reward_ema", "On-policy pass rate, moving average", "share of rollouts that were correct"),
    Metric("autonpo/entropy_ema", "On-policy entropy, moving average", "nats a token", is_share=False),
)
UNWATCHED = METRICS[1:3]
BRANCH_FIGURES = {EVALUATION: "Held-out pass rate", ENTROPY: "On-policy entropy"}


def write_explanation(run: Path, output: Path | None = None) -> Path:
    """Write the page of a run.

    Args:
        run: its folder.
        output: the page; `report/explain.html` in the run where it is not given.

    Returns:
        The page that was written.

    Raises:
        UserError: the folder is no run, or has no metrics yet.
    """
    page = Path(run) / "report" / "explain.html" if output is None else Path(output)
    records = RunRecords.load(run)
    command = shlex.join(["nearfuture", "explain", str(run), *(["--output", str(page)] if output is not None else [])])
    title = f"What {records.name} decided"
    write_whole(page, render_page("explanation.html.j2", "explain", title, [records], command, _content(records)))
    return page


def _content(records: RunRecords) -> dict[str, Any]:
    decisions = decisions_of(records)
    styled = StyledRun(records, 0)
    is_watched = any(records.has(metric.key) for metric in WATCHED)
    marks = firings(records, decisions, "total_steps")
    panels = [
        (metric, draw_panel([styled], metric, "total_steps", marks))
        for metric in (WATCHED if is_watched else UNWATCHED)
    ]
    return {
        "lead": [words.opening(records, decisions), outcome(records), costs(records, build_ledger(records))],
        "key": Markup(run_key(0)),
        "abandoned_key": Markup(abandoned_key()),
        "guidance_key": Markup(guidance_key()),
        "panels": [
            {"name": metric.name, "key": metric.key, "drawing": Markup(drawn or "")} for metric, drawn in panels
        ],
        "has_firings": bool(marks),
        "has_tail": any(decision.to_segment is not None for decision in decisions),
        "decisions": [_of_decision(records, decision, number) for number, decision in enumerate(decisions, 1)],
    }


def _of_decision(records: RunRecords, decision: RunDecision, number: int) -> dict[str, Any]:
    min_prompts = records.config.get("autonpo.min_prompts")
    least = min_prompts if isinstance(min_prompts, int) else None
    forms = [draw_candidates(decision, number, form, least) for form in FORMS] if decision.candidates else []
    branches = []
    if decision.brought is not None:
        drawn = {name: draw_branches(records, decision, number, key) for key, name in BRANCH_FIGURES.items()}
        branches = [{"name": name, "drawing": Markup(found)} for name, found in drawn.items() if found]
    rows = [words.candidate_cells(decision, candidate) for candidate in decision.candidates]
    return {
        "number": number,
        "heading": words.heading(decision),
        "seen": words.seen(decision),
        "probed": words.probed(decision.probe, decision.step) if decision.probe is not None else "",
        "forms": [Markup(drawn) for drawn in forms if drawn],
        "candidates": Table(words.CANDIDATE_COLUMNS, rows) if rows else None,
        "min_prompts": least if any(is_thin(row, least) for row in decision.candidates) else None,
        "chosen": words.chosen(decision) if decision.outcome != "undecided" else "",
        "collected": words.collected(decision) if decision.collection is not None else "",
        "branches": branches,
        "brought": list(words.brought(decision, decision.brought)) if decision.brought is not None else [],
        "compared": words.compared(decision.comparison, decision.kept) if decision.comparison is not None else "",
        "yield": _yield_table(decision.brought, records.is_finished) if decision.brought is not None else None,
        "cost": _cost_table(decision.cost) if decision.cost.tokens != 0 else None,
    }


def _cost_table(cost: Cost) -> Table:
    """Set out what a decision took; what was not done is left out, what was not written is unknown."""
    rows = [
        ("steps trained twice", cost.steps_twice, "steps"),
        ("tokens of the probe", cost.probe_tokens, ""),
        ("tokens of the collection", cost.collection_tokens, ""),
        ("tokens of the comparison", cost.comparison_tokens, ""),
        ("tokens of rollouts in the steps trained twice", cost.rollout_tokens, ""),
    ]
    counted = [(what, words.known(number)) for what, number, _ in rows if number != 0]
    told = [
        ("tokens in all", words.known(cost.tokens)),
        ("of all tokens the run has generated", words.known(cost.token_frac, percent)),
        ("sampling and training", words.known(cost.seconds, duration)),
    ]
    return Table(("cost", ""), [*counted, *told])


def _yield_table(found: Brought, is_finished: bool) -> Table:
    """Set both branches side by side, and the run where it stands."""
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
    return Table(("brought", "held-out", "at step", "entropy", "at step"), rows)


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
