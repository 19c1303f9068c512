"""Tiny real trainers on the shipped apprentice world, and what tests want to know about them.

    trainer = npo(tmp_path, max_steps=3)
    trainer.set_guidance(guidance_for(trainer, tmp_path / "guidance", num_prompts=8))
    recorder = record(trainer)
    trainer.train()
    recorder.steps[0].gradients

A trainer is built in 0.1 s and makes a step in 0.03 s. Nothing is saved, no gradient is clipped (`max_grad_norm=0`),
and the optimizer is plain SGD, so that a difference in a gradient is the same difference in the weights.

Not here: what a step should have computed (`reference`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from nearfuture.guidance import GuidanceCache
from nearfuture.guidance.header import CacheHeader, CollectionCounts
from nearfuture.tasks import VerdictReward, load_task
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train import NPOConfig, NPOTrainer, TRLEngine
from nearfuture.train.tokenizer import tokenizer_hash
from nearfuture.types import Guidance, PolicyRef, Verdict

TASK = load_task("apprentice")
SETTINGS: dict[str, Any] = {
    "max_steps": 2,
    "per_device_train_batch_size": 16,
    "num_generations": 4,
    "max_completion_length": 8,
    "optim": "sgd",
    "learning_rate": 0.1,
    "lr_scheduler_type": "constant",
    "max_grad_norm": 0.0,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "seed": 7,
}
TIMES = ("runtime", "samples_per_second", "steps_per_second", "step_time", "preparation_time")
"""What the names of metrics end in that no two runs share."""

Row = dict[str, Any]
Trainer = TypeVar("Trainer", bound=GRPOTrainer)
BehaviorLogps = Callable[[list[Row], list[tuple[int, ...]], list[list[float]]], list[list[float]]]


def rows(num_prompts: int = 32) -> list[Row]:
    """Held-out prompts: unfiltered, so the base model solves some; of all chain lengths."""
    stride = len(TASK.evaluation) // num_prompts
    return [dict(row) for row in TASK.evaluation[::stride]][:num_prompts]


def npo(folder: Path, *, data: Sequence[Row] | None = None, reward: Any = None, **more: Any) -> NPOTrainer:
    """An `NPOTrainer`; `more` are settings, or arguments of the trainer."""
    return _quiet(NPOTrainer(TASK.model, **_arguments(NPOConfig, folder, data, reward, more)))


def grpo(folder: Path, *, data: Sequence[Row] | None = None, reward: Any = None, **more: Any) -> GRPOTrainer:
    """TRL's own trainer with the same data, reward and settings."""
    device = {"bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    return _quiet(GRPOTrainer(TASK.model, **_arguments(GRPOConfig, folder, data, reward, device | more)))


TRAINER_ARGUMENTS = (
    "guidance",
    "on_group",
    "on_pass_rates",
    "train_dataset",
    "eval_dataset",
    "callbacks",
    "peft_config",
    "processing_class",
)


def _arguments(config: type[GRPOConfig], folder: Path, data: Any, reward: Any, more: Row) -> Row:
    arguments = {name: more.pop(name) for name in TRAINER_ARGUMENTS if name in more}
    arguments.setdefault("train_dataset", Dataset.from_list(list(rows() if data is None else data)))
    args = config(output_dir=str(folder / "out"), **(SETTINGS | more))
    return {"args": args, "reward_funcs": VerdictReward(TASK) if reward is None else reward, **arguments}


def _quiet(trainer: Trainer) -> Trainer:
    trainer.remove_callback(PrinterCallback)
    return trainer


def gold_ids(trainer: GRPOTrainer, row: Row) -> tuple[int, ...]:
    """The token ids of the right answer, with the stop token."""
    tokenizer = trainer._tokenizer
    return (*tokenizer(row["answer"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id)


def as_scored(asked: list[Row], ids: list[tuple[int, ...]], logps: list[list[float]]) -> list[list[float]]:
    """Behaviour log-probs of a guide that is the learner itself."""
    return logps


def apart(asked: list[Row], ids: list[tuple[int, ...]], logps: list[list[float]]) -> list[list[float]]:
    """Behaviour log-probs of a guide visibly apart from the learner, token by token and answer by answer."""
    offsets = (0.6, -0.6, 0.1, -0.3)
    return [
        [min(p + offsets[k % 4] + (0.4 if i % 2 else -0.4), -1e-3) for k, p in enumerate(row)]
        for i, row in enumerate(logps)
    ]


def guidance(trainer: NPOTrainer, indices: Iterable[int], behavior: BehaviorLogps = as_scored) -> list[Guidance]:
    """The right answers to some prompts of the trainer's data, as if a guide had found them."""
    asked = [trainer.train_dataset[i] for i in indices]
    ids = [gold_ids(trainer, row) for row in asked]
    logps = behavior(asked, ids, TRLEngine(trainer).score(asked, ids))
    return [
        Guidance(row["prompt_id"], prompt_hash(row), tokens, tuple(values), 0, 120, Verdict.CORRECT, 4, 1)
        for row, tokens, values in zip(asked, ids, logps, strict=True)
    ]


def header_of(trainer: NPOTrainer) -> CacheHeader:
    """The header of a cache that fits the trainer."""
    engine = TRLEngine(trainer)
    return CacheHeader(
        tokenizer_hash=tokenizer_hash(trainer.processing_class),
        eos_token_ids=engine.eos_token_ids,
        verifier_version="1",
        sampling=engine.sampling,
        guide=PolicyRef(0, 120, "checkpoint-120"),
        counts=CollectionCounts(num_prompts=len(trainer.train_dataset), num_solved=1, num_samples=4),
    )


def guidance_for(
    trainer: NPOTrainer, folder: Path, num_prompts: int | None = None, behavior: BehaviorLogps = as_scored
) -> GuidanceCache:
    """A cache for the first `num_prompts` prompts the trainer will meet (default: for all of its data)."""
    if num_prompts is None:
        indices: Iterable[int] = range(len(trainer.train_dataset))
    else:
        indices = trainer.prompts_between(0, len(trainer.train_dataset))[:num_prompts]
    entries = guidance(trainer, indices, behavior)
    ids = [entry.completion_ids for entry in entries]
    texts = trainer.processing_class.batch_decode(ids, skip_special_tokens=True)
    return GuidanceCache.write(folder, header_of(trainer), list(zip(entries, texts, strict=True)))


def weights(trainer: GRPOTrainer) -> dict[str, Tensor]:
    """A copy of the trainable weights."""
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """max |a - b| over all tensors, as a share of max |b|."""
    assert a.keys() == b.keys()
    scale = max(float(b[name].abs().max()) for name in b)
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in b) / max(scale, 1e-30)


def assert_same_run(ours: GRPOTrainer, theirs: GRPOTrainer) -> None:
    """Bit for bit: every weight, and at every step every metric that `theirs` logs, except times."""
    a, b = weights(ours), weights(theirs)
    assert a.keys() == b.keys()
    assert [name for name in b if not torch.equal(a[name], b[name])] == []
    for ours_row, theirs_row in zip(ours.state.log_history, theirs.state.log_history, strict=True):
        expected = {name: value for name, value in theirs_row.items() if not name.endswith(TIMES)}
        assert {name: ours_row.get(name) for name in expected} == expected


@dataclass
class Step:
    """One optimizer step: what it began with, which buffered batches it used, and the gradient it arrived at.

    `micro_steps` holds (number of the generation, index of the micro-batch in it).
    """

    weights: dict[str, Tensor]
    micro_steps: list[tuple[int, int]] = field(default_factory=list)
    gradients: dict[str, Tensor] = field(default_factory=dict)


class Recorder(TrainerCallback):
    """Records every optimizer step, and every generated batch as it lies in TRL's buffer, split into micro-batches."""

    def __init__(self, trainer: GRPOTrainer) -> None:
        self.trainer = trainer
        self.steps: list[Step] = []
        self.generations: list[list[dict[str, Any]]] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.steps.append(Step(weights(self.trainer)))

    def on_substep_end(self, *_: Any, **__: Any) -> None:
        buffer = self.trainer._buffered_inputs
        if not self.generations or self.generations[-1] is not buffer:
            self.generations.append(buffer)
        index = (self.trainer._step - 1) % self.trainer.args.steps_per_generation
        self.steps[-1].micro_steps.append((len(self.generations) - 1, index))

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        self.on_substep_end()
        named = self.trainer.model.named_parameters()
        self.steps[-1].gradients = {name: p.grad.detach().clone() for name, p in named if p.grad is not None}


def record(trainer: GRPOTrainer) -> Recorder:
    """Have the next `train()` recorded."""
    recorder = Recorder(trainer)
    trainer.add_callback(recorder)
    return recorder
