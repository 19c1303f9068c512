"""A tokenizer that writes a BOS itself, and a chat template that writes one as well, as Llama's and Gemma's do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% endfor %}"


def tokenizer_with_bos(source: Path) -> Any:
    """The tokenizer in `source`, its `<unk>` taken for BOS."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.bos_token, tokenizer.chat_template = "<unk>", TEMPLATE
    special = ("<unk>", tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<unk> $A", pair="<unk> $A $B", special_tokens=[special]
    )
    return tokenizer


def with_bos(source: Path, target: Path) -> Path:
    """A copy of a model with that tokenizer."""
    shutil.copytree(source, target)
    tokenizer_with_bos(source).save_pretrained(target)
    return target
