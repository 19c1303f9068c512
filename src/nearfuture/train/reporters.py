"""TRL's reporters (TensorBoard, trackio, W&B ...) for a run that goes back: one record, on an axis that never does.

    train/global_step     every step paid for, as `total_steps` in metrics.jsonl
    train/npo/step        the position on the kept path, which falls back where the run does
    train/npo/segment     which segment it is; it rises where the run goes back
    train/npo/intervention   in words, at the first step after going back

A run has a trainer for each stretch, and each trainer has new reporters. They get one name and one place. Records of
steps that a kill has undone are replaced if the tool can do that (TensorBoard).

Not here: `metrics.jsonl`, which is always written (`nearfuture.run.recorder`).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.integrations import INTEGRATION_TO_CALLBACK, TensorBoardCallback
from trl import GRPOTrainer

FOLDER, TRACKIO = "tensorboard", "trackio"
Clock = Callable[[int], int]
Facts = Callable[[int], Mapping[str, Any]]


@dataclass(frozen=True)
class Identity:
    """A run's identity for reporters: a `name` that is shown, an `id` that a resumed run finds again."""

    name: str
    id: str


def reporters_of(trainer: GRPOTrainer) -> list[TrainerCallback]:
    """The reporters that `report_to` names."""
    kinds = tuple(INTEGRATION_TO_CALLBACK.values())
    return [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, kinds)]


def without_trackio(args: Any) -> list[TrainerCallback]:
    """Remove trackio from `report_to`, and return its reporter to be added to the trainer made from `args`.

    With trackio in `report_to`, TRL also writes its own times there whenever it generates. If nothing is being trained
    (a trainer is made, a guide is asked), that raises, because trackio then has no run.
    """
    if TRACKIO not in args.report_to:
        return []
    args.report_to = [name for name in args.report_to if name != TRACKIO]
    return [INTEGRATION_TO_CALLBACK[TRACKIO]()]


def follow(
    trainer: GRPOTrainer,
    identity: Identity,
    folder: Path,
    total_steps: Clock,
    facts: Facts,
) -> None:
    """Make a trainer's reporters write one record of the run, over all steps paid for.

    Args:
        trainer: the trainer, before it trains.
        identity: the run's identity.
        folder: the run's folder.
        total_steps: returns the steps paid for at a step of the path.
        facts: returns what is reported about a step in addition to its metrics.
    """
    trainer.args.run_name = trainer.args.run_name or identity.name
    os.environ.setdefault("WANDB_RUN_ID", identity.id)
    os.environ.setdefault("WANDB_RESUME", "allow")
    for reporter in reporters_of(trainer):
        if isinstance(reporter, TensorBoardCallback):
            reporter.logging_dir = reporter.logging_dir or str(folder / FOLDER)
            _drop_what_was_undone(reporter, total_steps)
        reporter.on_log = _by_total_steps(reporter.on_log, total_steps, facts)


def tell(trainer: GRPOTrainer, metrics: Mapping[str, Any]) -> None:
    """Pass an evaluation to the reporters: `eval/pass_rate` arrives under that name."""
    logs = {key.replace("eval/", "eval_", 1): value for key, value in metrics.items()}
    for reporter in reporters_of(trainer):
        reporter.on_log(trainer.args, trainer.state, trainer.control, logs=logs, model=trainer.model)


def _by_total_steps(on_log: Any, total_steps: Clock, facts: Facts) -> Any:
    """Return the same state, with the number of steps paid for as its step."""

    def told(args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        moved = copy.copy(state)
        moved.global_step = total_steps(state.global_step)
        on_log(args, moved, control, logs={**(logs or {}), **facts(state.global_step)}, **kwargs)

    return told


def _drop_what_was_undone(reporter: Any, total_steps: Clock) -> None:
    """Tell TensorBoard where the stretch begins: what a killed process wrote beyond it is trained and written again."""
    from torch.utils.tensorboard import SummaryWriter  # where tensorboard is installed

    begin = reporter.on_train_begin

    def told(args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            first = total_steps(state.global_step) + (state.global_step > 0)
            reporter.tb_writer = SummaryWriter(log_dir=reporter.logging_dir, purge_step=first)
        begin(args, state, control, **kwargs)

    reporter.on_train_begin = told
