"""`fast_generation` beside TRL's path, and a second thread beside one.

Not here: the clock (`clock`).
"""

from __future__ import annotations

import statistics
import time

import torch

from cost.clock import STEPS_PER_TURN, Times, in_turns
from cost.rows import Row, divide, ratio_row
from cost.world import REAL, World


def measure_generation(world: World) -> list[Row]:
    """`fast_generation`, alone and in a whole step; and a second thread, if the machine has a core for it."""
    trainer = world.npo()
    per_batch = REAL["per_device_train_batch_size"] // REAL["num_generations"]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    num_different = num_rows = 0
    for turn, start in enumerate(range(0, 24 * per_batch, per_batch)):
        prompts = [world.rows[i]["prompt"] for i in range(start, start + per_batch) for _ in range(8)]
        prompt_ids = trainer._tokenize_prompts(prompts)[0]
        drawn = {}
        for fast in (False, True) if turn % 2 else (True, False):
            trainer.args.fast_generation = fast
            torch.manual_seed(turn)
            began = time.process_time()
            drawn[fast] = trainer._generate_single_turn(prompt_ids, None, {}, 8)[0]
            seconds[fast].append(time.process_time() - began)
        num_different += sum(a != b for a, b in zip(drawn[False], drawn[True], strict=True))
        num_rows += len(prompts)
    note = f"{num_different} of {num_rows} completions differ"
    constant = {"max_steps": STEPS_PER_TURN, "learning_rate": 0.0, "shuffle_dataset": False}
    arms = {"trl": world.trl(**constant), "fast": world.npo(fast_generation=True, **constant)}
    times = in_turns(world, arms, 10)
    wall = statistics.median(divide(times["fast"].wall, times["trl"].wall))
    steps = divide(times["fast"].cpu, times["trl"].cpu)
    return [
        ratio_row("tokens/s, fast_generation / TRL", "", "2.1", divide(seconds[False], seconds[True]), note),
        ratio_row("step time, fast_generation / TRL", "<= 0.9", "0.82", steps, f"wall clock {wall:.3f}"),
    ]


def measure_threads(world: World) -> list[Row]:
    """A second thread, if the machine has a core for it. Last, because OpenMP's idle threads go on spinning."""
    trainer = world.trl(max_steps=STEPS_PER_TURN, learning_rate=0.0, shuffle_dataset=False)
    times = Times(world)
    trainer.add_callback(times)
    for turn in range(12):
        torch.set_num_threads(1 + turn % 2)
        trainer.train()
    torch.set_num_threads(1)
    turns = [sum(times.wall[i : i + STEPS_PER_TURN - 1]) for i in range(0, len(times.wall), STEPS_PER_TURN - 1)]
    ratios = divide(turns[1::2], turns[::2])
    return [ratio_row("step time, TRL, 2 threads / 1 thread", "", "0.75", ratios)]
