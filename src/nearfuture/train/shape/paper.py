"""The parameters of a known shape, counted on paper: what Qwen3 and Qwen3-VL are built of, without torch.

    decoder layer      q, k, v, o and gate, up, down without biases; norms of both halves, of queries and of keys
    vision block       qkv, proj, fc1, fc2 with biases; two layer norms with biases
    mergers            norm, fc1, fc2 with biases: one behind the tower, one per deepstack layer

Not here: every other model (`counted`), which of both is asked (`shapes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from nearfuture.train.shape.known_shapes import KNOWN_SHAPES, ORIGIN
from nearfuture.train.shape.model_shape import Adapters, ModelShape, Parameters, TextShape, VisionShape

HEAD = "lm_head"


class Linear(NamedTuple):
    """A linear layer by the name it has in transformers' model."""

    name: str
    num_in: int
    num_out: int
    has_bias: bool = False

    @property
    def weight(self) -> int:
        """Parameters of the matrix."""
        return self.num_in * self.num_out

    @property
    def total(self) -> int:
        """With the bias."""
        return self.weight + self.has_bias * self.num_out


def is_known(model: str) -> bool:
    """True for a model whose sizes are in `known_shapes`."""
    return model in KNOWN_SHAPES


def shape_of(model: str, adapters: Adapters | None) -> ModelShape:
    """The shape of a known model, as `counted.shape_of` has it."""
    sizes = KNOWN_SHAPES[model][1]
    text = _text(sizes.get("text_config", sizes))
    vision = _vision(sizes["vision_config"]) if "vision_config" in sizes else None
    is_tied = bool(sizes["tie_word_embeddings"])
    parameters = _count(text, vision, sizes, adapters, is_tied=is_tied)
    return ModelShape(model, ORIGIN, "bfloat16", True, text, vision, parameters)


def _text(sizes: dict[str, Any]) -> TextShape:
    return TextShape(
        hidden=sizes["hidden_size"],
        num_layers=sizes["num_hidden_layers"],
        num_heads=sizes["num_attention_heads"],
        num_kv_heads=sizes["num_key_value_heads"],
        head_dim=sizes["head_dim"],
        intermediate=sizes["intermediate_size"],
        vocabulary=sizes["vocab_size"],
    )


def _vision(sizes: dict[str, Any]) -> VisionShape:
    return VisionShape(
        hidden=sizes["hidden_size"],
        num_layers=sizes["depth"],
        num_heads=sizes["num_heads"],
        intermediate=sizes["intermediate_size"],
        num_deepstack=len(sizes["deepstack_visual_indexes"]),
        patch_size=sizes["patch_size"],
        merge=sizes["spatial_merge_size"],
        values_per_patch=3 * sizes["temporal_patch_size"] * sizes["patch_size"] ** 2,
    )


def _count(
    text: TextShape, vision: VisionShape | None, sizes: dict[str, Any], adapters: Adapters | None, *, is_tied: bool
) -> Parameters:
    root = "model.layers" if vision is None else "model.language_model.layers"
    layers = [list(_layer(f"{root}.{number}", text)) for number in range(text.num_layers)]
    blocks = [] if vision is None else [list(_block(number, vision)) for number in range(vision.num_layers)]
    mergers = [] if vision is None else list(_mergers(vision, sizes["vision_config"]["out_hidden_size"]))
    layer = sum(linear.total for linear in layers[0]) + 2 * text.hidden + 2 * text.head_dim
    num_vision = 0 if vision is None else _num_vision(vision, sizes["vision_config"], blocks, mergers)
    head = text.vocabulary * text.hidden
    total = head * (1 if is_tied else 2) + text.num_layers * layer + text.hidden + num_vision

    def adapted(linears: list[Linear]) -> int:
        sizes = [linear.num_in + linear.num_out for linear in linears if adapters and _is_wanted(linear, adapters)]
        return sum(sizes) * (adapters.rank if adapters else 0)

    in_vision = sum(map(adapted, blocks)) + adapted(mergers)
    in_head = adapted([Linear(HEAD, text.hidden, text.vocabulary)])
    return Parameters(
        total=total,
        trained=sum(map(adapted, layers)) + in_vision + in_head if adapters else total,
        head=head,
        is_tied=is_tied,
        layer_linears=sum(linear.weight for linear in layers[0]),
        layer=layer,
        vision=num_vision,
        vision_linears=sum(linear.weight for linear in blocks[0]) if blocks else 0,
        trained_vision=in_vision if adapters else num_vision,
        adapters_per_layer=adapted(layers[0]),
        adapters_per_block=adapted(blocks[0]) if blocks else 0,
    )


def _layer(name: str, text: TextShape) -> Iterator[Linear]:
    queries, keys = text.num_heads * text.head_dim, text.num_kv_heads * text.head_dim
    yield Linear(f"{name}.self_attn.q_proj", text.hidden, queries)
    yield Linear(f"{name}.self_attn.k_proj", text.hidden, keys)
    yield Linear(f"{name}.self_attn.v_proj", text.hidden, keys)
    yield Linear(f"{name}.self_attn.o_proj", queries, text.hidden)
    yield Linear(f"{name}.mlp.gate_proj", text.hidden, text.intermediate)
    yield Linear(f"{name}.mlp.up_proj", text.hidden, text.intermediate)
    yield Linear(f"{name}.mlp.down_proj", text.intermediate, text.hidden)


def _block(number: int, vision: VisionShape) -> Iterator[Linear]:
    name = f"model.visual.blocks.{number}"
    yield Linear(f"{name}.attn.qkv", vision.hidden, 3 * vision.hidden, True)
    yield Linear(f"{name}.attn.proj", vision.hidden, vision.hidden, True)
    yield Linear(f"{name}.mlp.linear_fc1", vision.hidden, vision.intermediate, True)
    yield Linear(f"{name}.mlp.linear_fc2", vision.intermediate, vision.hidden, True)


def _mergers(vision: VisionShape, num_out: int) -> Iterator[Linear]:
    merged = vision.hidden * vision.merge**2
    behind = [f"model.visual.deepstack_merger_list.{number}" for number in range(vision.num_deepstack)]
    for name in ("model.visual.merger", *behind):
        yield Linear(f"{name}.linear_fc1", merged, merged, True)
        yield Linear(f"{name}.linear_fc2", merged, num_out, True)


def _num_vision(vision: VisionShape, sizes: dict[str, Any], blocks: list[list[Linear]], mergers: list[Linear]) -> int:
    """All parameters of the tower: linear layers, norms (a weight and a bias each), patches and positions."""
    merged = vision.hidden * vision.merge**2
    norms = 2 * 2 * vision.hidden * vision.num_layers + 2 * vision.hidden + 2 * merged * vision.num_deepstack
    patches = (vision.values_per_patch + 1) * vision.hidden
    positions = sizes["num_position_embeddings"] * vision.hidden
    return sum(linear.total for block in (*blocks, mergers) for linear in block) + norms + patches + positions


def _is_wanted(linear: Linear, adapters: Adapters) -> bool:
    """Whether a layer gets an adapter; peft leaves out the output projection with `all-linear`."""
    targets = adapters.targets or ()
    if targets == "all-linear":
        return linear.name != HEAD
    if isinstance(targets, str):
        return re.fullmatch(targets, linear.name) is not None
    return any(linear.name == ending or linear.name.endswith(f".{ending}") for ending in targets)
