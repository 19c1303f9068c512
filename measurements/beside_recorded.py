"""Arms that were run later, beside the GRPO of a recorded comparison with the same settings and seeds.

What it does: the test rates of every run, whole and by family, and what happened in it; then each arm minus GRPO of the
same seed, with Student's 95 % interval over seeds.

What it leaves out: running the arms (`nearfuture compare STUDY.yaml --methods ...`).

    python measurements/beside_recorded.py runs/real/compare measurements/results/real/comparison.json \\
        --output measurements/results/real/arms.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from plateau import PLAIN, interval
from plateau_arms import what_happened
from printed import print_lines

from nearfuture.lab.study.results import Study, StudyRun

Rates = dict[str, float]


def rates_of(run: StudyRun) -> Rates:
    """Test rates: of all prompts, and of each family."""
    return {"all": run.test.mean(), **dict(zip(run.test.families, run.test.pass_at(1).tolist(), strict=True))}


def recorded(path: Path) -> dict[int, Rates]:
    """Test rates of GRPO in a recorded comparison, by seed."""
    known = json.loads(path.read_text())
    names = {"all": f"mean@{known['num_samples']}", **{name: f"{name}/mean" for name in known["families"]}}
    return {
        run["seed"]: {name: run[key] for name, key in names.items()} for run in known["runs"] if run["method"] == PLAIN
    }


def table(folder: Path, beside: Path) -> Iterator[str]:
    """Line by line."""
    study, grpo = Study.load(folder), recorded(beside)
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
