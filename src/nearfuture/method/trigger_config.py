"""When a run counts as stuck: the settings of the plateau trigger, checked when they are made.

Not here: the trigger (`trigger`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.types import UserError

MIN_ROWS = 6


@dataclass(frozen=True, slots=True)
class TriggerConfig:
    """When a run counts as stuck. All numbers are ours, chosen by `measurements/trigger_detector.py`.

    Attributes:
        window: steps between the two averages that are compared, and under the line through the entropy. The noisier a
            step's reward, the longer: docs/methods/autonpo.md has a table by batch size.
        max_reward_t: a rise of the average reward by at most this many standard errors counts as no rise.
        max_entropy_t: the entropy declines if its slope is at most this many (negative) standard errors.
        min_entropy_drop: share of its mean that the entropy must lose over the window, beside.
        patience: steps both must hold without a break.
        warmup: no firing before this step; nor before the window is full.
        cooldown: steps without firing after a firing, and after a rollback.
        ema_weight: weight of a new step in the moving averages; 0.1 averages over about 20 steps.
    """

    window: int = 75
    max_reward_t: float = 0.75
    max_entropy_t: float = -3.0
    min_entropy_drop: float = 0.02
    patience: int = 10
    warmup: int = 20
    cooldown: int = 50
    ema_weight: float = 0.1

    def __post_init__(self) -> None:
        rules = {
            "window": (self.window >= MIN_ROWS, f"at least {MIN_ROWS}: a slope over fewer rows means nothing"),
            "max_entropy_t": (self.max_entropy_t <= 0, "at most 0: the entropy has to decline"),
            "min_entropy_drop": (0 <= self.min_entropy_drop < 1, "a share, 0 to 1"),
            "patience": (self.patience >= 1, "at least 1 step"),
            "warmup": (self.warmup >= 0, "at least 0"),
            "cooldown": (self.cooldown >= 0, "at least 0"),
            "ema_weight": (0 < self.ema_weight <= 1, "over 0, at most 1"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise UserError(f"{name}={getattr(self, name)} must be {rule}.")
