"""A GGUF file made into a folder: the same numbers, whole or not at all, and refused in words."""

from __future__ import annotations

from pathlib import Path

import commands
import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from nearfuture.train.convert import convert
from nearfuture.types import UserError

WIDTH, LAYERS, HEADS, INNER = 32, 2, 4, 64
TOKENS = ["<|end|>", *"0123456789+= ", "12", "  "]


def write_gguf(path: Path, architecture: str = "llama", cut: str = "gpt-2") -> Path:
    """A llama of two layers with random weights and a tokenizer of single characters."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut)
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(TOKENS) - 1))
    writer.add_token_merges(["1 2", "Ġ Ġ"])
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (len(TOKENS), WIDTH), "output": (len(TOKENS), WIDTH), "output_norm": (WIDTH,)}
    for i in range(LAYERS):
        square = {f"blk.{i}.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        inner = {f"blk.{i}.ffn_gate": (INNER, WIDTH), f"blk.{i}.ffn_up": (INNER, WIDTH)}
        norms = {f"blk.{i}.attn_norm": (WIDTH,), f"blk.{i}.ffn_norm": (WIDTH,)}
        shapes |= square | inner | norms | {f"blk.{i}.ffn_down": (WIDTH, INNER)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_the_folder_holds_the_numbers_of_the_file(file: Path, tmp_path: Path) -> None:
    folder = convert(str(file), tmp_path / "model", "float32")
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    written = AutoModelForCausalLM.from_pretrained(folder)
    assert written.config.to_dict().get("quantization_config") is None
    of_file, of_folder = read.state_dict(), written.state_dict()
    assert of_file.keys() == of_folder.keys()
    assert all(torch.equal(of_file[name], of_folder[name]) for name in of_file)
    ids = AutoTokenizer.from_pretrained(folder)("12+3=")["input_ids"]
    assert ids == AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)("12+3=")["input_ids"]
    assert torch.equal(read(torch.tensor([ids])).logits, written(torch.tensor([ids])).logits)


def test_another_precision_is_the_same_numbers_rounded(file: Path, tmp_path: Path) -> None:
    whole = AutoModelForCausalLM.from_pretrained(convert(str(file.parent), tmp_path / "whole", "float32"))
    half = AutoModelForCausalLM.from_pretrained(convert(str(file), tmp_path / "half"))
    assert half.dtype == torch.bfloat16
    pairs = zip(whole.state_dict().values(), half.state_dict().values(), strict=True)
    assert all(torch.equal(one.to(torch.bfloat16), other) for one, other in pairs)


def test_a_converted_model_can_be_saved_again(file: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(convert(str(file), tmp_path / "model"))
    model.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").exists()


def test_text_is_cut_at_digits_where_the_file_says_so(tmp_path: Path) -> None:
    """transformers alone reads `smollm` as GPT-2's rule: it would merge 1 and 2, and part the spaces before a digit."""
    file = write_gguf(tmp_path / "small.gguf", cut="smollm")
    alone = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    cut = AutoTokenizer.from_pretrained(convert(str(file), tmp_path / "model"))
    assert alone.tokenize("12  3") == ["12", "Ġ", "Ġ", "3"]
    assert cut.tokenize("12  3") == ["1", "2", "ĠĠ", "3"]
    assert cut.decode(cut("12  3+4")["input_ids"]) == "12  3+4"


def test_a_rule_that_nobody_knows_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    convert(str(write_gguf(tmp_path / "odd.gguf", cut="unheard-of")), tmp_path / "model", warn=said.append)
    assert len(said) == 1
    assert "odd.gguf cuts text by 'unheard-of'" in said[0]
    convert(str(write_gguf(tmp_path / "plain.gguf")), tmp_path / "other", warn=said.append)
    assert len(said) == 1


def test_what_cannot_be_converted_is_refused_in_words(file: Path, tmp_path: Path) -> None:
    folder = convert(str(file), tmp_path / "model")
    with pytest.raises(UserError, match="Name a folder that does not"):
        convert(str(file), folder)
    with pytest.raises(UserError, match="Hugging Face layout already"):
        convert(str(folder), tmp_path / "other")
    with pytest.raises(UserError, match="no GGUF file"):
        convert("no-such-package", tmp_path / "other")
    with pytest.raises(UserError, match="bfloat16, float16, float32"):
        convert(str(file), tmp_path / "other", "int4")
    (tmp_path / "two").mkdir()
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / "two" / name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match=r"It holds 2: a.gguf, b.gguf"):
        convert(str(tmp_path / "two"), tmp_path / "other")
    (tmp_path / "torn.gguf").write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match=r"torn.gguf, read as GGUF"):
        convert(str(tmp_path / "torn.gguf"), tmp_path / "other")
    strange = write_gguf(tmp_path / "strange.gguf", "unheard-of")
    with pytest.raises(UserError, match=r"strange.gguf, read as GGUF"):
        convert(str(strange), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_command_says_what_to_do_next(file: Path, tmp_path: Path) -> None:
    code, output = commands.invoke("model", "convert", file, tmp_path / "model")
    assert code == 0
    assert f"train with model={tmp_path / 'model'}" in output
    code, output = commands.invoke("model", "convert", file, tmp_path / "model")
    assert code == 2
    assert "exists" in output
