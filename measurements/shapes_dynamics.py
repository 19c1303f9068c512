"""How plain GRPO learns the shapes world: a quick rise, then a plateau on which entropy and pass@8 fall.

What it does: runs `trl.GRPOTrainer` on the shipped task and prints one row every 25 steps: the on-policy reward, groups
that are all wrong or all right, and the entropy (means over the last 25 steps); then, by its own sampling (8 per
prompt), pass@1 and pass@8 on the evaluation prompts by family.

What it leaves out: guidance of any kind. The point is the problem, not a method.

    OMP_NUM_THREADS=1 python measurements/shapes_dynamics.py --seed 0 --steps 200     # about 8 minutes
"""

from __future__ import annotations

from plain_grpo import levels, main

MAX_TOKENS = 12
SETTINGS = {"num_prompts": 32, "max_tokens": MAX_TOKENS, "num_steps": 200, "learning_rate": 3e-4}

if __name__ == "__main__":
    main("shapes", __doc__, levels(MAX_TOKENS), **SETTINGS)
