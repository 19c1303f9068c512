"""The gradients of `NPOTrainer.train()` against an independent reference: what is optimised is the formula.

Every loss type of TRL 1.16 is here, `vespo` included; each with both weightings, with and without accumulation, with
one and two micro-batches a generation, with one and two passes over it (all eight combinations for two of them).
Guidance stands in some groups and not in others, its behaviour log-probs lie visibly apart from the learner's, and the
tests insist that ratios differ from 1 and that clipping acts where the setting says it can. (The clip range is narrow
and the steps small: the world's model is sharp, and after large steps plain float32 differs from float64 by 5e-5.)

The reference is in float64 and unpadded, the trainer in float32 and padded. By how much they may differ depends on what
was drawn, which differs from machine to machine: where advantages nearly cancel, the largest gradient is small beside
the sums that it is made of. So the bound is read off the same run: the reference once more, in float32, is as far from
float64 as float32 must be.

Not here: vLLM's correction, KL, entropy bonus and masking of truncated completions, which `NPOTrainer` leaves to TRL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import reference
import tiny
import torch
from peft import LoraConfig, get_peft_model
from reference import Generation, Objective, Rollout, Seen
from torch import nn
from transformers import AutoModelForCausalLM
from trl import GRPOConfig

from nearfuture.guidance import GuidanceCache
from nearfuture.train import NPOTrainer
from nearfuture.types import Verdict

LORA = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
"""Not zero at the start, so that both matrices of an adapter have a gradient from the first step on."""
SMALL, TIMES_ROUNDING = 2e-6, 8.0
"""A difference, as a share of the largest gradient of a run, that needs no excuse; and how many times the reference's
own rounding a larger one may be (another order of sums, padding, two forward passes in place of one)."""

LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "luspo", "sapo", "vespo")
SHAPES = [(accumulation, split, passes) for accumulation in (1, 2) for split in (1, 2) for passes in (1, 2)]
"""(gradient_accumulation_steps, steps_per_generation, num_iterations)."""
LONG = pytest.mark.long
CORNERS = [(1, 1, 1), (1, 2, 2), (2, 1, 1), (2, 2, 2)]
"""On-policy; old log-probs; two generations a step; old log-probs and accumulation."""
WHOLE = ("dapo", "grpo")
"""The loss types of which all shapes are compared; those that always run compare the corners of the first, and the last
corner, which has everything at once, of the others."""


def cases(loss_types: tuple[str, ...], whole: tuple[str, ...]) -> list[Any]:
    """Every loss type with its shapes."""
    return [
        pytest.param(loss, shape, marks=[] if shape in always else LONG)
        for loss in loss_types
        for always in [CORNERS if loss in whole[:1] else CORNERS[-1:]]
        for shape in (SHAPES if loss in whole else CORNERS)
    ]


@dataclass
class Compared:
    """One trained run beside its reference: the largest difference of a gradient, what was seen at each step.

    `rounding` computes how far the reference in float32 is from the reference in float64.
    """

    difference: float
    seen: list[Seen]
    rounding: Callable[[], float]

    def assert_equal(self) -> None:
        """The two differ by no more than arithmetic in float32 does."""
        assert self.difference < SMALL or self.difference < TIMES_ROUNDING * self.rounding()

    def ratios(self, *, guided: bool) -> list[float]:
        return [ratio for step in self.seen for ratio in step.ratios[guided]]

    def num_clipped(self, *, guided: bool) -> int:
        return sum(step.num_clipped[guided] for step in self.seen)


def rollouts(batch: dict[str, Any], behavior: Callable[[tuple[int, ...]], tuple[float, ...]]) -> list[Rollout]:
    """The rows of a buffered micro-batch without padding; behaviour log-probs come from the cache, not from it."""
    is_guided = batch.get("is_guided", torch.zeros(len(batch["prompt_ids"]), dtype=torch.bool)).tolist()
    sides = [(batch[f"{side}_ids"], batch[f"{side}_mask"].bool()) for side in ("prompt", "completion")]
    prompts, completions = (
        [tuple(ids[mask].tolist()) for ids, mask in zip(ids_B_T, mask_B_T, strict=True)] for ids_B_T, mask_B_T in sides
    )
    return [
        Rollout(prompt, completion, behavior(prompt) if guided else ())
        for prompt, completion, guided in zip(prompts, completions, is_guided, strict=True)
    ]


def judge(trainer: NPOTrainer) -> Callable[[Rollout], float]:
    """The verifier itself, on decoded ids: no reward passes through TRL."""
    decode = trainer.processing_class.decode

    def reward(rollout: Rollout) -> float:
        prompt, answer = (decode(ids, skip_special_tokens=True) for ids in (rollout.prompt_ids, rollout.completion_ids))
        return float(tiny.TASK.verify(answer, {"prompt": prompt}) is Verdict.CORRECT)

    return reward


@lru_cache
def policy(adapter: bool, dtype: torch.dtype) -> nn.Module:
    """The policy, untouched by TRL."""
    model = AutoModelForCausalLM.from_pretrained(tiny.TASK.model)
    return (get_peft_model(model, LORA) if adapter else model).to(dtype)


def policy_with(weights: dict[str, torch.Tensor], adapter: bool, dtype: torch.dtype) -> nn.Module:
    """The policy with recorded weights; the next call overwrites them."""
    model = policy(adapter, dtype)
    assert model.load_state_dict(weights, strict=False).unexpected_keys == []
    return model


def objective_of(args: GRPOConfig, weighting: str) -> Objective:
    high = args.epsilon if args.epsilon_high is None else args.epsilon_high
    return Objective(
        loss_type=args.loss_type,
        weighting=weighting,
        epsilon=args.epsilon,
        epsilon_high=high,
        temperature=args.temperature,
        max_completion_length=args.max_completion_length,
        level=args.importance_sampling_level,
    )


def compare(folder: Path, *, weighting: str, adapter: bool = False, **settings: Any) -> Compared:
    """Train for a few steps and compute each gradient again."""
    trainer = tiny.npo(
        folder,
        weighting=weighting,
        peft_config=LORA if adapter else None,
        **{"per_device_train_batch_size": 8, "learning_rate": 0.02, "epsilon": 0.05, "epsilon_high": 0.08} | settings,
    )
    cache = tiny.guidance_for(trainer, folder / "guidance", 24, behavior=tiny.apart)
    trainer.set_guidance(cache)
    recorder = tiny.record(trainer)
    trainer.train()

    def again(dtype: torch.dtype) -> tuple[dict[str, torch.Tensor], list[Seen]]:
        generations = compute_generations(trainer, recorder, cache, adapter, dtype)
        objective = objective_of(trainer.args, weighting)
        found, seen = {}, []
        for number, step in enumerate(recorder.steps):
            micro_steps = [(generations[g], i) for g, i in step.micro_steps]
            named, of_step = reference.gradients(policy_with(step.weights, adapter, dtype), micro_steps, objective)
            found |= {f"{number}/{name}": value for name, value in named.items()}
            seen.append(of_step)
        return found, seen

    expected, seen = again(torch.float64)
    found = {f"{n}/{name}": value for n, step in enumerate(recorder.steps) for name, value in step.gradients.items()}

    def rounding() -> float:
        return tiny.largest_difference(again(torch.float32)[0], expected)

    return Compared(tiny.largest_difference(found, expected), seen, rounding)


def compute_generations(
    trainer: NPOTrainer, recorder: tiny.Recorder, cache: GuidanceCache, adapter: bool, dtype: torch.dtype
) -> list[Generation]:
    """The buffered batches, judged and scored with the weights that generated them: those of their first step."""
    ids_of = {row["prompt"]: row["prompt_id"] for row in trainer.train_dataset}

    def behavior(prompt_ids: tuple[int, ...]) -> tuple[float, ...]:
        return cache.lookup(ids_of[trainer.processing_class.decode(prompt_ids)]).behavior_logps

    generations = []
    for number, buffer in enumerate(recorder.generations):
        begun = next(step for step in recorder.steps if any(g == number for g, _ in step.micro_steps))
        generator, micro_batches = (
            policy_with(begun.weights, adapter, dtype),
            [rollouts(batch, behavior) for batch in buffer],
        )
        generations.append(reference.generation(generator, micro_batches, judge(trainer), trainer.args.temperature))
    return generations


def settings_for(loss_type: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    accumulation, split, passes = shape
    extra = {
        "cispo": {"epsilon_high": 1.1},  # cispo cuts at epsilon_high itself
        "luspo": {"importance_sampling_level": "sequence", "learning_rate": 0.005},  # the setting of its paper; it sums
    }
    return {
        "loss_type": loss_type,
        "gradient_accumulation_steps": accumulation,
        "steps_per_generation": split,
        "num_iterations": passes,
        "max_steps": 2 if accumulation == 2 else max(2, min(split * passes, 3)),
        **extra.get(loss_type, {}),
    }


@pytest.mark.parametrize(("loss_type", "shape"), cases(LOSS_TYPES, WHOLE), ids=str)
@pytest.mark.parametrize("weighting", ["on_policy", "importance"])
def test_gradients_are_those_of_the_formula(
    tmp_path: Path, weighting: str, loss_type: str, shape: tuple[int, int, int]
) -> None:
    compared = compare(tmp_path, weighting=weighting, **settings_for(loss_type, shape))
    compared.assert_equal()

    accumulation, split, passes = shape
    has_clip, is_on_policy = loss_type not in ("sapo", "vespo"), split * passes <= accumulation
    rollout_ratios, guided_ratios = compared.ratios(guided=False), compared.ratios(guided=True)
    assert rollout_ratios and guided_ratios
    if is_on_policy:
        assert rollout_ratios == pytest.approx([1.0] * len(rollout_ratios))
    else:
        assert max(abs(ratio - 1) for ratio in rollout_ratios) > 0.1
        assert not has_clip or compared.num_clipped(guided=False) > 0
    if weighting == "importance":
        assert max(guided_ratios) > 1.2 and min(guided_ratios) < 0.9
        assert not has_clip or 0 < compared.num_clipped(guided=True) < len(guided_ratios)
    elif is_on_policy:
        assert guided_ratios == pytest.approx([1.0] * len(guided_ratios))


@pytest.mark.parametrize("weighting", ["on_policy", "importance"])
def test_gradients_of_an_adapter(tmp_path: Path, weighting: str) -> None:
    compared = compare(tmp_path, weighting=weighting, adapter=True, num_iterations=2, max_steps=3)
    compared.assert_equal()
    assert compared.ratios(guided=True)


@pytest.mark.parametrize("loss_type", ["grpo", "dapo"])
def test_gradients_at_a_temperature_and_at_the_end_of_an_epoch(tmp_path: Path, loss_type: str) -> None:
    """Three generated batches an epoch, two to a step: the epoch's last step accumulates one micro-batch alone."""
    compared = compare(
        tmp_path,
        weighting="importance",
        loss_type=loss_type,
        temperature=0.7,
        gradient_accumulation_steps=2,
        steps_per_generation=1,
        max_steps=4,
        data=tiny.rows(6),
    )
    compared.assert_equal()
    assert len(compared.seen) == 4
    assert compared.num_clipped(guided=True) > 0


SHAPED = tuple(loss for loss in LOSS_TYPES if loss != "vespo")


@pytest.mark.parametrize(("loss_type", "shape"), cases(SHAPED, ()), ids=str)
def test_shaped_gradients_are_those_of_the_formula(tmp_path: Path, loss_type: str, shape: tuple[int, int, int]) -> None:
    """The reference differentiates A f(ratio) itself; the trainer weighs advantages with f'(ratio) ratio."""
    level = {"importance_sampling_level": "token"}
    compared = compare(tmp_path, weighting="shaped", **{**settings_for(loss_type, shape), **level})
    compared.assert_equal()
    guided_ratios = compared.ratios(guided=True)
    assert max(guided_ratios) > 1.2 and min(guided_ratios) < 0.9
