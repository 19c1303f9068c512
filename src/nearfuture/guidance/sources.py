"""Where the trainer asks for guidance: one look-up per prompt and step.

Not here: how guidance is stored (`cache`) or obtained (`collect`), and whether it is used (`algo`: the gate).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.types import Guidance


class Source(Protocol):
    """Anything that may hold guidance for a prompt at a step of training."""

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return the guidance for `prompt_id` at `step` (optimizer steps), or None."""
        ...


@dataclass(frozen=True, slots=True)
class WindowedCache:
    """A cache that is served for `start_step <= step < end_step` only (`end_step` None: for ever)."""

    cache: GuidanceCache
    start_step: int = 0
    end_step: int | None = None

    def __post_init__(self) -> None:
        if self.end_step is not None and self.end_step <= self.start_step:
            raise ValueError(
                f"end_step={self.end_step} is not after start_step={self.start_step}: the window is empty. "
                "Set end_step above start_step, or None for ever."
            )

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return the guidance for `prompt_id` while the window is open, else None."""
        is_open = self.start_step <= step and (self.end_step is None or step < self.end_step)
        return self.cache.lookup(prompt_id) if is_open else None
