"""The training layer: the only one that imports TRL, transformers, accelerate (and vLLM through them).

Its names are imported when they are first used, so that checkpoints can be inspected without TRL.

Not here: the method as formulas (`nearfuture.method`), guidance (`nearfuture.guidance`), runs (`nearfuture.run`).
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfuture.options.npo import Weighting
    from nearfuture.train.engine import TRLEngine
    from nearfuture.train.npo_config import NPOConfig
    from nearfuture.train.trainer import NPOTrainer

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

__all__ = ["NPOConfig", "NPOTrainer", "TRLEngine", "Weighting"]
_HOMES = {"NPOConfig": "npo_config", "NPOTrainer": "trainer", "TRLEngine": "engine", "Weighting": "npo_config"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nearfuture.train' has no attribute {name!r}")
    return getattr(import_module(f"nearfuture.train.{_HOMES[name]}"), name)
