"""Step time on image prompts, guided NPO over TRL's own GRPO, in turns inside one run; what collecting guidance costs.

    OMP_NUM_THREADS=1 python measurements/image_steps.py            # some minutes
    OMP_NUM_THREADS=1 python measurements/image_steps.py --write    # and write measurements/results/image_steps.md

What it does: the arms and the clock of measurements/overhead.py (CPU time, paired steps, learning rate 0, the base
policy, guidance for every prompt) in the shapes world: 128 rows per step, 8 a prompt, images of two sizes. Then one
trainer of each kind with a clock around the parts of its step; the vision tower's forward passes lie inside others.

What it leaves out: large images, whose preparation and tower weigh more; long completions, beside which collecting
weighs less; the reward, which takes 3 ms of a step; GPUs; vLLM.

Expected before the first run: 0.95 for a guided step, since an image is prepared once a group and not once a row;
0.75 with fast_generation, which also reads prompts and runs the tower once a group; 0.93 for collection.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from cost.clock import STEPS_PER_TURN, in_turns
from cost.collection import Recorded
from cost.rows import Row, divide, ratio_row
from cost.world import World, collect
from shapes_step import PARTS, Clock

from nearfuture.guidance import GuidanceCache
from nearfuture.run.rows import plain_rows
from nearfuture.train import TRLEngine
from nearfuture.train.vision.processor import vision_tower

RESULTS = Path(__file__).parent / "results"
TOWER = "vision tower, forward"
SHOWN = [part for part in PARTS if part != "reward"]
SETTINGS = {"per_device_train_batch_size": 128, "max_completion_length": 12}
CONSTANT = {"learning_rate": 0.0, "shuffle_dataset": False}


def measure_steps(world: World, num_turns: int) -> list[Row]:
    """Step time of guided NPO over TRL's."""
    cache = GuidanceCache.open(world.guidance())
    settings = CONSTANT | {"max_steps": STEPS_PER_TURN}
    arms = {
        "trl": world.trl(**settings),
        "open": world.npo(cache, **settings),
        "fast": world.npo(cache, fast_generation=True, **settings),
    }
    times = in_turns(world, arms, num_turns)
    rows = []
    for name, what, bar, expected in (
        ("open", "step time on image prompts, gate open / TRL", "<= 1.05", "0.95"),
        ("fast", "the same with fast_generation / TRL", "", "0.75"),
    ):
        wall = statistics.median(divide(times[name].wall, times["trl"].wall))
        note = f"of the minima {times[name].least() / times['trl'].least():.3f}, wall clock {wall:.3f}"
        rows.append(ratio_row(what, bar, expected, divide(times[name].cpu, times["trl"].cpu), note))
    return rows


def measure_collection(world: World, num_turns: int) -> Row:
    """Samples per second of a whole collection over those of `engine.generate` alone, on the very same batches."""
    base = world.npo()
    rows = plain_rows(world.rows)[:128]
    ratios, extra = [], []
    for turn in range(num_turns):
        recorded, clock = Recorded(TRLEngine(base)), Clock()
        clock.on_step_begin()
        collect(base, world, rows, world.folder / f"collection-{turn}", recorded)
        clock.on_step_end()
        clock.on_step_begin()
        for asked, seed in recorded.asked:
            recorded.engine.generate(asked, seed)
        clock.on_step_end()
        whole, plain = (step["step"] for step in clock.steps)
        ratios.append(plain / whole)
        extra.append((whole - plain) / sum(len(asked) for asked, _ in recorded.asked) * 1e6)
    note = f"{statistics.median(extra):.0f} us of CPU more a sample"
    return ratio_row("collection, samples/s / plain generation", ">= 0.95", "0.93", ratios, note)


def measure_parts(trainer: Any) -> dict[str, float]:
    """CPU seconds of the parts of a step, means of all steps but the first."""
    clock = Clock()
    trainer.add_callback(clock)
    for part in SHOWN:
        clock.watch(trainer.accelerator if PARTS[part] == "backward" else trainer, PARTS[part], part)
    clock.watch(vision_tower(trainer.model), "forward", TOWER)
    trainer.train()
    steps = clock.steps[1:]
    return {part: statistics.mean(step[part] for step in steps) for part in [*SHOWN, TOWER, "step"]}


def table_of_parts(world: World) -> list[str]:
    """Where a step's time goes, TRL's beside ours."""
    settings = CONSTANT | {"max_steps": 5}
    cache = GuidanceCache.open(world.guidance())
    columns = {
        "TRL": measure_parts(world.trl(**settings)),
        "gate open": measure_parts(world.npo(cache, **settings)),
        "gate open, fast_generation": measure_parts(world.npo(cache, fast_generation=True, **settings)),
    }
    lines = ["| part, CPU s a step | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for part in [*SHOWN, TOWER, "step"]:
        lines.append(f"| {part} | " + " | ".join(f"{column[part]:.3f}" for column in columns.values()) + " |")
    return lines


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=8, help=f"of {STEPS_PER_TURN} steps of every arm")
    parser.add_argument("--write", action="store_true", help="also write measurements/results/image_steps.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), "shapes", SETTINGS)
        world.rows = world.rows.select(range(256))
        rows = [*measure_steps(world, arguments.turns), measure_collection(world, 5)]
        parts = table_of_parts(world)
    lines = ["| what | bar | expected | measured: median (95 % interval) |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.bar} | {row.expected} | {row.measured} |" for row in rows]
    table = "\n".join([*lines, "", *parts])
    print(table)
    if arguments.write:
        (RESULTS / "image_steps.md").write_text(f"{__doc__}\n{table}\n")


if __name__ == "__main__":
    main()
