"""Laws of the weights per token: hand numbers, the derivative, limits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.method.weighting import distilled_advantages, per_token, shape, shaped_advantages, shaped_weight


def test_shape_by_hand() -> None:
    """gamma 0.1: 0.1/0.2 = 0.5, 0.4/0.5 = 0.8, 0.9/1.0 = 0.9; weights 0.01/0.04, 0.04/0.25, 0.09/1."""
    ratio = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)
    assert shape(ratio, 0.1).tolist() == pytest.approx([0.5, 0.8, 0.9])
    assert shaped_weight(ratio, 0.1).tolist() == pytest.approx([0.25, 0.16, 0.09])
    assert shaped_weight(torch.tensor(1.0), 0.1).item() == pytest.approx(0.1 / 1.21)  # LUFFY: 0.083 at pi = 1


@given(st.floats(1e-3, 1e3), st.floats(1e-2, 10))
def test_the_weight_is_the_derivative_along_the_log_ratio(ratio: float, gamma: float) -> None:
    log_ratio = torch.tensor(ratio, dtype=torch.float64).log().requires_grad_()
    shape(log_ratio.exp(), gamma).backward()
    assert shaped_weight(torch.tensor(ratio, dtype=torch.float64), gamma).item() == pytest.approx(log_ratio.grad.item())
    assert 0 < log_ratio.grad.item() <= 0.25 + 1e-12


def test_a_large_gamma_is_importance_weighting() -> None:
    """gamma f(x) -> x: with gamma = 1e9 the weight times gamma is the ratio itself, unclipped."""
    ratio = torch.tensor([0.01, 1.0, 50.0], dtype=torch.float64)
    assert (1e9 * shaped_weight(ratio, 1e9)).tolist() == pytest.approx(ratio.tolist(), rel=1e-6)


def test_only_guided_rows_are_weighed() -> None:
    advantages, is_guided = torch.tensor([2.0, -1.0]), torch.tensor([True, False])
    logps = torch.log(torch.tensor([[0.1, 0.9], [0.5, 0.5]]))
    found = shaped_advantages(per_token(advantages), logps, torch.zeros(2, 2), is_guided, gamma=0.1)
    assert found.flatten().tolist() == pytest.approx([0.5, 0.18, -1.0, -1.0])


def test_distillation_by_hand() -> None:
    """Guide 0.4, learner 0.2: log 2 = 0.6931 times coef 0.5 on the distilled row; equal policies add nothing."""
    advantages = per_token(torch.tensor([-0.35, -0.35, 1.0]))
    learner = torch.log(torch.tensor([[0.2, 0.3], [0.2, 0.3], [0.2, 0.3]]))
    guide = torch.log(torch.tensor([[0.4, 0.3], [0.4, 0.3], [0.4, 0.3]]))
    is_distilled = torch.tensor([True, False, True])
    found = distilled_advantages(advantages, learner, guide, is_distilled, coef=0.5)
    assert found[0].tolist() == pytest.approx([-0.35 + 0.34657, -0.35], abs=1e-5)
    assert found[1].tolist() == pytest.approx([-0.35, -0.35])
    assert torch.equal(distilled_advantages(found, learner, learner, is_distilled, coef=0.5), found)
    assert torch.equal(distilled_advantages(found, learner, guide, is_distilled, coef=0.0), found)
