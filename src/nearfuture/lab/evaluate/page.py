"""The page of an evaluation, made from plain values alone.

Not here: tables and sentences (`tables`, `words`), what a page is (`nearfuture.lab.page`), the other files (`output`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nearfuture.lab.evaluate import tables, words
from nearfuture.lab.page.charts import Chart, Look, Row, Series, draw_rows, looks, plotted
from nearfuture.lab.page.page import Block, Figure, Group, Items, Page, Plotted, Section, Text, titled
from nearfuture.lab.report.samples import NUM_SAMPLES, plain_row, searchable, still_sample
from nearfuture.stats.seeds import Estimate

Result = Mapping[str, Any]
PAIRED = (
    "Paired on the same questions and the same random numbers. p: two-sided sign-flip test over clusters; Holm's "
    "correction over the suites; the mean was declared first and is uncorrected. Detectable: the smallest true "
    "difference that would be found with a power of 80 %. A filled dot is significant (corrected p below 0.05). "
    "One training is one draw: a difference between two policies here says nothing about the methods that trained them "
    "unless it is repeated over training seeds."
)
QUALITY = (
    "Truncated and answerless responses count as wrong. Time-outs, crashes and golds that cannot be verified are "
    "neither right nor wrong and leave the means; the bounds say where the number would lie had they all been wrong, "
    "or right."
)


def evaluation_page(result: Result, command: str) -> Page:
    """Make the page of an evaluation."""
    policies = result["policies"]
    curves = list(_curves(result)) if result["is_lineage"] else []
    passes = list(_pass_figures(result)) if result["num_samples"] > 1 else []
    pass_tables = [block for p in policies for block in titled(p["label"], [tables.pass_table(result, p)])]
    sections = [
        Section("Scores", [tables.main_table(result), Group(curves)]),
        *(_comparison(result, found) for found in result["comparisons"]),
        Section("Pass@k", [*pass_tables, Group(passes)]),
        Section("What kept responses from counting", [tables.quality_table(result), Text([QUALITY], "aside")]),
        Section("Further metrics", [tables.metrics_table(result)]),
        Section("What was asked", [tables.suites_table(result)]),
        Section("Samples", _samples(result)),
        Section("Notes", [Items(words.notes(result), "")]),
    ]
    head: list[Block] = [Text(words.lead(result), "lead"), words.measured(result)]
    return Page("evaluation", words.title(result), command, head, sections)


def _samples(result: Result) -> list[Block]:
    """Questions with their answers; evaluations of earlier versions kept none."""
    kept = result.get("samples", [])
    rows = [plain_row(sample, sample["policy"]) for sample in kept]
    return searchable([rows], [still_sample(sample) for sample in kept[:NUM_SAMPLES]], "evaluation.json")


def _comparison(result: Result, found: Mapping[str, Any]) -> Section:
    titles = {suite["name"]: suite["title"] for suite in result["suites"]}
    rows = [
        Row(titles[name], _estimate(one, 100), _verdict(one, "adjusted_p")) for name, one in found["suites"].items()
    ]
    if len(rows) > 1:
        rows.append(Row("mean", _estimate(found["mean"], 100), _verdict(found["mean"], "p_value")))
    name = f"{found['policy']} minus {found['other']}"
    drawing = draw_rows(rows, name, f"{name}, percentage points", mark=0.0, is_difference=True, digits=2)
    figure = Figure(drawing, "Differences", "percentage points, 95 % intervals")
    return Section(name, [tables.differences_table(result, found), Group([figure]), Text([PAIRED], "aside")])


def _verdict(found: Mapping[str, Any], p_value: str) -> str:
    if found[p_value] is None or found[p_value] >= words.ALPHA:
        return "not supported"
    return "supported" if found["value"] > 0 else "contradicted"


def _estimate(found: Mapping[str, Any], scale: float) -> Estimate:
    """An estimate read back, scaled."""
    value, low, high = (math.nan if found[name] is None else scale * found[name] for name in ("value", "low", "high"))
    return Estimate(value, low, high, found["num"])


def _series(name: str, look: Look, xs: Iterable[float], found: Iterable[Mapping[str, Any]]) -> Series:
    band = np.array([[one["value"], one["low"], one["high"]] for one in found], dtype=np.float64).T
    return Series(name, look, np.array(list(xs), dtype=np.float64), band)


def _curves(result: Result) -> Iterator[Plotted]:
    """A panel per suite: the number over the steps of the path."""
    steps = [policy["step"] for policy in result["policies"]]
    for index, suite in enumerate(result["suites"]):
        title, found = suite["title"], [policy["scores"][suite["name"]] for policy in result["policies"]]
        series = _series(title, looks([title], title, None)[title], steps, found)
        chart = Chart(f"curve {index}", title, suite["metric"], "step", has_names=False, axis="step")
        yield plotted([(chart, [series])], title, "over the path, share")


def _pass_figures(result: Result) -> Iterator[Plotted]:
    """A panel per suite: pass@k over k, one line per policy (for a lineage, the first and the last)."""
    policies = result["policies"] if not result["is_lineage"] else [result["policies"][0], result["policies"][-1]]
    labels = [policy["label"] for policy in policies]
    look = looks(labels, labels[-1], labels[0])
    for index, suite in enumerate(result["suites"]):
        found = {policy["label"]: policy["scores"][suite["name"]]["pass_at"] for policy in policies}
        series = [_series(label, look[label], range(len(at)), at.values()) for label, at in found.items()]
        ticks = [(float(at), k) for at, k in enumerate(found[labels[0]])]
        chart = Chart(f"pass {index}", f"pass@k on {suite['title']}", "pass@k", "samples k", ticks=ticks)
        yield plotted([(chart, series)], suite["title"], "share of questions that one of k samples solves")
