"""Did plain GRPO stop rising, did going back lift it, and where? From the folders of a finished comparison.

What it does: for each seed, GRPO's slope over the last steps (held out, points per 100 steps) and its entropy; then NPO
late minus GRPO at the same total steps: held out (mean of the last evaluations) and on the test prompts, whole and by
family, with Student's interval over seeds; and the test prompts that only one of the two solves more often than not.

What it leaves out: running the comparison (`nearfuture compare configs/apprentice/plateau.yaml`); tokens and seconds,
which its own table has.

    python measurements/plateau.py runs/apprentice/plateau --output measurements/results/plateau/plateau.md
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from printed import print_lines

from nearfuture.stats.seeds import mean_over_seeds

OURS, PLAIN = "npo_late", "grpo"
LAST = 400
"""Steps at the end of a run that its slope and its level are taken from."""
SEEN = ("length-3", "length-4", "length-5", "length-6")
"""Families of the training prompts."""


def curve(run: Path, name: str) -> np.ndarray:
    """A metric over the total steps of the whole path, abandoned steps paid for: rows of (total step, value)."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return np.array([(row["total_steps"], row[name]) for row in rows if row.get(name) is not None])


def last_part(run: Path, name: str) -> np.ndarray:
    """The end of a curve."""
    points = curve(run, name)
    return points[points[:, 0] > points[-1, 0] - LAST]


def test_rates(run: Path) -> dict[str, tuple[str, float]]:
    """Family and pass rate of each test prompt."""
    prompts = json.loads((run / "test.json").read_text())["prompts"]
    return {row["prompt_id"]: (row["family"], row["num_correct"] / row["num_judged"]) for row in prompts}


def by_family(rates: dict[str, tuple[str, float]]) -> dict[str, float]:
    """Mean pass rate of each family, of the families that were trained on, and of all."""
    found: dict[str, list[float]] = defaultdict(list)
    for family, rate in rates.values():
        for name in (family, "all", *(["trained lengths"] if family in SEEN else [])):
            found[name].append(rate)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _alls(means: dict[Path, dict[str, float]]) -> dict[Path, float]:
    return {run: found["all"] for run, found in means.items()}


def interval(values: list[float]) -> str:
    """Mean and Student's 95 % interval over seeds."""
    found = mean_over_seeds(np.array(values))
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def table(study: Path) -> Iterator[str]:
    """Line by line."""
    seeds = [
        int(path.parent.name.split("-")[1])
        for path in sorted(study.glob(f"{OURS}-*/test.json"))
        if (study / path.parent.name.replace(OURS, PLAIN) / "test.json").exists()
    ]
    pairs = {seed: (study / f"{OURS}-{seed}", study / f"{PLAIN}-{seed}") for seed in seeds}
    yield f"# Going back from a plateau, {len(seeds)} seeds\n"
    yield f"Written by `measurements/plateau.py`. Held out: mean of the evaluations of the last {LAST} total steps.\n"
    yield "| seed | GRPO per 100 steps | entropy: GRPO, NPO late | held out: GRPO, NPO late | test: GRPO, NPO late |"
    yield "|---|---|---|---|---|"
    held, families = [], defaultdict(list)
    won = lost = 0
    for seed, (ours, plain) in pairs.items():
        at = {run: last_part(run, "eval/pass_rate") for run in (ours, plain)}
        slope = 100 * np.polyfit(*at[plain].T, 1)[0]
        level = {run: float(points[:, 1].mean()) for run, points in at.items()}
        entropy = {run: float(last_part(run, "entropy")[:, 1].mean()) for run in at}
        rates = {run: test_rates(run) for run in at}
        means = {run: by_family(found) for run, found in rates.items()}
        held.append(level[ours] - level[plain])
        for name in means[ours]:
            families[name].append(means[ours][name] - means[plain][name])
        for prompt_id, (_, rate) in rates[ours].items():
            other = rates[plain][prompt_id][1]
            won, lost = won + (rate > 0.5 >= other), lost + (other > 0.5 >= rate)
        cells = (f"{found[plain]:.3f}, {found[ours]:.3f}" for found in (entropy, level, _alls(means)))
        yield f"| {seed} | {slope:+.3f} | {' | '.join(cells)} |"
    yield "\nNPO late minus GRPO at equal total steps, mean and 95 % interval over seeds:\n"
    yield "| | |\n|---|---|"
    yield f"| held out | {interval(held)} |"
    for name in ("all", "trained lengths", *sorted(set(families) - {"all", "trained lengths"})):
        yield f"| test: {name} | {interval(families[name])} |"
    yield f"\nTest prompts solved in more than half of their samples by NPO late alone: {won}; by GRPO alone: {lost}."


def main() -> None:
    """Print the tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print_lines(table(options.study), options.output)


if __name__ == "__main__":
    main()
