"""How many times sooner does a method reach the held-out pass rate that GRPO has at a step? One row per seed.

What it does: reads a finished comparison, and writes for each method, seed by seed, the step and the total step at
which it first reached the level that the baseline has at `--at`, and the ratios with their geometric mean and 95 %
Student interval of its logarithm. Evaluations lie some steps apart; between two of them the curve is a straight line.

What it leaves out: any other level, tokens and seconds (the comparison's own page has both).

    nearfuture compare configs/apprentice/sparse.yaml run_dir=runs/apprentice/sparse    # 15 minutes on two cores
    python measurements/speed_up.py runs/apprentice/sparse --at 100 --output measurements/results/sparse.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from printed import print_lines

from nearfuture.lab.study.comparison import compare
from nearfuture.lab.study.summary import MethodSummary
from nearfuture.record.clocks import Clock
from nearfuture.record.held_out import HeldOutCurve, speed_up
from nearfuture.stats.seeds import mean_ratio

CLOCKS: tuple[Clock, ...] = ("step", "total_steps")


def table(folder: Path, at: int) -> Iterator[str]:
    """Write the table, line by line.

    Raises:
        ValueError: the comparison has no finished baseline, or it ends before `at`.
    """
    comparison = compare(folder)
    baseline = comparison.baseline
    if baseline is None:
        raise ValueError(f"{folder}: no method without a setting of its own is finished, and it is the baseline.")
    curves = {run.run.seed: run.curve for run in baseline.runs}
    if shortest := [seed for seed, curve in curves.items() if not curve.end("step") >= at]:
        raise ValueError(f"{baseline.method} with seed {shortest[0]} ends before step {at}.")
    yield f"# Steps to the held-out pass rate that {baseline.method} has at step {at}"
    yield ""
    yield f"Written by `measurements/speed_up.py --at {at}`; brackets are 95 % intervals over {len(curves)} seeds."
    yield ""
    yield f"| method | seed | level | {baseline.method} | step | times sooner | total step | times sooner |"
    yield "|---|---|---|---|---|---|---|---|"
    for summary in comparison.summaries:
        if summary is not baseline:
            yield from _rows(summary, curves, at)


def _rows(summary: MethodSummary, baselines: dict[int, HeldOutCurve], at: int) -> Iterator[str]:
    ratios: dict[Clock, list[float]] = {clock: [] for clock in CLOCKS}
    for run in summary.runs:
        seed, baseline = run.run.seed, baselines.get(run.run.seed)
        if baseline is None:
            continue
        level = float(baseline.at("step", np.array([float(at)]))[0])
        cells = [f"{level:.3f}", f"{baseline.first_at('step', level):.0f}"]
        for clock in CLOCKS:
            ratios[clock].append(speed_up(run.curve, baseline, clock, at / baseline.end("step")))
            cells += [_number(run.curve.first_at(clock, level), 0), _number(ratios[clock][-1], 2)]
        yield f"| {summary.method} | {seed} | {' | '.join(cells)} |"
    means = [_mean(np.array(ratios[clock])) for clock in CLOCKS]
    yield f"| {summary.method} | geometric mean | | | | {means[0]} | | {means[1]} |"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "never"


def _mean(ratios: np.ndarray) -> str:
    if not np.isfinite(ratios).all():
        return f"{int(np.isfinite(ratios).sum())} of {len(ratios)} reached it"
    found = mean_ratio(ratios, 0.95)
    return f"**{found.value:.2f}** [{found.low:.2f}, {found.high:.2f}]"


def main() -> None:
    """Print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the comparison")
    parser.add_argument("--at", type=int, required=True, help="step of the baseline whose level is to be reached")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print_lines(table(options.folder, options.at), options.output)


if __name__ == "__main__":
    main()
