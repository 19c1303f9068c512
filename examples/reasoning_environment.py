"""An environment of verifiers around a family of reasoning-gym: what `task: verifiers/NAME` needs is this one function.

    pip install -c constraints.txt -e '.[real,verifiers]'
    PYTHONPATH=examples nearfuture train CONFIG.yaml task=verifiers/reasoning-environment task_args.gym=gcd

Not here: the same families without verifiers, with sides of their own (`task: reasoning_gym/NAME`).
"""

from __future__ import annotations

import verifiers as vf
from verifiers.envs.integrations.reasoninggym_env import ReasoningGymEnv


def load_environment(gym: str = "chain_sum", num: int = 256, seed: int = 0) -> vf.Environment:
    """Ask a family's questions, half of them held out, and score the answer in its tags as the family does."""
    return ReasoningGymEnv(gym=gym, num_train_examples=num, num_eval_examples=num, seed=seed)
