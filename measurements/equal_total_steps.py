"""The arms of a comparison at the same number of total steps, on the test prompts too.

A run that goes back by itself pays for more steps than the others of its comparison. What it does: takes the last
checkpoint on its path at which no more than the horizon was paid for, samples the test prompts as the final evaluation
did, and shows them beside the end of GRPO; held-out rates are the mean over the last evaluations before the horizon.
Student's 95 % interval over the seeds that both have.

What it leaves out: running the comparison (`nearfuture compare configs/apprentice/one_epoch.yaml`). GRPO that is not in
the folder can be taken from another comparison, `--plain FOLDER`, whose runs may be longer, or from the record of an
earlier one, `--beside FILE`, which has test rates alone.

    OMP_NUM_THREADS=1 python measurements/equal_total_steps.py runs/apprentice/one_epoch \\
        --output measurements/results/one_epoch/arms.md
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from plateau import PLAIN, interval
from plateau_arms import recorded, what_happened
from printed import print_lines

from nearfuture.lab.study.folder import StudyFolder
from nearfuture.lab.study.results import Study, StudyRun
from nearfuture.lab.study.test_split import evaluate_final
from nearfuture.record.records import EVALUATION
from nearfuture.run.settings.load import load_configuration
from nearfuture.train.hush import hush_libraries

LAST = 400
Grpo = dict[int, tuple[float, float]]
"""Held-out and test rate of GRPO, by seed."""


@dataclass(frozen=True)
class AtHorizon:
    """A run when `total_steps` had been paid for: at which step of its path, and its rates there and at its end."""

    step: int
    total_steps: int
    held_out: float
    test: float
    test_at_end: float
    total_at_end: int


def at_horizon(run: StudyRun, folder: Path, horizon: int) -> AtHorizon:
    """Find the last checkpoint within the horizon, and sample the test prompts if it is not the end."""
    records = run.records
    end = records.total_steps_at(records.head, records.last_step(records.head))
    curve = records.curve(EVALUATION)
    paid = np.array(
        [records.total_steps_at(*at) for at in zip(curve.segments.tolist(), curve.steps.tolist(), strict=True)]
    )
    within = paid <= horizon
    held_out = float(curve.values[within & (paid > horizon - LAST)].mean())
    if end <= horizon:
        return AtHorizon(int(curve.steps[-1]), end, held_out, run.test.mean(), run.test.mean(), end)
    segment, step = int(curve.segments[within][-1]), int(curve.steps[within][-1])
    checkpoint = folder / f"{run.method}-{run.seed}" / records.segment(segment).checkpoint(step)
    rate = test_rate(folder, f"{run.method}-{run.seed}", checkpoint, run.test.protocol["num_samples"])
    return AtHorizon(step, records.total_steps_at(segment, step), held_out, rate, run.test.mean(), end)


def test_rate(folder: Path, cell: str, checkpoint: Path, num_samples: int) -> float:
    """The mean over families of the share of correct samples, as in a final evaluation."""
    ours, base = (load_configuration(folder / f"{name}.yaml") for name in (cell, "base"))
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "final").symlink_to(checkpoint.resolve())
        moved = replace(ours, run=replace(ours.run, run_dir=Path(scratch)))
        rows = evaluate_final(moved, base, num_samples, Path(scratch) / "test.json")["prompts"]
    families = sorted({row["family"] for row in rows})
    rates = [[row["num_correct"] / row["num_judged"] for row in rows if row["family"] == name] for name in families]
    return float(np.mean([np.mean(rate) for rate in rates]))


def found_in(folder: Path, horizon: int) -> dict[tuple[str, int], tuple[StudyRun, AtHorizon]]:
    """Every run of a comparison at the horizon, by method and seed."""
    study = Study.load(folder)
    return {(run.method, run.seed): (run, at_horizon(run, StudyFolder(folder).path, horizon)) for run in study.runs}


def rates_of_grpo(beside: Path | None, others: Path | None, horizon: int) -> Grpo:
    """GRPO that is not in the folder: as recorded, or at the horizon of another comparison, which goes first."""
    known = recorded(beside) if beside is not None else {}
    found = found_in(others, horizon) if others is not None else {}
    return {seed: (float("nan"), rates["all"]) for (method, seed), rates in known.items() if method == PLAIN} | {
        seed: (at.held_out, at.test) for (method, seed), (_, at) in found.items() if method == PLAIN
    }


def table(folder: Path, horizon: int, grpo: Grpo) -> Iterator[str]:
    """Line by line."""
    found = found_in(folder, horizon)
    plain = grpo | {seed: (at.held_out, at.test) for (method, seed), (_, at) in found.items() if method == PLAIN}
    yield f"# The arms at {horizon:,} total steps\n"
    yield "Written by `measurements/equal_total_steps.py`."
    yield f"Held out: mean of the evaluations of the last {LAST} total steps.\n"
    yield "| arm | seed | what happened | step of the path | total steps | held out | test | at the end | total |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for (method, seed), (run, at) in found.items():
        cells = (method, seed, what_happened(run), at.step, at.total_steps, f"{at.held_out:.3f}", f"{at.test:.3f}")
        yield f"| {' | '.join(map(str, cells))} | {at.test_at_end:.3f} | {at.total_at_end:,} |"
    yield "\nMinus GRPO of the same seed, mean and 95 % interval:\n"
    yield "| arm | seeds | held out | test | test at the end of its path |\n|---|---|---|---|---|"
    for method in dict.fromkeys(method for method, _ in found):
        pairs = [(at, *plain[seed]) for (name, seed), (_, at) in found.items() if name == method and seed in plain]
        if method != PLAIN and len(pairs) > 1:
            held_out = [at.held_out - rate for at, rate, _ in pairs]
            gaps = (
                "not recorded" if np.isnan(held_out).any() else interval(held_out),
                interval([at.test - rate for at, _, rate in pairs]),
                interval([at.test_at_end - rate for at, _, rate in pairs]),
            )
            yield f"| {method} | {len(pairs)} | {' | '.join(gaps)} |"


def main() -> None:
    """Print the tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--horizon", type=int, default=1400, help="total steps")
    parser.add_argument("--plain", type=Path, help="the folder of another comparison with GRPO")
    parser.add_argument("--beside", type=Path, help="the comparison.json of an earlier comparison with GRPO")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    hush_libraries()
    grpo = rates_of_grpo(options.beside, options.plain, options.horizon)
    print_lines(table(options.study, options.horizon, grpo), options.output)


if __name__ == "__main__":
    main()
