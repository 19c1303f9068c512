"""Tasks: prompts with a verifier. `load_task` loads one, `VerdictReward` turns it into a reward for TRL.

Not here: models and training (`nearfuture.train`), the gate that uses the verdicts (`nearfuture.method`).
"""

from nearfuture.tasks.gold import check_gold
from nearfuture.tasks.judging import judge
from nearfuture.tasks.reward import VerdictReward
from nearfuture.tasks.task import Task, load_task

__all__ = ["Task", "VerdictReward", "check_gold", "judge", "load_task"]
