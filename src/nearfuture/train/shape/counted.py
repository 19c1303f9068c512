"""The shape of a model built on the `meta` device: every parameter is there to be counted, and none has a weight.

Not here: known shapes without torch (`paper`), which of both is asked (`shapes`).
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from typing import Any

import torch
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PretrainedConfig
from transformers.integrations import deepspeed as hf_deepspeed

from nearfuture.record.formats import command_line
from nearfuture.train.shape.known_shapes import KNOWN_SHAPES, LIKE_QWEN3, ORIGIN
from nearfuture.train.shape.model_shape import Adapters, ModelShape, Parameters, TextShape, VisionShape, is_here
from nearfuture.types import UserError


def shape_of(model: str, adapters: Adapters | None) -> ModelShape:
    """The shape of a model that is here or known.

    Raises:
        UserError: it is neither, or not built like a decoder; or peft knows no layers to adapt in it.
    """
    if adapters is None:
        return _load(model, None, None)
    targets = adapters.targets
    return _load(model, adapters.rank, tuple(_default_targets(model)) if targets is None else targets)


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


def _config(model: str) -> tuple[PretrainedConfig, str]:
    if is_here(model):
        found = AutoConfig.from_pretrained(model, local_files_only=True)
        return found, f"config.json of {model}"
    if model in KNOWN_SHAPES:
        model_type, sizes = KNOWN_SHAPES[model]
        return AutoConfig.for_model(model_type, dtype="bfloat16", **sizes), ORIGIN
    raise UserError(
        f"model={model}: no config.json of it is on this machine, and its shape is not among the known ones "
        f"({', '.join(KNOWN_SHAPES)}). Fetch it with `{command_line('hf', 'download', model, 'config.json')}`, "
        "or name a folder."
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
