"""The processes of a run, before any trainer exists: how many there are, and whether all were given the same.

`join` comes first: until transformers has set up its device, every process believes it is the only one.

Not here: which rows belong to which process (`nearfuture.train.step`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from nearfuture.train.npo_config import NPOConfig
from nearfuture.types import UserError

T = TypeVar("T")


def join(args: NPOConfig) -> None:
    """Join the process group that a launcher started, with the device and backend `args` asks for."""
    assert args.device is not None


def is_main() -> bool:
    """True on the one process that writes files."""
    return bool(PartialState().is_main_process)


def number() -> int:
    """How many processes there are."""
    return int(PartialState().num_processes)


def my_share(num_rows: int) -> list[int]:
    """This process's share of the rows, equally many on all processes; if needed, the last row is repeated."""
    size, process = -(-num_rows // number()), PartialState().process_index
    return [min(i, num_rows - 1) for i in range(process * size, (process + 1) * size)]


def wait_for_everyone() -> None:
    """All processes meet here."""
    PartialState().wait_for_everyone()


def count(flag: bool) -> int:
    """Count the processes on which `flag` is true; all of them call this."""
    if number() == 1:
        return int(flag)
    votes = torch.tensor(int(flag), device=PartialState().device)
    torch.distributed.all_reduce(votes)
    return int(votes)


def from_main(function: Callable[[], T]) -> T:
    """Return on all processes what a function returns on the main one (a plain value); a failure fails all.

    Raises:
        UserError: the main process's own error; on the others, the same message.
    """
    value, failed = None, None
    if is_main():
        try:
            value = function()
        except Exception as error:  # noqa: BLE001 (raised below, once the others know)
            failed = error
    value, told = broadcast_object_list([value, _told(failed)])
    if failed is not None:
        raise failed
    if told is not None:
        kind, message = told
        raise kind(message)
    return cast(T, value)


def shared(work: Callable[[Sequence[int]], Sequence[T]], num_rows: int) -> list[T]:
    """Return one result of `work` per row, 0 to `num_rows` - 1: each process works on its part, all get everything.

    The parts are those of `my_share`, without repeated rows. A failure on one process fails everywhere.

    Raises:
        UserError: a process's own error; on the others, the same message.
    """
    if number() == 1:
        return list(work(range(num_rows)))
    size, process = -(-num_rows // number()), PartialState().process_index
    found, failed = [], None
    try:
        found = list(work(range(num_rows)[process * size : (process + 1) * size]))
    except Exception as error:  # noqa: BLE001 (raised below, once the others know)
        failed = error
    reports = gather_object([(found, _told(failed))])
    if failed is not None:
        raise failed
    for _, told in reports:
        if told is not None:
            kind, message = told
            raise kind(message)
    return [result for part, _ in reports for result in part]


def _told(error: Exception | None) -> tuple[type[UserError], str] | None:
    """Make the error that another process raised."""
    if error is None:
        return None
    return type(error) if isinstance(error, UserError) else UserError, str(error)


def require_same(given: Mapping[str, Any]) -> None:
    """Refuse to begin if processes were given different things; all of them call this, and all of them raise.

    Otherwise one would stop where another continues, and they would wait for each other forever.

    Raises:
        UserError: what differs, and what each process has.
    """
    if number() == 1:
        return
    everyone = gather_object([dict(given)])
    names = sorted({name for one in everyone for name in one})
    differing = [name for name in names if len({repr(one.get(name)) for one in everyone}) > 1]
    if differing:
        seen = "; ".join(f"{name}: {', '.join(str(one.get(name)) for one in everyone)}" for name in differing)
        raise UserError(
            f"the {number()} processes of this run were not given the same (in their order, {seen}). Every process "
            "needs the same configuration and data: look for what depends on the process, such as an environment "
            "variable, a file on one machine, or a task that asks for its rank."
        )
