"""Build what the apprentice's world ships: the tiny base model, its tokenizer, and the prompts.

What it does: trains a Qwen3 of about 100k parameters on the noisy demonstrations of `world.demonstrate`, keeps as
training prompts those that the result fails in 4 of 4 samples (the paper's filter), draws the held-out prompts without
a filter, and measures what the base knows. Same seed, same machine, same torch: the same files, byte for byte.

What it leaves out: reinforcement learning (benchmarks/apprentice_dynamics.py, and the package itself), the tables
(they follow from a seed in `world`), and GPUs (2 to 3 minutes on one CPU thread).

    OMP_NUM_THREADS=1 python scripts/build_apprentice.py --out src/nearfuture/tasks/apprentice

Letters: `B` batch, `T` tokens.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from nearfuture.tasks.apprentice import world
from nearfuture.tasks.identity import prompt_hash

SEED = 0
NUM_STEPS, BATCH_SIZE, PEAK_LR, WARMUP = 1600, 192, 3e-3, 50
TRAIN_LENGTHS, PROMPT_LENGTHS = (1, 2, 3, 4, 5, 6), (3, 4, 5, 6)
NUM_TRAIN_PER_LENGTH, NUM_EVALUATION_PER_LENGTH, FILTER_SAMPLES = 512, 64, 4


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character, no spaces on decoding, left padding."""
    symbols = ["<pad>", "<eos>", "<unk>", *world.DIGITS, *world.OPERATORS, world.END_OF_PROMPT]
    tokenizer = Tokenizer(models.WordLevel({symbol: i for i, symbol in enumerate(symbols)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=64,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Two layers of width 64. With the usual initializer_range of 0.02 the tables are learned far too slowly."""
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        max_position_embeddings=64,
        initializer_range=0.12,
        tie_word_embeddings=True,
        dtype="float32",
        **special,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, **special)
    return model


def demonstrations(tokenizer: PreTrainedTokenizerFast, length: int, rng: random.Random) -> tuple[list[list[int]], int]:
    """Draw one batch of `length`-step demonstrations; returns token ids and the number of prompt tokens."""
    rows = []
    for _ in range(BATCH_SIZE):
        chain = world.sample_chain(rng, length)
        rows.append(world.write(chain) + world.demonstrate(chain, rng))
    ids = tokenizer(rows, add_special_tokens=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in ids], 2 * length + 2


def supervise(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> None:
    """Train on fresh demonstrations: cross-entropy on the answer tokens, linear warm-up, linear decay."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.95), weight_decay=0.0)
    model.train()
    for step in range(NUM_STEPS):
        lr = PEAK_LR * min((step + 1) / WARMUP, 1.05 - step / NUM_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = lr
        length = TRAIN_LENGTHS[step % len(TRAIN_LENGTHS)]
        ids, num_prompt = demonstrations(tokenizer, length, rng)
        ids_B_T = torch.tensor(ids)
        logits = model(input_ids=ids_B_T[:, :-1]).logits[:, num_prompt - 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids_B_T[:, num_prompt:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0 or step == NUM_STEPS - 1:
            print(f"step {step:5d}  length {length}  loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def num_correct(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str], num_samples: int
) -> list[int]:
    """Sample each prompt `num_samples` times; all prompts must have one length."""
    model.eval()
    ids = torch.tensor(tokenizer(prompts, add_special_tokens=False)["input_ids"])
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, num_return_sequences=num_samples
    )
    texts = tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
    rows = [{"prompt": prompt} for prompt in prompts for _ in range(num_samples)]
    right = [world.verify(text, row) == "correct" for text, row in zip(texts, rows, strict=True)]
    return [sum(right[i : i + num_samples]) for i in range(0, len(right), num_samples)]


def describe(prompt: str) -> dict[str, Any]:
    """Make the row that is shipped for one prompt."""
    chain = world.parse(prompt)
    assert chain is not None, prompt
    return {
        "prompt": prompt,
        "answer": world.trace(chain),
        "prompt_id": prompt_hash({"prompt": prompt}),
        "family": f"length-{len(chain[1])}",
        "length": len(chain[1]),
        "operators": "".join(op for op, _ in chain[1]),
        "operator": world.hardest_operator(chain),
    }


def unseen(rng: random.Random, length: int, count: int, seen: set[str]) -> list[str]:
    """Draw `count` prompts that are not in `seen`, and add them to it."""
    prompts: list[str] = []
    while len(prompts) < count:
        prompt = world.write(world.sample_chain(rng, length))
        if prompt not in seen:
            seen.add(prompt)
            prompts.append(prompt)
    return prompts


def build_prompts(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw held-out prompts unfiltered, and training prompts that the base fails in every one of its samples."""
    seen: set[str] = set()
    train: list[str] = []
    evaluation = [p for length in PROMPT_LENGTHS for p in unseen(rng, length, NUM_EVALUATION_PER_LENGTH, seen)]
    for length in PROMPT_LENGTHS:
        kept: list[str] = []
        num_drawn = num_kept = 0
        while len(kept) < NUM_TRAIN_PER_LENGTH:
            drawn = unseen(rng, length, 256, seen)
            solved = num_correct(model, tokenizer, drawn, FILTER_SAMPLES)
            kept += [prompt for prompt, count in zip(drawn, solved, strict=True) if count == 0]
            num_drawn, num_kept = num_drawn + len(drawn), len(kept)
        print(f"length {length}  failed {FILTER_SAMPLES} of {FILTER_SAMPLES}: {num_kept} of {num_drawn}")
        train += kept[:NUM_TRAIN_PER_LENGTH]
    return [describe(prompt) for prompt in train], [describe(prompt) for prompt in evaluation]


@torch.no_grad()
def report(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> None:
    """Print what the base knows: per operator the probability of truth and misconception, per length its pass rate."""
    model.eval()
    digit_ids = tokenizer.convert_tokens_to_ids(list(world.DIGITS))
    for op in world.OPERATORS:
        pairs = [(a, b) for a in range(world.N) for b in range(world.N)]
        ids = torch.tensor(tokenizer([f"{a}{op}{b}=" for a, b in pairs], add_special_tokens=False)["input_ids"])
        probs = model(input_ids=ids).logits[:, -1].softmax(-1)[:, digit_ids]
        right = torch.stack([probs[i, world.TABLES[op][a][b]] for i, (a, b) in enumerate(pairs)])
        wrong = torch.stack([probs[i, world.MISCONCEPTIONS[op][a][b]] for i, (a, b) in enumerate(pairs)])
        print(
            f"operator {op}  p(right) {right.mean():.3f} (min {right.min():.3f})  p(misconception) {wrong.mean():.3f}"
        )
    for length in PROMPT_LENGTHS:
        prompts = unseen(rng, length, 256, set())
        counts = num_correct(model, tokenizer, prompts, 8)
        rate, never = sum(counts) / (8 * len(counts)), sum(c == 0 for c in counts) / len(counts)
        print(f"length {length}  pass rate {rate:.3f}  never solved in 8 {never:.2f}")


def write_tokenizer(path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Save the tokenizer under the class name that every transformers release knows; release 5 writes a new one."""
    tokenizer.save_pretrained(path)
    file = path / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Build everything, and print the hashes of the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder that gets model/, train.jsonl, evaluation.jsonl"
    )
    out = parser.parse_args().out
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    supervise(model, tokenizer, random.Random(SEED + 1))
    train, evaluation = build_prompts(model, tokenizer, random.Random(SEED + 2))
    report(model, tokenizer, random.Random(SEED + 3))
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out / "model")
    write_tokenizer(out / "model", tokenizer)
    write_rows(out / "train.jsonl", train)
    write_rows(out / "evaluation.jsonl", evaluation)
    for path in sorted((*(out / "model").iterdir(), out / "train.jsonl", out / "evaluation.jsonl")):
        print(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}  {path.stat().st_size:8,d}  {path.relative_to(out)}"
        )


if __name__ == "__main__":
    main()
