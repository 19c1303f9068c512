"""AutoNPO's memory during a segment: the mistake pool and the plateau trigger, saved with every checkpoint.

Not here: their rules (`nearfuture.method`), what follows when the trigger fires (`nearfuture.run.auto.autonpo`).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from nearfuture.method.mistakes import MistakePool
from nearfuture.method.trigger import PlateauTrigger, State
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.train.exact import CONTROLLER, state_file
from nearfuture.types import UserError


class Controller:
    """Watches one segment. It is the same on every process.

    Args:
        config: AutoNPO's settings.
        max_pass_rate: the gate's; a prompt with at most this pass rate is a mistake.
        fired: state of the trigger that led to this segment; it goes back with the run and knows where it fired.
        back_to: the step the run went back to.
    """

    def __init__(
        self, config: AutoNPOConfig, max_pass_rate: float, *, fired: dict[str, Any] | None = None, back_to: int = 0
    ) -> None:
        assert 0 <= max_pass_rate < 1, max_pass_rate  # the configuration is checked
        self.pool = MistakePool(max_pass_rate, config.max_rollback_distance, keep_solved=config.keep_solved)
        self.trigger = PlateauTrigger(config.trigger)
        self._is_rewound = fired is not None
        if fired is not None:
            self.trigger.load_state_dict(fired)
            self.trigger.rewind(back_to)

    def observe_batch(self, step: int, prompt_ids: list[str], pass_rates: list[float]) -> None:
        """Record the rollouts for `step`."""
        self.pool.observe(step, prompt_ids, pass_rates)

    def observe_step(self, step: int, logs: dict[str, Any]) -> bool:
        """Record a finished step; True if the trigger fires. A step that generated nothing has no pass rate."""
        return self.trigger.observe(step, logs.get("npo/pass_rate", math.nan), logs["npo/entropy"])

    @property
    def has_fired(self) -> bool:
        """True after the step at which the trigger fired, until the next step."""
        return self.trigger.state is State.FIRED

    def metrics(self) -> dict[str, float]:
        """The metrics of pool and trigger."""
        return {**self.pool.metrics(), **self.trigger.metrics()}

    def state_dict(self) -> dict[str, Any]:
        """Everything remembered, as JSON can hold it."""
        return {"pool": self.pool.state_dict(), "trigger": self.trigger.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was called; a trigger that has been rewound already is left alone."""
        self.pool.load_state_dict(state["pool"])
        if not self._is_rewound:
            self.trigger.load_state_dict(state["trigger"])


def fired_state(folder: Path) -> dict[str, Any]:
    """The controller's state in the checkpoint of the step at which the trigger fired.

    Raises:
        UserError: the checkpoint has no such state.
    """
    path = state_file(folder, CONTROLLER)
    if not path.exists():
        raise UserError(
            f"{path} does not exist, but the trigger fired there, and a rollback needs the state saved there. "
            "Was the checkpoint deleted by hand? Put it back from a copy, or start over with --clean."
        )
    state: dict[str, Any] = json.loads(path.read_text())
    return state
