"""Build what the shapes world ships: a tiny Qwen3-VL with its processor, and the scenes.

What it does: trains a Qwen3VLForConditionalGeneration of half a million parameters to write the calculation and its
result, on scenes of the training split drawn on the fly, first on right demonstrations, then on some in which numbers
are misread; draws training, evaluation and test scenes, none of which depends on the model; measures the base on the
last two. Same seed, same machine, same torch: the same files, byte for byte. `--prompts-only` draws the scenes beside
the model that is there.

What it leaves out: reinforcement learning (measurements/shapes_dynamics.py), GPUs, videos.

    OMP_NUM_THREADS=1 python scripts/build_shapes.py --out src/nearfuture/tasks/worlds/shapes
"""

from __future__ import annotations

import argparse
import random
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import building
import building_vl
import torch
from building import Schedule
from transformers import AutoModelForImageTextToText, Qwen3VLForConditionalGeneration

from nearfuture.tasks.worlds.shapes import families, world
from nearfuture.tasks.worlds.shapes.shipped import with_image
from nearfuture.train.answer import policy
from nearfuture.train.vision.processor import load_for_training

SEED = 0
BATCH_SIZE = 64
RIGHT = Schedule(num_steps=800, peak_lr=2.5e-3)
MISREAD = Schedule(num_steps=120, peak_lr=1e-3, warmup=10)
MISREAD_FRAC = {"objects": 0.6, "bars": 0.75, "triangle": 0.75}
"""Probability by kind of scene that a number is demonstrated as one or two too many or too few."""
NUM_TRAIN_PER_FAMILY, NUM_EVALUATION_PER_FAMILY, NUM_TEST_PER_FAMILY = 410, 32, 32
NUM_SAMPLES, MAX_TOKENS, PROMPTS_AT_ONCE = 32, 12, 32

Rows = list[dict[str, Any]]


def demonstrate(row: dict[str, Any], rng: random.Random) -> str:
    """The calculation with each number that is read off misread now and then, and the result of what was read."""
    misread_frac = MISREAD_FRAC[world.parse(row["scene"]).kind]

    def read(number: re.Match[str]) -> str:
        off = families.choice(rng, (-2, -1, 1, 2)) if rng.random() < misread_frac else 0
        return str(max(0, int(number[0]) + off))

    is_read_off = rf"(?<![0-9*])(?!{world.HALF_TURN}-)[0-9]+"  # neither a factor of the question nor the half turn
    written = re.sub(is_read_off, read, row["answer"].partition("=")[0])
    return f"{written}={world.result(written)}"


def supervise(
    model: Qwen3VLForConditionalGeneration,
    processor: Any,
    schedule: Schedule,
    answer: Callable[[dict[str, Any], random.Random], str],
    rng: random.Random,
) -> None:
    """Train on fresh scenes of the training split: cross-entropy on the answer tokens."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.peak_lr, betas=(0.9, 0.95), weight_decay=0.0)
    model.train()
    for step in range(schedule.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr(step)
        drawn = [families.TRAINED[i % len(families.TRAINED)] for i in range(BATCH_SIZE)]
        rows = [with_image(families.draw(rng, family, "train")) for family in drawn]
        inputs, labels = building_vl.encode(processor, rows, [answer(row, rng) for row in rows])
        loss = model(**inputs, labels=labels).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 or step == schedule.num_steps - 1:
            print(f"step {step:5d}  loss {loss.item():.3f}", flush=True)


def build_prompts() -> dict[str, Rows]:
    """Draw the scenes of every split."""
    rng = random.Random(SEED)
    return {
        "train": families.draw_rows(rng, families.TRAINED, NUM_TRAIN_PER_FAMILY, "train"),
        "evaluation": families.draw_rows(rng, families.TRAINED, NUM_EVALUATION_PER_FAMILY, "evaluation"),
        "test": families.draw_rows(rng, families.FAMILIES, NUM_TEST_PER_FAMILY, "test"),
    }


@torch.no_grad()
def count_correct(model: Qwen3VLForConditionalGeneration, processor: Any, rows: Rows) -> list[int]:
    """Sample the base on every scene and count."""
    model.eval()
    counts = []
    for start in range(0, len(rows), PROMPTS_AT_ONCE):
        part = [with_image(row) for row in rows[start : start + PROMPTS_AT_ONCE]]
        repeated = [row for row in part for _ in range(NUM_SAMPLES)]
        inputs = policy.encode(processor, repeated)
        out = model.generate(**inputs, max_new_tokens=MAX_TOKENS)
        texts = processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        right = [world.verify(text, row) == "correct" for text, row in zip(texts, repeated, strict=True)]
        counts += [sum(right[i : i + NUM_SAMPLES]) for i in range(0, len(right), NUM_SAMPLES)]
    return counts


def report(model: Qwen3VLForConditionalGeneration, processor: Any, split: str, rows: Rows) -> None:
    """Print the base's pass@1 and pass@8 by family."""
    by_family = defaultdict(list)
    for row, count in zip(rows, count_correct(model, processor, rows), strict=True):
        by_family[row["family"]].append(count)
    for family, counts in by_family.items():
        one, eight = (sum(building.pass_at(k, c, NUM_SAMPLES) for c in counts) / len(counts) for k in (1, 8))
        print(f"{split:10s}  {family:8s}  {len(counts)} prompts  pass@1 {one:.3f}  pass@8 {eight:.3f}", flush=True)


def main() -> None:
    """Build everything, or the scenes alone, and print the hashes of the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets model/ and the three .jsonl files")
    parser.add_argument("--prompts-only", action="store_true", help="only the .jsonl files, beside the model there")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    building.seed_torch(SEED)
    splits = build_prompts()
    for split, rows in splits.items():
        building.write_rows(out / f"{split}.jsonl", rows)
    if not options.prompts_only:
        processor = building_vl.build_processor(world.SYMBOLS)
        model = building_vl.build_model(processor.tokenizer)
        rng = random.Random(SEED + 1)
        supervise(model, processor, RIGHT, lambda row, _: row["answer"], rng)
        supervise(model, processor, MISREAD, demonstrate, rng)
        building.write_model(
            out / "model", model, building_vl.build_processor(world.SYMBOLS)
        )  # its tokenizer has padded nothing yet
        torch.manual_seed(SEED)
        model = AutoModelForImageTextToText.from_pretrained(out / "model", dtype=torch.float32)
        processor = load_for_training(str(out / "model"))
        for split in ("evaluation", "test"):
            report(model, processor, split, splits[split])
    building.print_hashes(out, [*(out / "model").iterdir(), *(out / f"{split}.jsonl" for split in splits)])


if __name__ == "__main__":
    main()
