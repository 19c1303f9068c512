"""How plain GRPO learns Countdown: a quick rise, then a hard level that stays, while entropy falls.

What it does: runs `trl.GRPOTrainer` on the shipped task and prints one row every 25 steps: the on-policy reward, groups
that are all wrong or all right, and the entropy (means over the last 25 steps); then, by its own sampling (8 per
prompt), pass@1 and pass@8 on the 256 evaluation prompts by level.

What it leaves out: guidance of any kind. The point is the problem, not a method.

    OMP_NUM_THREADS=1 python benchmarks/countdown_dynamics.py --seed 0 --steps 200     # about 3 minutes
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import torch
from apprentice_dynamics import NUM_GENERATIONS, GroupedReward, sample
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

from nearfuture.tasks import Task, judge, load_task
from nearfuture.types import Verdict

EVERY, NUM_PROMPTS, MAX_TOKENS = 25, 32, 16


class Table(TrainerCallback):
    """Prints one row every `EVERY` steps; the row of step 0 is the base model."""

    def __init__(self, task: Task, tokenizer: Any, reward: GroupedReward) -> None:
        self.task, self.tokenizer, self.reward = task, tokenizer, reward
        self.families = sorted({row["family"] for row in task.evaluation})
        self.entropies: list[float] = []
        self.start = time.time()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Print the head of the table, and the base model."""
        levels = [f"{family} pass@{k}" for family in self.families for k in (1, 8)]
        names = ["step", "reward", "all wrong", "all right", "entropy", *levels, "s/step"]
        print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
        self.add(0, model)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **kwargs: Any) -> None:
        """Keep the entropy of every step; print a row where one is due."""
        if "entropy" in logs:
            self.entropies.append(logs["entropy"])
            if state.global_step % EVERY == 0:
                self.add(state.global_step, model)

    def held_out(self, model: Any, family: str) -> tuple[float, float]:
        """Give pass@1 and pass@8 of one level."""
        rows = [row for row in self.task.evaluation if row["family"] == family]
        right = [
            [judge(self.task.verify, text, row) is Verdict.CORRECT for text in texts]
            for texts, row in zip(sample(model, self.tokenizer, rows, MAX_TOKENS), rows, strict=True)
        ]
        return sum(sum(group) / len(group) for group in right) / len(rows), sum(map(any, right)) / len(rows)

    def add(self, step: int, model: Any) -> None:
        """Sample the held-out prompts, and print one row."""
        seconds = (time.time() - self.start) / EVERY
        on_policy = torch.tensor(self.reward.steps[-EVERY:] or [[float("nan")] * 3]).mean(0).tolist()
        entropy = torch.tensor(self.entropies[-EVERY:]).mean().item()
        levels = [rate for family in self.families for rate in self.held_out(model, family)]
        values = (f"{value:.2f}" for value in [*on_policy, entropy, *levels, seconds])
        print(f"| {step} | {' | '.join(values)} |".replace("nan", "-"), flush=True)
        self.start = time.time()


def main() -> None:
    """Train with plain GRPO and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    task = load_task("countdown")
    assert task.model is not None
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    reward = GroupedReward(task)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            seed=options.seed,
            max_steps=options.steps,
            learning_rate=options.learning_rate,
            lr_scheduler_type="constant",
            adam_beta1=0.9,
            adam_beta2=0.95,
            weight_decay=0.0,
            per_device_train_batch_size=NUM_PROMPTS * NUM_GENERATIONS,
            num_generations=NUM_GENERATIONS,
            max_completion_length=MAX_TOKENS,
            temperature=1.0,
            loss_type="dapo",
            beta=0.0,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32),
            args=config,
            reward_funcs=reward,
            train_dataset=Dataset.from_list(list(task.train)),
            processing_class=tokenizer,
            callbacks=[Table(task, tokenizer, reward)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


if __name__ == "__main__":
    main()
