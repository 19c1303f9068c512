"""vLLM on a CPU, as far as it needs help there: imported before anything else of it.

    eager        its graphs are compiled by g++, minutes for a model that runs a second
    no packing   float32 layers are packed by oneDNN when they are loaded, and nothing can be pushed into them then
    blocks       of 32 tokens, the fewest there are: short prompts fill one as well, and it is kept like long ones' are
    sleep        a CPU has none; a stand-in that makes the weights NaN shows who samples without having pushed its own

Not here: what is looked at (`instrument`).
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
import trl.generation.vllm_generation as backend
import vllm
from vllm import _custom_ops

from nearfuture.train.vllm_training import engine_model

_custom_ops._supports_onednn = False
MADE: list[weakref.ref[torch.nn.Module]] = []
"""The models of all engines this process has made."""


class EagerLLM(vllm.LLM):
    """An engine that compiles nothing and sleeps by forgetting."""

    def __init__(self, *args: Any, enable_sleep_mode: bool = False, **kwargs: Any) -> None:
        self.can_sleep = enable_sleep_mode
        super().__init__(*args, **{"enforce_eager": True, "block_size": 32, **kwargs})
        MADE.append(weakref.ref(engine_model(self)))

    @torch.no_grad()
    def sleep(self, level: int = 1, **kwargs: Any) -> None:
        assert self.can_sleep and level == 2
        for weight in engine_model(self).parameters():
            weight.fill_(torch.nan)

    def wake_up(self, tags: list[str] | None = None) -> None:
        assert self.can_sleep


vllm.LLM = backend.LLM = EagerLLM
