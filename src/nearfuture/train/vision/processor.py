"""What a model has for images: its processing class and its vision tower.

The processing class is the model's own; where torchvision is absent, Qwen3-VL's without videos. The stock one wants a
video processor, which wants torchvision. Images alone need neither: the same templates, token ids and patches come from
the stock image processor in its PIL form.

Not here: the images of a data set (`nearfuture.train.vision.images`), who uses it (`nearfuture.train.factory`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate.utils import is_peft_model
from torch import nn
from transformers import AutoProcessor, AutoTokenizer, PreTrainedConfig, ProcessorMixin
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl import processing_qwen3_vl as stock
from transformers.utils import cached_file, is_torchvision_available
from trl import GRPOConfig

from nearfuture.refusals import refusing
from nearfuture.types import UserError

QWEN3_VL = ("qwen3_vl", "qwen3_vl_moe")
VIDEO_SETTINGS = "video_preprocessor_config.json"


class Qwen3VLProcessor(stock.Qwen3VLProcessor):
    """Text and images, no videos. It bears the stock name, so that what it saves is opened by the stock class."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_: Any
    ) -> None:
        token_id = tokenizer.convert_tokens_to_ids
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.vision_start_token, self.vision_end_token = "<|vision_start|>", "<|vision_end|>"
        self.image_token_id, self.video_token_id = token_id(self.image_token), token_id(self.video_token)
        self.vision_start_token_id = token_id(self.vision_start_token)
        self.vision_end_token_id = token_id(self.vision_end_token)
        self.video_settings: str | None = None
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """Save, and hand on what was there for videos."""
        saved = super().save_pretrained(save_directory, *args, **kwargs)
        if self.video_settings is not None:
            (Path(save_directory) / VIDEO_SETTINGS).write_text(self.video_settings)
        return saved


def load_processing_class(model: str, **settings: Any) -> Any:
    """Load the processor (or tokenizer) of a model.

    Args:
        model: folder or name on the Hub.
        settings: of `from_pretrained` (`revision`, `trust_remote_code`, `padding_side`).

    Raises:
        OSError, ValueError: as transformers raises them, where there is none.
    """
    if not is_needed(model, **_where(settings)):
        return AutoProcessor.from_pretrained(model, **settings)
    images = Qwen2VLImageProcessorPil.from_pretrained(model, **_where(settings))
    tokenizer = AutoTokenizer.from_pretrained(model, **settings)
    processor = Qwen3VLProcessor(images, tokenizer, chat_template=tokenizer.chat_template)
    path = cached_file(model, VIDEO_SETTINGS, _raise_exceptions_for_missing_entries=False, **_where(settings))
    processor.video_settings = None if path is None else Path(path).read_text()
    return processor


def is_needed(model: Any, **where: Any) -> bool:
    """True if transformers, left alone, would fail to load the processing class of a model.

    Only its settings file is read: none of the model's code runs, and whether it exists is checked elsewhere.

    Args:
        model: a name, or the model itself.
        where: `revision` and the like, of the name.
    """
    if is_torchvision_available():
        return False
    if not isinstance(model, str):
        return getattr(getattr(model, "config", None), "model_type", None) in QWEN3_VL
    try:
        settings, _ = PreTrainedConfig.get_config_dict(model, **where)
    except (OSError, ValueError):
        return False
    return settings.get("model_type") in QWEN3_VL


def substitute(model: Any, config: GRPOConfig | None) -> Any:
    """The processing class for a trainer that was given none; None if TRL loads it itself."""
    if config is None:
        return load_for_training(model) if is_needed(model) else None
    revision = (config.model_init_kwargs or {}).get("revision") if isinstance(model, str) else None
    where = {"trust_remote_code": config.trust_remote_code} | ({"revision": revision} if revision else {})
    return load_for_training(model, **where) if is_needed(model, **where) else None


def load_for_training(model: Any, max_image_pixels: int | None = None, **where: Any) -> Any:
    """Load the processing class of a model with the sides TRL pads and truncates on.

    Args:
        model: a name, or the model itself.
        max_image_pixels: larger images are scaled down, their shape kept; None: as the model has it.
        where: `revision` and `trust_remote_code`.

    Raises:
        UserError: there is none, or it has no such limit.
    """
    name = model if isinstance(model, str) else model.config._name_or_path
    with refusing(f"model={name}: no tokenizer or processor can be loaded", {}):
        found = load_processing_class(name, padding_side="left", truncation_side="left", **where)
    if max_image_pixels is not None:
        limit_pixels(found, name, max_image_pixels)
    return found


def limit_pixels(processing_class: Any, name: str, max_image_pixels: int) -> None:
    """Have a processor scale down images of more pixels, their shape kept.

    Args:
        processing_class: of the model.
        name: of the model, for the error.
        max_image_pixels: the most pixels.

    Raises:
        UserError: the model's processor has no such limit.
    """
    size = getattr(getattr(processing_class, "image_processor", None), "size", None)
    if size is None or "longest_edge" not in size:
        raise UserError(
            f"max_image_pixels={max_image_pixels}: the processor of {name} has no limit on pixels (it is "
            f"{type(processing_class).__name__}). Scale the images yourself, and leave it unset."
        )
    processing_class.image_processor.size = {**dict(size), "longest_edge": max_image_pixels}  # Qwen's name for it


def _where(settings: dict[str, Any]) -> dict[str, Any]:
    """Those settings that say which files, not how they are used."""
    return {name: settings[name] for name in ("revision", "trust_remote_code") if name in settings}


def vision_tower(model: Any) -> nn.Module:
    """The module that makes features of patches, with the layers that hand them to the language model.

    Raises:
        UserError: the model has none.
    """
    model = model.get_base_model() if is_peft_model(model) else model
    tower: nn.Module = model.get_encoder(modality="image")
    if tower is model or tower is model.base_model:
        raise UserError(
            f"freeze_vision_tower=true: {type(model).__name__} has no vision tower. Leave it unset for this model."
        )
    return tower


def freeze_vision_tower(model: Any) -> None:
    """Let nothing in the vision tower learn, adapters included.

    Raises:
        UserError: the model has none.
    """
    vision_tower(model).requires_grad_(False)
