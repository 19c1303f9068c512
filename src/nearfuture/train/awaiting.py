"""Correct rollouts that wait for the log-probs of the policy that wrote them, which a step computes anyway.

    wait        the rows of a generated batch that are to be kept
    attach      TRL's old log-probs fill them if it computes any; otherwise their numbers ride along to the loss
    fill        the forward pass of the loss, which is then on-policy, so that no extra forward pass is needed

At a checkpoint nothing waits: with old log-probs a batch is filled when it is generated, and without them a batch is
used up within its step.

Letters: B local rows, T tokens.

Not here: which rows are kept and what becomes of them (`replay`, `harvest`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nearfuture.guidance.ask import has_ended
from nearfuture.train.step import Row, Step


@dataclass
class Waiting:
    """A rollout: its row, its tokens, their log-probs (nats) once they are known."""

    row: Row
    completion_ids: tuple[int, ...]
    logps: tuple[float, ...] | None = None


class Awaiting:
    """The waiting rollouts of one process; `key` is the name under which their numbers ride along in a batch."""

    key: str

    def __init__(self) -> None:
        self._pending: list[Waiting] = []
        self._numbers_B: list[int] = []

    def clear(self) -> None:
        """Forget what waits: it belongs to steps that an earlier call of `train` took."""
        self._pending, self._numbers_B = [], []

    def wait(self, step: Step, is_kept_B: Sequence[bool], stop_ids: Sequence[int]) -> None:
        """Let these rows of a step wait, unless they were cut off or guidance takes their place."""
        self._numbers_B = [-1] * len(step.rows)
        for i, row in enumerate(step.rows):
            ids = tuple(step.completion_ids[i])
            if is_kept_B[i] and step.guidance_B[i] is None and has_ended(ids, stop_ids):
                self._numbers_B[i] = len(self._pending)
                self._pending.append(Waiting(row, ids))

    def attach(self, output: dict[str, Any]) -> None:
        """Fill from TRL's old log-probs, or let the numbers of the waiting rows ride along to the loss."""
        if "old_per_token_logps" in output:
            self._fill(self._numbers_B, output["old_per_token_logps"])
        else:
            output[self.key] = torch.tensor(self._numbers_B, device=output["completion_ids"].device)

    def observe_loss(self, inputs: dict[str, Any], logps_B_T: Tensor) -> None:
        """Fill from the forward pass of the loss."""
        if self.key in inputs:
            self._fill(inputs[self.key].tolist(), logps_B_T)

    def _fill(self, numbers_B: list[int], logps_B_T: Tensor) -> None:
        for i, number in enumerate(numbers_B):
            if number >= 0 and self._pending[number].logps is None:
                waiting = self._pending[number]
                waiting.logps = tuple(logps_B_T[i, : len(waiting.completion_ids)].float().tolist())

    def drain(self) -> list[Waiting]:
        """Return those whose log-probs are known and finite; afterwards nothing waits."""
        pending, self._pending = self._pending, []
        return [one for one in pending if one.logps is not None and all(map(math.isfinite, one.logps))]
