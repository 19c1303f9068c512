"""Sample the guide and judge what it wrote, one batch at a time.

Not here: which prompts are sampled (`draws`), what is kept of a batch (`collect`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from nearfuture.guidance.draws import NO_EOS, TOO_LONG, BatchResult
from nearfuture.guidance.engine import Engine, Row
from nearfuture.guidance.judged import Verify, has_ended
from nearfuture.types import Verdict


@dataclass(frozen=True, slots=True)
class Sampler:
    """A guide and its judge."""

    engine: Engine
    verify: Verify

    def draw(self, rows: Sequence[Row], numbers: list[int], *, index: int, seed: int) -> BatchResult:
        """Sample and judge one completion for each row; all processes get the main process's verdicts.

        Args:
            rows: what to sample.
            numbers: the numbers of their prompts.
            index: the number of the batch.
            seed: of this batch.
        """
        started = time.monotonic()
        completions = self.engine.generate(rows, seed)
        return self._result(rows, numbers, completions, index, started, list(map(len, completions)))

    def judge(
        self, rows: Sequence[Row], numbers: list[int], completions: list[list[int]], *, index: int
    ) -> BatchResult:
        """Judge completions the guide wrote before; their tokens were paid for then and count as none here."""
        return self._result(rows, numbers, completions, index, time.monotonic(), [0] * len(completions))

    def _result(
        self,
        rows: Sequence[Row],
        numbers: list[int],
        completions: list[list[int]],
        index: int,
        started: float,
        num_tokens: list[int],
    ) -> BatchResult:
        outcomes = self.engine.broadcast(self._judge(rows, completions) if self.engine.is_main else [])
        tried = zip(numbers, completions, outcomes, strict=True)
        return BatchResult(
            index=index,
            prompts=numbers,
            num_tokens=num_tokens,
            outcomes=outcomes,
            correct=[(number, ids) for number, ids, outcome in tried if outcome == Verdict.CORRECT.value],
            seconds=time.monotonic() - started,
        )

    def _judge(self, rows: Sequence[Row], completions: list[list[int]]) -> list[str]:
        """Return an outcome a sample; what is dropped is not verified."""
        outcomes = [self._drop_reason(completion_ids) for completion_ids in completions]
        whole = [number for number, outcome in enumerate(outcomes) if not outcome]
        texts = self.engine.decode([rows[number] for number in whole], [completions[number] for number in whole])
        for number, text in zip(whole, texts, strict=True):
            outcomes[number] = Verdict(self.verify(text, rows[number])).value
        return outcomes

    def _drop_reason(self, completion_ids: list[int]) -> str:
        stops = self.engine.eos_token_ids
        assert not any(token in stops for token in completion_ids[:-1]), "the engine went on after a stop token"
        if not has_ended(completion_ids, stops):
            return NO_EOS
        return TOO_LONG if len(completion_ids) > self.engine.sampling.max_completion_length else ""
