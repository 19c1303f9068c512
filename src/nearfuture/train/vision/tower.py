"""The vision tower of a policy: whether it learns.

Not here: images (`nearfuture.train.vision.images`), the rest of the model (TRL).
"""

from __future__ import annotations

from typing import Any

from accelerate.utils import is_peft_model
from torch import nn

from nearfuture.types import UserError


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
