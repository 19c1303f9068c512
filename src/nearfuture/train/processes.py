"""The processes of a run, before any trainer exists.

`join` comes first: until transformers has set up its device, every process takes itself for the only one.

Not here: gathering tensors (`nearfuture.train.groups`).
"""

from __future__ import annotations

from accelerate import PartialState

from nearfuture.train.config import NPOConfig


def join(args: NPOConfig) -> None:
    """Join the process group that a launcher started, with the device and backend `args` asks for."""
    assert args.device is not None


def is_main() -> bool:
    """True on the one process that writes files."""
    return bool(PartialState().is_main_process)


def wait_for_everyone() -> None:
    """All processes meet here."""
    PartialState().wait_for_everyone()
