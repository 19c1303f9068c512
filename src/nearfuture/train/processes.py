"""The processes of a run, before any trainer exists.

Not here: gathering tensors (`nearfuture.train.groups`).
"""

from __future__ import annotations

from accelerate import PartialState


def is_main() -> bool:
    """True on the one process that writes files."""
    return bool(PartialState().is_main_process)


def wait_for_everyone() -> None:
    """All processes meet here."""
    PartialState().wait_for_everyone()
