"""Arms that were run later, beside the GRPO of a recorded comparison with the same settings and seeds.

What it does: the test rates of every run, whole and by family, and what happened in it; then each arm minus GRPO of the
same seed, with Student's 95 % interval over seeds.

What it leaves out: running the arms (`nearfuture compare STUDY.yaml --methods ...`).

    python measurements/beside_recorded.py runs/real/compare measurements/results/real/comparison.json \\
        --output measurements/results/real/arms.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from plateau import PLAIN, interval, rates_of
from plateau_arms import recorded, what_happened
from printed import print_lines

from nearfuture.lab.study.results import Study


def table(folder: Path, beside: Path) -> Iterator[str]:
    """Line by line."""
    study = Study.load(folder)
    grpo = {seed: rates for (method, seed), rates in recorded(beside).items() if method == PLAIN}
    names = list(next(iter(grpo.values())))
    yield f"# Arms beside the GRPO of {beside.parent.name}\n"
    yield "Written by `measurements/beside_recorded.py`: pass rates on the test prompts.\n"
    yield f"| arm | seed | {' | '.join(names)} | total steps | what happened |\n|---|---|{'---|' * (len(names) + 2)}"
    for seed, rates in grpo.items():
        yield f"| {PLAIN}, recorded | {seed} | {' | '.join(f'{rates[name]:.3f}' for name in names)} | | |"
    for run in study.runs:
        rates, records = rates_of(run), run.records
        total = records.total_steps_at(records.head, records.last_step(records.head))
        shown = " | ".join(f"{rates[name]:.3f}" for name in names)
        yield f"| {run.method} | {run.seed} | {shown} | {total} | {what_happened(run)} |"
    yield "\nMinus GRPO of the same seed, mean and 95 % interval:\n"
    yield f"| arm | seeds | mean | {' | '.join(names)} |\n|---|---|---|{'---|' * len(names)}"
    for method in study.methods:
        runs = [run for run in study.of(method) if run.seed in grpo]
        if method == PLAIN or len(runs) < 2:
            continue
        ours = [rates_of(run) for run in runs]
        gaps = [
            interval([rates[name] - grpo[run.seed][name] for rates, run in zip(ours, runs, strict=True)])
            for name in names
        ]
        mean = np.mean([rates["all"] for rates in ours])
        yield f"| {method} | {len(runs)} | {mean:.3f} | {' | '.join(gaps)} |"


def main() -> None:
    """Print the tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("recorded", type=Path, help="comparison.json")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print_lines(table(options.study, options.recorded), options.output)


if __name__ == "__main__":
    main()
