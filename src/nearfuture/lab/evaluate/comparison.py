"""Two policies on the same questions: paired differences, a sign-flip test, Holm's correction, detectable effects.

The primary endpoint is the mean over the suites; its p-value is not corrected. The p-values of the suites are corrected
for their number.

Not here: single policies (`scores`), methods over training seeds (`nearfuture.lab.study`). One training is one draw,
however many questions it answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nearfuture.lab.evaluate.scores import LEVEL, Score, as_arrays, numbering
from nearfuture.stats import clusters
from nearfuture.stats.clusters import Units
from nearfuture.stats.seeds import Estimate, holm
from nearfuture.stats.significance import detectable_difference
from nearfuture.types import UserError

Values = dict[str, Any]


def compare(label: str, scores: Sequence[Score], other: str, others: Sequence[Score]) -> Values:
    """Compare two policies that answered the same suites.

    Args:
        label: the policy's label.
        scores: its scores, one per suite.
        other: the other policy's label.
        others: its scores, in the same order.

    Returns:
        Plain values, `suites` by name and their `mean`: of each the difference with its interval and p-value, Holm's
        p-value over the suites (NaN for the mean), the smallest true difference found with a power of 80 %
        (`detectable`, NaN if they agree throughout or no interval can be given), and the units that one of the two
        left without a value (`num_lost`).

    Raises:
        UserError: nothing in a suite could be judged for both policies.
    """
    pairs = [_paired_units(a, b) for a, b in zip(scores, others, strict=True)]
    found = [clusters.difference(units, a.resamples, LEVEL) for a, units in zip(scores, pairs, strict=True)]
    adjusted = holm(np.array([one.p_value for one in found]))
    errors = [clusters.standard_error(units) for units in pairs]
    lost = [len(a.units) - len(units.values_U) for a, units in zip(scores, pairs, strict=True)]
    suites = {
        a.suite.name: _difference(one, error, float(p), num_lost)
        for a, one, error, p, num_lost in zip(scores, found, errors, adjusted, lost, strict=True)
    }
    mean = clusters.mean_difference([(u, s.resamples) for u, s in zip(pairs, scores, strict=True)], LEVEL)
    error = math.sqrt(sum(error**2 for error in errors)) / len(pairs)
    return {"policy": label, "other": other, "mean": _difference(mean, error), "suites": suites}


def _difference(found: Estimate, error: float, adjusted_p: float = math.nan, num_lost: int = 0) -> Values:
    detectable = math.nan if math.isnan(found.low) else detectable_difference(error)
    return {**asdict(found), "adjusted_p": adjusted_p, "detectable": detectable, "num_lost": num_lost}


def _paired_units(score: Score, other: Score) -> Units:
    """The differences between the units that both have."""
    values = [a.value - b.value for a, b in zip(score.units, other.units, strict=True)]
    found = as_arrays(score.units, values, numbering(score.suite))
    if found is None:
        raise UserError(
            f"{score.suite.name}: nothing of it could be judged for both policies, so they cannot be compared."
        )
    return found


def mean_score(scores: Sequence[Score]) -> Estimate:
    """The mean of a policy's numbers over suites; each suite is resampled separately."""
    parts = []
    for one in scores:
        units = as_arrays(one.units, [unit.value for unit in one.units], numbering(one.suite))
        assert units is not None
        parts.append((units, one.resamples))
    return clusters.mean_estimate(parts, LEVEL)
