"""What AutoNPO costs while it only watches: an armed controller that never fires, per step.

    OMP_NUM_THREADS=1 python measurements/armed_overhead.py            # about 2 minutes
    OMP_NUM_THREADS=1 python measurements/armed_overhead.py --write    # and write its page in results/

What it does: with the world and clock of measurements/overhead.py (CPU time, learning rate 0, real batch size), puts a
controller at AutoNPO's default settings beside the trainer as a run does, filled as it is late in a run: every training
prompt in the mistake pool, 300 steps behind the trigger. Then it measures

    from within   a step over the same step without the controller's functions: the gathering of prompt ids, the pool,
                  the trigger, their metrics; beside, what writing the controller's state adds to a checkpoint
    in turns      steps with a controller over steps without one, in pairs

and checks at every step that the trigger was armed and did not fire.

What it leaves out: what follows a firing (probe, candidates, collection), more than one process.

Expected before the first run: 1.005 of a step with TRL's generation, 1.008 with fast_generation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from cost.clock import STEPS_PER_TURN, Times, in_turns, shares
from cost.rows import Row, divide, ratio_row
from cost.world import World
from transformers.utils import logging

from nearfuture.run.auto.controller import Controller
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.train import trainer as trainer_module
from nearfuture.train.callbacks import StopWhen

BAR, GATE = "<= 1.01", 0.6
RESULTS = Path(__file__).parent / "results"
SAVE_STEPS = 20  # as configs/apprentice/autonpo.yaml
NUM_STEPS, NUM_TURNS, NUM_WRITES = 16, 6, 20


class Watched:
    """A trainer with a controller beside it, wired as `nearfuture.run.executor` does, and filled as late in a run."""

    def __init__(self, world: World, **settings: Any) -> None:
        config = AutoNPOConfig(mode="act")
        self.controller = Controller(config, GATE)
        self.step = 301
        self.armed: list[bool] = []
        self._fill([row["prompt_id"] for row in world.rows])
        self.trainer = world.npo(learning_rate=0.0, **settings)
        self.trainer.on_pass_rates = self.observe_batch
        self.trainer.add_callback(StopWhen(self.observe_step))

    def _fill(self, prompt_ids: list[str]) -> None:
        """A history without a collapse (the entropy rises), in which every prompt was failed as late as can be."""
        window = self.controller.pool.window
        per_step = -(-len(prompt_ids) // (window - 1))
        for step in range(1, self.step):
            first = (step - self.step + window - 1) * per_step
            failed = prompt_ids[max(0, first) : max(0, first + per_step)]
            self.controller.observe_batch(step, failed, [0.0] * len(failed))
            self.controller.observe_step(step, {"npo/pass_rate": 0.01, "npo/entropy": 0.004 * step})
        assert len(self.controller.pool) == len(prompt_ids)

    def observe_batch(self, prompt_ids: list[str], pass_rates: list[float]) -> None:
        """What a run does with the rollouts of a step."""
        self.controller.observe_batch(self.step, prompt_ids, pass_rates)

    def observe_step(self, step: int, logs: dict[str, Any]) -> bool:
        """What a run does with the metrics of a step; counted here, as each turn begins at step 0 again."""
        has_fired = self.controller.observe_step(self.step, logs)
        logs |= self.controller.metrics()
        self.step += 1
        self.armed.append(logs["autonpo/is_armed"] == 1.0 and not has_fired)
        return has_fired

    def places(self) -> list[tuple[Any, str]]:
        """The functions whose time is the controller's; without guidance nothing else gathers objects in a step."""
        own = [(self.controller, name) for name in ("observe_batch", "observe_step", "metrics")]
        return [*own, (trainer_module, "gather_object")]

    def note(self) -> str:
        """What was watched."""
        assert all(self.armed), "the trigger was armed and did not fire"
        return f"{len(self.controller.pool)} prompts in the pool, armed at all {len(self.armed)} steps"


def measure(world: World) -> list[Row]:
    """All rows of the table."""
    rows = []
    for what, settings, expected in (("", {}, "1.005"), (", fast_generation", {"fast_generation": True}, "1.008")):
        watched = Watched(world, max_steps=NUM_STEPS, **settings)
        found = shares(world, watched.trainer, watched.places())
        rows.append(ratio_row(f"step / the step without the controller{what}", BAR, expected, found, watched.note()))
    rows.append(checkpoint_row(world, watched))
    constant = {"max_steps": STEPS_PER_TURN, "shuffle_dataset": False, "fast_generation": True}
    watched = Watched(world, **constant)
    arms = {"plain": world.npo(learning_rate=0.0, **constant), "armed": watched.trainer}
    times = in_turns(world, arms, NUM_TURNS)
    least = times["armed"].least() / times["plain"].least()
    wall = statistics.median(divide(times["armed"].wall, times["plain"].wall))
    note = f"of the minima {least:.3f}, wall clock {wall:.3f}; {watched.note()}"
    what = "step time, armed / without a controller, fast_generation"
    return [*rows, ratio_row(what, "", "1.01", divide(times["armed"].cpu, times["plain"].cpu), note)]


def checkpoint_row(world: World, watched: Watched) -> Row:
    """What writing the controller's state with every checkpoint adds to a step."""
    path = world.folder / "controller.json"
    written = []
    for _ in range(NUM_WRITES):
        began = time.process_time()
        path.write_text(json.dumps(watched.controller.state_dict()))
        written.append(time.process_time() - began)
    times = Times(world)
    plain = world.npo(max_steps=NUM_STEPS, learning_rate=0.0, fast_generation=True)
    plain.add_callback(times)
    plain.train()
    step = statistics.median(times.cpu)
    ratios = [1 + seconds / SAVE_STEPS / step for seconds in written]
    note = (
        f"{path.stat().st_size / 1024:.0f} KiB in {1e3 * statistics.median(written):.1f} ms, step {1e3 * step:.0f} ms"
    )
    what = f"step with its state in every checkpoint / without it, save_steps={SAVE_STEPS}, fast_generation"
    return ratio_row(what, BAR, "1.001", ratios, note)


def conditions() -> str:
    """The machine, and how busy it was."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{platform.machine()} CPU, {os.cpu_count()} cores, 1 thread, {versions}; load average at the end {load}."


def table(rows: list[Row]) -> str:
    """The table in Markdown."""
    met = {True: "yes", False: "**no**", None: ""}
    lines = ["| what | bar | expected | measured: median (95 % interval) | met |", "|---|---|---|---|---|"]
    lines += [f"| {row.what} | {row.bar} | {row.expected} | {row.measured} | {met[row.is_met]} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="also write measurements/results/armed_overhead.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(World(Path(folder)))
    text = f"{table(rows)}\n\n{conditions()}\n"
    print(text)
    if options.write:
        (RESULTS / "armed_overhead.md").write_text(f"{__doc__}\n{text}")


if __name__ == "__main__":
    main()
