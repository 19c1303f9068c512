"""The apprentice's world with so many prompts that none comes twice, as in the paper's run, or that each comes three
times.

    nearfuture compare configs/apprentice/one_epoch.yaml run_dir=runs/apprentice/one_epoch
    nearfuture compare configs/apprentice/three_epochs.yaml run_dir=runs/apprentice/three_epochs

Fresh chains of 3 to 6 operations, as many of each length; none is a held-out or a test prompt. Unlike the prompts that
ship they are not filtered by the base's failures: of those drawn for the world it failed 76 to 96 %. Model, verifier
and held-out prompts are the same.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from nearfuture.tasks import Task, load_task
from nearfuture.tasks.worlds.apprentice import families, world

NUM_PROMPTS = 44_800
"""1,400 steps of 32 prompts."""
SEED = 2604


def a_third() -> Task:
    """The first third of them: three epochs in 1,400 steps."""
    task = fresh_chains()
    return replace(task, name="apprentice-third", train=task.train[: NUM_PROMPTS // 3])


def fresh_chains() -> Task:
    """`NUM_PROMPTS` chains, drawn once: the same for every training seed."""
    task = load_task("apprentice")
    rng, seen = random.Random(SEED), {row["prompt"] for row in (*task.evaluation, *task.test)}
    rows: list[dict[str, Any]] = []
    while len(rows) < NUM_PROMPTS:
        length = families.LENGTHS[len(rows) % len(families.LENGTHS)]
        row = families.describe(world.sample_chain(rng, length), f"length-{length}")
        if row["prompt"] not in seen:
            seen.add(row["prompt"])
            rows.append(row)
    return replace(task, name="apprentice-fresh", train=rows)
