"""Writes the report of a comparison: the page, `comparison.json`, `comparison.csv` and `comparison.txt`.

Not here: the numbers (`nearfuture.lab.study.comparison`), what is drawn, said and tabulated (`study_figures`,
`study_words`, `study_tables`), the text (`study_terminal`), the frame of a page (`rendering`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from nearfuture.lab.report import study_curves as curves
from nearfuture.lab.report import study_tables as tables
from nearfuture.lab.report import study_words as words
from nearfuture.lab.report.axes import DOTS
from nearfuture.lab.report.rendering import render_page
from nearfuture.lab.report.study_figures import Look, Row, Series, draw_key, draw_lines, draw_rows, looks
from nearfuture.lab.report.study_terminal import full_text
from nearfuture.lab.report.svg import SOFT
from nearfuture.lab.study.claims import CLOCK_NAMES, Ablation
from nearfuture.lab.study.comparison import Comparison, compare
from nearfuture.lab.study.curves import CLOCKS
from nearfuture.lab.study.export import as_csv, as_json
from nearfuture.lab.study.summary import MethodSummary
from nearfuture.record.formats import rate
from nearfuture.record.ledger import write_whole
from nearfuture.record.lock import writing

REWARD, ENTROPY = "npo/reward", "npo/entropy"
DYNAMICS = {REWARD: ("On-policy reward", "mean reward of a step"), ENTROPY: ("On-policy entropy", "nats a token")}
X_LABELS = {**CLOCK_NAMES, "step": "optimizer steps", "seconds": "seconds of training and collecting"}
BASE_LOOK = Look(SOFT, DOTS, False)


def write_study_report(folder: Path, page: Path, command: str) -> Path:
    """Write the report of a comparison.

    Args:
        folder: of the comparison.
        page: where the page goes; the other files lie beside it.
        command: what the user typed, for the footer.

    Returns:
        The page.

    Raises:
        UserError: the folder holds no comparison, or none of its runs is finished.
    """
    comparison = compare(folder)
    beside, runs = page.parent, [comparison.study.runs[0].records]
    rendered = render_page("study.html.j2", "comparison", words.title(comparison), runs, command, _content(comparison))
    with writing(beside, "report", wait=True):  # four files that belong together
        write_whole(beside / "comparison.json", json.dumps(as_json(comparison), indent=1, allow_nan=False) + "\n")
        write_whole(beside / "comparison.csv", as_csv(comparison))
        write_whole(beside / "comparison.txt", full_text(comparison))
        write_whole(page, rendered)
    return page


def _content(comparison: Comparison) -> dict[str, Any]:
    look = looks(
        [summary.method for summary in comparison.summaries],
        comparison.baseline.method if comparison.baseline else None,
        comparison.reference.method if comparison.reference else None,
    )
    largest = comparison.largest_k
    reference, baseline = comparison.reference, comparison.baseline
    has_others = baseline is not None and len(comparison.summaries) > 1
    return {
        "lead": words.lead(comparison),
        "measured": words.measured(comparison),
        "claims": [words.claim(found) for found in comparison.primary],
        "all_claims": words.claims(comparison),
        "notes": words.notes(comparison),
        "caution": words.caution(comparison),
        "num_samples": comparison.num_samples,
        "largest_k": largest,
        "reference": reference.method if reference else None,
        "baseline": baseline.method if baseline else None,
        "methods": [summary.method for summary in comparison.summaries],
        "mean_table": tables.rates_table(comparison, 1),
        "coverage_table": tables.rates_table(comparison, largest) if largest > 1 else None,
        "intervals": [_levels(comparison, k) for k in dict.fromkeys((1, largest))],
        "coverage": _coverage(comparison, look),
        "reference_table": tables.reference_table(comparison),
        "baseline_table": tables.baseline_table(comparison),
        "base_table": tables.base_table(comparison),
        "differences": _equal_rows(comparison),
        "baseline_equal_table": tables.equal_table(comparison.beside_baseline) if has_others else None,
        "efficiency": _efficiency(comparison, look),
        "efficiency_table": tables.efficiency_table(comparison) if has_others else None,
        "aggregates_table": tables.aggregates_table(comparison),
        "profile": _profile(comparison, look),
        "keys": [(name, Markup(draw_key(found))) for name, found in look.items()],
        "dynamics": [_dynamics(comparison, look, key) for key in DYNAMICS],
        "ablations_table": tables.ablations_table(comparison) if comparison.ablations else None,
        "weighting": [
            _weighting(found, comparison, look) for found in comparison.ablations if found.key == "weighting"
        ],
        "ledger_table": tables.ledger_table(comparison),
        "runs_table": tables.runs_table(comparison),
    }


def _levels(comparison: Comparison, k: int) -> dict[str, Any]:
    name = f"mean@{comparison.num_samples}" if k == 1 else f"pass@{k}"
    rows = [Row(summary.method, summary.mean(k)) for summary in comparison.summaries]
    base = comparison.study.base
    mark = None if base is None else base.mean(k)
    drawn = draw_rows(rows, f"levels {k}", f"{name} of each method", mark=mark, is_difference=False)
    told = "" if mark is None else f"the dotted line is the untrained model, {rate(mark)}"
    return {"name": name, "told": told, "drawing": Markup(drawn)}


def _coverage(comparison: Comparison, look: dict[str, Look]) -> Markup:
    series, ks = curves.coverage(comparison, look, BASE_LOOK)
    ticks = [(float(x), str(k)) for x, k in zip(series[0].xs, ks, strict=True)]
    return _drawn(series, "coverage", "Pass@k over k", "unbiased pass@k, mean over families", "samples k", ticks=ticks)


def _equal_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The reference minus each other method: on the test prompts, and at each equal cost."""
    if not comparison.against:
        return []
    panels = [(f"mean@{comparison.num_samples} at the end", [found.mean for found in comparison.against.values()])]
    for clock in CLOCKS:
        claims = [found.at_equal[clock] for found in comparison.against.values()]
        panels.append((f"held-out pass rate at equal {CLOCK_NAMES[clock]}", claims))
    drawn = []
    for name, claims in panels:
        rows = [Row(claim.other, claim.difference, claim.verdict) for claim in claims]
        if any(row.estimate.num for row in rows):
            drawing = draw_rows(rows, f"differences {name}", name, mark=0.0, is_difference=True)
            drawn.append({"name": name, "drawing": Markup(drawing)})
    return drawn


