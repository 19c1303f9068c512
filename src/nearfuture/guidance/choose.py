"""Which of the correct samples of a prompt become its guidance: `uniform` (default) or `closest`.

Not here: whether a sample is correct (`collect`).
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from nearfuture.guidance.ask import Score, score_in_batches
from nearfuture.guidance.prompts import Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One usable correct sample of a prompt (`number`: the prompt's place among all)."""

    number: int
    prompt: Prompt
    completion_ids: list[int]

    @property
    def length(self) -> int:
        """The length of prompt and completion, in tokens."""
        return self.prompt.length + len(self.completion_ids)


def choose_uniform(candidates: Sequence[Candidate], seed: int) -> Candidate:
    """Choose uniformly, as a function of the seed and the prompt, so that a resumed collection chooses the same."""
    return random.Random(f"{seed}/{candidates[0].prompt.prompt_id}").choice(candidates)


def distinct(completions: Sequence[list[int]]) -> list[list[int]]:
    """Drop items with the token ids of an earlier one; the order stays the same.

    Example:
        >>> distinct([[3, 0], [1, 0], [3, 0]])
        [[3, 0], [1, 0]]
    """
    return [list(ids) for ids in dict.fromkeys(map(tuple, completions))]


def choose_closest(candidates: Sequence[Candidate], logps: Sequence[list[float]], num_kept: int = 1) -> list[Candidate]:
    """Choose the `num_kept` highest mean token log-probs under the learner, best first; ties go to the earlier one.

        argmax_i 1/|o_i| sum_k log pi_learner(o_ik | x, o_i<k)

    A candidate whose score is not finite is not chosen, so there may be fewer, or none.
    """
    means = [sum(token_logps) / len(token_logps) for token_logps in logps]
    finite = [number for number, mean in enumerate(means) if math.isfinite(mean)]
    if len(finite) < len(means):
        prompt_id, num_bad = candidates[0].prompt.prompt_id, len(means) - len(finite)
        logger.warning("%d of %d candidates of prompt %r have no finite score.", num_bad, len(means), prompt_id)
    return [candidates[number] for number in sorted(finite, key=lambda number: -means[number])[:num_kept]]


def score_longest_first(score: Score, candidates: Sequence[Candidate], batch_size: int) -> list[list[float]]:
    """Score candidates in batches of similar length; the results are in the order of the input."""
    order = sorted(range(len(candidates)), key=lambda number: -candidates[number].length)
    chunk = [candidates[number] for number in order]
    found = score_in_batches(score, [c.prompt.row for c in chunk], [c.completion_ids for c in chunk], batch_size)
    logps: list[list[float]] = [[] for _ in candidates]
    for number, result in zip(order, found, strict=True):
        num_tokens = len(candidates[number].completion_ids)
        assert len(result) == num_tokens, f"{len(result)} log-probs for {num_tokens} tokens"
        logps[number] = [float(value) for value in result]
    return logps
