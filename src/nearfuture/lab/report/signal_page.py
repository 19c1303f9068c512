"""Shows what `nearfuture signal` measured: a table for the terminal, and a page with Q, V and S over distance.

Read from the plain values that `--json` writes, so that a page can be written again without measuring.

Not here: the measurement (`nearfuture.lab.measure.run_signal`), the report of a run (`page`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from rich.table import Table

from nearfuture.record.ledger import write_whole

STYLE = Path(__file__).parent / "style.css"
COLOURS = ("#1f5fa8", "#b3541e", "#2e7d4f", "#7b4fa3", "#8a6d00", "#555555")
COLUMNS = ("distance", "Q coverage", "Q pass rate", "Q(D) - Q(0)", "V", "S = Q / V", "ESS")
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
figure svg {{ max-width: 100%; height: auto; background: #fff; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def signal_tables(result: dict[str, Any]) -> list[Table]:
    """Return a table for each anchor, with the default Q and V; every form of V is in the page and the JSON."""
    tables = []
    for anchor in result["anchors"]:
        table = Table(*COLUMNS, title=_title(anchor, result), caption="\n".join(_findings(anchor, result)))
        for row in anchor["distances"]:
            table.add_row(*_cells(row))
        tables.append(table)
    return tables


def write_signal_page(result: dict[str, Any], page: Path) -> Path:
    """Write the self-contained page of a measurement and return its path."""
    parts = [f"<p>{escape(_protocol(result))}</p>", f"<figure>{draw_signal(result)}</figure>"]
    for anchor in result["anchors"]:
        parts.append(f"<h2>{escape(_title(anchor, result))}</h2>")
        parts += [f"<p>{escape(sentence)}</p>" for sentence in _findings(anchor, result)]
        parts.append(_html_table(COLUMNS, map(_cells, anchor["distances"])))
        parts += ["<h3>Every form of V, and where S is highest with it</h3>", _html_table(*_all_costs(anchor, result))]
    title = f"The signal of {Path(result['run']).resolve().name}"
    write_whole(page, PAGE.format(title=escape(title), style=STYLE.read_text(), body="\n".join(parts)))
    return page


def draw_signal(result: dict[str, Any]) -> str:
    """Draw Q, V and S over distance, a line of panels for each anchor, and return the SVG.

    S is drawn as a share of its own maximum, because the forms of V differ by orders of magnitude; the shape is what
    counts. Bands are 95 % intervals, drawn for the default Q and V.
    """
    anchors = result["anchors"]
    figure = Figure(figsize=(12.5, 3.6 * len(anchors)), layout="constrained")
    panels = figure.subplots(len(anchors), 3, squeeze=False)
    for line, anchor in zip(panels, anchors, strict=True):
        _draw_quality(line[0], anchor, result)
        _draw_cost(line[1], anchor, result)
        _draw_effective(line[2], anchor, result)
    settings = {"svg.fonttype": "none", "svg.hashsalt": "nearfuture", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def _draw_quality(axes: Axes, anchor: dict[str, Any], result: dict[str, Any]) -> None:
    distances = [row["distance"] for row in anchor["distances"]]
    for colour, (name, label) in zip(COLOURS, _quality_names(result).items(), strict=False):
        found = [row["qualities"][name] for row in anchor["distances"]]
        _line(axes, distances, found, colour, label, has_band=True)
        axes.axhline(found[0]["value"], color=colour, linewidth=0.8, linestyle=":")
    _finish(axes, f"anchor {anchor['anchor']}: quality Q (dotted: Q(0))")
    axes.set_ylim(bottom=0)


def _draw_cost(axes: Axes, anchor: dict[str, Any], result: dict[str, Any]) -> None:
    distances = [row["distance"] for row in anchor["distances"]]
    for colour, name in zip(COLOURS, anchor["distances"][0]["variance_costs"], strict=False):
        found = [row["variance_costs"][name] for row in anchor["distances"]]
        _line(axes, distances, found, colour, name, has_band=name == result["default"]["variance_cost"])
    axes.set_yscale("log")
    _finish(axes, "variance cost V (log scale)")


def _draw_effective(axes: Axes, anchor: dict[str, Any], result: dict[str, Any]) -> None:
    distances = [row["distance"] for row in anchor["distances"]]
    quality = result["default"]["quality"]
    for colour, name in zip(COLOURS, anchor["distances"][0]["variance_costs"], strict=False):
        found = [row["effective_signals"][quality][name] for row in anchor["distances"]]
        highest = max((entry["value"] or 0.0 for entry in found), default=0.0)
        if highest <= 0:
            continue
        scaled = [_scaled(entry, highest) for entry in found]
        _line(axes, distances, scaled, colour, name, has_band=name == result["default"]["variance_cost"])
    _finish(axes, f"S = {quality} / V, each as a share of its maximum")
    axes.set_ylim(bottom=0)


def _scaled(entry: dict[str, Any], by: float) -> dict[str, Any]:
    divided = [None if value is None else value / by for value in (entry["value"], *entry["ci"])]
    return {"value": divided[0], "ci": divided[1:]}


def _line(
    axes: Axes, distances: list[int], found: list[dict[str, Any]], colour: str, label: str, *, has_band: bool
) -> None:
    nan = float("nan")
    values = [nan if entry["value"] is None else entry["value"] for entry in found]
    axes.plot(distances, values, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=label)
    if has_band:
        low, high = ([nan if entry["ci"][side] is None else entry["ci"][side] for entry in found] for side in (0, 1))
        axes.fill_between(distances, low, high, color=colour, alpha=0.15, linewidth=0)


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("distance D (optimizer steps)", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)


def _quality_names(result: dict[str, Any]) -> dict[str, str]:
    return {"coverage": f"coverage (pass@{result['k']})", "pass_rate": "pass rate"}


def _protocol(result: dict[str, Any]) -> str:
    num_samples = result["num_samples"]
    return (
        f"Prompts on which the anchor had 0 correct of {num_samples} samples; then {num_samples} fresh ones a prompt "
        "from each guide, and from the anchor itself (distance 0: what trying again brings). Coverage is the unbiased "
        f"pass@{result['k']}. Bands and brackets are {result['level']:.0%} intervals from {result['num_resamples']} "
        "resamples of the prompts, the same for all distances; they cover this run's prompts and samples, not another "
        "training seed."
    )


def _title(anchor: dict[str, Any], result: dict[str, Any]) -> str:
    return (
        f"Anchor {anchor['anchor']}: {anchor['num_prompts']} failed prompts of {anchor['num_tried']} tried, "
        f"{result['num_samples']} samples each"
    )


def _findings(anchor: dict[str, Any], result: dict[str, Any]) -> list[str]:
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


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    cover, rate = row["qualities"]["coverage"], row["qualities"]["pass_rate"]
    gain = {"value": cover["gain"], "ci": cover["gain_ci"]}
    cost = {"value": row["variance_cost"], "ci": row["variance_cost_ci"]}
    effective = {"value": row["effective_signal"], "ci": row["effective_signal_ci"]}
    ess = f"{row['effective_sample_frac']:.1%}"
    return (str(row["distance"]), *map(with_interval, (cover, rate, gain, cost, effective)), ess)


def _all_costs(anchor: dict[str, Any], result: dict[str, Any]) -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    distances = [row["distance"] for row in anchor["distances"]]
    quality = result["default"]["quality"]

    def rows() -> Iterator[tuple[str, ...]]:
        for name in anchor["distances"][0]["variance_costs"]:
            found, fit = anchor["maximum"][quality][name], anchor["fits"]["variance_costs"][name]
            at = "-" if found is None else f"{found['distance']:.0f}{' (interior)' if found['is_interior'] else ''}"
            values = (with_interval(row["variance_costs"][name]) for row in anchor["distances"])
            exponent = "-" if fit["exponent"] is None else f"{fit['exponent']:.2f}"
            yield (name, *values, exponent, at)

    return ("V", *(f"D = {distance}" for distance in distances), "exponent b", "S highest at"), rows()


def _html_table(columns: tuple[str, ...], rows: Any) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = [
        f'<tr><th scope="row">{escape(cells[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells[1:])}</tr>'
        for cells in rows
    ]
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def with_interval(estimate: dict[str, Any]) -> str:
    """Write an estimate with its interval, three digits each; `-` where nothing is known.

    Example:
        >>> with_interval({"value": 0.25, "ci": [0.2, 0.3]})
        '0.25 [0.2, 0.3]'
    """
    if estimate["value"] is None:
        return "-"
    low, high = ("-" if value is None else f"{value:.3g}" for value in estimate["ci"])
    return f"{estimate['value']:.3g} [{low}, {high}]"
