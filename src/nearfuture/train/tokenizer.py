"""A fingerprint of a tokenizer: equal fingerprints, equal meaning of token ids.

Not here: what is done when they differ (`nearfuture.guidance.cache`).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


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
