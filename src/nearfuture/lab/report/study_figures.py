"""The figures of a comparison: means over seeds with their bands, and intervals in rows.

Not here: how a figure is drawn (`nearfuture.lab.page.charts`), single runs (`figures`), the page (`study_page`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nearfuture.lab.page.charts import Chart, Look, Row, Series, draw_rows, looks, plotted
from nearfuture.lab.page.page import Figure, Plotted
from nearfuture.lab.page.svg import DOTS, SOFT
from nearfuture.lab.report.pieces import smoothing, trailing_mean
from nearfuture.lab.study.claims import CLOCK_NAMES, Claim
from nearfuture.lab.study.comparison import Comparison
from nearfuture.lab.study.summary import LEVEL, MethodSummary, mean_curve
from nearfuture.record.clocks import Clock
from nearfuture.record.formats import rate
from nearfuture.record.held_out import CLOCKS
from nearfuture.stats.seeds import shade_over_seeds

DYNAMICS = {
    "npo/reward": ("On-policy reward", "mean reward of a step"),
    "npo/entropy": ("On-policy entropy", "nats per token"),
}
X_LABELS = {**CLOCK_NAMES, "step": "optimizer steps", "seconds": "seconds of training and collecting"}
BASE_LOOK = Look(SOFT, DOTS, False)
Looks = dict[str, Look]
NUM_POSITIONS = 61
THRESHOLDS = np.linspace(0, 1, 51)


def efficiency(summary: MethodSummary, look: Look, clock: Clock) -> Series:
    """Held-out pass rate of the kept path against a clock, up to the earliest end among the method's runs."""
    end = min(figures.curve.end(clock) for figures in summary.runs)
    xs = np.linspace(0.0, 0.0 if math.isnan(end) else end, NUM_POSITIONS)
    values = np.stack([figures.curve.at(clock, xs) for figures in summary.runs])
    return Series(summary.method, look, xs, shade_over_seeds(values, LEVEL), has_band=look.is_strong)


def dynamics(summary: MethodSummary, look: Look, key: str) -> Series | None:
    """A metric at every step: each run's trailing mean, averaged over seeds; None if a run did not write it."""
    curves = [figures.run.records.curve(key) for figures in summary.runs]
    if not all(map(len, curves)):
        return None
    smoothed = [(curve.steps, trailing_mean(curve.values, smoothing(len(curve)))) for curve in curves]
    steps, band = mean_curve(smoothed)
    return Series(summary.method, look, steps.astype(np.float64), band)


def profile(summary: MethodSummary, look: Look) -> Series:
    """Share of runs and families above each threshold, up to the threshold that none exceeds."""
    band = summary.profile(THRESHOLDS)
    shown = np.flatnonzero(band[0] > 0)[-1] + 2 if (band[0] > 0).any() else 2
    return Series(summary.method, look, THRESHOLDS[:shown], band[:, :shown], has_band=look.is_strong)


def looks_of(comparison: Comparison) -> Looks:
    """The look of each method, the same in every figure."""
    strong = (side.method if side else None for side in (comparison.baseline, comparison.reference))
    return looks([summary.method for summary in comparison.summaries], *strong)


def level_figures(comparison: Comparison) -> Iterator[Figure]:
    """Mean@n and pass@k of each method, beside the untrained model's."""
    for k in dict.fromkeys((1, comparison.largest_k)):
        name = f"mean@{comparison.num_samples}" if k == 1 else f"pass@{k}"
        rows = [Row(summary.method, summary.mean(k)) for summary in comparison.summaries]
        base = comparison.study.base
        mark = None if base is None else base.mean(k)
        told = "" if mark is None else f"the dotted line is the untrained model, {rate(mark)}"
        drawing = draw_rows(rows, f"levels {k}", f"{name} of each method", mark=mark, is_difference=False)
        yield Figure(drawing, name, told)


