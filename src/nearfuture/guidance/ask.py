"""One way to ask a policy: sample, decode and judge, batch by batch, with the same verdicts on every process.

    for sample in ask(engine, task.verify, rows, batch_size=256, seeds=count(seed)): ...

One rule for seeds: batch number b is sampled with the b-th seed, so the samples are a function of the policy, the
ordered rows, the batch size and the seeds. The caller chooses the seeds in one line: consecutive ones, or
`hashed_seed` of a name (`nearfuture.tasks.identity`).

Wherever a policy is asked, a completion is correct if it ended and the verifier accepts it. A completion that was cut
off can never be guidance, so it counts as wrong for the gate, for pass rates, in a probe and in an evaluation, and the
verifier is not asked.

Not here: generating (`nearfuture.train.engine`), verifiers (`nearfuture.tasks.judging`), rollouts of training
(`nearfuture.train.rewards`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from nearfuture.guidance.engine import Engine, Row
from nearfuture.tasks.judging import Verify, judge_many
from nearfuture.types import Verdict

NO_EOS, TOO_LONG = "no_eos", "too_long"
"""How a completion was cut off: it has no stop token at its end, or is longer than the engine's limit."""

Score = Callable[[Sequence[Row], Sequence[list[int]]], list[list[float]]]
"""Rows and completion ids -> the log-prob of every token (nats)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A completion and its outcome: `no_eos`, `too_long` or the verdict."""

    completion_ids: list[int]
    outcome: str

    @property
    def is_cut_off(self) -> bool:
        """True if no verifier was asked."""
        return self.outcome in (NO_EOS, TOO_LONG)

    @property
    def verdict(self) -> Verdict:
        """The verifier's verdict; wrong if the completion was cut off."""
        return Verdict.WRONG if self.is_cut_off else Verdict(self.outcome)


def ask(
    engine: Engine, verify: Verify, rows: Sequence[Row], *, batch_size: int, seeds: Iterable[int]
) -> Iterator[Sample]:
    """Sample one completion per row and judge it; all processes iterate to the end.

    Args:
        engine: the policy.
        verify: a task's `verify`, or any function of (completion, row).
        rows: the prompts; a row that is to be sampled several times is repeated.
        batch_size: how many completions are sampled at once.
        seeds: one per batch.

    Yields:
        The samples, in the order of the rows.
    """
    for start, seed in zip(range(0, len(rows), batch_size), seeds, strict=False):
        batch = rows[start : start + batch_size]
        yield from judged(engine, verify, batch, engine.generate(batch, seed))


def judged(engine: Engine, verify: Verify, rows: Sequence[Row], completions: Sequence[list[int]]) -> list[Sample]:
    """Judge completions, each with its row, once for all processes: each process judges its share."""

    def judge(mine: Sequence[int]) -> list[str]:
        return _outcomes(engine, verify, [rows[i] for i in mine], [completions[i] for i in mine])

    outcomes = engine.shared(judge, len(rows))
    return [Sample(ids, outcome) for ids, outcome in zip(completions, outcomes, strict=True)]


def _outcomes(engine: Engine, verify: Verify, rows: Sequence[Row], completions: Sequence[list[int]]) -> list[str]:
    outcomes = [_cut_off(engine, completion_ids) for completion_ids in completions]
    whole = [i for i, outcome in enumerate(outcomes) if not outcome]
    asked = [rows[i] for i in whole]
    texts = engine.decode(asked, [completions[i] for i in whole])
    for i, decision in zip(whole, judge_many(verify, texts, asked), strict=True):
        outcomes[i] = decision.verdict.value
    return outcomes


def _cut_off(engine: Engine, completion_ids: list[int]) -> str:
    if not has_ended(completion_ids, engine.eos_token_ids):
        return NO_EOS
    return TOO_LONG if len(completion_ids) > engine.sampling.max_completion_length else ""


def has_ended(completion_ids: Sequence[int], eos_token_ids: Collection[int]) -> bool:
    """True if a completion ends with a stop token."""
    return len(completion_ids) > 0 and completion_ids[-1] in eos_token_ids


def score_in_batches(
    score: Score, rows: Sequence[Row], completions: Sequence[list[int]], batch_size: int
) -> list[list[float]]:
    """Score completions, each with its row, in order."""
    logps: list[list[float]] = []
    for start in range(0, len(rows), batch_size):
        logps += score(rows[start : start + batch_size], completions[start : start + batch_size])
    return logps
