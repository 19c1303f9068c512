"""The plateau trigger: has the reward stopped rising while the entropy still falls?

Each is judged against its own standard error, so nothing depends on the scale of the reward or on how many prompts a
step averages over.

Deviations: the paper names a moving average, stagnation and decline, but no constant (reconstruction.md 2.1); tests and
numbers are ours. A slope test on the reward was tried too and fires later at equal false alarms; the numbers come from
the same table (`measurements/trigger_detector.py`, docs/methods/autonpo.md).

Not here: the probe that confirms (`nearfuture.run`), which prompts (`mistakes`), how far to go back (`rollback`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from nearfuture.method.trends import Line, Rise, ema_weight, fit_line, measure_rise
from nearfuture.method.trigger_config import MIN_ROWS, TriggerConfig

__all__ = ["Evidence", "PlateauTrigger", "Seen", "State", "TriggerConfig"]


class State(StrEnum):
    """What the trigger may do next: `WARMING` and `COOLING` wait, `ARMED` may fire, `FIRED` is the step it did."""

    WARMING = "warming"
    ARMED = "armed"
    FIRED = "fired"
    COOLING = "cooling"


class Seen(NamedTuple):
    """One step: on-policy reward and entropy (nats per token), and their moving averages."""

    step: int
    reward: float
    entropy: float
    reward_ema: float
    entropy_ema: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """How reward (its moving average) and entropy (its slope a step) moved over the window, and what that says."""

    reward: Rise
    entropy: Line
    is_stagnant: bool
    is_declining: bool


class PlateauTrigger:
    """Watches a run and says when it looks stuck.

        fire at t  if  R(t) - R(t - window) <= max_reward_t SE
                  and  b_H <= max_entropy_t SE(b_H)  and  -b_H (window - 1) > min_entropy_drop |mean H|
                  at every step of the last `patience`, after warm-up and cool-down

    R is the exponential moving average of the on-policy reward, b_H the least-squares slope of the entropy over the
    steps (t - window, t]. See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3: the warning needs both
    signs (reconstruction.md 2.1). A row that is not finite (a step that
    generated nothing has no reward) is left out and counted. A reward that only ever rises leaves R rising, and never
    fires.

    Example:
        >>> trigger = PlateauTrigger(TriggerConfig(window=10, patience=2))
        >>> [step for step in range(1, 40) if trigger.observe(step, reward=0.5, entropy=1.0 - 0.01 * step)]
        [20]
    """

    def __init__(self, config: TriggerConfig | None = None) -> None:
        self.config = config or TriggerConfig()
        self.state = State.WARMING
        self.evidence: Evidence | None = None
        self._seen: list[Seen] = []
        self._held_since: int | None = None
        self._cool_until = 0
        self._fired_at = 0
        self._num_fired = 0
        self._num_ignored = 0

    def observe(self, step: int, reward: float, entropy: float) -> bool:
        """Take note of one step and decide.

        Args:
            step: position on the lineage; must grow (see `rewind`), may skip, as in a log that is written now and then.
            reward: mean *on-policy* reward or pass rate, before any slot is replaced; any scale.
            entropy: mean token entropy of the policy on its own rollouts (nats).

        Returns:
            True at the step where it fires.
        """
        if not (math.isfinite(reward) and math.isfinite(entropy)):
            self._num_ignored += 1
            self.state = State.COOLING if self.state is State.FIRED else self.state
            return False
        assert not self._seen or step > self._seen[-1].step, f"step {step} after {self._seen[-1].step}: rewind first"
        self._remember(step, reward, entropy)
        self.evidence = self._measure()
        held = self.evidence is not None and self.evidence.is_stagnant and self.evidence.is_declining
        self._held_since = (step if self._held_since is None else self._held_since) if held else None
        if self.evidence is None or step < self.config.warmup:
            self.state = State.WARMING
        elif step < self._cool_until:
            self.state = State.COOLING
        elif self._held_since is not None and step - self._held_since + 1 >= self.config.patience:
            self.state = State.FIRED
            self._fired_at, self._cool_until = step, step + self.config.cooldown
            self._num_fired += 1
        else:
            self.state = State.ARMED
        return self.state is State.FIRED

    def rewind(self, step: int) -> None:
        """Go back to `step` with the run: what was seen later is forgotten, what was seen before still counts.

        It does not fire again before the replay has passed the step it fired at, nor within the cool-down.
        """
        self._seen = [seen for seen in self._seen if seen.step <= step]
        self.evidence, self._held_since = self._measure(), None
        self._cool_until = max(step + self.config.cooldown, self._fired_at + 1)
        self.state = State.COOLING

    def metrics(self) -> dict[str, float]:
        """Return the numbers behind the decision of this step; rise and slope only where the window is full."""
        metrics = {
            "autonpo/is_armed": float(self.state in (State.ARMED, State.FIRED)),
            "autonpo/has_fired": float(self.state is State.FIRED),
            "autonpo/num_fired": float(self._num_fired),
            "autonpo/num_ignored": float(self._num_ignored),
            "autonpo/steps_held": float(self._steps_held()),
        }
        if self._seen:
            metrics["autonpo/reward_ema"] = self._seen[-1].reward_ema
            metrics["autonpo/entropy_ema"] = self._seen[-1].entropy_ema
        if self.evidence is not None:
            metrics["autonpo/reward_rise"] = self.evidence.reward.rise
            metrics["autonpo/reward_rise_se"] = self.evidence.reward.rise_se
            metrics["autonpo/entropy_slope"] = self.evidence.entropy.slope
            metrics["autonpo/entropy_slope_se"] = self.evidence.entropy.slope_se
        return metrics

    def explain(self) -> dict[str, Any]:
        """Return what the last decision rests on, for an event: what was seen, how it moved, the settings."""
        evidence = None if self.evidence is None else asdict(self.evidence)
        last = self._seen[-1]._asdict() if self._seen else {}
        settings = asdict(self.config)
        held = self._steps_held()
        return {**last, "state": str(self.state), "steps_held": held, "evidence": evidence, "settings": settings}

    def state_dict(self) -> dict[str, Any]:
        """Return everything remembered, as JSON can hold it."""
        return {
            "seen": [list(seen) for seen in self._seen],
            "state": str(self.state),
            "held_since": self._held_since,
            "cool_until": self._cool_until,
            "fired_at": self._fired_at,
            "num_fired": self._num_fired,
            "num_ignored": self._num_ignored,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was called."""
        self._seen = [Seen(*row) for row in state["seen"]]
        self.state = State(state["state"])
        self._held_since, self._cool_until = state["held_since"], state["cool_until"]
        self._fired_at, self._num_fired = state["fired_at"], state["num_fired"]
        self._num_ignored = state["num_ignored"]
        self.evidence = self._measure()

    def _remember(self, step: int, reward: float, entropy: float) -> None:
        """Keep two windows, so that a rollback of up to one window still finds a full one."""
        last = self._seen[-1] if self._seen else Seen(step - 1, reward, entropy, reward, entropy)
        weight = ema_weight(self.config.ema_weight, step - last.step)
        reward_ema = last.reward_ema + weight * (reward - last.reward_ema)
        entropy_ema = last.entropy_ema + weight * (entropy - last.entropy_ema)
        self._seen = [seen for seen in self._seen if seen.step >= step - 2 * self.config.window]
        self._seen.append(Seen(step, reward, entropy, reward_ema, entropy_ema))

    def _steps_held(self) -> int:
        return 0 if self._held_since is None else self._seen[-1].step - self._held_since + 1

    def _measure(self) -> Evidence | None:
        """Measure both movements, or None where the window is not full."""
        config, now = self.config, self._seen[-1].step if self._seen else 0
        num_before = sum(seen.step <= now - config.window for seen in self._seen)
        rows = self._seen[num_before:]
        if num_before == 0 or len(rows) < MIN_ROWS:
            return None
        span = self._seen[num_before - 1 :]
        emas = span[0].reward_ema, span[-1].reward_ema
        reward = measure_rise([seen.step for seen in span], [seen.reward for seen in span], emas, config.ema_weight)
        entropy = fit_line([seen.step for seen in rows], [seen.entropy for seen in rows])
        drop = -entropy.slope * (config.window - 1)
        return Evidence(
            reward=reward,
            entropy=entropy,
            is_stagnant=reward.rise <= config.max_reward_t * reward.rise_se,
            is_declining=entropy.slope <= config.max_entropy_t * entropy.slope_se
            and drop > config.min_entropy_drop * abs(entropy.mean),
        )
