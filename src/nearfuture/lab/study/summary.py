"""The numbers of a comparison: what each method reached and paid, with intervals over training seeds.

    main figure of a method = mean over seeds of the mean over families of mean@n, declared before any run

Letters: S seeds, F families, X positions of a curve.

Not here: one method against another (`claims`), files and sentences (`export`, `nearfuture.lab.report`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearfuture.lab.study.results import Study, StudyRun
from nearfuture.record.held_out import HeldOutCurve
from nearfuture.record.ledger import build_ledger
from nearfuture.stats import seeds
from nearfuture.stats.resampling import interval
from nearfuture.stats.seeds import Estimate, mean_over_seeds

Floats = NDArray[np.float64]
LEVEL = 0.95
NUM_RESAMPLES = 2000
RESAMPLING_SEED = 0
LAST_STEPS = 20
COSTS = (
    *("kept_steps", "steps", "scout_steps", "abandoned_steps", "rollout_tokens", "guide_tokens", "generated_tokens"),
    *("trained_tokens", "train_seconds", "collect_seconds", "eval_seconds", "recomputed_steps"),
)


@dataclass(frozen=True)
class Aggregate:
    """An aggregate over runs and families, with two bootstrap intervals.

    Attributes:
        value: the value over all runs.
        by_seed: the interval from resampling whole seeds: the one to read, because one policy answers every family.
        by_run: rliable's interval, which resamples every family of every seed separately; None if one is enough.
    """

    value: float
    by_seed: tuple[float, float]
    by_run: tuple[float, float] | None = None


@dataclass(frozen=True)
class RunFigures:
    """The numbers that one run adds to a comparison."""

    run: StudyRun
    curve: HeldOutCurve
    ledger: dict[str, Any]
    costs: dict[str, float]
    final_entropy: float

    @property
    def seconds(self) -> float:
        """Seconds of training and collecting, without evaluation and start-up."""
        return self.costs["train_seconds"] + self.costs["collect_seconds"]

    @property
    def step(self) -> int:
        """The last step of the head's path."""
        return self.run.records.last_step(self.run.records.head)

    @property
    def num_interventions(self) -> int:
        """The number of segments that began by going back."""
        return sum(segment.intervention is not None for segment in self.run.records.segments)


