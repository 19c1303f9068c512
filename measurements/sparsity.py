"""The apprentice's world with a base that succeeds more often or more seldom: only short chains, or only long ones.

    nearfuture train configs/apprentice/npo_early.yaml task=measurements/sparsity.py:long_chains

The shipped prompts, restricted by length; model and verifier are the same. Of fresh chains the base solves 10 % with 3
operations, 5 % with 4, 2 % with 5 and 1 % with 6 (docs/world.md).
"""

from __future__ import annotations

from dataclasses import replace

from nearfuture.tasks import Task, load_task


def _restricted(name: str, lengths: tuple[int, ...]) -> Task:
    task = load_task("apprentice")
    train, evaluation, test = (
        [row for row in rows if row["length"] in lengths] for rows in (task.train, task.evaluation, task.test)
    )
    return replace(task, name=name, train=train, evaluation=evaluation, test=test)


def short_chains() -> Task:
    """3 and 4 operations: the base solves one in 13."""
    return _restricted("apprentice-short", (3, 4))


def long_chains() -> Task:
    """5 and 6 operations: the base solves one in 70."""
    return _restricted("apprentice-long", (5, 6))
