"""The policy's own past successes as a source: which question is asked again, and which of its answers is replayed.

    observe   k of K correct -> bucket k; 0 < k < K stores the correct answers; k = K retires the question for good
    draw      a share of a batch's questions comes from the buckets, bucket k with weight exp(-(k - K/2)^2 / 2)
    choose    among a question's stored answers, the one with the lowest mean entropy under the current policy

See ExGRPO (arXiv:2510.02245), experience management; docs/methods/exgrpo.md. Deviations: an answer that is found again
is not stored twice and keeps the log-probs of the policy that first wrote it; buckets are drawn one question at a time,
without replacement, over those that are not empty.

Not here: putting questions into a batch, scoring (`nearfuture.train.replay`), the weight of a replayed token
(`nearfuture.method.weighting`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nearfuture.types import Guidance, UserError, Verdict


@dataclass(frozen=True, slots=True)
class Success:
    """A correct rollout of a prompt that is solved sometimes, with the log-probs (nats) of the policy that wrote it."""

    prompt_id: str
    prompt_hash: str
    completion_ids: tuple[int, ...]
    logps: tuple[float, ...]
    step: int


class ExperienceReplay:
    """Past successes by question, in buckets by the latest number of correct rollouts. The same on every process.

    Args:
        frac: share of a batch's questions that are asked again (the paper's rho).
        start_pass_rate: nothing is asked again until a batch's pass rate first exceeds this.
        seed: the seed of the draws.

    Raises:
        UserError: a share is not between 0 and 1.

    Example:
        trainer = NPOTrainer(..., args=NPOConfig(weighting="shaped"), guidance=ExperienceReplay())
    """

    def __init__(self, frac: float = 0.5, start_pass_rate: float = 0.35, seed: int = 0) -> None:
        for name, value in (("frac", frac), ("start_pass_rate", start_pass_rate)):
            if not 0 <= value <= 1:
                raise UserError(f"{name}={value}: a share must be between 0 and 1.")
        self.frac, self.start_pass_rate, self.seed = frac, start_pass_rate, seed
        self.has_begun = False
        self._latest: dict[str, int] = {}
        self._stored: dict[str, dict[tuple[int, ...], Success]] = {}
        self._retired: set[str] = set()
        self._served: dict[str, Success] = {}

    def __len__(self) -> int:
        return len(self._stored)

    def observe(self, prompt_ids: Sequence[str], num_correct: Sequence[int], num_judged: Sequence[int]) -> None:
        """Sort the questions of a batch into their buckets.

        Args:
            prompt_ids: P questions.
            num_correct: how many of their on-policy rollouts are correct.
            num_judged: how many rollouts the verifier could judge; a question with 0 stays unchanged.
        """
        total = sum(num_judged)
        if total and sum(num_correct) / total > self.start_pass_rate:
            self.has_begun = True
        for prompt_id, correct, judged in zip(prompt_ids, num_correct, num_judged, strict=True):
            if not judged or prompt_id in self._retired:
                continue
            if correct == judged:
                self._retired.add(prompt_id)
                self._stored.pop(prompt_id, None)
                self._latest.pop(prompt_id, None)
            elif correct:
                self._latest[prompt_id] = correct

    def store(self, successes: Sequence[Success]) -> None:
        """Store correct rollouts: none for a retired question, only the first of equal ones."""
        for success in successes:
            if success.prompt_id not in self._retired:
                self._stored.setdefault(success.prompt_id, {}).setdefault(success.completion_ids, success)

    def draw(self, step: int, num_prompts: int, group_size: int, taken: Collection[str]) -> list[str]:
        """Draw the questions that a batch asks again, as a function of the seed, the step and the buckets.

        Args:
            step: the optimizer step in the trainer's state.
            num_prompts: P, questions in the batch.
            group_size: K, rollouts per question.
            taken: questions that the batch asks anyway.

        Returns:
            floor(frac P) questions, or as many as there are; none before the start.
        """
        if not self.has_begun:
            return []
        buckets: dict[int, list[str]] = {}
        for prompt_id in self._stored:
            if prompt_id not in taken:
                buckets.setdefault(self._latest[prompt_id], []).append(prompt_id)
        rng = np.random.default_rng([self.seed, step])
        drawn: list[str] = []
        while buckets and len(drawn) < int(self.frac * num_prompts):
            counts = sorted(buckets)
            weights = np.array([math.exp(-((k - group_size / 2) ** 2) / 2) for k in counts])
            bucket = buckets[counts[rng.choice(len(counts), p=weights / weights.sum())]]
            drawn.append(bucket.pop(int(rng.integers(len(bucket)))))
            buckets = {k: questions for k, questions in buckets.items() if questions}
        return drawn

    def stored(self, prompt_id: str) -> list[Success]:
        """Return the stored answers of a question, in the order they were found."""
        return list(self._stored[prompt_id].values())

    def serve(self, chosen: dict[str, Success]) -> None:
        """Serve these answers until the next call."""
        self._served = chosen

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return the answer served for a question that is asked again, otherwise None."""
        success = self._served.get(prompt_id)
        if success is None:
            return None
        return Guidance(
            prompt_id=prompt_id,
            prompt_hash=success.prompt_hash,
            completion_ids=success.completion_ids,
            behavior_logps=success.logps,
            guide_segment=0,
            guide_step=success.step,
            verdict=Verdict.CORRECT,
            num_samples=1,
            num_correct=1,
        )

    def metrics(self) -> dict[str, float]:
        """Questions with stored answers, answers, retired questions, questions served in this batch."""
        return {
            "replay/num_prompts": float(len(self._stored)),
            "replay/num_stored": float(sum(map(len, self._stored.values()))),
            "replay/num_retired": float(len(self._retired)),
            "replay/num_served": float(len(self._served)),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the whole memory as JSON values."""
        return {
            "has_begun": self.has_begun,
            "latest": self._latest,
            "stored": [asdict(success) for found in self._stored.values() for success in found.values()],
            "retired": sorted(self._retired),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was called."""
        self.has_begun, self._latest = state["has_begun"], dict(state["latest"])
        self._retired, self._stored, self._served = set(state["retired"]), {}, {}
        self.store(
            [
                Success(**{**row, "completion_ids": tuple(row["completion_ids"]), "logps": tuple(row["logps"])})
                for row in state["stored"]
            ]
        )
