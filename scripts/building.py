"""What the build scripts share: a character tokenizer, a tiny Qwen3, supervised training, sampling and writing.

Everything is deterministic on one machine with one torch: the caller seeds torch and brings its own generators.

What it leaves out: the worlds, their prompts and the sizes of their models (the scripts `build_*.py`).

Letters: `B` batch, `T` tokens.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SPECIAL = ("<pad>", "<eos>", "<unk>")

IGNORED = -100
"""The label of a token that is not to be learned, as cross-entropy knows it."""

Pairs = list[tuple[str, str]]
"""Prompts and what to answer."""


@dataclass(frozen=True)
class Size:
    """The shape of a tiny Qwen3."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int = 4


@dataclass(frozen=True)
class Schedule:
    """Supervised training: linear warm-up, then linear decay."""

    num_steps: int
    peak_lr: float = 3e-3
    warmup: int = 50

    def lr(self, step: int) -> float:
        """Learning rate of one step."""
        return self.peak_lr * min((step + 1) / self.warmup, 1.05 - step / self.num_steps)


def seed_torch(seed: int) -> None:
    """One thread, deterministic kernels, one seed."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def build_tokenizer(symbols: str, more_special: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """One token per character, no spaces on decoding, left padding."""
    vocabulary = {symbol: i for i, symbol in enumerate([*SPECIAL, *more_special, *symbols])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        **({"additional_special_tokens": list(more_special)} if more_special else {}),
        padding_side="left",
        model_max_length=64,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast, size: Size) -> Qwen3ForCausalLM:
    """A tiny Qwen3. With the usual initializer_range of 0.02 tables are learned far too slowly."""
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden_size,
        intermediate_size=size.intermediate_size,
        num_hidden_layers=size.num_hidden_layers,
        num_attention_heads=size.num_attention_heads,
        num_key_value_heads=size.num_attention_heads,
        head_dim=size.hidden_size // size.num_attention_heads,
        max_position_embeddings=64,
        initializer_range=0.12,
        tie_word_embeddings=True,
        dtype="float32",
        **special,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, **special)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    return model


def encode(tokenizer: PreTrainedTokenizerFast, pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """Give token ids and labels, padded on the right; only the answer and its end are to be learned."""
    prompts, answers = (
        tokenizer(list(texts), add_special_tokens=False)["input_ids"] for texts in zip(*pairs, strict=True)
    )
    ids, labels = [], []
    longest = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    for prompt, answer in zip(prompts, answers, strict=True):
        num_pad = longest - len(prompt) - len(answer)
        ended = [*answer, tokenizer.eos_token_id]
        ids.append([*prompt, *ended, *[tokenizer.pad_token_id] * num_pad])
        labels.append([*[IGNORED] * len(prompt), *ended, *[IGNORED] * num_pad])
    return torch.tensor(ids), torch.tensor(labels)


def supervise(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, batch: Callable[[int], Pairs], schedule: Schedule
) -> None:
    """Train on the batch of each step: cross-entropy on the answer tokens."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.peak_lr, betas=(0.9, 0.95), weight_decay=0.0)
    model.train()
    for step in range(schedule.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr(step)
        pairs = batch(step)
        ids_B_T, labels_B_T = encode(tokenizer, pairs)
        shortest = min(len(prompt) for prompt, _ in pairs)
        logits = model(input_ids=ids_B_T[:, :-1]).logits[:, shortest - 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels_B_T[:, shortest:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0 or step == schedule.num_steps - 1:
            print(f"step {step:5d}  loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def sample(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str], num_samples: int, max_tokens: int
) -> list[list[str]]:
    """Answer each prompt `num_samples` times at temperature 1; all prompts must have one length."""
    model.eval()
    ids = torch.tensor(tokenizer(prompts, add_special_tokens=False)["input_ids"])
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, num_return_sequences=num_samples
    )
    texts = tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
    return [texts[i : i + num_samples] for i in range(0, len(texts), num_samples)]


def pass_at(k: int, num_correct: int, num_samples: int) -> float:
    """Probability that at least one of k samples is right, without bias: 1 - C(n - c, k) / C(n, k)."""
    return 1 - math.comb(num_samples - num_correct, k) / math.comb(num_samples, k)


def write_model(path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast | ProcessorMixin) -> None:
    """Save both; the tokenizer under the class name every transformers release knows (release 5 writes a new one)."""
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    file = path / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read what `write_rows` wrote."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def print_hashes(folder: Path, paths: Iterable[Path]) -> None:
    """Print hash, size and name of every file."""
    for path in sorted(paths):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        print(f"{digest}  {path.stat().st_size:8,d}  {path.relative_to(folder)}")
