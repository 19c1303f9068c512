"""Build what the apprentice's world ships: the tiny base model, its tokenizer, and the prompts.

What it does: trains a Qwen3 of about 100k parameters on the noisy demonstrations of `world.demonstrate`, keeps as
training prompts those that the result fails in 4 of 4 samples (the paper's filter), draws the held-out prompts and the
test families without a filter, and measures what the base knows. Same seed, same machine, same torch: the same files,
byte for byte. `--test-only` draws the test families beside the files that are there, and trains nothing.

What it leaves out: reinforcement learning (measurements/apprentice_dynamics.py, and the package itself), the tables
(they follow from a seed in `world`), the teacher (build_teacher.py), and GPUs (2 to 3 minutes on one CPU thread).

    OMP_NUM_THREADS=1 python scripts/build_apprentice.py --out src/nearfuture/tasks/worlds/apprentice
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import building
import torch
from building import Schedule, Size
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen3ForCausalLM

from nearfuture.tasks.worlds.apprentice import families, world

SEED = 0
SIZE = Size(hidden_size=64, intermediate_size=160, num_hidden_layers=2)
SCHEDULE, BATCH_SIZE = Schedule(num_steps=1600), 192
TRAIN_LENGTHS = (1, 2, 3, 4, 5, 6)
NUM_TRAIN_PER_LENGTH, NUM_EVALUATION_PER_LENGTH, FILTER_SAMPLES, NUM_SAMPLES = 512, 64, 4, 64
MAX_TOKENS = 8
SYMBOLS = world.DIGITS + world.OPERATORS + world.END_OF_PROMPT

Rows = list[dict[str, Any]]


def demonstrations(length: int, rng: random.Random) -> building.Pairs:
    """Draw one batch of `length`-step demonstrations."""
    chains = (world.sample_chain(rng, length) for _ in range(BATCH_SIZE))
    return [(world.write(chain), world.demonstrate(chain, rng)) for chain in chains]


def num_correct(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str], num_samples: int
) -> list[int]:
    """Sample each prompt `num_samples` times and count; all prompts must have one length."""
    answers = building.sample(model, tokenizer, prompts, num_samples, MAX_TOKENS)
    return [
        sum(world.verify(text, {"prompt": prompt}) == "correct" for text in texts)
        for prompt, texts in zip(prompts, answers, strict=True)
    ]


def describe(prompt: str) -> dict[str, Any]:
    """Make the row of a training or evaluation prompt."""
    chain = world.parse(prompt)
    assert chain is not None, prompt
    return families.describe(chain, f"length-{len(chain[1])}")


def unseen(rng: random.Random, length: int, count: int, seen: set[str]) -> list[str]:
    """Draw `count` prompts that are not in `seen`, and add them to it."""
    prompts: list[str] = []
    while len(prompts) < count:
        prompt = world.write(world.sample_chain(rng, length))
        if prompt not in seen:
            seen.add(prompt)
            prompts.append(prompt)
    return prompts


def build_prompts(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> tuple[Rows, Rows]:
    """Draw held-out prompts unfiltered, and training prompts that the base fails in every one of its samples."""
    seen: set[str] = set()
    train: list[str] = []
    evaluation = [p for length in families.LENGTHS for p in unseen(rng, length, NUM_EVALUATION_PER_LENGTH, seen)]
    for length in families.LENGTHS:
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


def build_test(out: Path) -> Rows:
    """Draw the test families apart from the training and evaluation prompts in the folder."""
    others = [row["prompt"] for name in ("train", "evaluation") for row in building.read_rows(out / f"{name}.jsonl")]
    return families.draw_test(random.Random(SEED + 4), others)


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
    for length in families.LENGTHS:
        prompts = unseen(rng, length, 256, set())
        counts = num_correct(model, tokenizer, prompts, 8)
        rate, never = sum(counts) / (8 * len(counts)), sum(c == 0 for c in counts) / len(counts)
        print(f"length {length}  pass rate {rate:.3f}  never solved in 8 {never:.2f}")


def report_families(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> None:
    """Print the base's pass@1 and pass@8 on every test family."""
    for family in families.FAMILIES:
        prompts = [row["prompt"] for row in rows if row["family"] == family]
        counts = [
            count
            for length in sorted({len(prompt) for prompt in prompts})
            for count in num_correct(model, tokenizer, [p for p in prompts if len(p) == length], NUM_SAMPLES)
        ]
        one, eight = (sum(building.pass_at(k, c, NUM_SAMPLES) for c in counts) / len(counts) for k in (1, 8))
        print(f"family {family:12s}  {len(counts)} prompts  pass@1 {one:.3f}  pass@8 {eight:.3f}")


def build_all(out: Path) -> None:
    """Train the base, draw training and evaluation prompts, and write them."""
    tokenizer = building.build_tokenizer(SYMBOLS)
    model = building.build_model(tokenizer, SIZE)
    rng = random.Random(SEED + 1)
    building.supervise(
        model, tokenizer, lambda step: demonstrations(TRAIN_LENGTHS[step % len(TRAIN_LENGTHS)], rng), SCHEDULE
    )
    train, evaluation = build_prompts(model, tokenizer, random.Random(SEED + 2))
    report(model, tokenizer, random.Random(SEED + 3))
    out.mkdir(parents=True, exist_ok=True)
    building.write_model(out / "model", model, tokenizer)
    building.write_rows(out / "train.jsonl", train)
    building.write_rows(out / "evaluation.jsonl", evaluation)


def main() -> None:
    """Build everything, or the test families alone, and print the hashes of the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets model/ and the three .jsonl files")
    parser.add_argument("--test-only", action="store_true", help="only test.jsonl, beside the files that are there")
    options = parser.parse_args()
    out = options.out
    building.seed_torch(SEED)
    if not options.test_only:
        build_all(out)
    rows = build_test(out)
    building.write_rows(out / "test.jsonl", rows)
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_pretrained(out / "model", dtype=torch.float32)
    report_families(model, AutoTokenizer.from_pretrained(out / "model"), rows)
    names = ("train.jsonl", "evaluation.jsonl", "test.jsonl")
    building.print_hashes(out, [*(out / "model").iterdir(), *(out / name for name in names)])


if __name__ == "__main__":
    main()
