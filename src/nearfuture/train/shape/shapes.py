"""The shape of a model without a weight of it: its sizes, and its parameters counted by their use.

    where the shape comes from     a folder with config.json, the Hub's cache on this machine, or `known_shapes`

Nothing is downloaded. A known shape is counted on paper (`paper`), within milliseconds; every other one is built on the
`meta` device (`counted`), which loads torch and transformers.

Not here: bytes (`nearfuture.lab.forecast`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfuture.options.npo import ModelOptions
from nearfuture.train.shape import paper
from nearfuture.train.shape.model_shape import Adapters, ModelShape, Parameters, TextShape, VisionShape, is_here

__all__ = ["ModelShape", "Parameters", "TextShape", "VisionShape", "is_here", "load_shape"]


def load_shape(model: str, settings: Mapping[str, Any] | None = None) -> ModelShape:
    """Read the shape of a model.

    Args:
        model: folder or name on the Hub.
        settings: fields of TRL's `ModelConfig`: with `use_peft`, the adapters are what is trained.

    Raises:
        UserError: no config.json of it is here, and it is none of the known ones.
    """
    lora = ModelOptions(**settings or {})
    adapters = Adapters(lora.lora_r, _targets(lora.lora_target_modules)) if lora.use_peft else None
    if paper.is_known(model) and not is_here(model) and (adapters is None or adapters.targets is not None):
        return paper.shape_of(model, adapters)
    from nearfuture.train.shape import counted

    return counted.shape_of(model, adapters)


def _targets(given: list[str] | str | None) -> str | tuple[str, ...] | None:
    """One string is a pattern to peft, or the end of a name; several are endings; `all-linear` is a word of its own."""
    if given is None or isinstance(given, str):
        return given
    if len(given) == 1:
        return given[0] if given == ["all-linear"] else rf"(.*\.)?{given[0]}"
    return tuple(given)
