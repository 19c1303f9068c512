"""Which engine answers for a model: transformers or vLLM.

Not here: the engines (`policy`, `vllm_policy`).
"""

from __future__ import annotations

from nearfuture.train.answer.decoding import EngineSettings, Policy
from nearfuture.train.answer.policy import TransformersPolicy


def load_policy(model: str, settings: EngineSettings) -> Policy:
    """Load a model with the engine that the settings ask for.

    Raises:
        UserError: it cannot be loaded, or vLLM is not there.
    """
    if settings.use_vllm:
        from nearfuture.train.answer.vllm_policy import VLLMPolicy

        return VLLMPolicy(model, settings)
    return TransformersPolicy(model, settings)
