"""How much the guided gradient varies from sample to sample, computed from true per-sample gradients.

    g_i = sum_k w_ik grad log p(o_ik | x_i, o_i<k),    trace of cov(g) = 1/(n-1) sum_i |g_i - mean(g)|^2

This is what every form of V stands in for. One backward pass per sample and weighting: for small models only.

Not here: the proxies (`nearfuture.method.variance_cost`), which samples and weights
(`nearfuture.lab.measure.run_signal`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from nearfuture.train.engine import Row, TRLEngine

NUM_BLOCKS = 8
Z = 1.96


@dataclass(frozen=True, slots=True)
class GradientSpread:
    """How much per-sample gradients scatter.

    Attributes:
        trace: the trace of their covariance.
        trace_ci: its 95 % interval, by leaving out one of 8 blocks of samples at a time.
        noise_to_signal: trace / |E g|^2, with that norm corrected for the noise in the mean; NaN if nothing is left.
        noise_to_signal_ci: its interval, in the same way.
        num_samples: the number of samples.
    """

    trace: float
    trace_ci: tuple[float, float]
    noise_to_signal: float
    noise_to_signal_ci: tuple[float, float]
    num_samples: int


def num_trainable(engine: TRLEngine) -> int:
    """Return how many parameters are trained."""
    return sum(parameter.numel() for parameter in engine.trainer.model.parameters() if parameter.requires_grad)


def gradient_spread(
    engine: TRLEngine,
    rows: Sequence[Row],
    completion_ids: Sequence[Sequence[int]],
    weights: Mapping[str, Sequence[Sequence[float]]],
) -> dict[str, GradientSpread]:
    """Measure the spread of the weighted gradients of whole samples, under each weighting.

        trace = (sum_i |g_i|^2 - n |mean g|^2) / (n - 1)

    Tokens are summed, not averaged: with a token-mean loss (`loss_type="dapo"`) all samples of a batch share one
    normaliser. The advantage is left out: on a prompt without a correct rollout it is the same for every guide.

    Args:
        engine: the learner.
        rows: the prompt of each sample.
        completion_ids: what the guide wrote.
        weights: name -> a constant weight per token and sample; no gradient flows through it.

    Returns:
        name -> spread.
    """
    assert len(rows) == len(completion_ids) >= 2
    num_blocks = min(NUM_BLOCKS, len(rows))
    parameters = [parameter for parameter in engine.trainer.model.parameters() if parameter.requires_grad]
    size = sum(parameter.numel() for parameter in parameters)
    sums = {name: torch.zeros(num_blocks, size) for name in weights}
    squares = {name: torch.zeros(num_blocks, dtype=torch.float64) for name in weights}
    with engine._quiet():
        for number, (row, ids) in enumerate(zip(rows, completion_ids, strict=True)):
            logps_T = engine.per_token_logps([row], [ids])[0]
            for name, of_samples in weights.items():
                weights_T = torch.tensor(of_samples[number], dtype=logps_T.dtype, device=logps_T.device)
                found = torch.autograd.grad((weights_T * logps_T).sum(), parameters, retain_graph=True)
                gradient = torch.cat([part.reshape(-1) for part in found]).float().cpu()
                sums[name][number % num_blocks] += gradient
                squares[name][number % num_blocks] += float(gradient.double() @ gradient.double())
    counts = torch.tensor([len(range(block, len(rows), num_blocks)) for block in range(num_blocks)])
    return {name: _spread(sums[name].double(), squares[name], counts) for name in weights}


def _spread(sums: torch.Tensor, squares: torch.Tensor, counts: torch.Tensor) -> GradientSpread:
    """Estimate from sums over blocks; the interval is normal on the logarithm, with the jackknife's standard error."""
    estimate = _moments(sums.sum(0), float(squares.sum()), int(counts.sum()))
    without = [
        _moments(sums.sum(0) - sums[block], float(squares.sum() - squares[block]), int(counts.sum() - counts[block]))
        for block in range(len(counts))
    ]
    intervals = [_jackknife(estimate[i], [moments[i] for moments in without]) for i in (0, 1)]
    return GradientSpread(estimate[0], intervals[0], estimate[1], intervals[1], int(counts.sum()))


def _moments(total: torch.Tensor, sum_of_squares: float, num: int) -> tuple[float, float]:
    """Return the trace and the ratio of noise to signal."""
    if num < 2:
        return math.nan, math.nan
    mean_square = float((total / num) @ (total / num))
    trace = max((sum_of_squares - num * mean_square) / (num - 1), 0.0)
    signal_square = mean_square - trace / num
    return trace, trace / signal_square if signal_square > 0 else math.nan


def _jackknife(estimate: float, without: list[float]) -> tuple[float, float]:
    if not all(value > 0 for value in (estimate, *without)):
        return math.nan, math.nan
    logs = torch.tensor(without, dtype=torch.float64).log()
    error = float(((len(logs) - 1) * logs.var(correction=0)).sqrt())
    return estimate * math.exp(-Z * error), estimate * math.exp(Z * error)
