"""The weights of a policy with LoRA as one model has them: adapters merged in, a layer at a time.

    W + scaling B A

TRL merges all adapters into the policy's own weights to hand these to vLLM, and takes them out again by subtraction.
In floating point that is not where it began: every push would leave the base a rounding error further away, which no
checkpoint of adapters holds, so that a resumed run would train another base. And what a server is sent lies in buffers
that are filled after the last weight was named, when TRL has taken the adapters out again. Here a layer's merged
weights are tensors of their own, and the policy's are not touched. One layer more is in memory.

Not here: what reads them (`vllm_training`), adapters on disk (`adapters`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

PREFIX = "base_model.model."
BASE = ".base_layer."
COPY = "modules_to_save.default."


def is_whole(model: Any) -> bool:
    """True where every adapted layer is LoRA on plain weights that this process holds: unsharded, not quantized."""
    layers = [layer for layer in model.modules() if isinstance(layer, BaseTunerLayer)]
    return all(isinstance(layer, LoraLayer) and _is_plain(layer.base_layer) for layer in layers)


def _is_plain(layer: Any) -> bool:
    if type(layer) not in (nn.Linear, nn.Embedding):
        return False
    weight = layer.weight
    return type(weight.data) is Tensor and weight.is_floating_point() and not hasattr(weight, "ds_id")


def merged_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield name and value of every weight, under the names of the base model.

    Args:
        model: a `PeftModel` that `is_whole`.
    """
    for name, weight in model.named_parameters():
        if model.prefix in name or "original_module" in name:
            continue
        path, is_adapted, leaf = name.partition(BASE)
        value = _merged(model.get_submodule(path))[leaf] if is_adapted else weight.data
        yield name.removeprefix(PREFIX).replace(BASE, ".").replace(COPY, ""), value


@torch.no_grad()
def _merged(layer: LoraLayer) -> dict[str, Tensor]:
    """Weights of a layer with its active adapters; the layer is as it was."""
    base = layer.get_base_layer()
    own = {name: weight.data for name, weight in base.named_parameters()}
    try:
        layer.merge(safe_merge=True)  # into a copy, which takes the place of the layer's own
        return {name: weight.data for name, weight in base.named_parameters()}
    finally:
        layer.merged_adapters.clear()
        for name, weight in base.named_parameters():
            weight.data = own[name]
