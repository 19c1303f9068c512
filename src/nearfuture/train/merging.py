"""The weights of a LoRA policy as a single model would have them: adapters are merged in, one layer at a time.

    W + scaling B A

TRL merges all adapters into the policy's own weights to pass these to vLLM, and then removes them by subtraction. In
floating point that does not restore the weights: every push would move the base by a rounding error that no checkpoint
of adapters records, so a resumed run would train another base. Also, buffers for a server are filled after the last
weight was named, when TRL has already removed the adapters. Here a layer's merged weights are separate tensors, and the
policy's own are not touched, at the price of one more layer in memory.

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
    """True if every adapted layer is LoRA on plain weights that this process holds: unsharded, not quantized."""
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
    """Return the weights of a layer with its active adapters; the layer is not changed."""
    base = layer.get_base_layer()
    own = {name: weight.data for name, weight in base.named_parameters()}
    try:
        layer.merge(safe_merge=True)  # into a copy, which replaces the layer's own
        return {name: weight.data for name, weight in base.named_parameters()}
    finally:
        layer.merged_adapters.clear()
        for name, weight in base.named_parameters():
            weight.data = own[name]
