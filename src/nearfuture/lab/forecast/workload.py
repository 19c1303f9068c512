"""Tokens a run generates and trains on, stage by stage, and the hours they take at a stated throughput.

    stages      every segment (scout, guide run, the path to the horizon), every collection of guidance, and what
                AutoNPO may add at most: probes, collections, replays up to the greatest distance
    generated   rollouts x mean length of a completion
    trained     rollouts x mean length of prompt and completion

A step costs what it costs wherever it lies: what an intervention abandons is in the segments, because all of them are
paid for.

Not here: which segments there are (`nearfuture.run.settings.plan`), memory (`memory`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import is_evaluated, stages_ahead, window_end
from nearfuture.run.settings.sizes import Batch
from nearfuture.train.shape.shapes import ModelShape
from nearfuture.types import Intervention

STRETCHES = {"scout": "scout", "guide": "up to the guide", "horizon": "to the horizon"}
"""What a stretch of training is for, by the reason it ends with."""

FORWARD_BACKWARD, RECOMPUTED = 6, 2
"""Floating point operations a parameter and token: 2 forward, 4 backward, and 2 more where activations are computed
again."""


@dataclass(frozen=True)
class Rates:
    """Throughput and mean lengths; all of them are assumptions until a run has measured them.

    Attributes:
        generated_per_second: tokens one device generates.
        trained_per_second: tokens one device trains on.
        prompt: mean tokens of a prompt.
        completion: mean tokens of a completion.
    """

    generated_per_second: float
    trained_per_second: float
    prompt: float
    completion: float


@dataclass(frozen=True)
class Stage:
    """A stretch of work.

    Attributes:
        name: what it is.
        steps: optimizer steps; 0 for a collection.
        rollouts: sampled.
        is_bound: an upper bound, because AutoNPO decides during the run.
    """

    name: str
    steps: int
    rollouts: float
    is_bound: bool = False

    def generated(self, rates: Rates) -> float:
        """Tokens generated."""
        return self.rollouts * rates.completion

    def trained(self, rates: Rates) -> float:
        """Tokens trained on; a collection only scores what it keeps, which is left out."""
        return self.rollouts * (rates.prompt + rates.completion) if self.steps else 0.0

    def hours(self, rates: Rates, num_devices: int) -> float:
        """Hours on this many devices."""
        seconds = self.generated(rates) / rates.generated_per_second + self.trained(rates) / rates.trained_per_second
        return seconds / num_devices / 3600


def trained_per_second(shape: ModelShape, teraflops: float, *, is_checkpointed: bool) -> float:
    """Tokens per second at a sustained speed, given in 10^12 operations per second."""
    operations = FORWARD_BACKWARD + (RECOMPUTED if is_checkpointed else 0)
    return teraflops * 1e12 / (operations * shape.parameters.total)


def stages_of(config: Configuration, batch: Batch, num_prompts: int, num_held_out: int) -> list[Stage]:
    """All stages of a run, in their order.

    Args:
        config: the run.
        batch: of one optimizer step.
        num_prompts: of the training data; a collection asks none of them twice.
        num_held_out: prompts that are evaluated during training.
    """
    run = config.run
    stages: list[Stage] = []
    reached = num_evaluations = 0
    guide_step: int | None = None
    for ahead in stages_ahead(config):
        if isinstance(ahead, Intervention):
            reached, guide_step = ahead.start_step, ahead.guide.step
            who = f"guide of step {ahead.guide.step}" if ahead.guide.step else "base policy"
            stages.append(_collection(f"{who} asked", window_end(config, ahead) - reached, config, batch, num_prompts))
            continue
        steps = ahead.until - reached
        name = f"{STRETCHES[ahead.reason]}: steps {reached} to {ahead.until}"
        stages.append(Stage(name, steps, steps * batch.sampled_per_step))
        ends = (ahead.until, guide_step)
        num_evaluations += sum(is_evaluated(config, step, *ends) for step in range(reached + 1, ahead.until + 1))
        num_evaluations += bool(run.eval_every) and reached == 0
        reached = ahead.until
    stages += _auto_stages(config, batch, num_prompts)
    if num_evaluations and num_held_out:
        rollouts = num_evaluations * num_held_out * run.eval_num_samples
        stages.append(Stage(f"{num_evaluations} evaluations on the way", 0, rollouts))
    return stages


def _collection(name: str, num_steps: int, config: Configuration, batch: Batch, num_prompts: int) -> Stage:
    """A guide is asked once for every prompt of the steps it will guide."""
    asked = min(num_steps * batch.prompts_per_step, num_prompts)
    is_asked = config.training.inject_guidance
    return Stage(
        f"{name}: {asked:,.0f} prompts", 0, asked * config.run.guide_num_samples if is_asked else 0.0, is_bound=False
    )


def _auto_stages(config: Configuration, batch: Batch, num_prompts: int) -> list[Stage]:
    """What AutoNPO adds at most."""
    auto = config.autonpo
    if auto.mode == "off":
        return []
    times = auto.max_interventions
    probes = Stage(
        f"AutoNPO, {times} probes", 0, times * auto.probe_num_prompts * auto.probe_num_samples, is_bound=True
    )
    if auto.mode == "advise":
        return [probes]
    distance = min(auto.max_rollback_distance, config.max_steps)
    asked = min(distance * batch.prompts_per_step, num_prompts)
    return [
        probes,
        Stage(f"AutoNPO, {times} guides asked", 0, times * asked * config.run.guide_num_samples, is_bound=True),
        Stage(
            f"AutoNPO, {times} replays of {distance} steps",
            times * distance,
            times * distance * batch.sampled_per_step,
            is_bound=True,
        ),
    ]
