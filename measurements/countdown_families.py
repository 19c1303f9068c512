"""The Countdown that ships beside reasoning-gym's family of that name: does the latter do what the former is for?

    python measurements/countdown_families.py            half a minute; needs the extra `real`

    sets shared     test prompts whose set of numbers is trained on, in another order or with another target
    characters      of a prompt; the small models here read one a token
    families        of test prompts, which a comparison reports one by one
    microseconds    of CPU time for one verdict, in this process

Not here: what is learned in the world that ships (`countdown_dynamics.py`, docs/countdown.md).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from nearfuture.tasks import Task, load_task
from nearfuture.tasks.gyms import scoring
from nearfuture.tasks.worlds.countdown import world
from nearfuture.tasks.worlds.countdown.families import LARGEST_NUMBER, LARGEST_TARGET, LEVELS

GYM = {
    **{"min_numbers": min(LEVELS), "max_numbers": max(LEVELS), "min_value": 1, "max_value": LARGEST_NUMBER},
    **{"min_target": 1, "max_target": LARGEST_TARGET, "operators": list(world.OPERATORS)},
    **{"num_train": 2048, "num_evaluation": 256, "num_test": 288, "prompt": "text", "instruction": ""},
}


def numbers_of(row: dict[str, Any]) -> tuple[int, ...]:
    """The set of numbers that a prompt of either shows."""
    puzzle = world.parse(row["prompt"])
    return tuple(sorted(puzzle.numbers if puzzle else json.loads(row["entry"])["entry"]["metadata"]["numbers"]))


def microseconds(judge: Callable[[], Any], repeats: int) -> float:
    """CPU time of a call."""
    judge()
    began = time.process_time()
    for _ in range(repeats):
        judge()
    return (time.process_time() - began) / repeats * 1e6


def facts(task: Task, judge: Callable[[str, dict[str, Any]], Any], repeats: int) -> list[str]:
    """The cells of a column."""
    trained = {numbers_of(row) for row in task.train}
    shared = sum(numbers_of(row) in trained for row in task.test) / len(task.test)
    characters = sum(len(row["prompt"]) for row in task.train) / len(task.train)
    row = task.test[0]
    spent = microseconds(lambda: judge(row["answer"], row), repeats)
    return [f"{shared:.2f}", f"{characters:.0f}", str(len({row["family"] for row in task.test})), f"{spent:.0f}"]


def main() -> None:
    """Print the table."""
    ours = facts(load_task("countdown"), world.verify, 2000)
    gym = facts(load_task("reasoning_gym/countdown", GYM), scoring.score, 100)
    print("| | `countdown` | `reasoning_gym/countdown` |\n|---|---|---|")
    for name, *cells in zip(("sets shared", "characters", "families", "microseconds"), ours, gym, strict=True):
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
