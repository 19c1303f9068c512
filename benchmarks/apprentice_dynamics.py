"""How plain GRPO learns the apprentice's world: sparse reward early, falling entropy, a hard core of prompts late.

What it does: runs `trl.GRPOTrainer` on the shipped task and prints one row every 25 steps: the on-policy reward,
groups that are all wrong or all right, and the entropy (means over the last 25 steps); then, by its own sampling (8 per
prompt), the held-out pass rate by family and the share of 512 fixed training prompts that are never solved. Before and
after, it prints what the policy writes for each operator: the right value, the misconception, or another one.

What it leaves out: guidance of any kind. The point is the problem, not a method.

    OMP_NUM_THREADS=1 python benchmarks/apprentice_dynamics.py --seed 0 --steps 400     # about 3 minutes

Letters: `P` prompts, `G` generations per prompt.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

from nearfuture.tasks import Task, VerdictReward, load_task
from nearfuture.tasks.apprentice import world
from nearfuture.types import Verdict

EVERY, NUM_PROMPTS, NUM_GENERATIONS, NUM_SAMPLES, NUM_PROBED = 25, 64, 8, 8, 512

Rows = list[dict[str, Any]]


@torch.no_grad()
def sample(model: Any, tokenizer: Any, rows: Rows, max_new_tokens: int = 8) -> list[list[str]]:
    """Answer every row `NUM_SAMPLES` times at temperature 1, without disturbing the run's random numbers."""
    batch = tokenizer([row["prompt"] for row in rows], padding=True, return_tensors="pt")
    rng_state, was_training = torch.get_rng_state(), model.training
    model.eval()
    out = model.generate(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=max_new_tokens,
        num_return_sequences=NUM_SAMPLES,
    )
    model.train(was_training)
    torch.set_rng_state(rng_state)
    texts = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [texts[i : i + NUM_SAMPLES] for i in range(0, len(texts), NUM_SAMPLES)]


def pass_rates(answers: list[list[str]], rows: Rows) -> list[float]:
    """Give the share of correct answers per row."""
    return [
        sum(world.verify(text, row) is Verdict.CORRECT for text in texts) / len(texts)
        for texts, row in zip(answers, rows, strict=True)
    ]


def print_beliefs(title: str, answers: list[list[str]], rows: Rows) -> None:
    """Print by operator what is written, given the value written before (an early error does not count twice)."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for texts, row in zip(answers, rows, strict=True):
        start, steps = world.parse(row["prompt"]) or (0, ())
        for text in texts:
            value = start
            for (op, operand), character in zip(steps, text, strict=False):
                if character not in world.DIGITS:
                    break
                right, believed = world.TABLES[op][value][operand], world.MISCONCEPTIONS[op][value][operand]
                value = int(character)
                counts[op]["right" if value == right else "misconception" if value == believed else "other"] += 1
    kinds = ("right", "misconception", "other")
    print(f"\n| operator, {title} | {' | '.join(kinds)} |\n|---|---|---|---|")
    for op in world.OPERATORS:
        name = op.replace("|", r"\|")  # a bar would end the table's cell
        print(f"| `{name}` | {' | '.join(f'{counts[op][kind] / counts[op].total():.2f}' for kind in kinds)} |")
    print(flush=True)


class GroupedReward(VerdictReward):
    """The task's reward, which also remembers how many groups were all wrong or all right."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.steps: list[list[float]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> list[float | None]:
        """Judge as the task does, and keep the means of this step's groups."""
        rewards = super().__call__(*args, **kwargs)
        pass_rate_P = torch.tensor(rewards, dtype=torch.float32).view(-1, NUM_GENERATIONS).mean(1)
        groups = (pass_rate_P, (pass_rate_P == 0).float(), (pass_rate_P == 1).float())
        self.steps.append([value.mean().item() for value in groups])
        return rewards


class Table(TrainerCallback):
    """Prints one row every `EVERY` steps; the row of step 0 is the base model."""

    def __init__(self, task: Task, tokenizer: Any, reward: GroupedReward) -> None:
        self.tokenizer, self.reward = tokenizer, reward
        self.held_out = list(task.evaluation)
        self.families = sorted({row["family"] for row in self.held_out})
        # the file is sorted by length: a stride takes every length equally often
        self.probed = list(task.train)[:: max(1, len(task.train) // NUM_PROBED)][:NUM_PROBED]
        self.entropies: list[float] = []
        self.start = time.time()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Print the head of the table, and the base model."""
        print_beliefs("base", sample(model, self.tokenizer, self.probed), self.probed)
        names = ["step", "reward", "all wrong", "all right", "entropy", *self.families, "never solved", "s/step"]
        print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
        self.add(0, model)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **kwargs: Any) -> None:
        """Keep the entropy of every step; print a row where one is due."""
        if "entropy" in logs:
            self.entropies.append(logs["entropy"])
            if state.global_step % EVERY == 0:
                self.add(state.global_step, model)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Print what the trained policy writes for each operator."""
        print_beliefs(f"step {state.global_step}", sample(model, self.tokenizer, self.probed), self.probed)

    def add(self, step: int, model: Any) -> None:
        """Sample the held-out and the probed prompts, and print one row."""
        seconds = (time.time() - self.start) / EVERY
        on_policy = torch.tensor(self.reward.steps[-EVERY:] or [[float("nan")] * 3]).mean(0).tolist()
        entropy = torch.tensor(self.entropies[-EVERY:]).mean().item()
        by_family: dict[str, list[float]] = defaultdict(list)
        rates = pass_rates(sample(model, self.tokenizer, self.held_out), self.held_out)
        for row, rate in zip(self.held_out, rates, strict=True):
            by_family[row["family"]].append(rate)
        held_out = [sum(by_family[name]) / len(by_family[name]) for name in self.families]
        probed = pass_rates(sample(model, self.tokenizer, self.probed), self.probed)
        never = sum(rate == 0 for rate in probed) / len(probed)
        values = (f"{value:.2f}" for value in [*on_policy, entropy, *held_out, never, seconds])
        print(f"| {step} | {' | '.join(values)} |".replace("nan", "-"), flush=True)
        self.start = time.time()


def main() -> None:
    """Train with plain GRPO and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    task = load_task("apprentice")
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
            max_completion_length=8,
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
