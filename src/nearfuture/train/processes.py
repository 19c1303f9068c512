"""The processes of a run, before any trainer exists: who there is, and whether all were given the same.

`join` comes first: until transformers has set up its device, every process takes itself for the only one.

Not here: which rows are whose (`nearfuture.train.step`).
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
    """The rows that fall to this process, as many as to any other: where they do not go round, the last one again."""
    size, process = -(-num_rows // number()), PartialState().process_index
    return [min(i, num_rows - 1) for i in range(process * size, (process + 1) * size)]


def wait_for_everyone() -> None:
    """All processes meet here."""
    PartialState().wait_for_everyone()


def count(flag: bool) -> int:
    """On how many processes `flag` is true; all of them call this."""
    if number() == 1:
        return int(flag)
    votes = torch.tensor(int(flag), device=PartialState().device)
    torch.distributed.all_reduce(votes)
    return int(votes)


def from_main(function: Callable[[], T]) -> T:
    """What a function returns on the main process (a plain value), on all of them; what fails there fails everywhere.

    Raises:
        UserError: the main process's, or on the others what it was that the main process met.
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
    """What `work` makes of rows 0 to `num_rows` - 1, a result each: a process works on its part, all get everything.

    The parts are those of `my_share`, without a row that comes again. What fails on one process fails everywhere.

    Raises:
        UserError: a process's own, or on the others what it was that it met.
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
    """An error as another process raises it."""
    if error is None:
        return None
    return type(error) if isinstance(error, UserError) else UserError, str(error)


def require_same(given: Mapping[str, Any]) -> None:
    """Refuse to begin where processes were given different things; all of them call this, and all of them raise.

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
