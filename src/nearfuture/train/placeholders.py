"""Tokens that stand for the features of an image: a policy must never write one.

A completion that contains such a token has one placeholder more than its prompt has features, and the model refuses the
whole batch. TRL suppresses the image token only when transformers samples and `generation_kwargs` does not say
otherwise; here it is suppressed wherever a policy samples, also with vLLM. A model without images is left alone.

Not here: texts of prompts that hold one (`nearfuture.train.vision.images`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transformers import ProcessorMixin
from trl import GRPOTrainer

from nearfuture.types import Guidance, UserError


def image_token(processing_class: Any) -> str | None:
    """The placeholder of an image; None for a tokenizer, or if the processor names none."""
    token = getattr(processing_class, "image_token", None) if isinstance(processing_class, ProcessorMixin) else None
    return token if isinstance(token, str) else None


def ids_of(processing_class: Any) -> list[int]:
    """Token ids that a policy must not write."""
    token = image_token(processing_class)
    return [] if token is None else [int(processing_class.tokenizer.convert_tokens_to_ids(token))]


def suppress(trainer: GRPOTrainer) -> None:
    """Prevent a trainer's sampler from drawing them, with transformers and with vLLM."""
    ids = ids_of(trainer.processing_class)
    if not ids:
        return
    if trainer.use_vllm:
        settings = trainer.vllm_generation.generation_kwargs
        trainer.vllm_generation.generation_kwargs = settings | bad_words(trainer.processing_class, settings)
        return
    config = trainer.generation_config
    present = list(config.suppress_tokens or [])
    if missing := [token for token in ids if token not in present]:
        config.suppress_tokens = trainer.generation_kwargs["suppress_tokens"] = present + missing


def bad_words(processing_class: Any, settings: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006 (never mutated)
    """The same as a setting of vLLM, added to any in `settings`; empty for a model without images."""
    token, present = image_token(processing_class), list(settings.get("bad_words") or [])
    return {} if token is None or token in present else {"bad_words": [*present, token]}


def refuse(processing_class: Any, guidance: Iterable[Guidance]) -> None:
    """Refuse trajectories that contain one.

    Raises:
        UserError: some do; the message counts them and shows the first ones.
    """
    ids = set(ids_of(processing_class))
    bad = [one.prompt_id for one in guidance if ids & set(one.completion_ids)] if ids else []
    if bad:
        raise UserError(
            f"{len(bad)} guidance entries hold {image_token(processing_class)!r}, which would be taken for an image: "
            f"{', '.join(map(repr, bad[:3]))}. Leave them out, or collect again."
        )
