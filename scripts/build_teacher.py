"""Build the traces of an external teacher for the apprentice's world: other weights, other size, another notation.

What it does: trains a Qwen3 of another shape and seed on correct answers, written `055=` instead of `055`, to random
chains of the training lengths; samples each of the 2,048 training prompts up to 4 times, keeps the first verified
answer, and writes teacher.jsonl. Then it counts how often the base itself writes that notation. Same seed, same
machine, same torch: the same file, byte for byte.

What it leaves out: the teacher's weights (only its traces ship), and the training that uses them (LUFFY).

    OMP_NUM_THREADS=1 python scripts/build_teacher.py --folder src/nearfuture/tasks/worlds/apprentice     # 3 minutes
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from pathlib import Path
from typing import Any

import building
import torch
from building import Schedule, Size
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen3ForCausalLM

from nearfuture.tasks.worlds.apprentice import families, world

SEED = 100
SIZE = Size(hidden_size=80, intermediate_size=160, num_hidden_layers=2, num_attention_heads=5)
SCHEDULE, BATCH_SIZE = Schedule(num_steps=800), 128
NUM_SAMPLES, MAX_TOKENS = 4, 8

Rows = list[dict[str, Any]]


def demonstrations(length: int, rng: random.Random) -> building.Pairs:
    """Draw one batch of right answers to chains of `length` operations, in the teacher's notation."""
    chains = (world.sample_chain(rng, length) for _ in range(BATCH_SIZE))
    return [(world.write(chain), world.close(world.trace(chain))) for chain in chains]


def answer(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: Rows, max_tokens: int) -> list[list[str]]:
    """Sample every row `NUM_SAMPLES` times, those of one length together; the order of the rows is kept."""
    answers: dict[str, list[str]] = {}
    for length in families.LENGTHS:
        prompts = [row["prompt"] for row in rows if row["length"] == length]
        sampled = building.sample(model, tokenizer, prompts, NUM_SAMPLES, max_tokens)
        answers |= dict(zip(prompts, sampled, strict=True))
    return [answers[row["prompt"]] for row in rows]


def traces(rows: Rows, answers: list[list[str]]) -> Rows:
    """Keep the first verified answer of every prompt, in the format of a file of trajectories."""
    kept = []
    for row, texts in zip(rows, answers, strict=True):
        verified = [text for text in texts if world.verify(text, row) == "correct"]
        if verified:
            target = [{"role": "assistant", "content": verified[0]}]
            kept.append({"prompt_id": row["prompt_id"], "prompt": row["prompt"], "target": target})
    return kept


def report(title: str, rows: Rows, answers: list[list[str]]) -> None:
    """Print the pass rate by length, and how many samples are written in which notation."""
    for length in families.LENGTHS:
        right = [
            world.verify(text, row) == "correct"
            for row, texts in zip(rows, answers, strict=True)
            for text in texts
            if row["length"] == length
        ]
        print(f"{title}  length {length}  pass rate {sum(right) / len(right):.3f} of {len(right)} samples")
    kinds = Counter(
        "no answer" if world.read(text) is None else "closed" if world.END_OF_PROMPT in text else "digits"
        for texts in answers
        for text in texts
    )
    print(f"{title}  {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}", flush=True)


def train_teacher(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Train the teacher on fresh chains, every length in turn."""
    model = building.build_model(tokenizer, SIZE)
    rng, lengths = random.Random(SEED + 1), families.LENGTHS
    building.supervise(model, tokenizer, lambda step: demonstrations(lengths[step % len(lengths)], rng), SCHEDULE)
    return model


def main() -> None:
    """Train, sample, keep what is right, and measure teacher and base."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder with model/ and train.jsonl")
    parser.add_argument("--out", type=Path, help="file that gets the traces (default: teacher.jsonl in the folder)")
    options = parser.parse_args()
    out = options.out or options.folder / "teacher.jsonl"
    building.seed_torch(SEED)
    tokenizer = AutoTokenizer.from_pretrained(options.folder / "model")
    rows = building.read_rows(options.folder / "train.jsonl")
    teacher = train_teacher(tokenizer)
    answers = answer(teacher, tokenizer, rows, MAX_TOKENS)
    kept = traces(rows, answers)
    building.write_rows(out, kept)
    report("teacher", rows, answers)
    print(f"teacher  {len(kept)} of {len(rows)} prompts have a verified trace")
    base = AutoModelForCausalLM.from_pretrained(options.folder / "model", dtype=torch.float32)
    report("base", rows, answer(base, tokenizer, rows, MAX_TOKENS))
    building.print_hashes(out.parent, [out])


if __name__ == "__main__":
    main()
