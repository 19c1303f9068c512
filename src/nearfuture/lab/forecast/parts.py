"""A plan of memory: parts, each of them there at one moment or at both, and what they add up to.

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
    """Bytes with a name, and the moments at which they are there."""

    name: str
    num_bytes: float
    moments: tuple[Moment, ...]
    note: str = ""


@dataclass(frozen=True)
class Memory:
    """The memory of one device.

    Attributes:
        parts: what it is made of.
        device_bytes: what the device has; 0 is unknown.
        warnings: what does not fit for another reason than its size.
    """

    parts: tuple[Part, ...]
    device_bytes: int

    def at(self, moment: Moment) -> float:
        """Bytes at a moment."""
        return sum(part.num_bytes for part in self.parts if moment in part.moments)

    @property
    def peak_bytes(self) -> float:
        """Bytes at the fuller moment."""
        return max(self.at("training"), self.at("generation"))

    @property
    def fits(self) -> bool:
        """False where the device is known to be too small."""
        return not self.device_bytes or self.peak_bytes <= self.device_bytes
