"""When a run counts as stuck: the settings of the plateau trigger, checked when they are made.

Not here: the trigger (`trigger`), the evidence (`trends`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.method.trends import MIN_ROWS, Pace
from nearfuture.types import UserError

SLOPE_STEPS = 75
"""Over how many of the last steps the pace of a run is measured, for the price of a step and for readers."""


@dataclass(frozen=True, slots=True)
class TriggerConfig:
    """When a run counts as stuck. All numbers are ours, chosen by `measurements/trigger_detector.py`.

    Attributes:
        min_evidence: the least evidence, in nats, that the reward has stopped rising. Higher: later, with fewer false
            alarms.
        max_entropy_evidence: the most evidence, in nats, that the entropy has stopped falling.
        min_entropy_drop: the share of its mean that the entropy must also lose in the stretch without a rise.
        min_pace: the least gain of a rise per e-fold of steps, in widths of the noise of one step.
        slowdown: the share of its pace at which a rise still goes on.
        look_back: the share of the run so far that is examined.
        min_stretch: steps of the shortest stretch without a rise.
        patience: for how many consecutive steps all of this must hold.
        warmup: the trigger does not fire before this step.
        cooldown: steps without firing after a firing, and after a rollback.
    """

    min_evidence: float = 3.1
    max_entropy_evidence: float = 1.0
    min_entropy_drop: float = 0.02
    min_pace: float = 3.0
    slowdown: float = 0.6
    look_back: float = 0.7
    min_stretch: int = 12
    patience: int = 1
    warmup: int = 20
    cooldown: int = 50

    def __post_init__(self) -> None:
        rules = {
            "min_entropy_drop": (
                -1 < self.min_entropy_drop < 1,
                "between -1 and 1; negative: it need not fall",
            ),
            "min_pace": (self.min_pace > 0, "above 0: otherwise a level would be a rise"),
            "slowdown": (0 < self.slowdown <= 1, "above 0, at most 1"),
            "look_back": (0 < self.look_back <= 1, "a share above 0, at most 1"),
            "min_stretch": (self.min_stretch >= MIN_ROWS, f"at least {MIN_ROWS}: fewer steps say nothing"),
            "patience": (self.patience >= 1, "at least 1 step"),
            "warmup": (self.warmup >= 0, "at least 0"),
            "cooldown": (self.cooldown >= 0, "at least 0"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise UserError(f"{name}={getattr(self, name)} must be {rule}.")

    @property
    def pace(self) -> Pace:
        """What counts as a rise."""
        return Pace(self.min_pace, self.slowdown, self.look_back, self.min_stretch)
