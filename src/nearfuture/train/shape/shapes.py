"""The shape of a model without a weight of it: built on the `meta` device, its parameters counted by their use.

    where the shape comes from     a folder with config.json, the Hub's cache on this machine, or `known_shapes`

Nothing is downloaded.

Not here: bytes (`nearfuture.lab.forecast`).
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PretrainedConfig
from transformers.integrations import deepspeed as hf_deepspeed
from transformers.utils import cached_file
from trl import ModelConfig

from nearfuture.train.shape.known_shapes import KNOWN_SHAPES
from nearfuture.types import UserError

LIKE_QWEN3 = ("qwen3", "qwen3_vl", "qwen3_vl_text")
"""Model types whose layers hold what `nearfuture.lab.forecast.activations` counts, measured; others are taken as
alike."""


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


def load_shape(model: str, settings: Mapping[str, Any] | None = None) -> ModelShape:
    """Read the shape of a model.

    Args:
        model: folder or name on the Hub.
        settings: fields of TRL's `ModelConfig`: with `use_peft`, the adapters are what is trained.

    Raises:
        UserError: no config.json of it is here, and it is none of the known ones.
    """
    lora = ModelConfig(**settings or {})
    if not lora.use_peft:
        return _load(model, None, None)
    targets = lora.lora_target_modules or _default_targets(model)
    return _load(model, lora.lora_r, targets if isinstance(targets, str) else tuple(targets))


def _default_targets(model: str) -> list[str]:
    """Return the layers that the installed peft adapts if none are named.

    Raises:
        UserError: it knows none for this kind of model.
    """
    kind = _config(model)[0].model_type
    if kind not in TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING:
        raise UserError(
            f"use_peft=true without lora_target_modules: peft knows no layers to adapt in a {kind}. Set "
            "lora_target_modules, for example to all-linear."
        )
    return list(TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING[kind])


@functools.lru_cache(maxsize=32)
def _load(model: str, rank: int | None, targets: str | tuple[str, ...] | None) -> ModelShape:
    config, origin = _config(model)
    try:
        return _described(model, origin, config, rank, targets)
    except (ValueError, AttributeError, IndexError) as error:
        raise UserError(
            f"model={model}: a {config.model_type} is not built like the decoders whose sizes are known here: {error}"
        ) from None


def _described(
    model: str, origin: str, config: PretrainedConfig, rank: int | None, targets: str | tuple[str, ...] | None
) -> ModelShape:
    text = config.get_text_config()
    return ModelShape(
        name=model,
        origin=origin,
        dtype=str(getattr(config, "dtype", None) or getattr(text, "dtype", None) or "float32").removeprefix("torch."),
        is_measured=config.model_type in LIKE_QWEN3,
        text=_text_shape(text),
        vision=_vision_shape(config),
        parameters=_count(_on_meta(config), rank, targets),
    )


def is_here(model: str) -> bool:
    """True where a config.json of the model lies on this machine."""
    return (Path(model) / "config.json").is_file() or (not Path(model).is_dir() and _cached(model) is not None)


def _cached(model: str) -> str | None:
    try:
        found: str | None = cached_file(
            model, "config.json", local_files_only=True, _raise_exceptions_for_missing_entries=False
        )
    except (OSError, ValueError):
        return None
    return found


def _config(model: str) -> tuple[PretrainedConfig, str]:
    if is_here(model):
        found = AutoConfig.from_pretrained(model, local_files_only=True)
        return found, f"config.json of {model}"
    if model in KNOWN_SHAPES:
        model_type, sizes = KNOWN_SHAPES[model]
        return AutoConfig.for_model(model_type, dtype="bfloat16", **sizes), "known shape; none of its files is here"
    raise UserError(
        f"model={model}: no config.json of it is on this machine, and its shape is not among the known ones "
        f"({', '.join(KNOWN_SHAPES)}). Fetch it with `hf download {model} config.json`, or name a folder."
    )


def _on_meta(config: PretrainedConfig) -> nn.Module:
    kind = AutoModelForCausalLM if getattr(config, "vision_config", None) is None else AutoModelForImageTextToText
    with _in_one_piece(), torch.device("meta"):
        model: nn.Module = kind.from_config(config)
    return model


@contextlib.contextmanager
def _in_one_piece() -> Iterator[None]:
    """While DeepSpeed's ZeRO 3 is set up, transformers makes every model of the process in shards; not inside."""
    reference = hf_deepspeed._hf_deepspeed_config_weak_ref
    hf_deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if reference is not None and (config := reference()) is not None:
            hf_deepspeed.set_hf_deepspeed_config(config)


