"""Laws of the gate, and the advantage arithmetic (reconstruction.md 1.6) that follows from one guided slot."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.method.gate import pass_rate, select_guided

groups = st.integers(1, 6).flatmap(
    lambda size: st.lists(st.lists(st.booleans(), min_size=size, max_size=size), min_size=1, max_size=8)
)


def all_judged(correct: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(correct)


@pytest.mark.parametrize(("num_correct", "opens"), [(0, True), (4, True), (5, False), (8, False)])
def test_at_most_four_of_eight_opens_the_default_gate(num_correct: int, opens: bool) -> None:
    correct = torch.arange(8)[None] < num_correct
    selected = select_guided(pass_rate(correct, all_judged(correct)), torch.tensor([True]), max_pass_rate=0.6)
    assert selected.item() is opens


@given(groups, st.floats(0, 1))
def test_only_struggling_prompts_with_guidance(rows: list[list[bool]], threshold: float) -> None:
    correct = torch.tensor(rows)
    has_guidance = torch.arange(len(rows)) % 2 == 0
    rate = pass_rate(correct, all_judged(correct))
    selected = select_guided(rate, has_guidance, max_pass_rate=threshold)
    for p in range(len(rows)):
        expected = bool(rate[p] <= threshold) and p % 2 == 0
        assert selected[p].item() is expected


@given(groups)
def test_a_negative_threshold_closes_the_gate(rows: list[list[bool]]) -> None:
    correct = torch.tensor(rows)
    has_guidance = torch.ones(len(rows), dtype=torch.bool)
    assert not select_guided(pass_rate(correct, all_judged(correct)), has_guidance, max_pass_rate=-1.0).any()


def test_a_group_that_could_not_be_judged_is_left_alone() -> None:
    correct = torch.tensor([[False, False], [False, True]])
    judged = torch.tensor([[False, False], [True, False]])
    rate = pass_rate(correct, judged)
    assert math.isnan(rate[0]) and rate[1] == 0.0  # the unjudged success of row 1 does not count
    assert select_guided(rate, torch.tensor([True, True]), max_pass_rate=0.6).tolist() == [False, True]
