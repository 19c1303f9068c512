"""Plain GRPO on a shipped world, watched: what the scripts that describe a world have in common.

What it does: runs `trl.GRPOTrainer` with this project's usual settings and tells a callback what happens on-policy and
what the policy answers to given prompts, without disturbing the run.

What it leaves out: guidance of any kind, and what is printed (the scripts `*_dynamics.py`).

Letters: `P` prompts, `G` generations per prompt.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

from nearfuture.tasks import Task, VerdictReward, judge, load_task
from nearfuture.train.answer.policy import encode
from nearfuture.train.vision.processor import load_for_training
from nearfuture.types import Verdict

EVERY, NUM_GENERATIONS, NUM_SAMPLES = 25, 8, 8

Rows = list[dict[str, Any]]


@torch.no_grad()
def sample(model: Any, processor: Any, rows: Rows, max_new_tokens: int) -> list[list[str]]:
    """Answer every row `NUM_SAMPLES` times at temperature 1, without disturbing the run's random numbers."""
    batch = encode(processor, rows)
    rng_state, was_training = torch.get_rng_state(), model.training
    model.eval()
    out = model.generate(
        **batch,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=max_new_tokens,
        num_return_sequences=NUM_SAMPLES,
    )
    model.train(was_training)
    torch.set_rng_state(rng_state)
    texts = processor.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [texts[i : i + NUM_SAMPLES] for i in range(0, len(texts), NUM_SAMPLES)]


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


class Table(TrainerCallback, ABC):
    """Prints one row every `EVERY` steps; the row of step 0 is the base model.

    A subclass names its `columns` and measures them in `held_out`.
    """

    columns: list[str]

    def __init__(self, task: Task, processor: Any, reward: GroupedReward) -> None:
        self.task, self.processor, self.reward = task, processor, reward
        self.families = sorted({row["family"] for row in task.evaluation})
        self.entropies: list[float] = []
        self.start = time.time()

    @abstractmethod
    def held_out(self, model: Any) -> list[float]:
        """Measure what stands in `columns`."""

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Print the head of the table, and the base model."""
        names = ["step", "reward", "all wrong", "all right", "entropy", *self.columns, "s/step"]
        print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
        self.add(0, model)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **kwargs: Any) -> None:
        """Keep the entropy of every step; print a row where one is due."""
        if "entropy" in logs:
            self.entropies.append(logs["entropy"])
            if state.global_step % EVERY == 0:
                self.add(state.global_step, model)

    def add(self, step: int, model: Any) -> None:
        """Measure, and print one row."""
        seconds = (time.time() - self.start) / EVERY
        on_policy = torch.tensor(self.reward.steps[-EVERY:] or [[float("nan")] * 3]).mean(0).tolist()
        entropy = torch.tensor(self.entropies[-EVERY:]).mean().item()
        values = (f"{value:.2f}" for value in [*on_policy, entropy, *self.held_out(model), seconds])
        print(f"| {step} | {' | '.join(values)} |".replace("nan", "-"), flush=True)
        self.start = time.time()


class Levels(Table):
    """pass@1 and pass@8 of the evaluation prompts, by family."""

    def __init__(self, task: Task, processor: Any, reward: GroupedReward, *, max_tokens: int) -> None:
        super().__init__(task, processor, reward)
        self.max_tokens = max_tokens
        self.columns = [f"{family} pass@{k}" for family in self.families for k in (1, 8)]

    def held_out(self, model: Any) -> list[float]:
        """Sample the evaluation prompts of every family."""
        return [rate for family in self.families for rate in self.level(model, family)]

    def level(self, model: Any, family: str) -> tuple[float, float]:
        """Give pass@1 and pass@8 of one family."""
        rows = [row for row in self.task.evaluation if row["family"] == family]
        right = [
            [judge(self.task.verify, text, row) is Verdict.CORRECT for text in texts]
            for texts, row in zip(sample(model, self.processor, rows, self.max_tokens), rows, strict=True)
        ]
        return sum(sum(group) / len(group) for group in right) / len(rows), sum(map(any, right)) / len(rows)


def levels(max_tokens: int) -> Callable[[Task, Any, GroupedReward], Table]:
    """A table of levels for completions of so many tokens at most."""
    return functools.partial(Levels, max_tokens=max_tokens)


def build_trainer(
    task: Task,
    reward: GroupedReward,
    folder: str,
    *,
    seed: int,
    num_prompts: int,
    max_tokens: int,
    num_steps: int,
    learning_rate: float,
) -> GRPOTrainer:
    """TRL's trainer of a shipped task, with this project's usual settings."""
    config = GRPOConfig(
        output_dir=folder,
        model_init_kwargs={"dtype": "float32"},
        seed=seed,
        max_steps=num_steps,
        learning_rate=learning_rate,
        lr_scheduler_type="constant",
        adam_beta1=0.9,
        adam_beta2=0.95,
        weight_decay=0.0,
        per_device_train_batch_size=num_prompts * NUM_GENERATIONS,
        num_generations=NUM_GENERATIONS,
        max_completion_length=max_tokens,
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
        model=task.model,
        args=config,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(list(task.train)),
        processing_class=load_for_training(task.model),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def main(
    name: str,
    description: str | None,
    table: Callable[[Task, Any, GroupedReward], Table],
    *,
    num_prompts: int,
    max_tokens: int,
    num_steps: int,
    learning_rate: float,
) -> None:
    """Train a shipped task with plain GRPO, as the command line asks, and print its table.

    Args:
        name: of the task.
        description: of the command.
        table: builds the callback from task, processor (or tokenizer) and reward.
        num_prompts: a step.
        max_tokens: of a completion.
        num_steps: default of `--steps`.
        learning_rate: default of `--learning-rate`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=num_steps)
    parser.add_argument("--learning-rate", type=float, default=learning_rate)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    task = load_task(name)
    reward = GroupedReward(task)
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(
            task,
            reward,
            folder,
            seed=options.seed,
            num_prompts=num_prompts,
            max_tokens=max_tokens,
            num_steps=options.steps,
            learning_rate=options.learning_rate,
        )
        trainer.add_callback(table(task, trainer.processing_class, reward))
        trainer.train()
