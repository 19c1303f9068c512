"""The arms of comparisons at the same number of total steps, on the test prompts too.

A run that goes back by itself pays for more steps than the others of its comparison. What it does: takes the last
checkpoint on its path at which no more than the horizon was paid for, samples the test prompts as the final evaluation
did, and shows them beside GRPO of the same seed at the same horizon: pass rate, pass@8, and which prompts only one of
the two solves in more than half of its samples. Held-out rates and entropy are means over the last steps before the
horizon. Student's 95 % interval over the seeds that both have.

What it leaves out: running the comparisons (`nearfuture compare configs/apprentice/one_epoch.yaml`). GRPO that is not
in their folders can be taken from another comparison, `--plain FOLDER`, whose runs may be longer, or from the record of
an earlier one, `--beside FILE`, which has test rates alone.

    OMP_NUM_THREADS=1 python measurements/equal_total_steps.py runs/apprentice/one_epoch \\
        --output measurements/results/one_epoch/arms.md
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from plateau import PLAIN, interval
from plateau_arms import recorded, what_happened
from printed import print_lines

from nearfuture.lab.study.folder import StudyFolder
from nearfuture.lab.study.results import Study, StudyRun, TestCounts, read_test
from nearfuture.lab.study.test_split import evaluate_final
from nearfuture.record.records import EVALUATION, Curve, RunRecords
from nearfuture.run.settings.load import load_configuration
from nearfuture.train.hush import hush_libraries

LAST = 400
ENTROPY = "npo/entropy"
Bools = NDArray[np.bool_]
Found = dict[tuple[str, int], tuple[StudyRun, "AtHorizon"]]


@dataclass(frozen=True)
class AtHorizon:
    """A run when `total_steps` had been paid for: at which step of its path, and its rates there and at its end.

    Attributes:
        step: of its path.
        total_steps: ever paid for there.
        held_out: pass rate, a mean over the last steps.
        entropy: the same.
        test: the test prompts there.
        test_at_end: those at the end of its path.
        total_at_end: steps paid for at the end.
    """

    step: int
    total_steps: int
    held_out: float
    entropy: float
    test: TestCounts
    test_at_end: TestCounts
    total_at_end: int

    @property
    def rates(self) -> Rates:
        """What it is compared by."""
        return Rates(self.test.mean(), self.held_out, self.test.mean(8), self.entropy, self.solved())

    def solved(self) -> Bools:
        """Which test prompts are solved in more than half of their samples, [P]."""
        return self.test.num_correct_P / self.test.num_judged_P > 0.5


@dataclass(frozen=True)
class Rates:
    """Test pass rate and, unless all that is left of a run is its record, the rest."""

    test: float
    held_out: float = float("nan")
    pass_8: float = float("nan")
    entropy: float = float("nan")
    solved_P: Bools | None = None


def at_horizon(run: StudyRun, folder: Path, horizon: int) -> AtHorizon:
    """Find the last checkpoint within the horizon, and sample the test prompts if it is not the end."""
    records = run.records
    total = records.total_steps_at(records.head, records.last_step(records.head))
    held_out, entropy = (last_mean(records, name, horizon) for name in (EVALUATION, ENTROPY))
    curve = records.curve(EVALUATION)
    if total <= horizon:
        return AtHorizon(int(curve.steps[-1]), total, held_out, entropy, run.test, run.test, total)
    within = paid_for(records, curve) <= horizon
    segment, step = int(curve.segments[within][-1]), int(curve.steps[within][-1])
    checkpoint = folder / f"{run.method}-{run.seed}" / records.segment(segment).checkpoint(step)
    test = test_counts(folder, f"{run.method}-{run.seed}", checkpoint, run.test.protocol["num_samples"])
    paid = records.total_steps_at(segment, step)
    return AtHorizon(step, paid, held_out, entropy, test, run.test, total)


def paid_for(records: RunRecords, curve: Curve) -> NDArray[np.int64]:
    """The total steps of every point of a curve."""
    points = zip(curve.segments.tolist(), curve.steps.tolist(), strict=True)
    return np.array([records.total_steps_at(*point) for point in points])


def last_mean(records: RunRecords, name: str, horizon: int) -> float:
    """The mean of a metric over the last steps within the horizon."""
    curve = records.curve(name)
    paid = paid_for(records, curve)
    found = curve.values[(paid <= horizon) & (paid > horizon - LAST)]
    return float(found.mean()) if len(found) else float("nan")


def test_counts(folder: Path, cell: str, checkpoint: Path, num_samples: int) -> TestCounts:
    """Sample the test prompts at a checkpoint, as in a final evaluation."""
    ours, base = (load_configuration(folder / f"{name}.yaml") for name in (cell, "base"))
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "final").symlink_to(checkpoint.resolve())
        moved = replace(ours, run=replace(ours.run, run_dir=Path(scratch)))
        evaluate_final(moved, base, num_samples, Path(scratch) / "test.json")
        return read_test(Path(scratch) / "test.json")


def found_in(folder: Path, horizon: int) -> Found:
    """Every run of a comparison at the horizon, by method and seed."""
    study = Study.load(folder)
    return {(run.method, run.seed): (run, at_horizon(run, StudyFolder(folder).path, horizon)) for run in study.runs}


def rates_of_grpo(beside: Path | None, others: Path | None, horizon: int) -> dict[int, Rates]:
    """GRPO that is not in the folders: as recorded, or at the horizon of another comparison, which goes first."""
    known = recorded(beside) if beside is not None else {}
    found = found_in(others, horizon) if others is not None else {}
    return {seed: Rates(rates["all"]) for (method, seed), rates in known.items() if method == PLAIN} | {
        seed: at.rates for (method, seed), (_, at) in found.items() if method == PLAIN
    }


def table(folders: Sequence[Path], horizon: int, grpo: dict[int, Rates]) -> Iterator[str]:
    """Line by line."""
    found: Found = {}
    for folder in folders:
        found |= found_in(folder, horizon)
    plain = grpo | {seed: at.rates for (method, seed), (_, at) in found.items() if method == PLAIN}
    yield f"# The arms at {horizon:,} total steps\n"
    yield "Written by `measurements/equal_total_steps.py`."
    yield f"Held out and entropy: mean over the last {LAST} total steps.\n"
    names = (
        "arm, seed, what happened, step of its path, total steps, held out, entropy, test, pass@8, at its end, total"
    )
    yield f"| {names.replace(', ', ' | ')} |\n|{'---|' * 11}"
    for (method, seed), (run, at) in found.items():
        shown = [at.held_out, at.entropy, at.test.mean(), at.test.mean(8), at.test_at_end.mean()]
        cells = (method, seed, what_happened(run), at.step, f"{at.total_steps:,}", *(f"{rate:.3f}" for rate in shown))
        yield f"| {' | '.join(map(str, cells))} | {at.total_at_end:,} |"
    for seed in sorted({seed for _, seed in found} & set(grpo)):
        shown = [grpo[seed].held_out, grpo[seed].entropy, grpo[seed].test, grpo[seed].pass_8]
        known = ("" if np.isnan(rate) else f"{rate:.3f}" for rate in shown)
        yield f"| {PLAIN}, of another folder | {seed} | nothing | | | {' | '.join(known)} | | |"
    yield "\nMinus GRPO of the same seed, mean and 95 % interval. Prompts: solved by the arm alone, by GRPO alone.\n"
    yield "| arm | seeds | test | pass@8 | held out | entropy | prompts | test at the end of its path |"
    yield "|---|---|---|---|---|---|---|---|"
    for method in dict.fromkeys(method for method, _ in found):
        pairs = [(at, plain[seed]) for (name, seed), (_, at) in found.items() if name == method and seed in plain]
        if method != PLAIN and len(pairs) > 1:
            yield f"| {method} | {len(pairs)} | {' | '.join(gaps(pairs))} |"


def gaps(pairs: Sequence[tuple[AtHorizon, Rates]]) -> Iterator[str]:
    """An arm minus GRPO, in one line of the second table."""
    for name in ("test", "pass_8", "held_out", "entropy"):
        differences = [getattr(at.rates, name) - getattr(rates, name) for at, rates in pairs]
        yield "not recorded" if np.isnan(differences).any() else interval(differences)
    both = [(at.solved(), rates.solved_P) for at, rates in pairs if rates.solved_P is not None]
    alone = (sum(int((a & ~b).sum()) for a, b in both), sum(int((b & ~a).sum()) for a, b in both))
    yield f"{alone[0]}, {alone[1]}" if len(both) == len(pairs) else "not recorded"
    yield interval([at.test_at_end.mean() - rates.test for at, rates in pairs])


def main() -> None:
    """Print the tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, nargs="+", help="folders of comparisons")
    parser.add_argument("--horizon", type=int, default=1400, help="total steps")
    parser.add_argument("--plain", type=Path, help="the folder of another comparison with GRPO")
    parser.add_argument("--beside", type=Path, help="the comparison.json of an earlier comparison with GRPO")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    hush_libraries()
    grpo = rates_of_grpo(options.beside, options.plain, options.horizon)
    print_lines(table(options.studies, options.horizon, grpo), options.output)


if __name__ == "__main__":
    main()
