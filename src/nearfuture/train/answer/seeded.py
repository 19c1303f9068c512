"""Sampling in which every row has its own random numbers, so that a question draws the same in any company.

transformers draws a whole batch from one generator. Here a last logits processor picks the token: with e ~ Exp(1) from
the row's generator, argmax p / e has the law of p (the exponential race), and only that token is left to draw from.
The random numbers of a row are a function of its seed; its logits may differ in the last digit between batches.

Not here: the model and its prompts (`policy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList


class DrawByRow(LogitsProcessor):
    """Leaves each row the one token that its own generator draws.

    Args:
        seeds: one a row.
        device: where the logits are.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[B, V] scores to the same, -inf everywhere but at the token drawn."""
        noise = torch.stack([torch.empty_like(scores[0]).exponential_(generator=g) for g in self.generators])
        drawn = (scores.softmax(-1) / noise).argmax(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


class PresencePenalty(LogitsProcessor):
    """Takes a constant from the logits of all tokens the response holds already, as vLLM does.

    Args:
        penalty: to be taken, in logits.
        prompt_length: padded length of the prompts, which do not count.
    """

    def __init__(self, penalty: float, prompt_length: int) -> None:
        self.penalty, self.prompt_length = penalty, prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[B, V] logits to the same, lower where a token was written before."""
        is_present = torch.zeros_like(scores, dtype=torch.bool).scatter(1, input_ids[:, self.prompt_length :], True)
        return scores - self.penalty * is_present


def sample_by_row(model: Any, input_ids: Tensor, logits_processor: Any, seeds: Sequence[int], **kwargs: Any) -> Any:
    """Sample as transformers does, each row from its own seed; transformers' `custom_generate`."""
    draw = DrawByRow(seeds, input_ids.device)
    return model._sample(input_ids, logits_processor=LogitsProcessorList([*logits_processor, draw]), **kwargs)
