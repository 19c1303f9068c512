"""Folders that hold a LoRA adapter instead of a model: the base it belongs to, and the policy that both form.

Not here: adapters that a run creates (`factory`), a policy that only answers (`answer.policy`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from peft import PeftModel
from trl.trainer.utils import create_model_from_path

from nearfuture.types import UserError

ADAPTER = "adapter_config.json"


def is_adapter(model: str) -> bool:
    """True for a folder that holds an adapter."""
    return (Path(model) / ADAPTER).is_file()


def base_of(model: str) -> str:
    """Return the model that an adapter was trained on; the model itself if it is not an adapter.

    Raises:
        UserError: the adapter does not say.
    """
    if not is_adapter(model):
        return model
    base = json.loads((Path(model) / ADAPTER).read_text()).get("base_model_name_or_path")
    if not base:
        raise UserError(f"{model}/{ADAPTER} names no base_model_name_or_path. Write the base's folder or name there.")
    return str(base)


def load_adapted(model: str, **options: Any) -> PeftModel:
    """Load the policy that an adapter and its base form; the adapter is what is trained.

    Args:
        model: folder of the adapter.
        options: options for the base's `from_pretrained`.
    """
    return PeftModel.from_pretrained(create_model_from_path(base_of(model), **options), model, is_trainable=True)
