"""Where the time of a GRPO step on images goes: CPU time of its parts, in the shapes world at its real batch size.

What it does: trains with `trl.GRPOTrainer` as `shapes_dynamics.py` does, and puts a clock around the parts of a step:
prompts and images made ready, completions sampled, the reward, the forward pass of the loss, the backward pass. The
first step is left out. A step waits for nothing, so that its CPU time on one thread is its time on a machine at rest.

What it leaves out: what guidance costs on top (overhead.py), GPUs.

    OMP_NUM_THREADS=1 python measurements/shapes_step.py --steps 12     # about a minute
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from plain_grpo import GroupedReward, build_trainer
from shapes_dynamics import SETTINGS
from transformers import TrainerCallback
from transformers.utils import logging

from nearfuture.tasks import load_task

PARTS = {
    "prompts and images made ready": "_tokenize_prompts",
    "completions sampled": "_generate_single_turn",
    "reward": "_calculate_rewards",
    "forward pass of the loss": "_compute_loss",
    "backward pass": "backward",
}


class Clock(TrainerCallback):
    """CPU seconds by step, of the whole and of the parts that are watched."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def watch(self, place: Any, name: str, part: str) -> None:
        """Put the clock around a method, and count it as a part."""
        setattr(place, name, self._timed(part, getattr(place, name)))

    def _timed(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.steps[-1][part] += time.process_time() - began

        return timed

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Begin to count a step."""
        self.steps.append(defaultdict(float))
        self.began = time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """End the step."""
        self.steps[-1]["step"] = time.process_time() - self.began


def main() -> None:
    """Train a few steps and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    task, clock = load_task("shapes"), Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = {**SETTINGS, "num_steps": options.steps}
        trainer = build_trainer(task, GroupedReward(task), folder, seed=0, **settings)
        trainer.add_callback(clock)
        for part, name in PARTS.items():
            clock.watch(trainer.accelerator if name == "backward" else trainer, name, part)
        trainer.train()
    steps = clock.steps[1:]
    whole = sum(step["step"] for step in steps) / len(steps)
    print("| part | s | share |\n|---|---|---|")
    for part in [*PARTS, "step"]:
        mean = sum(step[part] for step in steps) / len(steps)
        print(f"| {part} | {mean:.2f} | {mean / whole:.2f} |")


if __name__ == "__main__":
    main()
