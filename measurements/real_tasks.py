"""Which questions of reasoning-gym does a small instruct model half know, and does it end its answers?

What it does: asks held-out questions of each candidate below as training would, `--samples` times each at temperature
1, without and with solved questions before them, and counts what is correct (and ended), how many questions were solved
at least once, and how many answers ended. A candidate is worth training on where the first is small, not zero, and the
last is large: then what is missing is how to find the answer, and no form.

What it leaves out: training (`configs/real/`), and any other model's tokens a second.

    python measurements/real_tasks.py runs/smollm2 --output measurements/results/real/tasks.md     # 3 CPU minutes
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from printed import print_lines
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from nearfuture.tasks import load_task
from nearfuture.train.generation import decode

Row = dict[str, Any]
PLAIN = {"operators": ["+", "-"], "allow_parentheses": False, "allow_negation": False}
TWO_TERMS = {"min_terms": 2, "max_terms": 2, "min_digits": 1}
BARE = {"instruction": "", "num_train": 8, "num_evaluation": 24, "num_test": 0}
CANDIDATES: dict[str, tuple[str, dict[str, Any]]] = {
    "sums of one digit": ("basic_arithmetic", {**TWO_TERMS, **PLAIN, "operators": ["+"], "max_digits": 1}),
    "one digit": ("basic_arithmetic", {**TWO_TERMS, **PLAIN, "max_digits": 1}),
    "up to two digits": ("basic_arithmetic", {**TWO_TERMS, **PLAIN, "max_digits": 2}),
    "the same, in a sentence": ("chain_sum", {**TWO_TERMS, "max_digits": 1}),
}
WAYS: dict[str, dict[str, Any]] = {
    "the template's system message": {},
    "an empty one": {"system_prompt": ""},
    "a number is asked for": {"system_prompt": "", "instruction": "Answer with a number only."},
    "one solved question": {"system_prompt": "", "num_shots": 1},
    "four": {"system_prompt": "", "num_shots": 4},
}
LENGTH = 6


def ask(model: Any, tokenizer: Any, rows: Sequence[Row], num_samples: int) -> tuple[list[list[int]], int]:
    """Sample each row's prompt; the completions, row by row, and the tokens of the longest prompt."""
    inputs = tokenizer.apply_chat_template(
        [row["prompt"] for row in rows],
        add_generation_prompt=True,
        padding=True,
        return_tensors="pt",
        return_dict=True,
    )
    length = inputs["input_ids"].shape[1]
    config = GenerationConfig(
        do_sample=True,
        top_k=0,
        max_new_tokens=LENGTH,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    prompt_of_row = torch.arange(len(rows)).repeat_interleave(num_samples)
    with torch.no_grad():
        once = functools.partial(decode, prompt_of_row=prompt_of_row)
        ids = model.generate(**inputs, generation_config=config, custom_generate=once)
    return ids[:, length:].tolist(), length


def table(folder: Path, num_samples: int) -> Iterator[str]:
    """Ask all candidates in all ways; line by line."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    num = BARE["num_evaluation"]
    yield f"# What {folder.name} does before it is trained\n"
    yield f"Written by `measurements/real_tasks.py`: {num} questions x {num_samples} samples at temperature 1.\n"
    yield "| questions | asked with | prompt tokens | correct | solved once | ended | answers to the first |"
    yield "|---|---|---|---|---|---|---|"
    for name, (family, args) in CANDIDATES.items():
        for way, put in WAYS.items():
            torch.manual_seed(0)
            task = load_task(f"reasoning_gym/{family}", {**BARE, **args, **put})
            yield f"| {name} | {way} | {line(model, tokenizer, task, num_samples)} |"


def line(model: Any, tokenizer: Any, task: Any, num_samples: int) -> str:
    """The cells of one way of asking."""
    rows, eos = list(task.evaluation), tokenizer.eos_token_id
    answers, length = ask(model, tokenizer, rows, num_samples)
    ended = torch.tensor([eos in ids for ids in answers])
    texts = [tokenizer.decode(ids[: ids.index(eos)] if eos in ids else ids) for ids in answers]
    verdicts = [task.verify(text, rows[i // num_samples]) >= task.correct_threshold for i, text in enumerate(texts)]
    correct = torch.tensor(verdicts) & ended
    solved = correct.view(len(rows), num_samples).any(1).float().mean()
    shown = ", ".join(f"`{text!r}`" for text in texts[:num_samples])
    return f"{length} | {correct.float().mean():.3f} | {solved:.2f} | {ended.float().mean():.2f} | {shown}"


def main() -> None:
    """Print as it comes, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a model with a chat template, in the Hugging Face layout")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print_lines(table(options.folder, options.samples), options.output)


if __name__ == "__main__":
    main()
