"""How plain GRPO learns Countdown: a quick rise, then a hard level that stays, while entropy falls.

What it does: runs `trl.GRPOTrainer` on the shipped task and prints one row every 25 steps: the on-policy reward, groups
that are all wrong or all right, and the entropy (means over the last 25 steps); then, by its own sampling (8 per
prompt), pass@1 and pass@8 on the 256 evaluation prompts by level.

What it leaves out: guidance of any kind. The point is the problem, not a method.

    OMP_NUM_THREADS=1 python benchmarks/countdown_dynamics.py --seed 0 --steps 200     # about 3 minutes
"""

from __future__ import annotations

from typing import Any

from plain_grpo import GroupedReward, Table, main, sample

from nearfuture.tasks import Task, judge
from nearfuture.types import Verdict

MAX_TOKENS = 16


class Levels(Table):
    """pass@1 and pass@8 of the evaluation prompts, by level."""

    def __init__(self, task: Task, tokenizer: Any, reward: GroupedReward) -> None:
        super().__init__(task, tokenizer, reward)
        self.columns = [f"{family} pass@{k}" for family in self.families for k in (1, 8)]

    def held_out(self, model: Any) -> list[float]:
        """Sample the evaluation prompts of every level."""
        return [rate for family in self.families for rate in self.level(model, family)]

    def level(self, model: Any, family: str) -> tuple[float, float]:
        """Give pass@1 and pass@8 of one level."""
        rows = [row for row in self.task.evaluation if row["family"] == family]
        right = [
            [judge(self.task.verify, text, row) is Verdict.CORRECT for text in texts]
            for texts, row in zip(sample(model, self.tokenizer, rows, MAX_TOKENS), rows, strict=True)
        ]
        return sum(sum(group) / len(group) for group in right) / len(rows), sum(map(any, right)) / len(rows)


if __name__ == "__main__":
    main("countdown", __doc__, Levels, num_prompts=32, max_tokens=MAX_TOKENS, num_steps=200, learning_rate=1e-4)