def coverage_figure(comparison: Comparison, look: Looks) -> Plotted:
    """Pass@k against k (on a logarithmic axis, log2 k), the untrained model's too."""
    ks = powers(comparison.num_samples)
    xs = np.log2(ks)
    series = []
    for summary in comparison.summaries:
        band = shade_over_seeds(np.stack([summary.by_seed(k) for k in ks], axis=1), LEVEL)
        series.append(Series(summary.method, look[summary.method], xs, band, look[summary.method].is_strong))
    if comparison.study.base is not None:
        rates = np.array([comparison.study.base.mean(k) for k in ks])
        series.append(Series("untrained", BASE_LOOK, xs, np.stack([rates, rates, rates]), has_band=False))
    ticks = [(float(x), str(k)) for x, k in zip(xs, ks, strict=True)]
    chart = Chart("coverage", "Pass@k over k", "unbiased pass@k, mean over families", "samples k", ticks=ticks)
    return plotted([(chart, series)], "Pass@k", "over k")


def difference_figures(comparison: Comparison) -> Iterator[Figure]:
    """The reference minus each other method: on the test prompts, and at each equal cost."""
    against = comparison.against.values()
    panels = {f"mean@{comparison.num_samples} at the end": [found.mean for found in against]}
    for clock in CLOCKS:
        panels[f"held-out pass rate at equal {CLOCK_NAMES[clock]}"] = [found.at_equal[clock] for found in against]
    for name, claims in panels.items():
        if any(claim.difference.num for claim in claims):
            assert comparison.reference is not None
            yield Figure(_draw_claims(name, claims), f"{comparison.reference.method} minus each", name)


def _draw_claims(name: str, claims: Sequence[Claim]) -> str:
    rows = [Row(claim.other, claim.difference, claim.verdict) for claim in claims]
    return draw_rows(rows, f"differences {name}", name, mark=0.0, is_difference=True)


def efficiency_figure(comparison: Comparison, look: Looks) -> Plotted:
    """Held-out pass rate on every clock."""
    charts = []
    for clock in CLOCKS:
        series = [efficiency(summary, look[summary.method], clock) for summary in comparison.summaries]
        title = f"Held-out pass rate by {CLOCK_NAMES[clock]}"
        charts.append((Chart(title, title, "share of samples that were correct", X_LABELS[clock], axis=clock), series))
    return plotted(charts, "Held-out pass rate")


def profile_figure(comparison: Comparison, look: Looks) -> Plotted:
    """Performance profiles."""
    series = [profile(summary, look[summary.method]) for summary in comparison.summaries]
    ticks = [(float(at), f"{at:.1f}") for at in np.arange(0, 1.01, 0.2) if at <= max(s.xs[-1] for s in series)]
    above, x_label = "share of runs and families above it", f"mean@{comparison.num_samples}"
    chart = Chart("profile", "Performance profiles", above, x_label, has_names=False, ticks=ticks)
    return plotted([(chart, series)], "Performance profiles", "share of runs and families above a level")


def dynamics_figures(comparison: Comparison, look: Looks, key: str) -> Iterator[Plotted]:
    """A small panel per method, with the baseline behind it."""
    name, unit = DYNAMICS[key]
    baseline = comparison.baseline
    others = [summary for summary in comparison.summaries if summary is not baseline] or comparison.summaries
    has_baseline = baseline is not None and others is not comparison.summaries
    behind = [dynamics(baseline, look[baseline.method], key)] if baseline is not None and has_baseline else []
    own = [dynamics(summary, Look(look[summary.method].colour, "solid", True), key) for summary in others]
    drawn = [found for found in (*behind, *own) if found is not None]
    for found in own:
        if found is not None:
            chart = Chart(f"{key} {found.name}", f"{name} of {found.name}", unit, "step", is_small=True, axis="step")
            yield plotted([(chart, [one for one in (*behind, found) if one is not None])], found.name, beside=drawn)


def weighting_figures(shown: Sequence[MethodSummary], look: Looks, label: str) -> Iterator[Plotted]:
    """Reward and entropy of methods that differ in the weighting of guided tokens: figure 4(c) of the paper."""
    for key, (name, unit) in DYNAMICS.items():
        series = [dynamics(summary, look[summary.method], key) for summary in shown]
        chart = Chart(f"{name} {label}", name, unit, "step", axis="step")
        yield plotted([(chart, [found for found in series if found is not None])], name)


def powers(largest: int) -> list[int]:
    """Return 1, 2, 4 ... up to a number, and the number itself.

    Example:
        >>> powers(10)
        [1, 2, 4, 8, 10]
    """
    return sorted({*(2**i for i in range(int(math.log2(largest)) + 1)), largest})
