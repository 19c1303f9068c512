"""Memory that generation takes: by transformers with the weights that are trained, or by vLLM with its own weights.

    a token's keys and values    2 x layers x key-value heads x head size x bytes of the compute format

transformers generates all rollouts of a device at once, each at the greatest length allowed. vLLM takes a share of the
device, puts its own copy of the weights there and fills the rest with keys and values: too small a share makes it slow
(fewer sequences at once), and without room for one sequence it does not start.

Not here: a vLLM server on devices of its own, which takes none of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nearfuture.lab.forecast.parts import BOTH, GENERATION, Part
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.sizes import BYTES, Batch, Lengths, Numerics
from nearfuture.train.shape.shapes import ModelShape

COPIES_OF_LAST_LOGITS = 3  # the logits in float32, their sorted or scaled copy, and their probabilities


@dataclass(frozen=True)
class Generation:
    """What generates, and with how much memory.

    Attributes:
        backend: `transformers`, `colocate` (vLLM on the devices that train) or `server` (vLLM on others).
        share: vLLM's share of a device's memory, for `colocate`.
        sleeps: whether vLLM gives its share back while the model trains.
        tensor_parallel: the number of devices that share one copy of the weights.
        width: bytes per number in vLLM's weights, keys and values.
    """

    backend: Literal["transformers", "colocate", "server"] = "transformers"
    share: float = 0.0
    sleeps: bool = False
    tensor_parallel: int = 1
    width: int = 2


def generation_of(config: Configuration, compute: int) -> Generation:
    """Read TRL's settings; vLLM samples in the format the policy computes in (`compute` bytes) by default."""
    if not config.training.use_vllm:
        return Generation()
    if config.training.vllm_mode == "server":
        return Generation("server")
    return Generation(
        "colocate",
        config.training.vllm_gpu_memory_utilization,
        config.training.vllm_enable_sleep_mode,
        config.training.vllm_tensor_parallel_size,
        BYTES[dtype] if (dtype := config.training.vllm_dtype) else compute,
    )


def cache_bytes_per_token(shape: ModelShape, width: int) -> int:
    """Bytes of the keys and values of one token."""
    text = shape.text
    return 2 * text.num_layers * text.num_kv_heads * text.head_dim * width


def generation_parts(
    generation: Generation, shape: ModelShape, batch: Batch, lengths: Lengths, numerics: Numerics, device_bytes: int
) -> list[Part]:
    """Return the parts of a device's memory that generation takes."""
    if generation.backend == "server":
        return []
    if generation.backend == "colocate":
        note = "its own weights, keys and values" + (", given back while training" if generation.sleeps else "")
        return [Part("vLLM", generation.share * device_bytes, GENERATION if generation.sleeps else BOTH, note)]
    text = shape.text
    cache = batch.local * lengths.total * cache_bytes_per_token(shape, numerics.compute)
    first = (3 * text.intermediate + 2 * text.hidden) * numerics.compute * lengths.prompt
    logits = COPIES_OF_LAST_LOGITS * 4 * text.vocabulary
    note = f"{batch.local} rollouts x {lengths.total} tokens"
    return [
        Part("keys and values", cache, GENERATION, note),
        Part("one layer's, copied", cache / text.num_layers, GENERATION, "it grows by a copy"),
        Part("first pass, last logits", batch.local * max(first, logits), GENERATION),
    ]


def sequences_at_once(generation: Generation, shape: ModelShape, lengths: Lengths, device_bytes: int) -> float:
    """Number of full-length sequences that fit into vLLM's share beside its weights; may be negative."""
    weights = generation.width * shape.parameters.total / generation.tensor_parallel
    token = cache_bytes_per_token(shape, generation.width) / generation.tensor_parallel
    return (generation.share * device_bytes - weights) / (token * lengths.total)
