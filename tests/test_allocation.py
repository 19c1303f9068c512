"""Where the samples of a guide go: the chances by hand, the order, the budget, and a resume."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.guidance.allocation import Chances
from nearfuture.guidance.draws import BatchResult, Draws


def drawn(draws: Draws, rates: list[float], seed: int = 0) -> list[BatchResult]:
    """Draw until nothing is left, each prompt being solved at its rate."""
    rng, results = random.Random(seed), []
    while numbers := draws.next_batch():
        verdicts = ["correct" if rng.random() < rates[number] else "wrong" for number in numbers]
        pairs = zip(numbers, verdicts, strict=True)
        correct = [(number, [number]) for number, verdict in pairs if verdict == "correct"]
        results.append(BatchResult(draws.num_batches, numbers, [1] * len(numbers), verdicts, correct, 0.0))
        draws.observe(results[-1])
    return results


def adaptive(num_prompts: int, num_samples: int, chances: Chances | None = None, batch_size: int = 4) -> Draws:
    return Draws(num_prompts, num_samples, batch_size, 1, chances or Chances([0] * num_prompts))


def test_the_chances_by_hand() -> None:
    """m = (1 + 1) / (16 + 2); the kind a has 1 of 8, b 0 of 8; each counts for two tries of a prompt of its own."""
    chances = Chances(["a", "a", "b"], {0: (1, 8), 2: (0, 8)})
    mean = 2 / 18
    rate_a, rate_b = (1 + 2 * mean) / 10, 2 * mean / 10
    assert chances.of(0) == pytest.approx((1 + 2 * rate_a) / 10)
    assert chances.of(1) == pytest.approx(rate_a) and chances.of(1, 2) == pytest.approx(rate_a / 2)
    assert chances.of(2) == pytest.approx(2 * rate_b / 10)


def test_a_prompt_solved_once_in_eight_comes_before_one_that_failed_64_times() -> None:
    draws = adaptive(3, 1, Chances([0] * 3, {0: (0, 64), 2: (1, 8)}), batch_size=1)
    assert draws.next_batch() == [2]


def test_where_nothing_is_known_the_order_is_even() -> None:
    draws = adaptive(4, 2, batch_size=4)
    assert draws.next_batch() == [0, 1, 2, 3]
    assert [len(result.prompts) for result in drawn(adaptive(4, 2), [0.0] * 4)] == [4, 4]


def test_samples_that_a_solved_prompt_leaves_go_to_others() -> None:
    draws = adaptive(4, 2)
    drawn(draws, [1.0, 0.0, 0.0, 0.0])
    assert draws.num_drawn[0] == 1 and sum(draws.num_drawn) == 8


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(1, 7),
    st.integers(0, 10),
)
def test_no_more_than_the_budget_and_a_solved_prompt_is_done(
    rates: list[float], num_samples: int, batch_size: int, seed: int
) -> None:
    kinds = [i % 3 for i in range(len(rates))]
    draws = adaptive(len(rates), num_samples, Chances(kinds), batch_size)
    results = drawn(draws, rates, seed)
    assert sum(draws.num_drawn) <= num_samples * len(rates)
    for number, found in enumerate(draws.candidates):
        last = max((result.index for result in results if number in result.prompts), default=0)
        solved = [result.index for result in results if number in [prompt for prompt, _ in result.correct]]
        assert len(set(solved)) <= 1 and (not solved or solved[0] == last) and len(found) >= len(set(solved))


def test_a_resumed_collection_draws_the_same() -> None:
    rates = [0.1 * i for i in range(10)]
    kinds = [i // 5 for i in range(10)]
    whole = drawn(adaptive(10, 3, Chances(kinds)), rates)
    again = adaptive(10, 3, Chances(kinds))
    for result in whole[:3]:
        again.observe(result)
    assert again.next_batch() == whole[3].prompts
