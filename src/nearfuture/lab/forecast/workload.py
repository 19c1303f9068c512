"""Tokens that a run generates and trains on, stage by stage, and the hours they take at a given throughput.

    stages      every segment (scout, guide run, the path to the horizon), every collection of guidance, and what
                AutoNPO may add at most: probes, collections, replays up to the greatest distance
    generated   rollouts x mean length of a completion
    trained     rollouts x mean length of prompt and completion

A step costs the same wherever it is: the segments include what an intervention abandons, because every step is paid
for.

Not here: which segments there are (`nearfuture.run.settings.plan`), memory (`memory`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import Train, is_evaluated, reached, replays_at_most, stages_ahead, window_end
from nearfuture.run.settings.sizes import Batch
from nearfuture.train.shape.shapes import ModelShape
from nearfuture.types import Intervention

STRETCHES = {"scout": "scout", "guide": "up to the guide", "horizon": "to the horizon"}
"""The purpose of a stretch of training, by the reason it ends."""

FORWARD_BACKWARD, RECOMPUTED = 6, 2
"""Floating point operations per parameter and token: 2 forward, 4 backward, and 2 more if activations are
recomputed."""


@dataclass(frozen=True)
class Rates:
    """Throughput and mean lengths; all of them are assumptions until a run has measured them.

    Attributes:
        generated_per_second: tokens that one device generates per second.
        trained_per_second: tokens that one device trains on per second.
        prompt: mean tokens per prompt.
        completion: mean tokens per completion.
    """

    generated_per_second: float
    trained_per_second: float
    prompt: float
    completion: float


@dataclass(frozen=True)
class Stage:
    """A stretch of work.

    Attributes:
        name: its name.
        steps: optimizer steps; 0 for a collection.
        rollouts: the number of sampled rollouts.
        is_bound: it is an upper bound, because AutoNPO decides during the run.
    """

    name: str
    steps: int
    rollouts: float
    is_bound: bool = False

    def generated(self, rates: Rates) -> float:
        """Tokens generated."""
        return self.rollouts * rates.completion

    def trained(self, rates: Rates) -> float:
        """Tokens trained on; what a collection keeps is only scored, and left out."""
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
    """Return all stages of a run in order.

    Args:
        config: the run.
        batch: the batch of one optimizer step.
        num_prompts: the number of training prompts; a collection asks none of them twice.
        num_held_out: the number of prompts evaluated during training.
    """
    stages: list[Stage] = []
    num_evaluations = 0
    for lineage, ahead in stages_ahead(config):
        if isinstance(ahead, Intervention):
            stages.append(_collection(config, ahead, batch, num_prompts))
        elif isinstance(ahead, Train):
            start = reached(lineage)
            name = f"{STRETCHES[ahead.reason]}: steps {start} to {ahead.until}"
            stages.append(Stage(name, ahead.until - start, (ahead.until - start) * batch.sampled_per_step))
            steps = range(start + 1 if start else 0, ahead.until + 1)
            num_evaluations += sum(is_evaluated(config, lineage.head, ahead, step) for step in steps)
    stages += _auto_stages(config, batch, num_prompts)
    if num_evaluations and num_held_out:
        rollouts = num_evaluations * num_held_out * config.run.eval_num_samples
        stages.append(Stage(f"{num_evaluations} evaluations on the way", 0, rollouts))
    return stages


def _collection(config: Configuration, intervention: Intervention, batch: Batch, num_prompts: int) -> Stage:
    """A guide is asked once per prompt of the steps that it will guide."""
    step, num_steps = intervention.guide.step, window_end(config, intervention) - intervention.start_step
    asked = min(num_steps * batch.prompts_per_step, num_prompts)
    rollouts = asked * config.run.guide_num_samples if config.training.inject_guidance else 0.0
    return Stage(f"{f'guide of step {step}' if step else 'base policy'} asked: {asked:,.0f} prompts", 0, rollouts)


def _auto_stages(config: Configuration, batch: Batch, num_prompts: int) -> list[Stage]:
    """What AutoNPO adds at most."""
    auto = config.autonpo
    if auto.mode == "off":
        return []
    times, samples = auto.max_interventions, auto.probe_num_prompts * auto.probe_num_samples
    stages = [Stage(f"AutoNPO, {times} probes", 0, times * samples, is_bound=True)]
    if replays := replays_at_most(config):
        steps = sum(end - start for start, end in replays)
        distance = steps // len(replays)
        asked = len(replays) * min(distance * batch.prompts_per_step, num_prompts)
        guides, name = asked * config.run.guide_num_samples, f"AutoNPO, {len(replays)} replays of {distance} steps"
        name += ", none where it stays" if auto.stay else ""
        stages += [
            Stage(f"AutoNPO, {len(replays)} guides asked", 0, guides, is_bound=True),
            Stage(name, steps, steps * batch.sampled_per_step, is_bound=True),
        ]
    return stages
