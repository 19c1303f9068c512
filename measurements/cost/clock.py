"""The clock of a step: CPU time, of arms that train in turns, or of our own functions inside one trainer.

Not here: which arms (`steps`, and the scripts beside this folder).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from cost.world import World

STEPS_PER_TURN = 4


class Times(TrainerCallback):
    """The duration of every step but a turn's first: batch, rollouts, loss, optimizer, logs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.judged: list[int] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the step before. What a turn draws depends on what was measured before only by its amount."""
        if state.global_step == 0:
            torch.manual_seed(len(self.wall))
        if state.global_step > 1:
            self._end()
        self.began = (time.perf_counter(), time.process_time(), self.world.num_judged)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """End the last step."""
        self._end()

    def least(self) -> float:
        """CPU time of a turn, each of its steps at its fastest: other jobs only ever add."""
        period = STEPS_PER_TURN - 1
        return sum(min(self.cpu[k::period]) for k in range(period))

    def _end(self) -> None:
        wall, cpu, judged = self.began
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        self.judged.append(self.world.num_judged - judged)


def in_turns(world: World, arms: dict[str, Any], num_turns: int) -> dict[str, Times]:
    """Train all arms in turns of a few steps, in an order drawn anew each time. Step k of one is paired with step k."""
    times = {name: Times(world) for name in arms}
    for name, trainer in arms.items():
        trainer.add_callback(times[name])
    order = random.Random(0)
    for _ in range(num_turns):
        for name in order.sample(list(arms), len(arms)):
            arms[name].train()
    return times


def own_functions(trainer: Any) -> list[tuple[Any, str]]:
    """Where our own functions of a step lie."""
    from nearfuture.train import examples, inject

    places = [(trainer._rewards, "of_mixed_groups"), (examples, "show")]
    places += [(trainer.onpolicy, name) for name in ("observe", "observe_loss", "take_token_counts")]
    return places + [(inject, name) for name in ("look_up", "replace", "attach", "with_behavior")]


def shares(world: World, trainer: Any, places: Sequence[tuple[Any, str]] | None = None) -> list[float]:
    """For each step, its CPU time over its CPU time without some functions' (default: all of ours)."""
    places = own_functions(trainer) if places is None else places
    plain = [(place, name, getattr(place, name)) for place, name in places]
    ratios: list[float] = []
    spent = [0.0]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            result = function(*args, **kwargs)
            spent[0] += time.process_time() - began
            return result

        return call

    class Shares(Times):
        """Compares each step with what our functions took of it."""

        def _end(self) -> None:
            super()._end()
            ratios.append(self.cpu[-1] / (self.cpu[-1] - spent[0]))

        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            super().on_step_begin(*args, **kwargs)
            spent[0] = 0.0

    for place, name, function in plain:
        setattr(place, name, timed(function))
    trainer.add_callback(Shares(world))
    trainer.train()
    for place, name, function in plain:
        setattr(place, name, function)
    return ratios
