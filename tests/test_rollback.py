"""The choice of the rollback distance: hand numbers, every guard, and what holds for any candidates."""

from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.method import rollback
from nearfuture.method.rollback import Candidate, Guard

AT = 100
select = partial(rollback.select, min_prompts=8, min_quality=0.02, min_gain=1.05)


def candidate(distance: int, quality: float, cost: float, num_prompts: int = 20) -> Candidate:
    return Candidate(distance, AT - distance, num_prompts, quality, cost)


# S = 0.30, 0.40, 0.32: the paper's inverted U.
NEAR, MIDDLE, FAR = candidate(10, 0.30, 1.0), candidate(20, 0.48, 1.2), candidate(40, 0.80, 2.5)


def test_the_argmax_is_taken_where_nothing_is_against_it() -> None:
    choice = select([FAR, NEAR, MIDDLE])
    assert choice.candidate is MIDDLE and choice.guard is None
    assert choice.candidate.effective_signal == pytest.approx(0.4)


def test_a_slice_too_small_is_skipped_and_said() -> None:
    choice = select([NEAR, candidate(20, 0.48, 1.2, num_prompts=7), FAR])
    assert choice.candidate is FAR and choice.guard is Guard.TOO_FEW_PROMPTS
    assert "7 prompts probed, min_prompts=8" in choice.reason


def test_never_twice_at_the_same_place() -> None:
    choice = select([NEAR, MIDDLE, FAR], blocked_steps={80})
    assert choice.candidate is FAR and choice.guard is Guard.BLOCKED


def test_a_gain_of_less_than_five_percent_is_not_worth_the_longer_way() -> None:
    choice = select([NEAR, candidate(20, 0.31, 1.0)])
    assert choice.candidate is NEAR and choice.guard is Guard.GAIN_TOO_SMALL
    assert select([NEAR, candidate(20, 0.316, 1.0)]).candidate.rollback_distance == 20  # type: ignore[union-attr]
    assert select([NEAR, candidate(20, 0.31, 1.0)], min_gain=1.0).guard is None


def test_equal_signals_take_the_smaller_distance_without_a_guard() -> None:
    choice = select([candidate(40, 0.4, 1.0), candidate(20, 0.4, 1.0)])
    assert choice.candidate is not None and choice.candidate.rollback_distance == 20 and choice.guard is None


@pytest.mark.parametrize(
    ("candidates", "guard", "words"),
    [
        ([], Guard.NO_CHECKPOINT, "Save earlier"),
        ([candidate(10, 0.0, 1.0)], Guard.GUIDE_TOO_WEAK, "solves 0 of its slice, min_quality=0.02"),
        ([candidate(10, 0.9, math.inf)], Guard.GUIDE_TOO_WEAK, "V = inf leaves no signal"),
        ([candidate(10, math.nan, 1.0, num_prompts=0)], Guard.TOO_FEW_PROMPTS, "0 prompts probed"),
        ([candidate(10, math.nan, 1.0)], Guard.GUIDE_TOO_WEAK, "solves nan"),
    ],
)
def test_nothing_left_says_why(candidates: list[Candidate], guard: Guard, words: str) -> None:
    choice = select(candidates)
    assert choice.candidate is None and choice.guard is guard and words in choice.reason


def test_a_row_of_an_event_has_json_values_only() -> None:
    assert candidate(10, 0.9, math.inf).as_row()["variance_cost"] is None
    assert MIDDLE.as_row()["effective_signal"] == pytest.approx(0.4)


candidate_lists = st.lists(
    st.builds(
        candidate,
        st.integers(1, 90),
        st.floats(0, 1),
        st.floats(0.01, 1e3),
        st.integers(0, 30),
    ),
    max_size=8,
    unique_by=lambda candidate: candidate.rollback_distance,
)


@given(candidate_lists, st.sets(st.integers(10, 99), max_size=4))
def test_any_choice_obeys_the_guards_and_none_means_the_argmax(candidates: list[Candidate], blocked: set[int]) -> None:
    choice = select(candidates, blocked_steps=blocked)
    assert choice == select(candidates[::-1], blocked_steps=blocked)
    assert choice.reason
    if choice.candidate is None:
        assert choice.guard is not None
        return
    assert choice.candidate in candidates and choice.candidate.step not in blocked
    assert choice.candidate.num_prompts >= 8 and choice.candidate.quality >= 0.02
    best = max(candidate.effective_signal for candidate in candidates)
    assert (choice.guard is None) == (choice.candidate.effective_signal == best)


def test_a_guide_that_solves_nothing_is_called_that_even_where_no_quality_is_asked_for() -> None:
    choice = select([Candidate(4, 6, 20, 0.0, 1.5)], min_quality=0.0)
    assert choice.candidate is None and "the guide solves 0 of its slice" in choice.reason