def _efficiency(comparison: Comparison, look: dict[str, Look]) -> list[dict[str, Any]]:
    panels = []
    for clock in CLOCKS:
        series = [curves.efficiency(summary, look[summary.method], clock) for summary in comparison.summaries]
        title = f"Held-out pass rate by {CLOCK_NAMES[clock]}"
        unit = "share of samples that were correct"
        panels.append({"name": CLOCK_NAMES[clock], "drawing": _drawn(series, title, title, unit, X_LABELS[clock])})
    return [panel for panel in panels if panel["drawing"]]


def _profile(comparison: Comparison, look: dict[str, Look]) -> Markup:
    series = [curves.profile(summary, look[summary.method]) for summary in comparison.summaries]
    unit = "share of runs and families above it"
    x_label = f"mean@{comparison.num_samples}"
    ticks = [(float(at), f"{at:.1f}") for at in np.arange(0, 1.01, 0.2) if at <= max(s.xs[-1] for s in series)]
    return _drawn(series, "profile", "Performance profiles", unit, x_label, has_names=False, ticks=ticks)


def _dynamics(comparison: Comparison, look: dict[str, Look], key: str) -> dict[str, Any]:
    """A small panel for each method, with the baseline behind it."""
    name, unit = DYNAMICS[key]
    baseline = comparison.baseline
    others = [summary for summary in comparison.summaries if summary is not baseline]
    if baseline is None or not others:
        behind, others = None, comparison.summaries
    else:
        behind = curves.dynamics(baseline, look[baseline.method], key)
    series = [curves.dynamics(summary, _strong(look[summary.method]), key) for summary in others]
    drawn = [found for found in (behind, *series) if found is not None]
    panels = []
    for own in series:
        if own is not None:
            title = f"{name} of {own.name}"
            drawing = _drawn([behind, own], f"{key} {own.name}", title, unit, "step", is_small=True, beside=drawn)
            panels.append({"name": own.name, "drawing": drawing})
    return {"name": name, "panels": panels}


def _weighting(found: Ablation, comparison: Comparison, look: dict[str, Look]) -> dict[str, Any]:
    """The two methods and the baseline, reward and entropy: figure 4(c) of the paper."""
    shown: list[MethodSummary] = [found.plain, found.variant]
    if comparison.baseline is not None:
        shown.insert(0, comparison.baseline)
    panels = []
    for key, (name, unit) in DYNAMICS.items():
        series = [curves.dynamics(summary, look[summary.method], key) for summary in shown]
        drawing = _drawn(series, f"{name} {found.plain.method} {found.variant.method}", name, unit, "step")
        panels += [{"name": name, "drawing": drawing}] if drawing else []
    name = f"{found.variant.method} beside {found.plain.method}"
    return {"name": name, "sentence": words.claim(found.beside.mean), "panels": panels}


def _strong(look: Look) -> Look:
    return Look(look.colour, "solid", True)


def _drawn(series: Sequence[Series | None], name: str, title: str, unit: str, x_label: str, **more: Any) -> Markup:
    shown = [found for found in series if found is not None]
    return Markup(draw_lines(shown, name, title, unit, x_label, **more) or "")
