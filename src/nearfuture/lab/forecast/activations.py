"""Bytes that the forward pass keeps for the backward pass, per token of a decoder layer and per patch of a vision
block.

Counted tensor by tensor from what autograd saves in transformers' Qwen3 and Qwen3-VL with scaled-dot-product attention;
tests/test_resources.py runs the layers and compares every case below to the byte.

    norm               its input in float32, one float32 per row, and the normalised input if its weight is trained
    linear layer       its input: once for all layers that share it, or once each if autocast copies it
    attention          queries, keys and values (repeated for every query head under a mask), the result, one float32
                       per head, and the mask itself (one row of it per token, in every layer)
    gated MLP          gate, its activation, up, and their product
    adapter            the output of its first matrix
    autocast           copies of the weights that are not stored in the compute format

Not here: how much of it exists at the same time (`memory`).
"""

from __future__ import annotations

from nearfuture.run.settings.sizes import Numerics
from nearfuture.train.shape.shapes import Parameters, TextShape, VisionShape

ADAPTED_LINEARS = 7  # of a decoder layer: q, k, v, o, gate, up, down
ADAPTED_VISION_LINEARS = 4  # of a vision block: qkv, proj, two of the MLP


def layer_bytes_per_token(
    text: TextShape, numerics: Numerics, length: int, *, rank: int = 0, has_flash: bool = False
) -> float:
    """Bytes that a decoder layer keeps per token of a row of `length` tokens; `rank` is LoRA's, 0 without LoRA."""
    heads, kv_heads = text.num_heads * text.head_dim, text.num_kv_heads * text.head_dim
    b = numerics.compute
    is_full = rank == 0
    norms = 2 * (4 * text.hidden + 4 + is_full * numerics.stream * text.hidden)
    head_norms = (4 + is_full * b) * (heads + kv_heads) + 4 * (text.num_heads + text.num_kv_heads)
    inputs = (5 if numerics.casts else 2) * b * text.hidden
    attended = 2 * heads + 2 * (kv_heads if has_flash else heads)
    attention = b * attended + 4 * text.num_heads + (0 if has_flash else b * length)
    if rank and numerics.casts:  # the adapter of the output projection reads a copy
        attention += b * heads
    mlp = 4 * b * text.intermediate
    return norms + head_norms + inputs + attention + mlp + ADAPTED_LINEARS * b * rank


def block_bytes_per_patch(vision: VisionShape, numerics: Numerics, *, rank: int = 0) -> float:
    """Bytes that a vision block keeps per patch; `rank` is LoRA's, 0 without LoRA."""
    b = numerics.compute
    statistics = 4 * (4 if numerics.casts and not rank else b)
    tower = b * (11 * vision.hidden + 2 * vision.intermediate) + 4 * vision.num_heads
    return tower + statistics + ADAPTED_VISION_LINEARS * b * rank


def mergers_bytes_per_patch(vision: VisionShape, numerics: Numerics) -> float:
    """Bytes that the merger and the deepstack mergers keep per patch, and the pixels that the first layer keeps."""
    b = numerics.compute
    return b * (4 * vision.hidden + vision.num_deepstack * 3 * vision.hidden + vision.values_per_patch)


def cast_bytes_per_layer(parameters: Parameters, numerics: Numerics) -> int:
    """Bytes of the copies that autocast makes of a decoder layer's weights (with LoRA, of the adapters)."""
    if not numerics.casts:
        return 0
    return numerics.compute * (parameters.adapters_per_layer or parameters.layer_linears)


def cast_bytes_per_block(parameters: Parameters, numerics: Numerics) -> int:
    """Bytes of the copies that autocast makes of a vision block's weights."""
    if not numerics.casts:
        return 0
    return numerics.compute * (parameters.adapters_per_block or parameters.vision_linears)


def layer_working_bytes_per_token(text: TextShape, numerics: Numerics) -> float:
    """Bytes in use during the backward pass of one layer's MLP: the gradients of product, gate and up, and two of
    the hidden states."""
    return 3 * numerics.compute * text.intermediate + 2 * numerics.stream * text.hidden
