"""Means over clustered questions and what is inferred from them: hand numbers, enumeration, limit cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from nearfuture.stats.clusters import (
    Units,
    difference,
    estimate,
    mean_difference,
    mean_estimate,
    standard_error,
    weighted_means,
)
from nearfuture.stats.resampling import draw_resamples
from nearfuture.stats.significance import detectable_difference, sign_flip_test


def units(values: list[float], strata: list[int] | None = None, clusters: list[int] | None = None) -> Units:
    strata = strata or [0] * len(values)
    clusters = list(range(len(values))) if clusters is None else clusters
    num_strata = max(strata) + 1
    weights = np.full(num_strata, 1 / num_strata)
    return Units(np.array(values), np.array(strata), np.array(clusters), weights, max(clusters) + 1)


def resamples(of: Units, num: int = 4000) -> np.ndarray:
    return draw_resamples(of.num_clusters, num, np.random.default_rng(0))


def test_a_metric_is_the_mean_of_its_strata() -> None:
    found = units([1, 0, 1, 1, 0, 0], strata=[0, 0, 1, 1, 1, 1])  # 1/2 and 1/2, whatever their sizes
    assert weighted_means(found, np.ones((1, 6)))[0] == pytest.approx(0.5)
    found = units([1, 1, 1, 0, 0, 0], strata=[0, 0, 1, 1, 1, 1])  # (1 + 1/4) / 2
    assert weighted_means(found, np.ones((1, 6)))[0] == pytest.approx(0.625)
    assert found.terms().sum() == pytest.approx(0.625)


def test_a_resample_counts_whole_clusters() -> None:
    found = units([1, 1, 0], clusters=[0, 0, 1])
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    assert weighted_means(found, weights) == pytest.approx([2 / 3, 1.0, 0.0, 6 / 7])


def test_standard_error_by_hand() -> None:
    """Four questions, 1 1 0 0: e = +-1/8, se^2 = 4/3 * 4/64 = 1/12. In two clusters of equals: 2 * 2/16 = 1/4."""
    assert standard_error(units([1, 1, 0, 0])) == pytest.approx(math.sqrt(1 / 12))
    assert standard_error(units([1, 1, 0, 0], clusters=[0, 0, 1, 1])) == pytest.approx(math.sqrt(1 / 4))
    assert math.isnan(standard_error(units([1, 0], clusters=[0, 0])))


def test_clusters_of_equal_questions_are_as_good_as_one_question_each() -> None:
    values = np.random.default_rng(1).integers(2, size=40).astype(float)
    single = units(values.tolist())
    fivefold = units(values.repeat(5).tolist(), clusters=np.arange(40).repeat(5).tolist())
    assert standard_error(fivefold) == pytest.approx(standard_error(single))
    low, high = (estimate(of, resamples(of)) for of in (single, fivefold))
    assert (low.low, low.high) == pytest.approx((high.low, high.high))


def test_the_interval_is_about_two_standard_errors_wide() -> None:
    found = units((np.random.default_rng(2).random(400) < 0.7).astype(float).tolist())
    estimated = estimate(found, resamples(found))
    assert (estimated.high - estimated.low) / 2 == pytest.approx(1.96 * standard_error(found), rel=0.08)


def test_nothing_right_is_not_certainly_nothing() -> None:
    zeros, ones = (estimate(units([value] * 100), np.ones((2, 100))) for value in (0.0, 1.0))
    assert (zeros.low, zeros.high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 100)))
    assert (ones.low, ones.high) == pytest.approx((0.025 ** (1 / 100), 1.0))
    assert math.isnan(estimate(units([0.0]), np.ones((2, 1))).low)


@pytest.mark.parametrize("num_strata", [1, 24, 28, 29, 30, 49])
def test_all_right_is_not_certainly_all(num_strata: int) -> None:
    strata = np.repeat(np.arange(num_strata), 2)
    units = Units(
        np.ones(len(strata)), strata, np.arange(len(strata)), np.full(num_strata, 1 / num_strata), len(strata)
    )
    found = estimate(units, np.ones((1, len(strata))))
    assert found.value == found.high == 1.0 and found.low < 1.0


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=10))
def test_the_sign_flip_test_counts_all_flips(differences: list[int]) -> None:
    terms = np.array(differences) / 37
    apart = [d for d in differences if d]
    sums = [
        sum(sign * d for sign, d in zip(signs, apart, strict=True))
        for signs in itertools.product((1, -1), repeat=len(apart))
    ]
    beyond = min(sum(s >= sum(apart) for s in sums), sum(s <= sum(apart) for s in sums))
    assert sign_flip_test(terms) == pytest.approx(min(1.0, 2 * beyond / len(sums)))


def test_for_single_samples_it_is_mcnemars_exact_test() -> None:
    """9 questions only the first solves, 2 only the second: a binomial test of 9 in 11."""
    found = units([1.0] * 9 + [-1.0] * 2 + [0.0] * 50)
    assert sign_flip_test(found.terms()) == pytest.approx(binomtest(9, 11).pvalue)


def test_many_clusters_are_tested_by_sampled_flips() -> None:
    """60 and 40 of 100 that differ: 0.0569 by the binomial."""
    terms = np.array([0.01] * 60 + [-0.01] * 40)
    assert sign_flip_test(terms) == pytest.approx(binomtest(60, 100).pvalue, abs=0.006)
    assert sign_flip_test(terms) == sign_flip_test(terms)


def test_a_model_beside_itself_differs_by_nothing_that_so_many_clusters_would_show() -> None:
    """An interval of width 0 would say that no other question could tell two models apart."""
    for num in (5, 30):
        found, beyond = difference(units([0.0] * num), np.ones((3, num))), 1 - 0.025 ** (1 / num)
        assert (found.value, found.p_value) == (0.0, 1.0)
        assert (found.low, found.high) == pytest.approx((-beyond, beyond))
    assert math.isnan(difference(units([0.0]), np.ones((3, 1))).low)
    assert math.isnan(detectable_difference(standard_error(units([0.0] * 30))))


@pytest.mark.parametrize("least", [0.0, -1.0])
@pytest.mark.parametrize("value", [-1.0, 0.0, 0.25, 1.0])
def test_no_estimate_is_certain_because_its_units_are_alike(value: float, least: float) -> None:
    of = units([value] * 40) if value >= least else units([least] * 40)
    found = mean_estimate([(of, resamples(of, 50))], least=least)
    assert least <= found.low <= found.value <= found.high <= 1.0 and found.high - found.low > 0.01
    strata = units([1.0] * 3 + [0.0] * 3, strata=[0] * 3 + [1] * 3)  # a family solved, another not at all
    found = estimate(strata, resamples(strata, 50))
    assert found.value == 0.5 and found.low < 0.4 and found.high > 0.6
    single = units([1.0, 0.0, 1.0, 0.0], strata=[0, 1, 2, 3])  # one question a family
    assert estimate(single, resamples(single, 50)).high > 0.6


def test_a_benchmark_without_scatter_widens_the_mean_instead_of_narrowing_it() -> None:
    moves, stands = units([0.0, 1.0] * 50), units([0.0] * 4)
    parts = [(moves, resamples(moves)), (stands, resamples(stands))]
    both, alone = mean_estimate(parts), estimate(moves, resamples(moves))
    assert both.value == 0.25 and both.num == 104
    assert both.low == pytest.approx(0.25 - (alone.value - alone.low) / 2)  # below 0 is nothing
    assert both.high - 0.25 == pytest.approx(math.hypot((alone.high - alone.value) / 2, (1 - 0.025 ** (1 / 4)) / 2))


def test_under_no_difference_small_p_values_are_rare() -> None:
    generator = np.random.default_rng(3)
    p = [sign_flip_test(generator.choice([-1.0, 0.0, 1.0], 12), max_flips=5000) for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_the_mean_of_benchmarks_adds_their_terms() -> None:
    first, second = units([1.0, 0.0]), units([1.0, 1.0, -1.0, 1.0])
    found = mean_difference([(first, resamples(first, 50)), (second, resamples(second, 50))])
    assert found.value == pytest.approx((0.5 + 0.5) / 2)
    assert found.num == 6


def test_power_by_hand() -> None:
    """1.96 + 0.84 standard errors."""
    assert detectable_difference(1.0) == pytest.approx(2.8016, abs=1e-3)


def test_a_subset_with_a_question_or_two_per_family_has_no_interval() -> None:
    """Resamples that hold every family are then nearly the sample itself; their scatter would be next to nothing."""
    strata = np.array([0, 0, 1, 2, 3, 4, 5, 6])
    values = np.array([0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    few = Units(values, strata, np.arange(8), np.full(7, 1 / 7), 8)
    found = estimate(few, resamples(few, 500))
    assert found.value == pytest.approx(1.5 / 7) and math.isnan(found.low) and math.isnan(found.high)
