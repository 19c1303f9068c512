"""The figures of a decision: Q, V and S over the distance, both branches around the trigger, and its window.

Not here: the run's curves (`figures`), the sentences (`decision_words`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfuture.lab.page import svg
from nearfuture.lab.page.charts import Chart, Look, Series, plotted
from nearfuture.lab.page.page import Plotted
from nearfuture.lab.page.svg import DASHES, LEFT, dress
from nearfuture.lab.report.figures import Firing
from nearfuture.record.clocks import Clock, paid_at
from nearfuture.record.decisions import RunDecision
from nearfuture.record.records import EVALUATION, RunRecords
from nearfuture.record.yields import ENTROPY, Facts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL = svg.Box(300, 200, LEFT, 16, 24, 40)
FORMS = {
    "quality": "Q: pass rate on the slice",
    "variance_cost": "V: variance cost",
    "effective_signal": "S = Q / V",
}
BRANCHES = {EVALUATION: "share of samples that were correct", ENTROPY: "nats per token"}
GUIDED, TAIL = svg.colour(0), svg.colour(1)
NOTHING = np.empty(0)


def firings(records: RunRecords, decisions: Sequence[RunDecision], clock: Clock) -> list[Firing]:
    """Return where triggers fired, each with the steps (t - window, t] it looked at along its own path."""
    found = []
    for number, decision in enumerate(decisions, 1):
        if decision.seen is None:
            continue
        at = (decision.segment, decision.step)
        window = decision.seen["window"]
        spans = [] if window is None else _window(records, at, int(window))
        ends = [end for span in spans for end in span]
        paid = [float(value) for value in paid_at(records, clock, [at, *ends])]
        pairs = tuple(zip(paid[1::2], paid[2::2], strict=True))
        found.append(Firing(number, paid[0], pairs, decision.outcome == "went back"))
    return found


def _window(records: RunRecords, at: tuple[int, int], window: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the part of each segment on the path that lies in the window: ((segment, after), (segment, until))."""
    segment, step = at
    stretches = []
    for number, last in sorted(records.path_to(segment).items()):
        low = max(records.segment(number).start_step, step - window)
        if low < min(last, step):
            stretches.append(((number, low), (number, min(last, step))))
    return stretches


def draw_candidates(decision: RunDecision, number: int, form: str, min_prompts: int | None) -> str | None:
    """Draw Q, V or S over the distance, with the choice and the largest S marked; None if nothing is known.

    Hollow points have fewer than `min_prompts` prompts. Unknown or infinite values appear only in the table.
    """
    rows = [row for row in decision.candidates if row[form] is not None and row["rollback_distance"] is not None]
    if not rows:
        return None
    xs, ys = ([float(row[key] or 0) for row in rows] for key in ("rollback_distance", form))
    hollow = [is_thin(row, min_prompts) for row in rows]

    def paint(axes: Axes) -> None:
        low, high = min(ys), max(ys)
        is_far_from_zero = low > high / 2
        room = 0.12 * (high - low if is_far_from_zero else high) or 0.05
        limits = (max(0.0, low - room) if is_far_from_zero else 0.0, high + room)
        dress(axes, SMALL, (0, 1.06 * (max(xs) or 1)), limits, FORMS[form], "steps back")
        axes.plot(xs, ys, color=GUIDED, linewidth=1.6)
        for x, y, is_hollow in zip(xs, ys, hollow, strict=True):
            face = svg.PALETTE["paper"] if is_hollow else GUIDED
            axes.plot([x], [y], "o", color=GUIDED, markersize=6, markerfacecolor=face, clip_on=False, zorder=3)
        if decision.rollback_distance is not None:
            _mark(axes, rows, form, decision.rollback_distance, "chosen", 6 if form == "effective_signal" else -15)
        if decision.guard is not None and form == "effective_signal":
            overruled = max(rows, key=lambda row: (row[form] or 0.0, -(row["rollback_distance"] or 0)))
            _mark(axes, rows, form, int(overruled["rollback_distance"] or 0), decision.guard, -15)

    told = ", ".join(f"{x:.0f} steps: {y:.3g}" for x, y in zip(xs, ys, strict=True))
    choice = f" Chosen: {decision.rollback_distance}." if decision.rollback_distance is not None else " None chosen."
    guard = f" Guard: {decision.guard}." if decision.guard is not None else ""
    return svg.drawing(SMALL, f"{form} {number}", f"{FORMS[form]}. {told}.{choice}{guard}", "panel", paint)


def is_thin(candidate: Facts, min_prompts: int | None) -> bool:
    """True if fewer prompts were probed for a candidate than required, so that its Q is noise."""
    return min_prompts is not None and candidate["num_prompts"] is not None and candidate["num_prompts"] < min_prompts


def _mark(axes: Axes, rows: Sequence[dict[str, Any]], form: str, distance: int, words: str, above: float) -> None:
    """Circle the point of a distance and write beside it, a few pixels above."""
    row = next((row for row in rows if row["rollback_distance"] == distance), None)
    if row is None:
        return
    looks: dict[str, Any] = {"markersize": 12, "markerfacecolor": "none", "markeredgewidth": 1.6, "clip_on": False}
    axes.plot([distance], [row[form]], "o", markeredgecolor=TAIL, **looks, zorder=4)
    is_right = distance > 0.6 * axes.get_xlim()[1]
    x = distance + (-1 if is_right else 1) * 10 * axes.get_xlim()[1] / SMALL.inner_width
    low, high = axes.get_ylim()
    y = row[form] + above * (high - low) / SMALL.inner_height
    axes.text(x, y, words, color=TAIL, gid="value", ha="right" if is_right else "left", zorder=5)


def plot_branches(records: RunRecords, decision: RunDecision, number: int, key: str, name: str) -> Plotted:
    """A metric of the guided branch and of the abandoned tail around the step of the trigger.

    It reaches as far on both sides as the run went back.
    """
    assert decision.to_segment is not None and decision.to_step is not None
    reach = decision.step - decision.to_step
    between = (max(0, decision.to_step - reach), decision.step + reach)
    branches = [
        _branch(records, to, key, between, Series(name, look, NOTHING, NOTHING, is_marked=key == EVALUATION))
        for name, look, to in (
            ("abandoned tail", Look(TAIL, DASHES, is_strong=False), decision.segment),
            ("guided branch", Look(GUIDED, "solid", is_strong=True), decision.to_segment),
        )
    ]
    drawn = [branch for branch in branches if len(branch.xs)]
    stopped = "trigger" if decision.seen else "guide"
    places = ((decision.to_step, f"back to {decision.to_step}"), (decision.step, f"{stopped} {decision.step}"))
    lasts = ", ".join(f"{branch.name} to step {branch.xs[-1]:.0f}" for branch in drawn)
    title = f"{key} around step {decision.step} ({lasts})"
    chart = Chart(f"{key} branches {number}", title, BRANCHES[key], "optimizer step", x_limits=between, places=places)
    return plotted([(chart, drawn)], name, "on both branches")


def _branch(records: RunRecords, to: int, key: str, between: tuple[int, int], branch: Series) -> Series:
    """A metric on the path to the end of a segment; the text below states the noise between two branches."""
    values = {step: records.rows[at][key] for step, at in sorted(records.on_path(to, key).items())}
    shown = {step: value for step, value in values.items() if between[0] <= step <= between[1]}
    band = np.array([list(shown.values())] * 3, dtype=np.float64)
    return replace(branch, xs=np.array(list(shown), dtype=np.float64), band=band, has_band=False)