class MethodSummary:
    """One method over its seeds."""

    def __init__(self, study: Study, method: str) -> None:
        self.method = method
        self.settings = study.grid.methods[method]
        self.runs = [figures_of(run) for run in study.of(method)]
        self.families = study.families
        self._scores: dict[int, Floats] = {}

    @property
    def seeds(self) -> list[int]:
        """Seeds of the finished runs, in ascending order."""
        return [figures.run.seed for figures in self.runs]

    def scores(self, k: int) -> Floats:
        """Pass@k of every seed on every family, [S, F]; k = 1 is mean@n."""
        if k not in self._scores:
            self._scores[k] = np.stack([figures.run.test.pass_at(k) for figures in self.runs])
        return self._scores[k]

    def by_seed(self, k: int) -> Floats:
        """Mean over families, [S]."""
        return self.scores(k).mean(1)

    def mean(self, k: int = 1) -> Estimate:
        """The main figure for k = 1, and pass@k for larger k."""
        return mean_over_seeds(self.by_seed(k), LEVEL)

    def family(self, k: int, family: int) -> Estimate:
        """The same as `mean`, on one family."""
        return mean_over_seeds(self.scores(k)[:, family], LEVEL)

    def cost(self, key: str) -> float:
        """Mean over seeds of a sum in the ledger; NaN if a run did not write it."""
        return float(np.mean([figures.costs[key] for figures in self.runs]))

    @property
    def seconds(self) -> float:
        """Mean over seeds of the time for training and collecting."""
        return float(np.mean([figures.seconds for figures in self.runs]))

    @property
    def num_interventions(self) -> float:
        """Mean over seeds of the number of interventions."""
        return float(np.mean([figures.num_interventions for figures in self.runs]))

    @property
    def final_entropy(self) -> Estimate:
        """On-policy entropy over the last steps."""
        return mean_over_seeds(np.array([figures.final_entropy for figures in self.runs]), LEVEL)

    @cached_property
    def resampled(self) -> tuple[Floats, Floats]:
        """Mean@n of resampled runs, by whole seeds and by single runs, [R, S, F] each; row 0 is the original sample."""
        scores_S_F = self.scores(1)
        draws = (np.random.default_rng(RESAMPLING_SEED) for _ in range(2))
        by_seed = seeds.resample_seeds(scores_S_F, NUM_RESAMPLES, next(draws))
        return by_seed, seeds.resample_runs(scores_S_F, NUM_RESAMPLES, next(draws))

    @cached_property
    def resampled_apart(self) -> Floats:
        """The first of `resampled` by other draws, for a statistic of two methods over all pairs of their runs."""
        return seeds.resample_seeds(self.scores(1), NUM_RESAMPLES, np.random.default_rng(RESAMPLING_SEED + 1))

    @property
    def interquartile_mean(self) -> Aggregate:
        """Interquartile mean of mean@n."""
        return aggregate(*(seeds.interquartile_mean(drawn) for drawn in self.resampled))

    @property
    def optimality_gap(self) -> Aggregate:
        """Optimality gap: how far mean@n falls short of 1."""
        return aggregate(*(seeds.optimality_gap(drawn) for drawn in self.resampled))

    def profile(self, thresholds_X: Floats) -> Floats:
        """Performance profile with its bounds, [3, X]: share of runs and families above each threshold."""
        shares_R_X = seeds.performance_profile(self.resampled[0], thresholds_X)
        return np.concatenate([shares_R_X[:1], np.quantile(shares_R_X[1:], [0.025, 0.975], axis=0)])


def figures_of(run: StudyRun) -> RunFigures:
    """Read what a run paid and where it ended."""
    ledger = build_ledger(run.records)
    costs = {key: math.nan if ledger["totals"][key] is None else float(ledger["totals"][key]) for key in COSTS}
    entropy = run.records.curve("npo/entropy").values[-LAST_STEPS:]
    final_entropy = float(entropy.mean()) if len(entropy) else math.nan
    return RunFigures(run, HeldOutCurve(run.records), ledger, costs, final_entropy)


def aggregate(by_seed_R: Floats, by_run_R: Floats | None = None) -> Aggregate:
    """Combine an aggregate's resamples; without an interval if all are equal, as with one seed."""
    by_run = None if by_run_R is None else _interval(by_run_R)
    return Aggregate(float(by_seed_R[0]), _interval(by_seed_R), by_run)


def _interval(values_R: Floats) -> tuple[float, float]:
    low, high = interval(values_R, LEVEL)
    return (math.nan, math.nan) if low == high else (low, high)


def summarise(study: Study) -> list[MethodSummary]:
    """Summarise every method with a finished run, in the order of the grid."""
    return [MethodSummary(study, method) for method in study.methods]


def mean_curve(values_S: Sequence[tuple[Any, Any]]) -> tuple[NDArray[np.int64], Floats]:
    """Average the curves of several seeds over the steps that all of them have.

    Args:
        values_S: [S] steps and values of each seed.

    Returns:
        The steps [X], and mean, lower and upper bound [3, X] of the shade (`shade_over_seeds`).
    """
    common = sorted(set.intersection(*(set(map(int, steps)) for steps, _ in values_S)))
    found = [dict(zip(map(int, steps), values, strict=True)) for steps, values in values_S]
    values_S_X = np.array([[values[step] for step in common] for values in found], dtype=np.float64)
    return np.array(common, dtype=np.int64), seeds.shade_over_seeds(values_S_X, LEVEL)
