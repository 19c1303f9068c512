"""What the run has written itself: the latest verified rollout of every prompt, and how often it was tried since.

A guide need not be asked what the policy has already answered on the way, in a scout or an abandoned tail. Each answer
has the log-probs and the step of the policy that wrote it, so its distance from the start of a replay is the true one.
And a harvest is a source itself: the policy's own latest answer to a prompt that it fails today (self-imitation).

The state is saved with every checkpoint, so it follows the lineage: when the run goes back, the state goes back too,
and what the tail wrote is read from the tail's last checkpoint. Token ids and log-probs are packed (about 11 bytes per
token), with one answer per prompt.

Not here: watching the rollouts (`nearfuture.train.harvest`), putting answers into a cache (`collect`).
"""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfuture.guidance.experience import Success
from nearfuture.types import Guidance, Verdict

Known = dict[str, tuple[int, int]]
"""Correct rollouts and all rollouts of a prompt, by prompt id."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified rollout, and how many of its group's judged rollouts were correct."""

    success: Success
    num_correct: int
    num_judged: int


class Harvest:
    """The latest answer to every prompt, and the tries since. The same on every process.

    As a source it serves a prompt what the policy last answered correctly, at an earlier visit. See Oh et al.,
    "Self-Imitation Learning" (arXiv:1806.05635), which learns from past actions that did better than is expected now.

    Args:
        segment_of: returns the segment of a step of the run, for the record.

    Example:
        >>> harvest = Harvest()
        >>> harvest.observe(["a", "b"], [1, 0], [8, 8])
        >>> harvest.observe(["b"], [0], [8])
        >>> harvest.known(["a", "b", "c"])
        {'a': (1, 8), 'b': (0, 16)}
    """

    def __init__(self, segment_of: Callable[[int], int] = lambda step: 0) -> None:
        self._segment_of = segment_of
        self._answers: dict[str, Answer] = {}
        self._tries: Known = {}

    def __len__(self) -> int:
        return len(self._answers)

    def observe(self, prompt_ids: Sequence[str], num_correct: Sequence[int], num_judged: Sequence[int]) -> None:
        """Record a batch: a success restarts the count, failures add up."""
        for prompt_id, correct, judged in zip(prompt_ids, num_correct, num_judged, strict=True):
            before = (0, 0) if correct else self._tries.get(prompt_id, (0, 0))
            if judged:
                self._tries[prompt_id] = (before[0] + correct, before[1] + judged)

    def store(self, successes: Iterable[Success]) -> None:
        """Store the first answer of a batch per prompt in place of earlier ones; call this after `observe`."""
        found: dict[str, Success] = {}
        for success in successes:
            found.setdefault(success.prompt_id, success)
        self._answers |= {name: Answer(success, *self._tries[name]) for name, success in found.items()}

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return the latest answer to `prompt_id`, which a policy before `step` wrote, or None."""
        answer = self._answers.get(prompt_id)
        return None if answer is None else _guidance(answer, self._segment_of(answer.success.step))

    def known(self, prompt_ids: Iterable[str]) -> Known:
        """Return how often these prompts were solved and tried, for those that were tried."""
        return {prompt_id: self._tries[prompt_id] for prompt_id in prompt_ids if prompt_id in self._tries}

    def answers(self, prompt_ids: Collection[str], after: int) -> dict[str, Guidance]:
        """Return the answers of policies from step `after` on, as guidance.

        Args:
            prompt_ids: the prompts.
            after: the step where a replay begins; anything written before it is the learner's own past.
        """
        found = ((prompt_id, self._answers[prompt_id]) for prompt_id in prompt_ids if prompt_id in self._answers)
        late = ((prompt_id, answer) for prompt_id, answer in found if answer.success.step >= after)
        return {prompt_id: _guidance(answer, self._segment_of(answer.success.step)) for prompt_id, answer in late}

    def prune(self, fits: Callable[[Success], bool]) -> int:
        """Drop answers that do not fit the present data or limits; return how many."""
        kept = {prompt_id: answer for prompt_id, answer in self._answers.items() if fits(answer.success)}
        num_dropped, self._answers = len(self._answers) - len(kept), kept
        return num_dropped

    def state_dict(self) -> dict[str, Any]:
        """Return the whole memory as JSON values."""
        return {"answers": [_packed(answer) for answer in self._answers.values()], "tries": self._tries}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was called."""
        answers = map(_unpacked, state["answers"])
        self._answers = {answer.success.prompt_id: answer for answer in answers}
        self._tries = {prompt_id: (correct, judged) for prompt_id, (correct, judged) in state["tries"].items()}

    @classmethod
    def read(cls, path: Path, segment_of: Callable[[int], int] = lambda step: 0) -> Harvest:
        """Read the state beside a checkpoint; an empty harvest if there is none."""
        harvest = cls(segment_of)
        if path.exists():
            harvest.load_state_dict(json.loads(path.read_text()))
        return harvest


def _guidance(answer: Answer, segment: int) -> Guidance:
    success = answer.success
    return Guidance(
        prompt_id=success.prompt_id,
        prompt_hash=success.prompt_hash,
        completion_ids=success.completion_ids,
        behavior_logps=success.logps,
        guide_segment=segment,
        guide_step=success.step,
        verdict=Verdict.CORRECT,
        num_samples=answer.num_judged,
        num_correct=answer.num_correct,
    )


def _packed(answer: Answer) -> list[Any]:
    """Write log-probs as float32, which is their own format, so nothing is rounded."""
    success = answer.success
    ids, logps = array("i", success.completion_ids), array("f", success.logps)
    packed = [base64.b64encode(raw).decode() for raw in (ids.tobytes(), logps.tobytes())]
    return [success.prompt_id, success.prompt_hash, success.step, answer.num_correct, answer.num_judged, *packed]


def _unpacked(row: list[Any]) -> Answer:
    prompt_id, hashed, step, correct, judged, packed_ids, packed_logps = row
    ids, logps = array("i"), array("f")
    ids.frombytes(base64.b64decode(packed_ids))
    logps.frombytes(base64.b64decode(packed_logps))
    return Answer(Success(prompt_id, hashed, tuple(ids), tuple(logps), step), correct, judged)
