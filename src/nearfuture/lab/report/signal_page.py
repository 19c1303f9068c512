"""Show what `nearfuture signal` measured: a table for the terminal, and a page with Q, V and S over distance.

Both use the plain values that `--json` writes, so a page can be rewritten without measuring again.

Not here: the measurement (`nearfuture.lab.measure.run_signal`), what a page is (`nearfuture.lab.page`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group as Shown
from rich.console import RenderableType

from nearfuture.lab.page.charts import Chart, Look, Series, plotted
from nearfuture.lab.page.page import Block, Group, Page, Section, Text, titled
from nearfuture.lab.page.svg import DOTS, colour
from nearfuture.lab.page.table import Table
from nearfuture.record.formats import command_line

COLUMNS = ("distance", "Q coverage", "Q pass rate", "Q(D) - Q(0)", "V", "S = Q / V", "ESS")
X_LABEL = "distance D, optimizer steps"
UNKNOWN = {"value": None, "ci": (None, None)}
SHAPES = (
    "S is drawn as a share of its own maximum, because the forms of V differ by orders of magnitude; the shape is what "
    "counts. Bands are drawn for the default Q and V."
)
Values = dict[str, Any]


def signal_text(result: Values) -> Shown:
    """Return a table for each anchor, with the default Q and V; the page and the JSON have every form of V."""
    parts: list[RenderableType] = []
    for anchor in result["anchors"]:
        parts += [_title(anchor, result), _table(anchor).for_terminal(), *_findings(anchor, result), ""]
    return Shown(*parts[:-1])


def write_signal_page(result: Values, path: Path) -> Path:
    """Write the page of a measurement and return its path."""
    title = f"The signal of {Path(result['run']).resolve().name}"
    sections = [
        Section(_title(anchor, result), list(_anchor(anchor, result, number)))
        for number, anchor in enumerate(result["anchors"])
    ]
    command = command_line("nearfuture", "signal", result["run"])
    return Page("signal", title, command, [_protocol(result)], sections).write(path)


def _anchor(anchor: Values, result: Values, number: int) -> Iterator[Block]:
    yield Text(_findings(anchor, result), "told")
    panels = (_quality(anchor, result), _cost(anchor, result), _effective(anchor, result))
    figures = [
        plotted([(Chart(f"{name} {number}", name, unit, X_LABEL), series)], name) for name, unit, series in panels
    ]
    yield Group([*figures, Text([SHAPES], "aside reading")])
    yield _table(anchor)
    yield from titled("Every form of V, and where S is highest with it", [_costs_table(anchor, result)])


def _quality(anchor: Values, result: Values) -> tuple[str, str, list[Series]]:
    series = []
    for style, (key, name) in enumerate({"coverage": f"pass@{result['k']}", "pass_rate": "pass rate"}.items()):
        found = [row["qualities"][key] for row in anchor["distances"]]
        own = [{**UNKNOWN, "value": found[0]["value"]}] * len(found)
        series.append(_series(anchor, name, found, Look(colour(style), "solid", is_strong=True), has_band=True))
        series.append(_series(anchor, "", own, Look(colour(style), DOTS, is_strong=False)))
    return "Quality Q (dotted: Q(0))", "share of prompts, of samples", series


def _cost(anchor: Values, result: Values) -> tuple[str, str, list[Series]]:
    found = {name: [row["variance_costs"][name] for row in anchor["distances"]] for name in _costs(anchor)}
    logs = {name: [_mapped(entry, _log10) for entry in entries] for name, entries in found.items()}
    return "Variance cost V", "log10 V", _by_cost(anchor, result, logs)


def _effective(anchor: Values, result: Values) -> tuple[str, str, list[Series]]:
    quality = result["default"]["quality"]
    scaled = {}
    for name in _costs(anchor):
        found = [row["effective_signals"][quality][name] for row in anchor["distances"]]
        highest = max((entry["value"] or 0.0 for entry in found), default=0.0)
        if highest > 0:
            scaled[name] = [_mapped(entry, lambda value, by=highest: value / by) for entry in found]
    return f"S = {quality} / V", "share of its maximum", _by_cost(anchor, result, scaled)


def _by_cost(anchor: Values, result: Values, found: dict[str, list[Values]]) -> list[Series]:
    """Make a line for each form of V, always in the same colours; the default one is strong and has a band."""
    default = result["default"]["variance_cost"]
    looks = {name: Look(colour(style), "solid", name == default) for style, name in enumerate(_costs(anchor))}
    return [
        _series(anchor, name, entries, looks[name], has_band=name == default, is_marked=True)
        for name, entries in found.items()
    ]


def _costs(anchor: Values) -> list[str]:
    return list(anchor["distances"][0]["variance_costs"])


def _series(anchor: Values, name: str, found: Sequence[Values], look: Look, **shown: bool) -> Series:
    xs = np.array([row["distance"] for row in anchor["distances"]], dtype=np.float64)
    band = np.array([[entry["value"], *entry["ci"]] for entry in found], dtype=np.float64).T
    return Series(name, look, xs, band, **{"has_band": False, **shown})


def _mapped(entry: Values, change: Any) -> Values:
    value, low, high = (None if known is None else change(known) for known in (entry["value"], *entry["ci"]))
    return {"value": value, "ci": (low, high)}


def _log10(value: float) -> float | None:
    return math.log10(value) if value > 0 else None


def _protocol(result: Values) -> str:
    num_samples = result["num_samples"]
    return (
        f"Prompts on which the anchor had 0 correct of {num_samples} samples; then {num_samples} fresh ones per prompt "
        "from each guide, and from the anchor itself (distance 0: what trying again brings). Coverage is the unbiased "
        f"pass@{result['k']}. Bands and brackets are {result['level']:.0%} intervals from {result['num_resamples']} "
        "resamples of the prompts, the same for all distances; they cover this run's prompts and samples, not another "
        "training seed."
    )


def _title(anchor: Values, result: Values) -> str:
    return (
        f"Anchor {anchor['anchor']}: {anchor['num_prompts']} failed prompts of {anchor['num_tried']} tried, "
        f"{result['num_samples']} samples each"
    )


def _findings(anchor: Values, result: Values) -> list[str]:
    quality, cost = result["default"]["quality"], result["default"]["variance_cost"]
    found = anchor["maximum"][quality][cost]
    if anchor["distances"][0]["distance"] == anchor["distances"][-1]["distance"] or found is None:
        return []
    low, high = found["distance_ci"]
    is_last = found["distance"] == anchor["distances"][-1]["distance"]
    where = "an interior maximum" if found["is_interior"] else "no interior maximum that the intervals support"
    where = "the largest distance measured, so where it falls is not known" if is_last else where
    sentences = [
        f"S ({quality}, {cost} form of V) is highest at distance {found['distance']:.0f} (95 % of the resamples: "
        f"{low:.0f} to {high:.0f}): {where}. Inside in {found['interior_frac']:.0%} of the resamples."
    ]
    fit = anchor["fits"]["variance_costs"][cost]
    if fit["exponent"] is not None:
        sentences.append(
            f"log V grows as {fit['factor']:.3g} D^{fit['exponent']:.2f} (95 % {fit['exponent_ci'][0]:.2f} to "
            f"{fit['exponent_ci'][1]:.2f}; 1 would be the paper's exponential)."
        )
    return sentences


def _table(anchor: Values) -> Table:
    rows = [_cells(row) for row in anchor["distances"]]
    return Table(COLUMNS, rows, f"Q, V and S by distance from anchor {anchor['anchor']}", "dense")


def _cells(row: Values) -> list[str]:
    cover = row["qualities"]["coverage"]
    estimates = [cover, row["qualities"]["pass_rate"], {"value": cover["gain"], "ci": cover["gain_ci"]}]
    estimates += [{"value": row[name], "ci": row[f"{name}_ci"]} for name in ("variance_cost", "effective_signal")]
    distance = str(row["distance"]) if row["distance"] else "0 (stay)"
    return [distance, *map(with_interval, estimates), f"{row['effective_sample_frac']:.1%}"]


def _costs_table(anchor: Values, result: Values) -> Table:
    rows = []
    for name in _costs(anchor):
        found, fit = anchor["maximum"][result["default"]["quality"]][name], anchor["fits"]["variance_costs"][name]
        at = "-" if found is None else f"{found['distance']:.0f}{' (interior)' if found['is_interior'] else ''}"
        exponent = "-" if fit["exponent"] is None else f"{fit['exponent']:.2f}"
        rows.append([name, *(with_interval(row["variance_costs"][name]) for row in anchor["distances"]), exponent, at])
    columns = ["V", *(f"D = {row['distance']}" for row in anchor["distances"]), "exponent b", "S highest at"]
    return Table(columns, rows, f"Every form of V at anchor {anchor['anchor']}", "dense")


def with_interval(estimate: Values) -> str:
    """Write an estimate with its interval, three digits each; `-` if it is unknown.

    Example:
        >>> with_interval({"value": 0.25, "ci": [0.2, 0.3]})
        '0.25 [0.2, 0.3]'
    """
    if estimate["value"] is None:
        return "-"
    low, high = ("-" if value is None else f"{value:.3g}" for value in estimate["ci"])
    return f"{estimate['value']:.3g} [{low}, {high}]"
