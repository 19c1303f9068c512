"""The figures of the docs: held-out pass rate of a comparison's methods, against steps and against generated tokens.

What it does: reads a finished `nearfuture compare` and draws means over seeds with their 95 % Student bands.

What it leaves out: everything else the comparison's own page draws (`nearfuture report`).

    python measurements/figure.py runs/apprentice/compare --methods grpo exgrpo rlep npo_early autonpo
    python measurements/figure.py runs/apprentice/plateau --methods grpo self_imitation stay \
        --clocks total_steps tokens --output docs/images/plateau.svg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from nearfuture.lab.page.charts import Look
from nearfuture.lab.report.study_figures import efficiency
from nearfuture.lab.study.comparison import Comparison, compare
from nearfuture.record.clocks import Clock

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "comparison.svg"
PANELS: tuple[tuple[Clock, str, float], ...] = (
    ("step", "optimizer steps kept", 1),
    ("total_steps", "all optimizer steps, scouts and abandoned tails included", 1),
    ("tokens", "generated tokens, guides included (thousands)", 1e3),
)


def draw(axes: Axes, comparison: Comparison, methods: list[str], clock: Clock, unit: float) -> None:
    """Draw one panel: a line and a band a method, the name at the line's end."""
    summaries = {summary.method: summary for summary in comparison.summaries}
    for i, method in enumerate(methods):
        found = efficiency(summaries[method], Look(f"C{i}", "solid", True), clock)
        mean, low, high = found.band
        axes.fill_between(found.xs / unit, low, high, color=f"C{i}", alpha=0.12, linewidth=0)
        axes.plot(found.xs / unit, mean, color=f"C{i}", linewidth=1.8, label=method)
    axes.set(ylim=(0, None), xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the comparison")
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--clocks", nargs="+", choices=[clock for clock, _, _ in PANELS], help="default: all")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    chosen = [panel for panel in PANELS if options.clocks is None or panel[0] in options.clocks]
    comparison = compare(options.folder)
    plt.rcParams.update({"svg.hashsalt": "nearfuture", "font.size": 9, "svg.fonttype": "none"})
    figure, drawn = plt.subplots(1, len(chosen), figsize=(4 * len(chosen), 3.6), sharey=True, layout="constrained")
    panels = np.atleast_1d(drawn)
    for axes, (clock, label, unit) in zip(panels, chosen, strict=True):
        draw(axes, comparison, options.methods, clock, unit)
        axes.set_xlabel(label)
    panels[0].set_ylabel("held-out pass rate")
    panels[0].legend(frameon=False)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, metadata={"Date": None}, facecolor="white")
    print(options.output)


if __name__ == "__main__":
    main()
