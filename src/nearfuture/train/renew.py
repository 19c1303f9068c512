"""Keep an optimizer's configured settings when a checkpoint with other settings is loaded, as a fork needs.

A torch checkpoint holds learning rate, betas and weight decay beside the moments, and loading it restores all of them.
Here only the moments are restored; the rate of a step is that of the new schedule at that step.

Not here: which checkpoint is a fork's (`nearfuture.run.fork`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.optim.lr_scheduler import LambdaLR

from nearfuture.types import UserError


@contextmanager
def settings_kept(optimizer: Any, scheduler: Any) -> Iterator[None]:
    """Keep the settings of both, whatever is loaded into them inside the block.

    Raises:
        UserError: the rate of the schedule is not a function of the step.
    """
    schedule = getattr(scheduler, "scheduler", scheduler)
    if not isinstance(schedule, LambdaLR):
        raise UserError(
            "a fork with changed settings needs a schedule that is a function of the step, and "
            f"{type(schedule).__name__} is not. Use lr_scheduler_type=constant, for example, or keep every setting."
        )
    configured = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    rates = list(schedule.base_lrs)
    yield
    schedule.base_lrs = rates
    factors = [function(schedule.last_epoch) for function in schedule.lr_lambdas]
    for group, kept, rate, factor in zip(optimizer.param_groups, configured, rates, factors, strict=True):
        group.update(kept | {"initial_lr": rate, "lr": rate * factor})
    schedule._last_lr = [group["lr"] for group in optimizer.param_groups]
