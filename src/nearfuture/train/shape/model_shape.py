"""What the shape of a model is: its sizes, and numbers of parameters by their use; plain values.

Not here: where a shape comes from (`shapes`), bytes (`nearfuture.lab.forecast`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache


@dataclass(frozen=True)
class TextShape:
    """Sizes of a decoder of layers with grouped-query attention and a gated MLP."""

    hidden: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int


@dataclass(frozen=True)
class VisionShape:
    """Sizes of a vision tower; `merge` x `merge` patches become one token."""

    hidden: int
    num_layers: int
    num_heads: int
    intermediate: int
    num_deepstack: int
    patch_size: int
    merge: int
    values_per_patch: int


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters, by their use.

    Attributes:
        total: of the base model; tied weights count once, adapters do not.
        trained: those with gradients: all, or the adapters'.
        head: of the output projection, tied or not.
        is_tied: the output projection is the embedding.
        layer_linears: of the linear layers of one decoder layer.
        layer: of one decoder layer.
        vision: of the vision tower.
        vision_linears: of the linear layers of one of its blocks.
        trained_vision: trained parameters of the vision tower, where it is not frozen.
        adapters_per_layer: trained parameters of the adapters in one decoder layer; 0 without LoRA.
        adapters_per_block: the same for a block of the vision tower.
    """

    total: int
    trained: int
    head: int
    is_tied: bool
    layer_linears: int
    layer: int
    vision: int
    vision_linears: int
    trained_vision: int
    adapters_per_layer: int
    adapters_per_block: int


@dataclass(frozen=True)
class ModelShape:
    """What decides how much memory a model takes.

    Attributes:
        name: as the configuration has it.
        origin: where the sizes were read.
        dtype: in which its files hold the weights.
        is_measured: the layers are of a kind whose activations were measured.
    """

    name: str
    origin: str
    dtype: str
    is_measured: bool
    text: TextShape
    vision: VisionShape | None
    parameters: Parameters


@dataclass(frozen=True)
class Adapters:
    """The adapters of LoRA: their rank, and which layers get one as peft names them; None: peft's own choice."""

    rank: int
    targets: str | tuple[str, ...] | None


def is_here(model: str) -> bool:
    """True if a config.json of the model lies on this machine."""
    if (Path(model) / "config.json").is_file():
        return True
    try:
        return not Path(model).is_dir() and isinstance(try_to_load_from_cache(model, "config.json"), str)
    except ValueError:  # no name that the Hub could have
        return False
