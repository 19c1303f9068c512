"""Turn a model in a single GGUF file into a folder in the Hugging Face layout, which training needs.

Quantized weights become plain numbers again: what quantization has lost stays lost, and the folder holds the values
that the file stands for.

A file also names how text is cut before its merges apply (`tokenizer.ggml.pre`). transformers knows some of these names
and silently reads every other one as GPT-2's: SmolLM2 would see other tokens than it was trained on wherever white
space precedes a digit. Rules that llama.cpp cuts at every digit are set here, and an unknown name gives a warning.

Not here: loading a folder (`factory`), merging an adapter into its base.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from nearfuture.refusals import refusing
from nearfuture.types import UserError

DTYPES = ("bfloat16", "float16", "float32")
AS_GPT2 = {"gpt-2", "phi-2", "jina-es", "jina-de", "mpt", "olmo", "jais"}
AT_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"}
"""llama.cpp's names for cutting by GPT-2's rule, and for cutting at every digit first."""


def gguf_file(source: str) -> Path:
    """Find the GGUF file that `source` names: a path, or an installed package that holds one.

    Raises:
        UserError: there is none, or several.
    """
    path = Path(source)
    if path.is_dir():
        found = sorted(path.glob("*.gguf"))
        if not found and (path / "config.json").exists():
            raise UserError(f"{source} is in the Hugging Face layout already. Train with model={source}.")
    elif path.exists():
        found = [path]
    else:
        found = _of_package(source)
    found = [file for file in found if file.suffix == ".gguf"]
    if len(found) == 1:
        return found[0]
    several = f" It holds {len(found)}: {', '.join(file.name for file in found)}." if found else ""
    raise UserError(
        f"{source} is no GGUF file, and no folder or installed package with exactly one.{several} Give the path of a "
        ".gguf file, or install the package that brings it."
    )


def _of_package(name: str) -> list[Path]:
    try:
        files = importlib.metadata.files(name) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return []
    return [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]


def cut_as_the_file_says(tokenizer: Any, file: Path) -> str:
    """Make a tokenizer cut text before its merges as the file says.

    Returns:
        A warning if it cannot be known whether it does; otherwise nothing.
    """
    import gguf

    plain = tokenizer.backend_tokenizer.pre_tokenizer
    named = gguf.GGUFReader(file).fields.get("tokenizer.ggml.pre")
    name = named.contents() if named else ""
    if not isinstance(plain, pre_tokenizers.ByteLevel) or name in AS_GPT2:
        return ""
    if name not in AT_DIGITS:
        return (
            f"{file.name} cuts text by {name!r}, which is not known here: GPT-2's rule is used, and the model may see "
            "other tokens than it was trained on."
        )
    cut = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, plain])
    return ""


def convert(source: str, output: Path, dtype: str = "bfloat16", warn: Callable[[str], None] = print) -> Path:
    """Write the model and the tokenizer of a GGUF file as a folder that `from_pretrained` opens.

    Args:
        source: see `gguf_file`.
        output: a folder that does not exist yet; it is written completely or not at all.
        dtype: format of the weights: `bfloat16`, `float16` or `float32`.
        warn: called with whatever the folder may not represent as the file means it.

    Returns:
        The folder.

    Raises:
        UserError: there is no such file, the folder exists, the dtype is another one, or transformers cannot read the
            model from GGUF.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype={dtype!r}: weights are written as {', '.join(DTYPES)}.")
    file = gguf_file(source)
    if output.exists():
        raise UserError(f"{output} exists. Name a folder that does not, or remove it first.")
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with refusing(f"{file}, read as GGUF by transformers,", {"source": source}):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        warning = cut_as_the_file_says(tokenizer, file)
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        config = read.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config  # with it transformers refuses to save, and the weights are plain numbers
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
        model.load_state_dict(read.state_dict())
        model.generation_config = read.generation_config
    if warning:
        warn(warning)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(output)
    return output
