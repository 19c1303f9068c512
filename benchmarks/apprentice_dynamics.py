"""How plain GRPO learns the apprentice's world: sparse reward early, falling entropy, a hard core of prompts late.

What it does: runs `trl.GRPOTrainer` on the shipped task and prints one row every 25 steps: the on-policy reward,
groups that are all wrong or all right, and the entropy (means over the last 25 steps); then, by its own sampling (8 per
prompt), the held-out pass rate by family and the share of 512 fixed training prompts that are never solved.

What it leaves out: guidance of any kind. The point is the problem, not a method.

    OMP_NUM_THREADS=1 python benchmarks/apprentice_dynamics.py --seed 0 --steps 300     # about 3 minutes
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.utils.logging import disable_progress_bar
from trl import GRPOConfig, GRPOTrainer

from nearfuture.tasks import Task, VerdictReward, judge, load_task
from nearfuture.types import Verdict

EVERY, NUM_PROMPTS, NUM_GENERATIONS, NUM_SAMPLES, NUM_PROBED = 25, 64, 8, 8, 512


@torch.no_grad()
def count_correct(model: Any, tokenizer: Any, task: Task, rows: list[dict[str, Any]]) -> list[int]:
    """Sample every row `NUM_SAMPLES` times and count the correct answers."""
    texts = [row["prompt"] for row in rows]
    batch = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
    was_training = model.training
    model.eval()
    out = model.generate(
        **{name: batch[name] for name in ("input_ids", "attention_mask")},
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=8, num_return_sequences=NUM_SAMPLES,
    )  # fmt: skip
    model.train(was_training)
    answers = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    right = [judge(task.verify, answer, rows[i // NUM_SAMPLES]) is Verdict.CORRECT for i, answer in enumerate(answers)]
    return [sum(right[i : i + NUM_SAMPLES]) for i in range(0, len(right), NUM_SAMPLES)]


class GroupedReward(VerdictReward):
    """The task's reward, which also remembers how many groups were all wrong or all right."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.steps: list[tuple[float, float, float]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> list[float | None]:
        rewards = super().__call__(*args, **kwargs)
        rewards_P_G = torch.tensor(rewards, dtype=torch.float32).view(-1, NUM_GENERATIONS)
        pass_rate_P = rewards_P_G.mean(1)
        means = (pass_rate_P, (pass_rate_P == 0).float(), (pass_rate_P == 1).float())
        self.steps.append(tuple(value.mean().item() for value in means))
        return rewards


class Table(TrainerCallback):
    """Prints and keeps one row every `EVERY` steps; the row of step 0 is the base model."""

    def __init__(self, task: Task, tokenizer: Any, reward: GroupedReward) -> None:
        self.task, self.tokenizer, self.reward = task, tokenizer, reward
        self.families = sorted({row["family"] for row in task.evaluation})
        self.entropies: list[float] = []
        self.rows: list[dict[str, float]] = []
        self.start = time.time()
        # the files are sorted by length, so a stride keeps every length equally often
        self.probed = list(task.train)[:: max(1, len(task.train) // NUM_PROBED)][:NUM_PROBED]
        names = ["step", "reward", "all wrong", "all right", "entropy", *self.families, "never solved", "s/step"]
        print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.add(0, model)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **kwargs: Any) -> None:
        if "entropy" in logs:
            self.entropies.append(logs["entropy"])
            if state.global_step % EVERY == 0:
                self.add(state.global_step, model)

    def add(self, step: int, model: Any) -> None:
        seconds = (time.time() - self.start) / EVERY
        on_policy = torch.tensor(self.reward.steps[-EVERY:] or [[float("nan")] * 3]).mean(0).tolist()
        entropy = torch.tensor(self.entropies[-EVERY:]).mean().item()
        rng_state = torch.get_rng_state()  # measuring must not change what is measured
        by_family: dict[str, list[float]] = defaultdict(list)
        for row, count in zip(
            self.task.evaluation,
            count_correct(model, self.tokenizer, self.task, list(self.task.evaluation)),
            strict=True,
        ):
            by_family[row["family"]].append(count / NUM_SAMPLES)
        counts = count_correct(model, self.tokenizer, self.task, self.probed)
        torch.set_rng_state(rng_state)
        never = sum(count == 0 for count in counts) / len(counts)
        held_out = [sum(by_family[name]) / len(by_family[name]) for name in self.families]
        values = [*on_policy, entropy, *held_out, never]
        print(f"| {step} | {' | '.join(f'{value:.2f}' for value in values)} | {seconds:.2f} |", flush=True)
        names = ["reward", "all_wrong", "all_right", "entropy", *self.families, "never_solved"]
        self.rows.append({"step": step, **dict(zip(names, values, strict=True))})
        self.start = time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="apprentice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    task = load_task(options.task)
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    reward = GroupedReward(task)
    table = Table(task, tokenizer, reward)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, seed=options.seed, max_steps=options.steps, learning_rate=options.learning_rate,
            lr_scheduler_type="constant", adam_beta1=0.9, adam_beta2=0.95, weight_decay=0.0,
            per_device_train_batch_size=NUM_PROMPTS * NUM_GENERATIONS, num_generations=NUM_GENERATIONS,
            max_completion_length=8, temperature=1.0, loss_type="dapo", beta=0.0,
            use_cpu=True, bf16=False, gradient_checkpointing=False,
            logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
        )  # fmt: skip
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32),
            args=config,
            reward_funcs=reward,
            train_dataset=Dataset.from_list(list(task.train)),
            processing_class=tokenizer,
            callbacks=[table],
        )
        trainer.remove_callback(
            next(c for c in trainer.callback_handler.callbacks if type(c).__name__ == "PrinterCallback")
        )
        trainer.train()
    if options.json:
        options.json.write_text(json.dumps(table.rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
