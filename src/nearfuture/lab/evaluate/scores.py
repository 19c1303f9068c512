"""The numbers of one policy on one suite: metrics with intervals, pass@k, and why responses were not judged.

A response that could not be judged (`timeout`, `crash`, `invalid_gold`) is neither right nor wrong and is left out of
the means. Bounds beside each number say what it would be if all of these had been wrong, or right.

Not here: two policies (`comparison`), the estimators (`nearfuture.stats.clusters`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from nearfuture.lab.evaluate.benchmarks import Unit
from nearfuture.lab.evaluate.responses import Answer
from nearfuture.lab.evaluate.suites import Suite
from nearfuture.method.signal import pass_at_k
from nearfuture.stats import clusters
from nearfuture.stats.clusters import Units
from nearfuture.stats.resampling import draw_resamples
from nearfuture.stats.seeds import Estimate
from nearfuture.types import UserError, Verdict

NUM_RESAMPLES = 2000
LEVEL = 0.95
SHOWN = 3

Correct = list[list[bool | None]]


@dataclass(frozen=True)
class Score:
    """What a policy scored.

    Attributes:
        suite: the questions.
        units: the units of the suite's metric, one per averaged item; the value is NaN if nothing was judged.
        resamples: [R, C] resamples of the clusters, the same for every policy, others for every suite.
        value: the number in the table.
        others: further metrics by name.
        pass_at: unbiased pass@k by k.
        bounds: the metric if every unjudged response had been wrong, and if it had been right.
        rates: the share of responses by verdict, and of truncated ones.
        num_responses: the number of responses.
        tokens: the number of tokens in all responses.
        invalid: uids of questions whose gold answer cannot be verified.
        samples: some questions with their answers (`samples.kept`).
    """

    suite: Suite
    units: list[Unit]
    resamples: NDArray[np.float64]
    value: Estimate
    others: dict[str, Estimate]
    pass_at: dict[int, Estimate]
    bounds: tuple[float, float]
    rates: dict[str, float]
    num_responses: int
    tokens: int
    invalid: tuple[str, ...]
    samples: Sequence[Mapping[str, Any]] = ()

    @property
    def num_clusters(self) -> int:
        """The number of clusters of questions, which are the independent draws."""
        return int(self.resamples.shape[1])


def score(suite: Suite, answers: Sequence[Sequence[Answer]]) -> Score:
    """Compute what a policy scored.

    Args:
        suite: the questions.
        answers: the answers to each question, equally many for all.

    Raises:
        UserError: not a single response could be judged.
    """
    flat = [answer for one in answers for answer in one]
    correct = [[_is_correct(answer) for answer in one] for one in answers]
    invalid = tuple(dict.fromkeys(a.uid for a in flat if a.verdict is Verdict.INVALID_GOLD))
    number = numbering(suite)
    resamples = draw_resamples(len(number), NUM_RESAMPLES, np.random.default_rng(crc32(suite.name.encode())))

    def estimated(units: Sequence[Unit]) -> Estimate:
        return estimate(units, number, resamples)

    metric, others = suite.benchmark.metric, suite.benchmark.others
    units = metric.units(suite.questions, correct)
    value = estimated(units)
    if math.isnan(value.value):
        raise UserError(_nothing_left(suite, flat, invalid))
    verdicts = Counter(answer.verdict for answer in flat)
    return Score(
        suite=suite,
        units=units,
        resamples=resamples,
        value=value,
        others={other.name: estimated(other.units(suite.questions, correct)) for other in others},
        pass_at={k: estimated(_pass_units(suite, correct, k)) for k in powers_of_two(len(answers[0]))},
        bounds=(_filled(suite, correct, number, False), _filled(suite, correct, number, True)),
        rates={
            "truncated": sum(answer.truncated for answer in flat) / len(flat),
            **{verdict.value: verdicts[verdict] / len(flat) for verdict in Verdict},
        },
        num_responses=len(flat),
        tokens=sum(answer.tokens for answer in flat),
        invalid=invalid,
    )


def estimate(units: Sequence[Unit], number: dict[str, int], resamples: NDArray[np.float64]) -> Estimate:
    """Estimate a metric from its units; NaN if none has a value."""
    found = as_arrays(units, [unit.value for unit in units], number)
    if found is None:
        return Estimate(math.nan, math.nan, math.nan, 0)
    return clusters.estimate(found, resamples, LEVEL)


def as_arrays(units: Sequence[Unit], values: Sequence[float], number: dict[str, int]) -> Units | None:
    """Turn the units with values into arrays that weight every stratum equally; None if no value is known.

    Args:
        units: the units of a metric.
        values: one value per unit: its own, or its difference from another policy's; a unit with NaN is left out.
        number: the number of each cluster.
    """
    known = [(unit, value) for unit, value in zip(units, values, strict=True) if not math.isnan(value)]
    if not known:
        return None
    strata = {name: index for index, name in enumerate(dict.fromkeys(unit.stratum for unit, _ in known))}
    return Units(
        values_U=np.array([value for _, value in known]),
        stratum_U=np.array([strata[unit.stratum] for unit, _ in known]),
        cluster_U=np.array([number[unit.cluster] for unit, _ in known]),
        weight_S=np.full(len(strata), 1.0 / len(strata)),
        num_clusters=len(number),
    )


def powers_of_two(num_samples: int) -> list[int]:
    """Return the values of k for pass@k: 1, 2, 4, ... up to 64 or the number of samples.

    Example:
        >>> powers_of_two(9)
        [1, 2, 4, 8]
    """
    return [2**i for i in range(7) if 2**i <= num_samples]


def numbering(suite: Suite) -> dict[str, int]:
    """Number the clusters of a suite."""
    return {name: index for index, name in enumerate(dict.fromkeys(question.cluster for question in suite.questions))}


def _is_correct(answer: Answer) -> bool | None:
    return answer.verdict is Verdict.CORRECT if answer.verdict.is_judged else None


def _pass_units(suite: Suite, correct: Correct, k: int) -> list[Unit]:
    """Return pass@k of each question, in the strata of the suite."""
    judged = np.array([sum(run is not None for run in runs) for runs in correct])
    right = np.array([sum(run is True for run in runs) for runs in correct])
    return [
        Unit(question.cluster, "all" if suite.over is None else question.fact(suite.over), float(value))
        for question, value in zip(suite.questions, pass_at_k(judged, right, k), strict=True)
    ]


def _filled(suite: Suite, correct: Correct, number: dict[str, int], with_: bool) -> float:
    filled = [[with_ if run is None else run for run in runs] for runs in correct]
    units = suite.benchmark.metric.units(suite.questions, filled)
    found = as_arrays(units, [unit.value for unit in units], number)
    return math.nan if found is None else float(found.terms().sum())


def _nothing_left(suite: Suite, flat: Sequence[Answer], invalid: tuple[str, ...]) -> str:
    counts = Counter(answer.verdict.value for answer in flat if not answer.verdict.is_judged)
    why = ", ".join(f"{count} {name}" for name, count in counts.items())
    named = f" Gold answers that cannot be verified: {', '.join(invalid[:SHOWN])}." if invalid else ""
    if not counts:
        metric = suite.benchmark.metric.name
        return f"{suite.name}: its metric {metric} has nothing to average. Raise --limit, or leave it out."
    return (
        f"{suite.name}: none of {len(flat)} responses could be judged ({why}).{named} Check the gold answers and kinds."
    )
