"""Folders that hold an adapter of LoRA instead of a model: which base it belongs to, and the policy that both make.

Not here: adapters that a run begins (`factory`), a policy that only answers (`answer.policy`).
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
    """The model an adapter was trained on; the model itself where it is none.

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
    """The policy that an adapter makes of its base; the adapter is what is trained.

    Args:
        model: folder of the adapter.
        options: of the base's `from_pretrained`.
    """
    return PeftModel.from_pretrained(create_model_from_path(base_of(model), **options), model, is_trainable=True)