def _text_shape(config: Any) -> TextShape:
    heads = config.num_attention_heads
    return TextShape(
        hidden=config.hidden_size,
        num_layers=config.num_hidden_layers,
        num_heads=heads,
        num_kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        intermediate=config.intermediate_size,
        vocabulary=config.vocab_size,
    )


def _vision_shape(config: Any) -> VisionShape | None:
    vision = getattr(config, "vision_config", None)
    if vision is None:
        return None
    return VisionShape(
        hidden=vision.hidden_size,
        num_layers=getattr(vision, "depth", None) or vision.num_hidden_layers,
        num_heads=getattr(vision, "num_heads", None) or vision.num_attention_heads,
        intermediate=vision.intermediate_size,
        num_deepstack=len(getattr(vision, "deepstack_visual_indexes", ())),
        patch_size=vision.patch_size,
        merge=getattr(vision, "spatial_merge_size", 1),
        values_per_patch=3 * getattr(vision, "temporal_patch_size", 1) * vision.patch_size**2,
    )


def _count(model: Any, rank: int | None, targets: str | tuple[str, ...] | None) -> Parameters:
    head = model.get_output_embeddings()
    layers = _layers_of(model.get_decoder() if hasattr(model, "get_decoder") else model)
    vision = getattr(model.base_model, "visual", None)
    blocks = _layers_of(vision) if vision is not None else nn.ModuleList()
    adapted = {name: _adapter_size(m, rank) for name, m in _adapted(model, head, targets)} if rank else {}
    names = {module: name for name, module in model.named_modules()}
    total = sum(p.numel() for p in model.parameters())

    def inside(module: nn.Module | None) -> int:
        prefix = "" if module is None else names[module] + "."
        return sum(size for name, size in adapted.items() if module is not None and name.startswith(prefix))

    num_vision = 0 if vision is None else sum(p.numel() for p in vision.parameters())
    return Parameters(
        total=total,
        trained=sum(adapted.values()) if rank else total,
        head=head.weight.numel(),
        is_tied=head.weight is model.get_input_embeddings().weight,
        layer_linears=_linear_size(layers[0]),
        layer=sum(p.numel() for p in layers[0].parameters()),
        vision=num_vision,
        vision_linears=_linear_size(blocks[0]) if blocks else 0,
        trained_vision=inside(vision) if rank else num_vision,
        adapters_per_layer=inside(layers[0]),
        adapters_per_block=inside(blocks[0]) if blocks else 0,
    )


def _layers_of(module: nn.Module) -> nn.ModuleList:
    """The longest list of modules inside, which is the stack of layers."""
    lists = [found for found in module.modules() if isinstance(found, nn.ModuleList)]
    return max(lists, key=len)


def _linear_size(module: nn.Module) -> int:
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))


def _adapted(
    model: nn.Module, head: nn.Module, targets: str | tuple[str, ...] | None
) -> Iterator[tuple[str, nn.Linear]]:
    """Linear layers that get an adapter; peft leaves out the output projection with `all-linear`."""
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        if targets == "all-linear":
            is_wanted = module is not head
        elif isinstance(targets, str):  # to peft one string is a pattern of whole names
            is_wanted = re.fullmatch(targets, name) is not None
        else:
            is_wanted = any(name == ending or name.endswith(f".{ending}") for ending in targets or ())
        if is_wanted:
            yield name, module


def _adapter_size(module: nn.Linear, rank: int | None) -> int:
    return (rank or 0) * (module.in_features + module.out_features)
