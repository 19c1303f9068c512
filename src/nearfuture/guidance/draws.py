"""The memory of a collection: which prompts are sampled next, and what was found so far.

A pure state machine: the next batch is a function of the results observed so far, so observing the journal again leads
to the same state as having drawn.

Not here: sampling and judging (`ask`), choosing among correct samples (`choose`), what is known about a prompt before
it is asked (`allocation`).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from nearfuture.guidance.allocation import MOST, Chances
from nearfuture.guidance.ask import NO_EOS, TOO_LONG
from nearfuture.guidance.header import CollectionCounts
from nearfuture.types import Verdict


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one batch of samples.

    Attributes:
        index: number of the batch, from 0.
        prompts: number of the prompt, per sample.
        num_tokens: generated tokens, per sample.
        outcomes: `no_eos`, `too_long` or the verdict, per sample.
        correct: (number of the prompt, completion ids) of each sample that may be kept.
        seconds: wall-clock time.
    """

    index: int
    prompts: list[int]
    num_tokens: list[int]
    outcomes: list[str]
    correct: list[tuple[int, list[int]]]
    seconds: float


@dataclass(slots=True)
class Draws:
    """The state of a collection over prompts 0..num_prompts-1, the longest first.

    Attributes:
        num_prompts: how many prompts are asked.
        num_samples: the most samples per prompt; with `chances`, the most on average over all prompts.
        batch_size: samples per batch.
        num_kept: how many different correct samples end the sampling of their prompt; None draws all samples.
        chances: the chance of a prompt's next sample; samples go where it is highest. None: samples go evenly.
        num_drawn: samples drawn so far, per prompt.
        candidates: the correct samples so far, per prompt, in the order they were drawn.
        num_distinct: how many of them are different, per prompt.
    """

    num_prompts: int
    num_samples: int
    batch_size: int
    num_kept: int | None
    chances: Chances | None = None
    num_batches: int = 0
    num_drawn: list[int] = field(init=False)
    candidates: list[list[list[int]]] = field(init=False)
    num_distinct: list[int] = field(init=False)
    _outcomes: dict[str, int] = field(default_factory=dict)
    _num_tokens: int = 0
    _seconds: float = 0.0

    def __post_init__(self) -> None:
        self.num_drawn = [0] * self.num_prompts
        self.candidates = [[] for _ in range(self.num_prompts)]
        self.num_distinct = [0] * self.num_prompts

    def observe(self, result: BatchResult) -> None:
        """Record the result of the next batch."""
        assert result.index == self.num_batches, f"batch {result.index} where {self.num_batches} was next"
        self.num_batches += 1
        for prompt, outcome in zip(result.prompts, result.outcomes, strict=True):
            self.num_drawn[prompt] += 1
            if self.chances is not None:
                self.chances.observe(prompt, is_correct=outcome == Verdict.CORRECT)
            self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
        for prompt, completion_ids in result.correct:
            self.num_distinct[prompt] += completion_ids not in self.candidates[prompt]
            self.candidates[prompt].append(completion_ids)
        self._num_tokens += sum(result.num_tokens)
        self._seconds += result.seconds

    def next_batch(self) -> list[int]:
        """Return the prompts to sample next, one number per sample; empty when there is nothing left to draw.

        Prompts with the fewest samples come first, so no prompt gets a second sample before all have had their first.
        If fewer prompts than places are left, each gets several, so that the batch is full. Within a batch long prompts
        come first: neighbours have similar lengths and need little padding. With `chances` the most likely come first,
        and each sample of a batch counts as a failure until it is judged.
        """
        left = self.batch_size if self.chances is None else min(self.batch_size, self._budget())
        heap = [(self._rank(prompt, 0), prompt, 0) for prompt in range(self.num_prompts) if self._is_open(prompt)]
        heapq.heapify(heap)
        batch: list[int] = []
        while heap and len(batch) < left:
            _, prompt, extra = heapq.heappop(heap)
            batch.append(prompt)
            if self.num_drawn[prompt] + extra + 1 < self._most:
                heapq.heappush(heap, (self._rank(prompt, extra + 1), prompt, extra + 1))
        return sorted(batch)

    @property
    def _most(self) -> int:
        """The most samples that a single prompt may have."""
        return self.num_samples if self.chances is None else self.num_samples * MOST

    def _budget(self) -> int:
        """The samples left for all prompts together."""
        return self.num_prompts * self.num_samples - sum(self.num_drawn)

    def _rank(self, prompt: int, extra: int) -> float:
        """Lower comes sooner: by samples drawn, or by the chance of the next one after `extra` more failures."""
        return self.num_drawn[prompt] + extra if self.chances is None else -self.chances.of(prompt, extra)

    def counts(self) -> CollectionCounts:
        """Return what was asked, drawn, dropped and spent so far."""
        unjudged = [verdict.value for verdict in Verdict if not verdict.is_judged]
        return CollectionCounts(
            num_prompts=self.num_prompts,
            num_solved=sum(map(bool, self.candidates)),
            num_samples=sum(self.num_drawn),
            num_dropped_no_eos=self._outcomes.get(NO_EOS, 0),
            num_dropped_too_long=self._outcomes.get(TOO_LONG, 0),
            num_duplicates=sum(map(len, self.candidates)) - sum(self.num_distinct),
            num_unjudged=sum(self._outcomes.get(value, 0) for value in unjudged),
            num_tokens=self._num_tokens,
            seconds=self._seconds,
        )

    def _is_open(self, prompt: int) -> bool:
        is_solved = self.num_kept is not None and self.num_distinct[prompt] >= self.num_kept
        return not is_solved and self.num_drawn[prompt] < self._most
