"""How plain GRPO learns the apprentice's world: sparse reward early, falling entropy, a hard core of prompts late.

What it does: runs `trl.GRPOTrainer` on the shipped task and prints one row every 25 steps: the on-policy reward,
groups that are all wrong or all right, and the entropy (means over the last 25 steps); then, by its own sampling (8 per
prompt), the held-out pass rate by family and the share of 512 fixed training prompts that are never solved. Before and
after, it prints what the policy writes for each operator: the right value, the misconception, or another one.

What it leaves out: guidance of any kind. The point is the problem, not a method.

    OMP_NUM_THREADS=1 python measurements/apprentice_dynamics.py --seed 0 --steps 400     # about 3 minutes
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from plain_grpo import GroupedReward, Rows, Table, main, sample

from nearfuture.tasks import Task
from nearfuture.tasks.worlds.apprentice import world
from nearfuture.types import Verdict

NUM_PROBED, MAX_TOKENS = 512, 8


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


class Families(Table):
    """Held-out pass rate by family, training prompts that are never solved, and what is written for each operator."""

    def __init__(self, task: Task, processor: Any, reward: GroupedReward) -> None:
        super().__init__(task, processor, reward)
        # the file is sorted by length: a stride takes every length equally often
        self.probed = list(task.train)[:: max(1, len(task.train) // NUM_PROBED)][:NUM_PROBED]
        self.columns = [*self.families, "never solved"]

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Print what the base writes for each operator, then the head of the table."""
        print_beliefs("base", sample(model, self.processor, self.probed, MAX_TOKENS), self.probed)
        super().on_train_begin(args, state, control, model, **kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Print what the trained policy writes for each operator."""
        title = f"step {state.global_step}"
        print_beliefs(title, sample(model, self.processor, self.probed, MAX_TOKENS), self.probed)

    def held_out(self, model: Any) -> list[float]:
        """Sample the held-out and the probed prompts."""
        rows = list(self.task.evaluation)
        by_family: dict[str, list[float]] = defaultdict(list)
        for row, rate in zip(rows, pass_rates(sample(model, self.processor, rows, MAX_TOKENS), rows), strict=True):
            by_family[row["family"]].append(rate)
        probed = pass_rates(sample(model, self.processor, self.probed, MAX_TOKENS), self.probed)
        never = sum(rate == 0 for rate in probed) / len(probed)
        return [*(sum(by_family[name]) / len(by_family[name]) for name in self.families), never]


if __name__ == "__main__":
    main("apprentice", __doc__, Families, num_prompts=64, max_tokens=MAX_TOKENS, num_steps=400, learning_rate=3e-4)
