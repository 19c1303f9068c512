"""Which form of V picks the distance at which learning is best? S of each form beside what training gave.

What it does: reads a finished `nearfuture compare configs/apprentice/distance.yaml`, measures Q, V and S at anchor 0 on
its GRPO runs (the very policies that guided the `ahead_D` runs of the same seed), and writes both side by side to a
Markdown file: a row per distance, mean over seeds, then, for each form, where S is highest, the gain at that distance,
and the rank correlation of S with the gain over distances.

What it leaves out: intervals of S (`measurements/signal_study.py`), and anchors other than 0.

    OMP_NUM_THREADS=1 python measurements/distance_choice.py runs/apprentice/distance      # 2 minutes a seed
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from printed import print_lines
from scipy.stats import spearmanr

from nearfuture.lab.measure.measurement import Scope
from nearfuture.lab.measure.run_signal import measure_signal
from nearfuture.lab.measure.signal_rows import LOG_COSTS
from nearfuture.train.hush import hush_libraries

OUTPUT = Path(__file__).parent / "results" / "distance.md"
GAINS = ("test mean@n", "held-out, equal step", "held-out, equal total steps")


def signal_of(folder: Path, seed: int, distances: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    """Measure a seed's GRPO run at anchor 0, by distance; the measurement stays in the folder."""
    path = folder / f"signal-{seed}.json"
    if not path.exists():
        scope = Scope(anchors=(0,), distances=distances, num_prompts=800, num_samples=16, num_gradients=0)
        path.write_text(json.dumps(measure_signal(folder / f"grpo-{seed}", scope), indent=1))
    rows = json.loads(path.read_text())["anchors"][0]["distances"]
    return {int(row["distance"]): row for row in rows}


def gains_of(comparison: dict[str, Any], distance: int) -> list[dict[str, Any]]:
    """What `ahead_D` gained over GRPO: on the test split, and held out at equal step and equal total steps."""
    beside = comparison["beside_baseline"][f"ahead_{distance}"]
    return [beside["mean"], beside["at_equal"]["step"], beside["at_equal"]["total_steps"]]


def tables(folder: Path) -> Iterator[str]:
    """Write the tables, line by line."""
    comparison = json.loads((folder / "report" / "comparison.json").read_text())
    rows = [row for row in comparison["runs"] if row["method"].startswith("ahead_")]
    distances = tuple(sorted({int(row["method"].removeprefix("ahead_")) for row in rows}))
    seeds = sorted({int(row["seed"]) for row in rows})
    signals = {seed: signal_of(folder, seed, distances) for seed in seeds}
    measure = next(key for key in rows[0] if re.fullmatch(r"mean@\d+", key))
    final = {(row["method"], row["seed"]): row[measure] for row in comparison["runs"]}
    gain_S_D = np.array([[final[f"ahead_{d}", s] - final["grpo", s] for d in distances] for s in seeds])
    yield "# The distance that S picks, and the distance that learning likes"
    yield ""
    k = json.loads((folder / f"signal-{seeds[0]}.json").read_text())["k"]
    yield (
        f"Written by `measurements/distance_choice.py`: seeds {', '.join(map(str, seeds))}, anchor 0, coverage at "
        f"k = {k}. Gains over GRPO of the same seed, mean over seeds; brackets are 95 % Student intervals."
    )
    yield ""
    yield from _head("D", "Q", *(f"S, V {name}" for name in LOG_COSTS), *GAINS)
    effective = {s: {d: row["effective_signals"]["coverage"] for d, row in signals[s].items()} for s in seeds}
    signal_F_S_D = {v: np.array([[effective[s][d][v]["value"] for d in distances] for s in seeds]) for v in LOG_COSTS}
    for i, d in enumerate(distances):
        quality = np.mean([signals[s][d]["qualities"]["coverage"]["value"] for s in seeds])
        means = [f"{signal_F_S_D[name][:, i].mean():.3g}" for name in LOG_COSTS]
        yield _row(d, f"{quality:.3f}", *means, *map(_with_ci, gains_of(comparison, d)))
    yield ""
    yield f"By seed: where S is highest, the gain ({measure}) there, and Spearman's correlation of S and gain over D."
    yield ""
    yield from _head("V", *(f"seed {s}: D, gain, correlation" for s in seeds))
    for name, effective_S_D in signal_F_S_D.items():
        cells = []
        for signal_D, gain_D in zip(effective_S_D, gain_S_D, strict=True):
            i = int(signal_D.argmax())
            cells.append(f"{distances[i]}, {gain_D[i]:+.3f}, {spearmanr(signal_D, gain_D).statistic:+.2f}")
        yield _row(name, *cells)
    best = [f"{distances[int(gain_D.argmax())]}, {gain_D.max():+.3f}" for gain_D in gain_S_D]
    yield _row("*learning itself*", *best)


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|" + " --- |" * len(cells)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _with_ci(claim: dict[str, Any]) -> str:
    if claim["ci_low"] is None:
        return f"{claim['difference']:+.3f}"
    return f"{claim['difference']:+.3f} [{claim['ci_low']:+.3f}, {claim['ci_high']:+.3f}]"


def main() -> None:
    """Measure what is missing and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the comparison")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    hush_libraries()
    print_lines(tables(options.folder), options.output)


if __name__ == "__main__":
    main()
