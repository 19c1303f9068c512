"""Checkpoints of plain `GRPOTrainer`: resumed if that is exact, refused with an explanation if it cannot be.

TRL does not save rollouts: inside a generation cycle they are lost, and the run would train on others instead. Between
two cycles nothing is missing, since the order of prompts is a function of seed and epoch, and the number of
micro-batches is a function of the step.

Not here: which checkpoints are TRL's (`nearfuture.train.checkpoint`), the rest of a resume (`nearfuture.train.exact`).
"""

from __future__ import annotations

from pathlib import Path

from nearfuture.record.formats import command_line
from nearfuture.train import checkpoint
from nearfuture.train.order import Schedule
from nearfuture.types import UserError


def micro_step(folder: Path, schedule: Schedule | None, num_processes: int) -> int:
    """Micro-batches consumed when plain TRL wrote a checkpoint.

    Args:
        folder: the checkpoint.
        schedule: the schedule of the trainer that continues; None if its data is streamed.
        num_processes: the number of running processes.

    Raises:
        UserError: it is inside a generation cycle, was written by another number of processes, holds only weights, or
            its data is streamed.
    """
    require_random_states(folder)
    num_saved = len(list(folder.glob("rng_state*.pth")))
    if num_saved != num_processes:
        raise UserError(
            f"{folder} was saved by {num_saved} processes of plain TRL, {num_processes} are running: random states are "
            "saved per process. Use the same number."
        )
    if schedule is None:
        raise UserError(
            f"{folder} was saved by plain TRL, which does not say where in streamed data it stood. Load the data "
            f"without streaming, or begin a new run from its weights ({command_line(f'model={folder}')})."
        )
    found, cycle = schedule.micro_step(checkpoint.plain_step(folder)), schedule.micro_per_batch
    if found % cycle:
        raise UserError(
            f"{folder} was saved by plain TRL {found % cycle} of {cycle} micro-batches into a generation cycle, and "
            "TRL keeps no rollouts: the rest of it would train on others. Use a checkpoint at the end of a cycle "
            "(steps_per_generation * num_iterations micro-batches), or begin a new run from its weights "
            f"({command_line(f'model={folder}')})."
        )
    return found


def require_random_states(folder: Path) -> None:
    """Refuse a checkpoint of weights alone.

    Raises:
        UserError: there are no random states, and so no optimizer either.
    """
    if not any(folder.glob("rng_state*.pth")):
        raise UserError(
            f"{folder} holds weights only (save_only_model): without optimizer and random states a run cannot continue "
            f"as if it had never stopped. Begin a new run from its weights ({command_line(f'model={folder}')})."
        )
