"""Did plain GRPO stop rising, did going back lift it, and where? From the folder of a finished comparison.

What it does: for each seed, GRPO's slope over the last steps (held out, points per 100 steps) and its entropy; then NPO
late minus GRPO at the same total steps: held out (mean of the last evaluations) and on the test prompts, whole and by
family, with Student's interval over seeds; and the test prompts that only one of the two solves more often than not.

What it leaves out: running the comparison (`nearfuture compare configs/apprentice/plateau.yaml`); tokens and seconds,
which its own table has.

    python measurements/plateau.py runs/apprentice/plateau --output measurements/results/plateau/plateau.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from printed import print_lines

from nearfuture.lab.study.results import Study, StudyRun
from nearfuture.record.records import EVALUATION
from nearfuture.stats.seeds import mean_over_seeds

OURS, PLAIN = "npo_late", "grpo"
LAST = 400
"""Steps at the end of a run that its slope and its level are taken from; neither method goes back in them."""
SEEN = ("length-3", "length-4", "length-5", "length-6")
"""Families of the training prompts."""
Pair = tuple[StudyRun, StudyRun]


def last_part(run: StudyRun, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the end of a curve."""
    curve = run.records.curve(name)
    is_last = curve.steps > curve.steps[-1] - LAST
    return curve.steps[is_last], curve.values[is_last]


def level(run: StudyRun, name: str) -> float:
    """Mean of the end of a curve."""
    return float(last_part(run, name)[1].mean())


def rates_of(run: StudyRun) -> dict[str, float]:
    """Mean pass rate on the test prompts: of all, of each family."""
    return {"all": run.test.mean(), **dict(zip(run.test.families, run.test.pass_at(1).tolist(), strict=True))}


def family_rates(run: StudyRun) -> dict[str, float]:
    """The same, with those of trained lengths."""
    rates = rates_of(run)
    return {"all": rates["all"], "trained lengths": float(np.mean([rates[name] for name in SEEN])), **rates}


def solved(run: StudyRun) -> np.ndarray:
    """Which test prompts are solved in more than half of their samples."""
    return run.test.num_correct_P / run.test.num_judged_P > 0.5


def interval(values: Sequence[float]) -> str:
    """Mean and Student's 95 % interval over seeds."""
    found = mean_over_seeds(np.array(values))
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def row(ours: StudyRun, plain: StudyRun) -> str:
    """The line of a seed."""
    slope = 100 * np.polyfit(*last_part(plain, EVALUATION), 1)[0]
    pairs = (
        *((level(plain, name), level(ours, name)) for name in ("npo/entropy", EVALUATION)),
        (plain.test.mean(), ours.test.mean()),
    )
    return f"| {ours.seed} | {slope:+.3f} | " + " | ".join(f"{one:.3f}, {other:.3f}" for one, other in pairs) + " |"


def table(folder: Path) -> Iterator[str]:
    """Line by line."""
    study = Study.load(folder)
    plain = {run.seed: run for run in study.of(PLAIN)}
    pairs: list[Pair] = [(run, plain[run.seed]) for run in study.of(OURS) if run.seed in plain]
    yield f"# Going back from a plateau, {len(pairs)} seeds\n"
    yield f"Written by `measurements/plateau.py`. Held out: mean of the evaluations of the last {LAST} total steps.\n"
    yield "| seed | GRPO per 100 steps | entropy: GRPO, NPO late | held out: GRPO, NPO late | test: GRPO, NPO late |"
    yield "|---|---|---|---|---|"
    yield from (row(*pair) for pair in pairs)
    yield "\nNPO late minus GRPO at equal total steps, mean and 95 % interval over seeds:\n"
    yield "| | |\n|---|---|"
    yield f"| held out | {interval([level(ours, EVALUATION) - level(other, EVALUATION) for ours, other in pairs])} |"
    rates = [(family_rates(ours), family_rates(other)) for ours, other in pairs]
    for name in rates[0][0]:
        yield f"| test: {name} | {interval([ours[name] - other[name] for ours, other in rates])} |"
    won = sum(int((solved(ours) & ~solved(other)).sum()) for ours, other in pairs)
    lost = sum(int((solved(other) & ~solved(ours)).sum()) for ours, other in pairs)
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
