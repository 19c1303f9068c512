"""The plateau trigger: has the reward stopped rising while the entropy still falls?

Both are judged by the same likelihood ratio (`trends`), in units of their own noise, so nothing depends on the scale of
the reward or on how many prompts a step averages over.

Deviations: the paper names a moving average, stagnation and decline, but no constant (reconstruction.md 2.1). Here the
averages are only logged: comparing two of them over a window notices a plateau twice as late at the same rate of false
alarms (`measurements/trigger_detector.py`, docs/methods/autonpo.md).

Not here: the probe that confirms (`nearfuture.run`), which prompts (`mistakes`), how far to go back (`rollback`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from nearfuture.method.trends import LARGEST, Curve, Line, ema_weight, fit_line
from nearfuture.method.trigger_config import TriggerConfig

EMA_WEIGHT = 0.1
"""Weight of a step in the moving averages that are logged: they average over about 20 steps."""
SMALLEST_ENTROPY = 1e-6

__all__ = ["Evidence", "PlateauTrigger", "Seen", "State", "TriggerConfig"]


class State(StrEnum):
    """What the trigger may do next: `WARMING` and `COOLING` wait, `ARMED` may fire, `FIRED` is the step it fired."""

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
    """The current evidence for a plateau.

    Attributes:
        since: the step after which the reward most likely stopped rising.
        reward_evidence: nats for a reward that has stopped rising.
        entropy_evidence: nats for an entropy that has stopped falling.
        reward: line through the reward since then (slopes are per step).
        entropy: the same for the entropy.
        is_stagnant: the reward has stopped rising.
        is_declining: the entropy has not stopped falling.
    """

    since: int
    reward_evidence: float
    entropy_evidence: float
    reward: Line
    entropy: Line
    is_stagnant: bool
    is_declining: bool


class PlateauTrigger:
    """Watches a run and says when it looks stuck.

        fire at t  if  E(R) >= min_evidence  and  E(-log H) <= max_entropy_evidence
                  and  -b_H (t - k) > min_entropy_drop |mean H|
                  at every step of the last `patience`, after warm-up and cool-down

    E(y) are the nats for "y has stopped rising" against "it goes on" (`trends`), R the on-policy reward, H the entropy,
    k where the reward most likely stopped, b_H the slope of the entropy since. See "Near-Future Policy Optimization"
    (arXiv:2604.20733), section 3.3: the warning needs both signs (reconstruction.md 2.1). A row that is not finite (a
    step that generated nothing has no reward) is left out and counted.

    Example:
        >>> trigger = PlateauTrigger(TriggerConfig())
        >>> reward = [0.2 * math.log(min(step, 200) + 20) + 0.01 * (-1) ** step for step in range(1, 301)]
        >>> [step for step in range(1, 301) if trigger.observe(step, reward[step - 1], math.exp(-step / 150))][0]
        227
    """

    def __init__(self, config: TriggerConfig | None = None) -> None:
        self.config = config or TriggerConfig()
        self.state = State.WARMING
        self.evidence: Evidence | None = None
        self._seen: list[Seen] = []
        self._rewards, self._entropies = Curve(), Curve()
        self._held_since: int | None = None
        self._cool_until = 0
        self._fired_at = 0
        self._num_fired = 0
        self._num_ignored = 0

    def observe(self, step: int, reward: float, entropy: float) -> bool:
        """Record one step and decide.

        Args:
            step: position on the lineage; must grow (see `rewind`) but may skip, as in a log with occasional rows.
            reward: mean *on-policy* reward or pass rate, before any slot is replaced; any scale.
            entropy: mean token entropy of the policy on its own rollouts (nats).

        Returns:
            True at the step where it fires.
        """
        if not (abs(reward) <= LARGEST and abs(entropy) <= LARGEST):
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

        It does not fire again until the replay has passed the step at which it fired and the cool-down is over.
        """
        self._seen = [seen for seen in self._seen if seen.step <= step]
        self._rewards.cut(step)
        self._entropies.cut(step)
        self.evidence, self._held_since = self._measure(), None
        self._cool_until = max(step + self.config.cooldown, self._fired_at + 1)
        self.state = State.COOLING

    def metrics(self) -> dict[str, float]:
        """Return the numbers behind the decision of this step; evidence and slopes only once there are enough rows."""
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
            found, now = self.evidence, self._seen[-1].step
            metrics["autonpo/reward_evidence"] = found.reward_evidence
            metrics["autonpo/entropy_evidence"] = found.entropy_evidence
            metrics["autonpo/plateau_steps"] = float(now - found.since)
            metrics["autonpo/reward_rise"] = found.reward.slope * (now - found.since)
            metrics["autonpo/reward_rise_se"] = found.reward.slope_se * (now - found.since)
            metrics["autonpo/entropy_slope"] = found.entropy.slope
            metrics["autonpo/entropy_slope_se"] = found.entropy.slope_se
        return metrics

    def explain(self) -> dict[str, Any]:
        """Return the basis of the last decision, for an event: what was seen, how it moved, the settings."""
        evidence = None if self.evidence is None else asdict(self.evidence)
        last = self._seen[-1]._asdict() if self._seen else {}
        settings = asdict(self.config)
        held = self._steps_held()
        return {**last, "state": str(self.state), "steps_held": held, "evidence": evidence, "settings": settings}

    def state_dict(self) -> dict[str, Any]:
        """Return the whole memory as JSON values."""
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
        self._seen, self._rewards, self._entropies = [], Curve(), Curve()
        for row in state["seen"]:
            self._add(Seen(*row))
        self.state = State(state["state"])
        self._held_since, self._cool_until = state["held_since"], state["cool_until"]
        self._fired_at, self._num_fired = state["fired_at"], state["num_fired"]
        self._num_ignored = state["num_ignored"]
        self.evidence = self._measure()

    def _remember(self, step: int, reward: float, entropy: float) -> None:
        last = self._seen[-1] if self._seen else Seen(step - 1, reward, entropy, reward, entropy)
        weight = ema_weight(EMA_WEIGHT, step - last.step)
        reward_ema = last.reward_ema + weight * (reward - last.reward_ema)
        entropy_ema = last.entropy_ema + weight * (entropy - last.entropy_ema)
        self._add(Seen(step, reward, entropy, reward_ema, entropy_ema))

    def _add(self, seen: Seen) -> None:
        self._seen.append(seen)
        self._rewards.append(seen.step, seen.reward)
        self._entropies.append(seen.step, -math.log(max(seen.entropy, SMALLEST_ENTROPY)))

    def _steps_held(self) -> int:
        return 0 if self._held_since is None else self._seen[-1].step - self._held_since + 1

    def _measure(self) -> Evidence | None:
        """Weigh both curves; None if there are too few rows."""
        config = self.config
        reward, entropy = self._rewards.halt(config.pace), self._entropies.halt(config.pace)
        if reward is None or entropy is None:
            return None
        rows = self._seen[-self._rewards.rows_after(reward.after) :]
        steps = [seen.step for seen in rows]
        lines = [fit_line(steps, [seen.reward for seen in rows]), fit_line(steps, [seen.entropy for seen in rows])]
        drop = -lines[1].slope * (steps[-1] - steps[0])
        return Evidence(
            since=reward.after,
            reward_evidence=reward.evidence,
            entropy_evidence=entropy.evidence,
            reward=lines[0],
            entropy=lines[1],
            is_stagnant=reward.evidence >= config.min_evidence,
            is_declining=entropy.evidence <= config.max_entropy_evidence
            and drop > config.min_entropy_drop * abs(lines[1].mean),
        )
