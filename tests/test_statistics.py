"""Statistics over seeds: hand numbers, limit cases, parity with rliable, and intervals that cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nearfuture.stats import seeds
from nearfuture.stats.resampling import interval
from nearfuture.stats.seeds import (
    band_over_seeds,
    holm,
    interquartile_mean,
    mean_over_seeds,
    mean_ratio,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    resample_runs,
    resample_seeds,
)

# Five runs of one method and four of another, on three tasks. The numbers in the tests of parity were computed from
# these with rliable 1.2.0 (arch 7.2.0, numpy 2.4.6, pandas 2.3.3, scipy 1.17.1).
X = np.array([[0.10, 0.55, 0.30], [0.20, 0.60, 0.30], [0.15, 0.40, 0.90], [0.25, 0.50, 0.35], [0.05, 0.65, 0.45]])
Y = np.array([[0.12, 0.50, 0.30], [0.18, 0.45, 0.25], [0.15, 0.58, 0.20], [0.30, 0.35, 0.40]])

shares = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(0, 1))


def test_parity_with_rliable() -> None:
    assert interquartile_mean(X) == pytest.approx(0.36666666666666664)  # metrics.aggregate_iqm
    assert interquartile_mean(Y) == pytest.approx(0.3)
    assert optimality_gap(X) == pytest.approx(0.6166666666666667)  # metrics.aggregate_optimality_gap, gamma 1
    assert optimality_gap(Y, 0.5) == pytest.approx(0.19166666666666665)  # gamma 0.5
    assert probability_of_improvement(X, Y) == pytest.approx(0.6333333333333334)
    assert probability_of_improvement(Y, X) == pytest.approx(0.3666666666666667)
    profile = performance_profile(X, np.array([0.0, 0.15, 0.3, 0.5, 0.9]))  # library.create_performance_profile
    assert profile == pytest.approx([1.0, 0.8, 0.53333333, 0.26666667, 0.0])


def test_the_stratified_bootstrap_is_that_of_rliable() -> None:
    # library.get_interval_estimates: IQM of X with 50,000 resamples [0.3167, 0.4444], probability of improvement of X
    # over Y with 5,000 [0.4333, 0.825]. The estimates jump by 1/90 and 1/60, so that is how near two draws can be.
    generator = np.random.default_rng(0)
    assert interval(interquartile_mean(resample_runs(X, 20_000, generator))) == pytest.approx(
        (0.3167, 0.4444), abs=0.012
    )
    drawn = resample_runs(X, 5000, generator), resample_runs(Y, 5000, generator)
    assert interval(probability_of_improvement(*drawn)) == pytest.approx((0.4333, 0.825), abs=0.018)


def test_probability_of_improvement_is_mann_whitneys_u() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.integers(0, 4, (6, 5)) / 4, generator.integers(0, 4, (7, 5)) / 4  # many ties
    by_family = [stats.mannwhitneyu(x[:, f], y[:, f]).statistic / (6 * 7) for f in range(5)]
    assert probability_of_improvement(x, y) == pytest.approx(np.mean(by_family))


@given(shares)
def test_a_method_beside_itself_wins_half(scores: np.ndarray) -> None:
    assert probability_of_improvement(scores, scores) == pytest.approx(0.5)


@given(shares)
def test_the_interquartile_mean_lies_inside_and_moves_with_its_scores(scores: np.ndarray) -> None:
    middle = interquartile_mean(scores)
    assert scores.min() - 1e-12 <= middle <= scores.max() + 1e-12
    assert interquartile_mean(scores + 1.0) == pytest.approx(middle + 1.0)
    assert interquartile_mean(scores[::-1, ::-1]) == pytest.approx(middle)


def test_an_outlier_does_not_move_the_interquartile_mean() -> None:
    scores = np.array([[0.1, 0.2], [0.3, 0.4]])  # 4 scores: one is cut off on each side
    spoiled = np.array([[0.1, 0.2], [0.3, 400.0]])
    assert interquartile_mean(scores) == interquartile_mean(spoiled) == pytest.approx(0.25)


def test_a_missing_score_is_no_score() -> None:
    assert np.isnan(interquartile_mean(np.array([[0.1, np.nan], [0.3, 0.4]])))


@given(shares)
def test_a_profile_falls_and_its_area_is_the_mean(scores: np.ndarray) -> None:
    thresholds = (np.arange(1000) + 0.5) / 1000
    profile = performance_profile(scores, thresholds)
    assert (np.diff(profile) <= 0).all()
    assert profile.mean() == pytest.approx(scores.mean(), abs=2e-3)  # E[score] = integral of P(score > t)
    assert optimality_gap(scores) == pytest.approx(1 - scores.mean())


def test_students_interval_by_hand() -> None:
    # mean 0.3, s = 0.1581, s / sqrt(5) = 0.07071, t(4) = 2.7764: half width 0.1963; t = 4.2426
    found = mean_over_seeds(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.10368, 0.49632), abs=1e-5)
    assert found.p_value == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.3, 0.4, 0.5], 0).pvalue)
    band = band_over_seeds(np.array([[0.1, 7.0], [0.2, 7.0], [0.3, 7.0], [0.4, 7.0], [0.5, 7.0]]))
    assert band[:, 0] == pytest.approx((0.3, 0.10368, 0.49632), abs=1e-5)
    assert band[:, 1] == pytest.approx((7.0, 7.0, 7.0))


def test_one_seed_has_no_interval_and_no_seed_no_value() -> None:
    one, none = mean_over_seeds(np.array([0.4, np.nan])), mean_over_seeds(np.array([np.nan]))
    assert (one.value, one.num) == (0.4, 1) and np.isnan([one.low, one.high, one.p_value]).all()
    assert np.isnan(none.value) and none.num == 0
    assert not one.is_above_zero and not one.is_below_zero
    assert np.isnan(band_over_seeds(np.array([[0.4]]))[1:]).all()


def test_seeds_that_agree_by_chance_make_nothing_certain() -> None:
    same = mean_over_seeds(np.array([-38 / 1024, -38 / 1024]))
    assert same.value == -38 / 1024 and np.isnan([same.low, same.high, same.p_value]).all()
    assert np.isnan(mean_over_seeds(np.array([0.1 + 0.2, 0.3])).low)  # 0.30000000000000004
    nothing = mean_over_seeds(np.zeros(3))  # no difference in three seeds does not exclude one in the next
    assert nothing.value == 0 and np.isnan([nothing.low, nothing.high, nothing.p_value]).all()


def test_pairing_takes_out_what_seeds_share() -> None:
    seeds = np.random.default_rng(0).normal(0, 1.0, 8)
    noise = np.random.default_rng(1).normal(0, 0.01, 8)
    found = mean_over_seeds(seeds + 0.1 + noise - seeds)
    assert found.is_above_zero and found.high - found.low < 0.1
    assert found.value == pytest.approx(0.1 + noise.mean())
    unpaired = mean_over_seeds(seeds + 0.1 + noise)
    assert unpaired.high - unpaired.low > 10 * (found.high - found.low)


def test_a_ratio_and_its_inverse_are_one_estimate() -> None:
    ratios = np.array([1.2, 1.7, 0.9, 2.0])
    found, inverse = mean_ratio(ratios), mean_ratio(1 / ratios)
    assert inverse.value == pytest.approx(1 / found.value)
    assert (inverse.low, inverse.high) == pytest.approx((1 / found.high, 1 / found.low))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_adjustment_and_bonferroni(p_values: list[float]) -> None:
    p = np.array(p_values)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all() and (adjusted <= np.minimum(1, len(p) * p) + 1e-12).all()
    assert adjusted.min() == pytest.approx(min(1.0, len(p) * p.min()))
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()


def test_an_unknown_p_value_is_no_claim() -> None:
    assert holm(np.array([0.02, np.nan, 0.03])) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)


def test_a_seed_is_drawn_whole() -> None:
    scores = np.arange(12.0).reshape(4, 3)
    drawn = resample_seeds(scores, 50, np.random.default_rng(0))
    assert (drawn[0] == scores).all() and drawn.shape == (51, 4, 3)
    rows = {tuple(row) for row in scores}
    assert all(tuple(row) in rows for resample in drawn for row in resample)
    mixed = resample_runs(scores, 50, np.random.default_rng(0))
    assert (mixed % 3 == np.arange(3)).all()  # a score stays in its family
    assert any(tuple(row) not in rows for resample in mixed for row in resample)


NUM_SEEDS, NUM_FAMILIES, NUM_STUDIES = 5, 8, 1500


def studies(shared: float) -> np.ndarray:
    """Studies whose true mean is 0: seeds scatter by 1, of which a share is common to the families of a seed."""
    generator = np.random.default_rng(0)
    common = generator.normal(0, np.sqrt(shared), (NUM_STUDIES, NUM_SEEDS, 1))
    return common + generator.normal(0, np.sqrt(1 - shared), (NUM_STUDIES, NUM_SEEDS, NUM_FAMILIES))


def coverage(draw: object, scores: np.ndarray) -> float:
    """How often the percentile interval of the mean over runs and families holds the true mean."""
    generator = np.random.default_rng(1)
    intervals = [interval(draw(study, 400, generator).mean((1, 2))) for study in scores]  # type: ignore[operator]
    return float(np.mean([low <= 0 <= high for low, high in intervals]))


def test_the_intervals_claims_rest_on_hold_what_they_promise() -> None:
    # 1,500 studies: the standard error of a coverage of 0.95 is 0.006.
    for num_seeds in (2, 3, 5, 10):
        values = np.random.default_rng(num_seeds).normal(0.3, 0.05, (NUM_STUDIES, num_seeds))
        found = [mean_over_seeds(row) for row in values]
        assert np.mean([e.low <= 0.3 <= e.high for e in found]) == pytest.approx(0.95, abs=0.02)
        assert np.mean([mean_over_seeds(row - 0.3).p_value < 0.05 for row in values]) == pytest.approx(0.05, abs=0.02)


def test_percentile_bootstraps_of_few_seeds_cover_less_and_rliables_least_of_all() -> None:
    related, unrelated = studies(shared=0.8), studies(shared=0.0)
    assert coverage(resample_seeds, related) == pytest.approx(0.83, abs=0.03)
    assert coverage(resample_runs, related) == pytest.approx(0.475, abs=0.04)  # families are not new seeds
    assert coverage(resample_runs, unrelated) == pytest.approx(0.89, abs=0.03)  # what it was made for
    assert seeds.mean_over_seeds(related[0].mean(1)).num == NUM_SEEDS
