"""Read back the contents of a study's folder with plain JSON: every run's records and its final evaluation.

Letters: P test prompts, F families, S seeds.

Not here: means and intervals (`nearfuture.stats.seeds`, `nearfuture.lab.report.study_page`). No torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nearfuture.lab.study.folder import BASE, Grid, StudyFolder
from nearfuture.method.signal import pass_at_k
from nearfuture.record.reading import Row, read_object
from nearfuture.record.records import RunRecords
from nearfuture.types import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TestCounts:
    """A final evaluation: correct and judged samples of each test prompt.

    Attributes:
        families: the families, in alphabetical order.
        family_P: [P] number of each prompt's family.
        num_correct_P: [P] correct samples.
        num_judged_P: [P] judged samples.
        protocol: the rest of `test.json`: split, number of samples, seed, sampling settings.
    """

    __test__ = False

    families: tuple[str, ...]
    family_P: Ints
    num_correct_P: Ints
    num_judged_P: Ints
    protocol: Row

    def pass_at(self, k: int) -> Floats:
        """Unbiased pass@k of each family, [F]; k = 1 is mean@n, the share of correct samples.

        A prompt with fewer than k judged samples is left out of the mean; see `num_short`.
        """
        solved_P = pass_at_k(self.num_judged_P, self.num_correct_P, k)
        return np.array([_mean(solved_P[self.family_P == family]) for family in range(len(self.families))])

    def mean(self, k: int = 1) -> float:
        """Mean of pass@k over families."""
        return _mean(self.pass_at(k))

    def num_short(self, k: int) -> int:
        """The number of prompts with fewer than k judged samples."""
        return int((self.num_judged_P < k).sum())


@dataclass(frozen=True)
class StudyRun:
    """One trained and evaluated run of a study."""

    method: str
    seed: int
    records: RunRecords
    test: TestCounts


@dataclass(frozen=True)
class Study:
    """The finished part of a study.

    Attributes:
        folder: its folder.
        grid: what was asked for.
        runs: the finished runs, in the order of the methods, then of the seeds.
        base: the untrained model, if it was evaluated.
        missing: the cells that are not finished, with what is known about them.
    """

    folder: StudyFolder
    grid: Grid
    runs: tuple[StudyRun, ...]
    base: TestCounts | None
    missing: dict[str, str]

    @classmethod
    def load(cls, path: Path) -> Study:
        """Read a study's folder.

        Raises:
            UserError: it is not a study, or none of its runs is finished.
        """
        folder = StudyFolder(path)
        grid = folder.read_grid()
        runs, missing = [], {}
        for method in grid.methods:
            for seed in grid.seeds(method):
                name = f"{method}-{seed}"
                if reason := _unfinished(folder, name, grid.test_num_samples):
                    missing[name] = reason
                    continue
                runs.append(StudyRun(method, seed, RunRecords.load(folder.run(name)), read_test(folder.test(name))))
        if not runs:
            raise UserError(
                f"none of the {len(grid.cells)} runs of {path} is trained and evaluated yet, and a comparison needs "
                "at least one. Run `nearfuture compare` (again), or look at the .log files there."
            )
        is_based = folder.is_evaluated(BASE, grid.test_num_samples)
        return cls(folder, grid, tuple(runs), read_test(folder.test(BASE)) if is_based else None, missing)

    @property
    def methods(self) -> list[str]:
        """The methods with a finished run, in the order of the grid."""
        return [method for method in self.grid.methods if self.of(method)]

    def of(self, method: str) -> list[StudyRun]:
        """Return the finished runs of a method, by seed."""
        return [run for run in self.runs if run.method == method]

    @property
    def families(self) -> tuple[str, ...]:
        """The families of the test prompts."""
        return self.runs[0].test.families

    @property
    def split(self) -> str:
        """The rows of the final evaluation: `test`, or `evaluation` if the task has no test rows."""
        return str(self.runs[0].test.protocol["split"])


def read_test(path: Path) -> TestCounts:
    """Read `test.json`.

    Raises:
        UserError: it is missing.
    """
    found = read_object(path)
    if not found:
        raise UserError(f"{path} is missing or empty: the run was not evaluated. Run `nearfuture compare` again.")
    prompts = found.pop("prompts")
    families = tuple(sorted({row["family"] for row in prompts}))
    return TestCounts(
        families=families,
        family_P=np.array([families.index(row["family"]) for row in prompts], dtype=np.int64),
        num_correct_P=np.array([row["num_correct"] for row in prompts], dtype=np.int64),
        num_judged_P=np.array([row["num_judged"] for row in prompts], dtype=np.int64),
        protocol=found,
    )


def _unfinished(folder: StudyFolder, name: str, num_samples: int) -> str:
    if not folder.run(name).exists():
        return "no run folder, its .log says why" if folder.log(name).exists() else "not begun"
    if not folder.is_trained(name):
        return "not trained to its horizon"
    return (
        ""
        if folder.is_evaluated(name, num_samples)
        else f"no final evaluation with {num_samples} samples per prompt of the length it trained with"
    )


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
