"""Laws of the signal's estimators: limit cases, exact second moments, enumeration, intervals that cover."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.lab.measure.signal_rows import anchor_rows
from nearfuture.method.signal import Floats, GuideSamples, coverage, effective_signal, pass_at_k, pass_rate
from nearfuture.method.variance_cost import (
    clipped_cost,
    effective_sample_size,
    kl_k1,
    kl_k3,
    kl_log_cost,
    mean_length,
    sequence_log_cost,
    token_cost,
)
from nearfuture.stats.fits import fit_power_law, fit_saturation
from nearfuture.stats.resampling import draw_resamples, find_maximum, interval, rank_correlation


def samples_of(log_ratios_N_T: Floats, num_prompts: int, correct_N: Floats | None = None) -> GuideSamples:
    """Samples of equal length, the same number a prompt."""
    num_samples, length = log_ratios_N_T.shape
    prompt_N = np.repeat(np.arange(num_prompts), num_samples // num_prompts)
    correct_N = np.zeros(num_samples) if correct_N is None else correct_N
    return GuideSamples(
        num_judged_P=np.bincount(prompt_N),
        num_correct_P=np.bincount(prompt_N, weights=correct_N).astype(np.int64),
        prompt_N=prompt_N,
        sample_K=np.repeat(np.arange(num_samples), length),
        log_ratios_K=log_ratios_N_T.reshape(-1),
    )


def itself(samples: GuideSamples) -> Floats:
    return np.ones((1, len(samples.num_judged_P)))


def test_a_guide_that_is_the_learner_costs_nothing_and_its_signal_is_its_quality() -> None:
    rng = np.random.default_rng(0)
    samples = samples_of(np.zeros((40, 7)), 10, rng.integers(0, 2, 40))
    rows = draw_resamples(10, 20, rng)
    for cost in (token_cost, clipped_cost):
        assert (cost(samples, rows) == 1.0).all()
    assert (effective_sample_size(samples, rows) == 1.0).all()
    quality = coverage(samples, 2, rows)
    for log_cost in (
        np.log(token_cost(samples, rows)),
        sequence_log_cost(samples, rows),
        kl_log_cost(kl_k1(samples, rows), length=mean_length(samples, rows)),
        kl_log_cost(kl_k3(samples, rows)),
    ):
        assert (log_cost == 0.0).all()
        assert (effective_signal(quality, log_cost) == quality).all()


def test_categorical_policies_give_their_exact_second_moments() -> None:
    rng = np.random.default_rng(1)
    q, p = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.35, 0.25])
    length = 3
    drawn = rng.choice(3, size=(400_000, length), p=q)
    samples = samples_of(np.log(p / q)[drawn], 100)
    second_moment = float((p**2 / q).sum())
    assert token_cost(samples, itself(samples))[0] == pytest.approx(second_moment, rel=2e-3)
    assert sequence_log_cost(samples, itself(samples))[0] == pytest.approx(length * math.log(second_moment), abs=5e-3)
    expected_ess = 1.0 / second_moment**length  # (E W)^2 / E W^2, with E W = 1
    assert effective_sample_size(samples, itself(samples))[0] == pytest.approx(expected_ess, rel=5e-3)
    kl = float((q * np.log(q / p)).sum())
    assert kl_k1(samples, itself(samples))[0] == pytest.approx(kl, rel=0.05)
    assert kl_k3(samples, itself(samples))[0] == pytest.approx(kl, rel=0.01)
    clipped = float((q * np.minimum(p / q, 1.2) ** 2).sum())
    assert clipped_cost(samples, itself(samples))[0] == pytest.approx(clipped, rel=2e-3)
    assert mean_length(samples, itself(samples))[0] == length


def test_categorical_second_moments_by_enumeration_without_sampling() -> None:
    """Every sequence once, with probabilities that are multiples of 1/10: the sample is the distribution."""
    q, p = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    counts = (10 * q).round().astype(int)
    tokens = np.repeat(np.arange(3), counts)
    drawn = np.array(list(itertools.product(tokens, tokens)))
    samples = samples_of(np.log(p / q)[drawn], 1)
    second_moment = float((p**2 / q).sum())
    assert token_cost(samples, itself(samples))[0] == pytest.approx(second_moment, rel=1e-12)
    assert sequence_log_cost(samples, itself(samples))[0] == pytest.approx(2 * math.log(second_moment), rel=1e-12)
    kl = float((q * np.log(q / p)).sum())
    assert kl_k1(samples, itself(samples))[0] == pytest.approx(kl, rel=1e-12)
    assert kl_k3(samples, itself(samples))[0] == pytest.approx(kl, rel=1e-12)


def test_gaussian_policies_have_the_cost_that_two_kl_predicts() -> None:
    """For p = N(s, 1), q = N(0, 1): KL = s^2 / 2 and E_q[(p/q)^2] = exp(s^2) = exp(2 KL), exactly."""
    rng = np.random.default_rng(2)
    shift = 0.4
    log_ratios = shift * rng.standard_normal((200_000, 1)) - shift**2 / 2
    samples = samples_of(log_ratios, 100)
    assert token_cost(samples, itself(samples))[0] == pytest.approx(math.exp(shift**2), rel=5e-3)
    for kl in (kl_k1, kl_k3):
        cost = np.exp(kl_log_cost(kl(samples, itself(samples))))[0]
        assert cost == pytest.approx(math.exp(shift**2), rel=5e-3)


def test_the_sequence_cost_does_not_overflow() -> None:
    samples = samples_of(np.array([[400.0, 400.0], [0.0, 0.0]]), 2)
    assert sequence_log_cost(samples, itself(samples))[0] == pytest.approx(1600 - math.log(2))
    assert effective_sample_size(samples, itself(samples))[0] == pytest.approx(0.5)


def test_tokens_count_alike_whatever_the_lengths() -> None:
    samples = GuideSamples(
        num_judged_P=np.array([1, 1]),
        num_correct_P=np.array([0, 1]),
        prompt_N=np.array([0, 1]),
        sample_K=np.array([0, 1, 1, 1]),
        log_ratios_K=np.array([1.0, 0.0, 0.0, 0.0]),
    )
    assert token_cost(samples, np.ones((1, 2)))[0] == pytest.approx((math.exp(2) + 3) / 4)
    assert mean_length(samples, np.ones((1, 2)))[0] == 2.0
    assert token_cost(samples, np.array([[2.0, 0.0], [0.0, 2.0]])) == pytest.approx([math.exp(2), 1.0])


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=30))
def test_k3_is_never_negative(log_ratios: list[float]) -> None:
    samples = samples_of(np.array(log_ratios)[:, None], 1)
    assert kl_k3(samples, itself(samples))[0] >= 0


@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_mean_over_all_choices_of_k(num_samples: int, data: st.DataObject) -> None:
    num_correct = data.draw(st.integers(0, num_samples))
    k = data.draw(st.integers(1, num_samples))
    outcomes = [1] * num_correct + [0] * (num_samples - num_correct)
    solved = [any(chosen) for chosen in itertools.combinations(outcomes, k)]
    estimate = pass_at_k(np.array([num_samples]), np.array([num_correct]), k)[0]
    assert estimate == pytest.approx(sum(solved) / len(solved), abs=1e-12)


def test_pass_at_k_of_too_few_samples_is_unknown_and_leaves_the_mean() -> None:
    assert np.isnan(pass_at_k(np.array([3]), np.array([3]), 4)).all()
    samples = GuideSamples(np.array([4, 1]), np.array([4, 0]), np.array([0]), np.array([0]), np.array([0.0]))
    assert coverage(samples, 4, np.ones((1, 2)))[0] == 1.0
    assert pass_rate(samples, np.ones((1, 2)))[0] == 0.5


def test_many_samples_do_not_lose_pass_at_k() -> None:
    assert pass_at_k(np.array([4096]), np.array([2048]), 1)[0] == pytest.approx(0.5)
    assert pass_at_k(np.array([4096]), np.array([1]), 2048)[0] == pytest.approx(0.5)


def test_intervals_cover_the_truth() -> None:
    """300 worlds with known Q, V and S: 95 % intervals hold the truth in about 95 of 100 (bounds are generous)."""
    rng = np.random.default_rng(3)
    num_prompts, num_samples, length, shift = 80, 8, 4, 0.3
    true_rate, true_cost = 0.25, math.exp(shift**2)  # Beta(1, 3) prompts; Gaussian ratios
    hits = {"quality": 0, "cost": 0, "signal": 0}
    for _ in range(300):
        rates = np.repeat(rng.beta(1, 3, num_prompts), num_samples)
        log_ratios = shift * rng.standard_normal((len(rates), length)) - shift**2 / 2
        samples = samples_of(log_ratios, num_prompts, (rng.random(len(rates)) < rates).astype(float))
        rows = draw_resamples(num_prompts, 200, rng)
        quality, cost = pass_rate(samples, rows), token_cost(samples, rows)
        signal = effective_signal(quality, np.log(cost))
        for name, values, truth in (
            ("quality", quality, true_rate),
            ("cost", cost, true_cost),
            ("signal", signal, true_rate / true_cost),
        ):
            low, high = interval(values)
            hits[name] += low <= truth <= high
    assert all(0.88 <= count / 300 <= 0.99 for count in hits.values()), hits


def test_paired_differences_are_narrower_than_unpaired_ones() -> None:
    rng = np.random.default_rng(4)
    rates = np.repeat(rng.beta(1, 1, 60), 16)
    first = samples_of(np.zeros((960, 1)), 60, (rng.random(960) < rates).astype(float))
    second = samples_of(np.zeros((960, 1)), 60, (rng.random(960) < rates).astype(float))
    rows, others = draw_resamples(60, 500, rng), draw_resamples(60, 500, rng)
    paired = interval(pass_rate(first, rows) - pass_rate(second, rows))
    unpaired = interval(pass_rate(first, rows) - pass_rate(second, others))
    assert paired[1] - paired[0] < 0.6 * (unpaired[1] - unpaired[0])


@pytest.mark.parametrize("solved", [0.0, 1.0])
def test_a_quality_without_scatter_is_certain_only_as_far_as_the_prompts_go(solved: float) -> None:
    """32 prompts, of which none or all are solved: 1 - 0.025^(1/32) may yet be otherwise."""
    num_prompts, beyond = 32, 1 - 0.025 ** (1 / 32)
    generator = np.random.default_rng(0)
    of = {d: samples_of(0.01 * d * generator.normal(size=(64, 3)), num_prompts, np.full(64, solved)) for d in (0, 5)}
    resamples_R_P = draw_resamples(num_prompts, 200, generator)
    own, guide = anchor_rows(of, {}, 2, resamples_R_P)["distances"]
    bounds = [solved - beyond * solved, solved + beyond * (1 - solved)]
    for row in (own, guide):
        assert row["quality"] == solved and row["quality_ci"] == pytest.approx(bounds)
        assert row["qualities"]["pass_rate"]["ci"] == pytest.approx(bounds)
    assert own["effective_signal_ci"] == pytest.approx(bounds) and own["qualities"]["coverage"]["gain_ci"] == [0, 0]
    assert guide["qualities"]["coverage"]["gain_ci"] == pytest.approx([-beyond, beyond])
    low, high = guide["effective_signal_ci"]
    assert low <= guide["effective_signal"] <= high and (low < 0.9 if solved else high > 0.1)


def test_resamples_begin_with_the_sample_itself() -> None:
    rows = draw_resamples(7, 5, np.random.default_rng(5))
    assert rows.shape == (6, 7) and (rows[0] == 1).all() and (rows.sum(1) == 7).all()
    assert interval(np.array([9.0, 1.0, 1.0, 1.0])) == (1.0, 1.0)
    assert all(math.isnan(value) for value in interval(np.array([9.0, np.nan])))


def test_a_maximum_is_interior_only_where_both_ends_are_clearly_lower() -> None:
    distances = np.array([0.0, 10.0, 20.0])
    noise = np.random.default_rng(6).normal(0, 0.01, (400, 3))
    inside = find_maximum(distances, np.array([0.1, 0.3, 0.2]) + noise)
    assert inside.is_interior and inside.distance == 10 and inside.interior_frac == 1 and inside.distance_ci == (10, 10)
    rising = find_maximum(distances, np.array([0.1, 0.2, 0.3]) + noise)
    assert not rising.is_interior and rising.distance == 20 and rising.interior_frac == 0
    unclear = find_maximum(distances, np.array([0.1, 0.2, 0.2]) + noise)
    assert not unclear.is_interior and 0.2 < unclear.interior_frac < 0.8
    nothing = find_maximum(distances, np.zeros((5, 3)))
    assert not nothing.is_interior and nothing.distance == 0


@pytest.mark.parametrize(("factor", "exponent"), [(0.03, 1.0), (0.001, 2.0), (0.2, 0.5)])
def test_the_power_law_recovers_its_exponent(factor: float, exponent: float) -> None:
    distances = np.array([0.0, 10.0, 20.0, 40.0, 80.0, 120.0])
    exact = factor * distances**exponent
    law = fit_power_law(distances, np.stack([exact, 2 * exact]))
    assert law.exponent_R == pytest.approx([exponent] * 2)
    assert law.factor_R == pytest.approx([factor, 2 * factor])
    rng = np.random.default_rng(7)
    noisy = exact * np.exp(rng.normal(0, 0.1, (500, 6)))
    low, high = interval(fit_power_law(distances, noisy).exponent_R)
    assert low < exponent < high and high - low < 0.4


def test_the_power_law_leaves_out_what_has_no_double_log() -> None:
    law = fit_power_law(np.array([0.0, 1.0, 2.0, 4.0, 8.0]), np.array([[0.0, -0.1, 2.0, 4.0, 8.0], [0, 0, 0, 1, 1]]))
    assert law.num_points == 3 and law.exponent_R[0] == pytest.approx(1.0) and math.isnan(law.exponent_R[1])


def test_saturation_recovers_its_scale_and_says_where_there_is_none() -> None:
    distances = np.array([0.0, 10.0, 20.0, 40.0, 80.0, 120.0])
    saturating = 0.05 + 0.65 * (1 - np.exp(-distances / 30))
    law = fit_saturation(distances, np.stack([saturating, 0.001 * distances]))
    assert law.start_R[0] == pytest.approx(0.05, abs=0.01) and law.end_R[0] == pytest.approx(0.70, abs=0.01)
    assert law.scale_R[0] == pytest.approx(30, rel=0.03)
    assert law.has_scale_R.tolist() == [True, False]  # a straight line has no scale


def test_rank_correlation() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(x, x**3) == 1.0 and rank_correlation(x, -x) == -1.0
    assert rank_correlation(x, np.array([1.0, 1.0, 2.0, 2.0])) == pytest.approx(2 / math.sqrt(5))
    assert math.isnan(rank_correlation(x, np.ones(4)))
    assert math.isnan(rank_correlation(x, np.array([1.0, np.nan, np.nan, 2.0])))
