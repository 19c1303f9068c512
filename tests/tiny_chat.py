"""A tiny model with random weights that reads messages and calls tools, made in code, one token a character.

    folder = save_model(tmp_path / "model")
    scripted(trainer, ["<tool_call>...", "4"])     what it says, whatever it is asked

Its chat template is the one that TRL ships for Qwen3, so that TRL knows how to read tool calls out of what it writes.

Not here: images (`tiny_vl`), the world that ships (`tiny`).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import trl
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
)

TEMPLATE = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"
PARTS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")


def build_tokenizer() -> PreTrainedTokenizerFast:
    symbols = ["<pad>", "<unk>", "<|im_start|>", "<|im_end|>", *PARTS, *string.printable]
    raw = Tokenizer(models.WordLevel({symbol: i for i, symbol in enumerate(symbols)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    raw.decoder = decoders.Fuse()
    raw.add_tokens([AddedToken(part, normalized=False) for part in PARTS])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="left",
        chat_template=TEMPLATE.read_text(),
    )


def save_model(folder: Path) -> Path:
    """Write a model that answers and, in `folder/judge`, one that rates; a few thousand parameters each."""
    tokenizer = build_tokenizer()
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        initializer_range=0.2,
        num_labels=1,
        **special,
    )
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=True, top_k=0, **special)
    for one, place in ((model, folder), (Qwen3ForSequenceClassification(config), folder / "judge")):
        one.save_pretrained(place)
        tokenizer.save_pretrained(place)
    return folder


def tool_call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call><|im_end|>'


def scripted(trainer: Any, first: Sequence[str], then: str = "ok<|im_end|>") -> None:
    """Have a trainer's model say `first`, one a row in turn, and `then` after a tool has answered."""
    tokenizer = trainer._tokenizer
    answered = tokenizer.convert_tokens_to_ids("</tool_response>")

    def generate(input_ids: Any, **_: Any) -> Any:
        texts = [then if answered in ids else first[i % len(first)] for i, ids in enumerate(input_ids.tolist())]
        ids = [torch.tensor(tokenizer(text)["input_ids"]) for text in texts]
        written = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id)
        return torch.cat([input_ids, written], 1)

    trainer.model.generate = generate
