"""The verifier on values printed in several notations: equal ones are correct, neighbours are not, either way round.

Not here: the generator (`answer_pairs`), ten thousand pairs (`measurements/verifiers.py`).
"""

from __future__ import annotations

from random import Random

import pytest
from answer_pairs import FAMILIES, Family, make_pair
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfuture.types import Verdict
from nearfuture.verify import Item, verify, verify_many

SETTINGS = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
families = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@families
@given(seed=st.integers(0, 2**32))
@SETTINGS
def test_two_notations_of_one_value_are_equal_both_ways(family: Family, seed: int) -> None:
    pair = make_pair(family, Random(seed), is_equal=True)
    both = [Item(f"\\boxed{{{pair.answer}}}", pair.gold, "math"), Item(f"\\boxed{{{pair.gold}}}", pair.answer, "math")]
    assert verify_many(both) == [Verdict.CORRECT] * 2, pair


@families
@given(seed=st.integers(0, 2**32))
@SETTINGS
def test_neighbours_are_unequal_both_ways(family: Family, seed: int) -> None:
    pair = make_pair(family, Random(seed), is_equal=False)
    both = [Item(f"\\boxed{{{pair.answer}}}", pair.gold, "math"), Item(f"\\boxed{{{pair.gold}}}", pair.answer, "math")]
    assert verify_many(both) == [Verdict.WRONG] * 2, pair


@given(seed=st.integers(0, 2**32), family=st.sampled_from(FAMILIES), other=st.sampled_from(FAMILIES))
@settings(SETTINGS, max_examples=30)
def test_a_hedge_earns_nothing(seed: int, family: Family, other: Family) -> None:
    right, wrong = make_pair(family, Random(seed), is_equal=True), make_pair(family, Random(seed), is_equal=False)
    for hedge in (f"{right.gold} \\text{{ or }} {wrong.answer}", f"{wrong.answer}; {right.gold}"):
        assert verify(f"\\boxed{{{hedge}}}", right.gold, kind="math") is not Verdict.CORRECT
    boxes = f"\\boxed{{{right.gold}}} or \\boxed{{{wrong.answer}}}"
    assert verify(boxes, right.gold, kind="math") is not Verdict.CORRECT


@given(text=st.text(max_size=40), kind=st.sampled_from(("math", "numeric", "mcq", "bool", "text", "list")))
@settings(SETTINGS, max_examples=80)
def test_no_text_breaks_it(text: str, kind: str) -> None:
    for response in (text, f"\\boxed{{{text}}}", f"<answer>{text}</answer>"):
        assert verify(response, text, kind=kind) not in (Verdict.CRASH, Verdict.TIMEOUT)


@given(text=st.text(alphabet="0123456789xyab+-*/^(){}[],.=<>\\%$ frtsqcpi", max_size=24))
@settings(SETTINGS, max_examples=80)
def test_what_looks_like_maths_is_judged_and_equals_itself(text: str) -> None:
    verdict = verify(f"<answer>{text}</answer>", text, kind="math")
    assert verdict in (Verdict.CORRECT, Verdict.NO_ANSWER, Verdict.INVALID_GOLD), verdict
