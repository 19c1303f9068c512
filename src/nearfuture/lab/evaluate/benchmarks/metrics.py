"""The units of the metrics: questions, groups of questions that must all be right, composite problems, reliability.

Every function returns one unit per averaged item, in an order that depends on the questions alone, so that the units of
two models can be paired.

Not here: means and intervals over units (`nearfuture.stats.clusters`), We-Math's own score (`wemath`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from nearfuture.lab.evaluate.benchmarks.benchmark import Correct, Metric, Question, Unit

WHOLE = "all"


def accuracy(name: str = "accuracy", *, over: str | None = None) -> Metric:
    """The share of correct samples, averaged over questions; with `over`, over that fact's values, each alike.

    A question none of whose samples was judged is left out, and is counted elsewhere.
    """
    return Metric(name, partial(_questions, over=over))


def share_of(name: str, fact: str, *values: str) -> Metric:
    """Accuracy on the questions for which a fact has one of these values."""

    def units(questions: Sequence[Question], correct: Correct) -> list[Unit]:
        chosen = [index for index, question in enumerate(questions) if question.fact(fact) in values]
        return _questions([questions[i] for i in chosen], [correct[i] for i in chosen])

    return Metric(name, units)


def all_in_cluster(name: str) -> Metric:
    """The share of clusters whose questions are all right in the same run (sample j of each): CircularEval."""

    def units(questions: Sequence[Question], correct: Correct) -> list[Unit]:
        clusters: dict[str, list[Sequence[bool | None]]] = {}
        for question, runs in zip(questions, correct, strict=True):
            clusters.setdefault(question.cluster, []).append(runs)
        return [
            Unit(cluster, WHOLE, mean_of([_all_right(run) for run in zip(*members, strict=True)]))
            for cluster, members in clusters.items()
        ]

    return Metric(name, units)


def all_of(name: str, k: int) -> Metric:
    """How often k samples of a question are all correct: C(c, k) / C(n, k), without bias; NaN below k judged."""

    def units(questions: Sequence[Question], correct: Correct) -> list[Unit]:
        counted = [[run for run in runs if run is not None] for runs in correct]
        return [
            Unit(question.cluster, WHOLE, math.comb(sum(runs), k) / math.comb(len(runs), k))
            if len(runs) >= k
            else Unit(question.cluster, WHOLE, math.nan)
            for question, runs in zip(questions, counted, strict=True)
        ]

    return Metric(name, units)


def mean_of(values: Sequence[float | bool | None]) -> float:
    """The mean of the known values; NaN if there are none."""
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _questions(questions: Sequence[Question], correct: Correct, over: str | None = None) -> list[Unit]:
    strata = (WHOLE if over is None else question.fact(over) for question in questions)
    return [
        Unit(question.cluster, stratum, mean_of(runs))
        for question, stratum, runs in zip(questions, strata, correct, strict=True)
    ]


def _all_right(run: Sequence[bool | None]) -> bool | None:
    """False if any is wrong, even if others were not judged; None if the verdict depends on those."""
    if any(right is False for right in run):
        return False
    return None if any(right is None for right in run) else True
