"""The page of an evaluation, self-contained, in the house's style; made from plain values alone.

Not here: tables and sentences (`tables`, `words`), the frame of a page (`nearfuture.lab.report.rendering`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from nearfuture.lab.evaluate import tables, words
from nearfuture.lab.report.rendering import render_page
from nearfuture.lab.report.study_figures import Row, Series, draw_lines, draw_rows, looks
from nearfuture.stats.seeds import Estimate

Result = Mapping[str, Any]
ALPHA = 0.05


def render(result: Result, command: str) -> str:
    """Return the page as text."""
    return render_page("evaluation.html.j2", "evaluation", words.title(result), [], command, _content(result))


def _content(result: Result) -> dict[str, Any]:
    policies = result["policies"]
    return {
        "lead": words.lead(result),
        "measured": words.measured(result),
        "notes": words.notes(result),
        "main_table": tables.main_table(result),
        "comparisons": [_comparison(result, found) for found in result["comparisons"]],
        "curves": _curves(result) if result["is_lineage"] else [],
        "pass_tables": [(policy["label"], tables.pass_table(result, policy)) for policy in policies],
        "pass_panels": _pass_panels(result) if result["num_samples"] > 1 else [],
        "quality_table": tables.quality_table(result),
        "metrics_table": tables.metrics_table(result),
        "suites_table": tables.suites_table(result),
    }


def _comparison(result: Result, found: Mapping[str, Any]) -> dict[str, Any]:
    titles = {suite["name"]: suite["title"] for suite in result["suites"]}
    rows = [Row(titles[name], as_points(one), _verdict(one, "adjusted_p")) for name, one in found["suites"].items()]
    if len(rows) > 1:
        rows.append(Row("mean", as_points(found["mean"]), _verdict(found["mean"], "p_value")))
    name = f"{found['policy']} minus {found['other']}"
    drawn = draw_rows(rows, name, f"{name}, percentage points", mark=0.0, is_difference=True)
    return {"name": name, "table": tables.differences_table(result, found), "drawing": Markup(drawn)}


def _verdict(found: Mapping[str, Any], p_value: str) -> str:
    if found[p_value] is None or found[p_value] >= ALPHA:
        return "not supported"
    return "supported" if found["value"] > 0 else "contradicted"


def as_points(found: Mapping[str, Any], scale: float = 100.0) -> Estimate:
    """An estimate read back, scaled."""
    value, low, high = (math.nan if found[name] is None else scale * found[name] for name in ("value", "low", "high"))
    return Estimate(value, low, high, found["num"])


def _curves(result: Result) -> list[dict[str, Any]]:
    """A panel a suite: the number over the steps of the path."""
    steps = np.array([float(policy["step"]) for policy in result["policies"]])
    panels = []
    for index, suite in enumerate(result["suites"]):
        read = [as_points(policy["scores"][suite["name"]], 1.0) for policy in result["policies"]]
        band = np.array([[one.value for one in read], [one.low for one in read], [one.high for one in read]])
        series = Series(suite["title"], looks([suite["title"]], suite["title"], None)[suite["title"]], steps, band)
        drawn = draw_lines([series], f"curve {index}", suite["title"], suite["metric"], "step", has_names=False)
        panels.append({"name": suite["title"], "drawing": Markup(drawn or "")})
    return panels


def _pass_panels(result: Result) -> list[dict[str, Any]]:
    """A panel a suite: pass@k over k, a line a policy (of a lineage the first and the last)."""
    policies = result["policies"] if not result["is_lineage"] else [result["policies"][0], result["policies"][-1]]
    labels = [policy["label"] for policy in policies]
    look = looks(labels, labels[-1], labels[0])
    panels = []
    for index, suite in enumerate(result["suites"]):
        series, ticks = [], []
        for policy in policies:
            found = policy["scores"][suite["name"]]["pass_at"]
            read = [as_points(one, 1.0) for one in found.values()]
            band = np.array([[one.value for one in read], [one.low for one in read], [one.high for one in read]])
            ticks = [(float(at), k) for at, k in enumerate(found)]
            series.append(Series(policy["label"], look[policy["label"]], np.array([at for at, _ in ticks]), band))
        drawn = draw_lines(series, f"pass {index}", f"pass@k on {suite['title']}", "pass@k", "samples k", ticks=ticks)
        panels.append({"name": suite["title"], "drawing": Markup(drawn or "")})
    return panels
