"""Proofs of exactness over the training layer, on the world that ships; `nearfuture selftest` prints them.

    GRPO      without guidance `NPOTrainer` is TRL's `GRPOTrainer`
    resume    k steps, stop, a fresh trainer, the rest   ==   all steps at once
    rollback  back to k on the same trainer, again       ==   the abandoned tail

They compare weights and every metric of every step except times, bit for bit, inside a generation cycle and across the
end of an epoch. On a GPU these may differ if its kernels are not deterministic.

Not here: the kill of a whole run (`nearfuture.lab.measure.selftest`), the suite's property tests over many
settings (tests/).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PrinterCallback
from trl import GRPOTrainer

from nearfuture.tasks import Task, VerdictReward
from nearfuture.train.callbacks import StopAt
from nearfuture.train.npo_config import NPOConfig
from nearfuture.train.trainer import NPOTrainer

TIMES = ("step_time", "runtime", "per_second", "flos", "train_loss")

Weights = dict[str, Tensor]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """One law: what was compared, and the first difference if there is one."""

    law: str
    compared: str
    first: str | None

    @property
    def is_identical(self) -> bool:
        """True if not one bit differs."""
        return self.first is None


def metrics_of(trainer: GRPOTrainer) -> Rows:
    """Return every logged metric of every step, without times."""
    rows = [row for row in trainer.state.log_history if "loss" in row]
    return [{k: v for k, v in row.items() if not any(time in k for time in TIMES)} for row in rows]


def weights_of(trainer: GRPOTrainer) -> Weights:
    """Return a copy of the weights."""
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def first_difference(rows: Rows, weights: Weights, other_rows: Rows, other_weights: Weights) -> str | None:
    """Name the first metric or weight that differs; metrics that only one side logs are not compared."""
    if [row["step"] for row in rows] != [row["step"] for row in other_rows]:
        return f"steps {[row['step'] for row in rows]} against {[row['step'] for row in other_rows]}"
    for row, other in zip(rows, other_rows, strict=True):
        for key in sorted(row.keys() & other.keys()):
            if row[key] != other[key]:
                return f"step {row['step']} {key}: {row[key]!r} against {other[key]!r}"
    unequal = (name for name, value in weights.items() if not torch.equal(value, other_weights[name]))
    return next((f"weights of {name}" for name in unequal), None)


def difference(one: GRPOTrainer, other: GRPOTrainer) -> str | None:
    """Name the first metric or weight in which two trainers differ."""
    return first_difference(metrics_of(one), weights_of(one), metrics_of(other), weights_of(other))


def prove_training(task: Task, rows: Dataset, folder: Path, steps: int) -> list[Comparison]:
    """Run the three proofs with `steps` optimizer steps each; an epoch of `rows` should be shorter than that."""
    whole = _trainer(NPOTrainer, task, rows, folder / "whole", steps)
    whole.train()
    return [_grpo(whole, task, rows, folder), _resume(whole, task, rows, folder), _rollback(task, rows, folder, steps)]


def _trainer(kind: type[GRPOTrainer], task: Task, rows: Dataset, folder: Path, steps: int, *, until: int = 0) -> Any:
    """Make a trainer; all trainers get the same settings, resolved once by `NPOConfig`."""
    assert task.model is not None
    args = NPOConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=16,
        steps_per_generation=4,
        gradient_accumulation_steps=2,
        num_generations=8,
        max_completion_length=8,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=7,
    )
    stop = [StopAt(until)] if until else []
    trainer = kind(task.model, reward_funcs=VerdictReward(task), args=args, train_dataset=rows, callbacks=stop)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _what(rows: Rows, trainer: GRPOTrainer) -> str:
    num_weights = sum(p.numel() for p in trainer.model.parameters())
    return f"{len(rows)} steps, up to {max(map(len, rows)) - 1} metrics each, {num_weights} weights"


def _grpo(whole: GRPOTrainer, task: Task, rows: Dataset, folder: Path) -> Comparison:
    theirs = _trainer(GRPOTrainer, task, rows, folder / "trl", whole.args.max_steps)
    theirs.train()
    law = "without guidance = TRL's GRPOTrainer"
    return Comparison(law, _what(metrics_of(theirs), theirs), difference(theirs, whole))


def _resume(whole: GRPOTrainer, task: Task, rows: Dataset, folder: Path) -> Comparison:
    steps = whole.args.max_steps
    k = steps // 2
    _trainer(NPOTrainer, task, rows, folder / "part", steps, until=k).train()
    resumed = _trainer(NPOTrainer, task, rows, folder / "part", steps)
    resumed.train(resume_from_checkpoint=True)
    law = f"stop after {k} steps and resume = {steps} steps"
    return Comparison(law, _what(metrics_of(whole), whole), difference(whole, resumed))


def _rollback(task: Task, rows: Dataset, folder: Path, steps: int) -> Comparison:
    k = max(1, steps // 2 - 1)
    trainer = _trainer(NPOTrainer, task, rows, folder / "back", steps)
    trainer.add_callback(StopAt(steps, save_at={k}))
    trainer.train()
    tail, end = metrics_of(trainer)[k:], weights_of(trainer)
    trainer.train(resume_from_checkpoint=str(folder / "back" / f"checkpoint-{k}"))
    first = first_difference(tail, end, metrics_of(trainer)[k:], weights_of(trainer))
    return Comparison(f"back to step {k} and replay = the abandoned tail", _what(tail, trainer), first)
