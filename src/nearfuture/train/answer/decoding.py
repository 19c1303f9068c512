"""How an evaluation samples a policy, and what a sample is.

Not here: the engines (`policy` for transformers, `vllm_policy`), which questions are asked (`lab.evaluate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nearfuture.types import UserError

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decoding:
    """Sampling settings, under TRL's names.

    The defaults are those recommended for Qwen3-VL-Instruct, with which the first author's training code validates, and
    the paper's response budget.

    Attributes:
        temperature: sampling temperature; 0 is greedy.
        top_p: the share of probability to keep.
        top_k: how many tokens to keep; 0 keeps all.
        min_p: tokens less likely than this fraction of the most likely one are dropped.
        repetition_penalty: divides the logits of tokens in prompt and response.
        presence_penalty: subtracted from the logits of tokens in the response, as in vLLM.
        max_completion_length: the most tokens of a response; a longer one is truncated.
    """

    temperature: float = 0.7
    top_p: float = 0.8
    top_k: int = 20
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 1.5
    max_completion_length: int = 4096

    def __post_init__(self) -> None:
        is_in = {
            "temperature": (self.temperature >= 0, "at least 0 (0 is greedy)"),
            "top_p": (0 < self.top_p <= 1, "above 0, at most 1 (1 keeps all)"),
            "top_k": (self.top_k >= 0, "at least 0 (0 keeps all)"),
            "min_p": (0 <= self.min_p <= 1, "between 0 and 1"),
            "repetition_penalty": (self.repetition_penalty > 0, "above 0 (1 is off)"),
            "max_completion_length": (self.max_completion_length >= 1, "at least 1"),
        }
        for name, (is_right, rule) in is_in.items():
            if not is_right:
                raise UserError(f"{name}={getattr(self, name)} must be {rule}.")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What runs a model, under TRL's names.

    Attributes:
        use_vllm: whether to sample with vLLM instead of transformers.
        batch_size: how many responses are sampled at once, which is the most that a kill can lose; None: 32, or 1024
            with vLLM.
        dtype: the format of the weights; `auto` takes the checkpoint's.
        trust_remote_code: whether to run code that comes with the model.
        max_image_pixels: larger images are scaled down, keeping their shape; None: the model's own limit.
        vllm_tensor_parallel_size: how many GPUs a model is spread over.
        vllm_gpu_memory_utilization: the share of a GPU's memory that vLLM may take.
        vllm_max_model_length: the most tokens of prompt and response together; None: the model's own.
    """

    use_vllm: bool = False
    batch_size: int | None = None
    dtype: str = "auto"
    trust_remote_code: bool = False
    max_image_pixels: int | None = None
    vllm_tensor_parallel_size: int = 1
    vllm_gpu_memory_utilization: float = 0.9
    vllm_max_model_length: int | None = None

    @property
    def num_at_once(self) -> int:
        """Responses sampled at once."""
        return self.batch_size or (1024 if self.use_vllm else 32)


@dataclass(frozen=True, slots=True)
class Response:
    """What a policy wrote: the text without special tokens, its length in tokens, and whether it was truncated."""

    text: str
    num_tokens: int
    is_truncated: bool


class Policy(Protocol):
    """A model that answers."""

    def sample(self, rows: Sequence[Row], seeds: Sequence[int], decoding: Decoding) -> list[Response]:
        """Sample a response to each row with its seed; the response does not depend on the other rows."""
        ...

    def release(self) -> None:
        """Release its memory; it must no longer be used."""
        ...
