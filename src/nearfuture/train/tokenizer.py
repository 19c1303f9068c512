"""A tokenizer's fingerprint (equal fingerprints mean equal token ids), and loading one without its model.

Not here: handling different fingerprints (`nearfuture.guidance.cache`), what a codec reads and writes
(`nearfuture.guidance.interop`).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from transformers import AutoConfig, GenerationConfig

from nearfuture.guidance.interop import Codec
from nearfuture.train.vision.processor import load_processing_class
from nearfuture.types import UserError


def tokenizer_hash(processing_class: Any) -> str:
    """Hash the vocabulary, the added tokens and the special ids of a tokenizer or of a processor's tokenizer.

    The chat template is left out: it shapes prompts, not the meaning of the ids in a completion.

    Returns:
        16 hexadecimal characters of SHA-256.
    """
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    content = {
        "vocabulary": sorted(tokenizer.get_vocab().items()),
        "eos": tokenizer.eos_token_id,
        "pad": tokenizer.pad_token_id,
    }
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def load_codec(model: str, **settings: Any) -> Codec:
    """Load the tokenizer of a model as a `Codec`: text to token ids and back, as a trainer of that model would do it.

    Args:
        model: folder or name on the Hub.
        settings: arguments of `from_pretrained` (`revision`, `trust_remote_code`).

    Raises:
        UserError: there is no tokenizer.
    """
    try:
        processing_class = load_processing_class(model, **settings)
        generation = _generation_config(model, settings)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"model={model}: no tokenizer can be loaded ({reason}). Give a model folder or name.") from None
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # as TRL does; it is part of the fingerprint
    return Codec(
        encode=lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]),
        decode=lambda ids: processing_class.batch_decode([list(ids)], skip_special_tokens=True)[0],
        tokenizer_hash=tokenizer_hash(processing_class),
        eos_token_ids=_stop_tokens(tokenizer.eos_token_id, generation.eos_token_id),
    )


def _generation_config(model: str, settings: dict[str, Any]) -> GenerationConfig:
    try:
        return GenerationConfig.from_pretrained(model, **settings)
    except OSError:
        return GenerationConfig.from_model_config(AutoConfig.from_pretrained(model, **settings))


def _stop_tokens(eos: int, more: int | list[int] | None) -> tuple[int, ...]:
    """Return a trainer's stop tokens; the tokenizer's own, which ends a trace, comes first here."""
    stops = [more] if isinstance(more, int) else list(more or [])
    return (eos, *(token for token in stops if token != eos))
