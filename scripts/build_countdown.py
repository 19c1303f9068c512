"""Build what Countdown ships: the tiny base model, its tokenizer, and the prompts.

What it does: trains a Qwen3 of about 180k parameters on right answers to random puzzles, then for a short while on
demonstrations that are mostly a habit (any of the shown numbers, any operators), so that it seldom shows what it knows;
draws training, evaluation and test prompts, none of which depends on the model; measures the base on the evaluation and
test prompts. Same seed, same machine, same torch: the same files, byte for byte. `--prompts-only` draws the prompts
beside the model that is there, and trains nothing.

What it leaves out: reinforcement learning (measurements/countdown_dynamics.py), and GPUs (3 minutes on one CPU thread).

    OMP_NUM_THREADS=1 python scripts/build_countdown.py --out src/nearfuture/tasks/worlds/countdown
"""

from __future__ import annotations

import argparse
import math
import random
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import building
import torch
from building import Schedule, Size
from transformers import AutoModelForCausalLM, AutoTokenizer

from nearfuture.tasks.worlds.countdown import families, world

SEED = 0
SIZE = Size(hidden_size=72, intermediate_size=180, num_hidden_layers=3)
BATCH_SIZE = 128
COMPETENCE, KNOWING = Schedule(num_steps=900), {3: 1.0, 4: 1.0}
HABIT, SKILL = Schedule(num_steps=60, peak_lr=5e-4, warmup=10), {3: 0.65, 4: 0.5}
NUM_TRAIN, NUM_EVALUATION = 2048, 256
NUM_SAMPLES, MAX_TOKENS = 64, 16

Rows = list[dict[str, Any]]


def demonstrations(rng: random.Random, skill: dict[int, float]) -> building.Pairs:
    """Draw one batch of puzzles and what is demonstrated, 3 and 4 numbers in turn."""
    counts = (families.LEVELS[i % len(families.LEVELS)] for i in range(BATCH_SIZE))
    shown = (families.demonstrate(rng, count, skill[count]) for count in counts)
    return [(world.write(puzzle), world.spell(expression)) for puzzle, expression in shown]


def build_model(out: Path) -> None:
    """Train the base, first to know, then to hide it behind a habit, and write it."""
    tokenizer = building.build_tokenizer(world.SYMBOLS)
    model = building.build_model(tokenizer, SIZE)
    for phase, (schedule, skill) in enumerate(((COMPETENCE, KNOWING), (HABIT, SKILL)), start=1):
        batch = partial(demonstrations, random.Random(SEED + phase), skill)
        building.supervise(model, tokenizer, lambda _, batch=batch: batch(), schedule)
    building.write_model(out / "model", model, tokenizer)


def build_prompts() -> dict[str, Rows]:
    """Draw the rows of every split; half of the training and evaluation rows have 3 numbers, half 4."""
    rng = random.Random(SEED + 3)
    sizes = {"train": NUM_TRAIN, "evaluation": NUM_EVALUATION}
    splits = {
        split: [row for count in families.LEVELS for row in families.draw_level(rng, count, split, size // 2)]
        for split, size in sizes.items()
    }
    return splits | {"test": families.draw_test(rng)}


def chance(prompt: str) -> float:
    """Share of right answers among all expressions that use every number once."""
    puzzle = world.parse(prompt)
    assert puzzle is not None, prompt
    count = len(puzzle.numbers)
    return sum(1 for _ in world.solutions(puzzle)) / (math.factorial(count) * len(world.OPERATORS) ** (count - 1))


def count_correct(folder: Path, rows: Rows) -> dict[str, int]:
    """Sample the base on every prompt and count, those of one length together."""
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    by_length: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        by_length[len(row["prompt"])].append(row["prompt"])
    counts: dict[str, int] = {}
    for prompts in by_length.values():
        answers = building.sample(model, tokenizer, prompts, NUM_SAMPLES, MAX_TOKENS)
        for prompt, texts in zip(prompts, answers, strict=True):
            counts[prompt] = sum(world.verify(text, {"prompt": prompt}) == "correct" for text in texts)
    return counts


def report(folder: Path, split: str, rows: Rows) -> None:
    """Print chance and the base's pass@1 and pass@8 by family."""
    counts = count_correct(folder, rows)
    for family in dict.fromkeys(row["family"] for row in rows):
        prompts = [row["prompt"] for row in rows if row["family"] == family]
        one, eight = (
            sum(building.pass_at(k, counts[prompt], NUM_SAMPLES) for prompt in prompts) / len(prompts) for k in (1, 8)
        )
        by_chance = sum(map(chance, prompts)) / len(prompts)
        print(
            f"{split:10s}  {family:12s}  {len(prompts)} prompts  "
            f"chance {by_chance:.3f}  pass@1 {one:.3f}  pass@8 {eight:.3f}",
            flush=True,
        )


def main() -> None:
    """Build everything, or the prompts alone, and print the hashes of the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets model/ and the three .jsonl files")
    parser.add_argument("--prompts-only", action="store_true", help="only the .jsonl files, beside the model there")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    building.seed_torch(SEED)
    if not options.prompts_only:
        build_model(out)
    splits = build_prompts()
    torch.manual_seed(SEED)
    for split, rows in splits.items():
        building.write_rows(out / f"{split}.jsonl", rows)
        if split != "train":
            report(out, split, rows)
    building.print_hashes(out, [*(out / "model").iterdir(), *(out / f"{split}.jsonl" for split in splits)])


if __name__ == "__main__":
    main()
