"""A memory plan: parts, each present at one of two moments or at both, and their sums.

Not here: how large the parts are (`memory`, `generation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Moment = Literal["training", "generation"]
TRAINING: tuple[Moment, ...] = ("training",)
GENERATION: tuple[Moment, ...] = ("generation",)
BOTH: tuple[Moment, ...] = ("training", "generation")


@dataclass(frozen=True)
class Part:
    """Bytes with a name, and the moments at which they are in use."""

    name: str
    num_bytes: float
    moments: tuple[Moment, ...]
    note: str = ""


@dataclass(frozen=True)
class Memory:
    """The memory of one device.

    Attributes:
        parts: the parts it consists of.
        device_bytes: the device's memory; 0 means unknown.
        warnings: what does not fit for a reason other than size.
    """

    parts: tuple[Part, ...]
    device_bytes: int

    def at(self, moment: Moment) -> float:
        """Bytes in use at a moment."""
        return sum(part.num_bytes for part in self.parts if moment in part.moments)

    @property
    def peak_bytes(self) -> float:
        """Bytes at the fuller moment."""
        return max(self.at("training"), self.at("generation"))

    @property
    def fits(self) -> bool:
        """False if the device is known to be too small."""
        return not self.device_bytes or self.peak_bytes <= self.device_bytes
