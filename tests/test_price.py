"""The price of a way back: gain and price by hand, the choice between them, and what holds for any candidates."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.method import price, rollback
from nearfuture.method.price import Terms, expected_gain, price_of, slope_of
from nearfuture.method.rollback import Candidate, Guard

AT = 100
select = partial(price.select_worth, min_prompts=8, min_quality=0.02)
TERMS = Terms(factor=0.5, num_samples=4, num_generations=2, slope=0.002)


def candidate(distance: int, gain: float, cost: float, quality: float = 0.3) -> Candidate:
    return Candidate(distance, AT - distance, 20, quality, 1.0, gain, cost)


STAY, NEAR, FAR = candidate(0, 0.01, 0.0), candidate(10, 0.05, 0.02), candidate(40, 0.06, 0.08)


def test_the_gain_by_hand() -> None:
    """Of two prompts asked 4 times one was solved; a group of 2, half of it correct, has no answer in a quarter."""
    counts = (np.array([4, 4]), np.array([1, 0]))
    assert expected_gain(TERMS, 0.4, counts, np.zeros(2), 1.0) == pytest.approx(0.5 * 0.4 * 0.5)
    assert expected_gain(TERMS, 0.4, counts, np.array([0.5, 0.5]), 1.0) == pytest.approx(0.5 * 0.4 * 0.5 * 0.25)
    assert expected_gain(TERMS, 0.4, counts, np.zeros(2), 2.0) == pytest.approx(0.05)


def test_an_answer_to_what_is_solved_anyway_is_no_news() -> None:
    assert expected_gain(TERMS, 1.0, (np.array([4]), np.array([4])), np.ones(1), 1.0) == 0.0


def test_a_prompt_that_could_not_be_judged_says_nothing() -> None:
    judged = (np.array([4, 0]), np.array([4, 0]))
    assert expected_gain(TERMS, 1.0, judged, np.zeros(2), 1.0) == pytest.approx(0.5)
    assert math.isnan(expected_gain(TERMS, 1.0, (np.array([0]), np.array([0])), np.zeros(1), 1.0))


def test_a_time_out_on_one_prompt_leaves_the_others_as_they_are() -> None:
    whole = expected_gain(TERMS, 1.0, (np.full(64, 4), np.ones(64, int)), np.zeros(64), 1.0)
    judged = np.array([*[4] * 63, 1])
    assert expected_gain(TERMS, 1.0, (judged, np.ones(64, int)), np.zeros(64), 1.0) == pytest.approx(whole)
    assert expected_gain(TERMS, 1.0, (np.full(8, 2), np.ones(8, int)), np.zeros(8), 1.0) == pytest.approx(0.5)


def test_the_price_is_what_the_steps_would_have_brought() -> None:
    assert price_of(TERMS, 30) == pytest.approx(0.06) and price_of(TERMS, 0) == 0.0
    assert price_of(Terms(0.5, 4, 2, slope=-0.01), 30) == 0.0  # a plateau: steps cost nothing
    assert slope_of([4, 6, 8, 10], [0.1, 0.2, 0.3, 0.4]) == pytest.approx(0.05)
    assert slope_of([4, 6], [0.1, 0.2]) == 0.0


def test_the_largest_difference_is_taken() -> None:
    choice = select([FAR, STAY, NEAR])
    assert choice.candidate is NEAR  # 0.03, where staying brings 0.01 and going far back loses 0.02
    assert "Distance 10 is expected to bring +0.05 of pass rate, and the run would have gained 0.02" in choice.reason
    assert "Staying is expected to bring +0.01 of pass rate and costs no step" in select([STAY]).reason


def test_on_a_steep_curve_it_stays_and_on_a_plateau_it_goes_far() -> None:
    steep = [candidate(0, 0.01, 0.0), candidate(10, 0.05, 0.05), candidate(40, 0.06, 0.2)]
    flat = [candidate(0, 0.01, 0.0), candidate(10, 0.05, 0.0), candidate(40, 0.06, 0.0)]
    assert select(steep).candidate is steep[0] and select(flat).candidate is flat[2]


def test_equal_worth_takes_the_smaller_distance() -> None:
    assert select([candidate(20, 0.5, 0.25), candidate(10, 0.375, 0.125)]).candidate.rollback_distance == 10  # type: ignore[union-attr]


def test_nothing_that_is_worth_its_price_is_said_with_its_numbers() -> None:
    choice = select([candidate(10, 0.01, 0.05), candidate(20, 0.02, 0.1)])
    assert choice.candidate is None and choice.guard is Guard.PRICE
    assert "Nothing is worth its price. Distance 10 is expected to bring +0.01" in choice.reason


def test_the_other_guards_hold_here_as_well() -> None:
    assert select([]).guard is Guard.NO_CHECKPOINT
    assert select([candidate(10, 0.05, 0.0, quality=0.0)]).guard is Guard.GUIDE_TOO_WEAK
    assert select([NEAR, FAR], blocked_steps={90}).guard is Guard.PRICE  # what is left costs more than it brings


def test_a_row_of_an_event_has_gain_and_price() -> None:
    row = NEAR.as_row()
    assert (row["expected_gain"], row["price"]) == (0.05, 0.02)
    assert Candidate(10, 90, 20, 0.3, 1.0).as_row()["expected_gain"] is None


lists = st.lists(
    st.builds(candidate, st.integers(0, 90), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    max_size=8,
    unique_by=lambda one: one.rollback_distance,
)


@given(lists)
def test_no_allowed_candidate_is_worth_more_than_the_choice(candidates: list[Candidate]) -> None:
    choice = select(candidates)
    allowed = [one for one in candidates if rollback.excluded(one, rollback.Limits(8, 0.02, ())) is None]
    best = max((one.worth for one in allowed), default=0.0)
    if choice.candidate is None:
        assert best <= 0.0 and choice.guard is not None
    else:
        assert choice.candidate.worth == best > 0.0
