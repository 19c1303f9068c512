"""What counts as correct, wherever a policy is asked: a completion that ended, and that the verifier accepts.

A completion that was cut off can never be guidance, so it opens no gate, counts for no pass rate, and is no answer of a
probe or an evaluation either. It is wrong, and no verifier is asked.

Not here: sampling (`sampler`), rollouts of training (`nearfuture.train.rewards`), which samples are kept (`collect`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from nearfuture.guidance.engine import Engine, Row
from nearfuture.types import Verdict

Verify = Callable[[str, Row], Verdict]


def has_ended(completion_ids: Sequence[int], eos_token_ids: Collection[int]) -> bool:
    """True where a completion ends with a stop token."""
    return len(completion_ids) > 0 and completion_ids[-1] in eos_token_ids


def judge_samples(
    engine: Engine, verify: Verify, rows: Sequence[Row], completions: Sequence[list[int]]
) -> list[Verdict]:
    """Judge completions, each with its row; what was cut off is wrong."""
    verdicts = [Verdict.WRONG] * len(rows)
    ended = [i for i, ids in enumerate(completions) if has_ended(ids, engine.eos_token_ids)]
    texts = engine.decode([rows[i] for i in ended], [completions[i] for i in ended])
    for i, text in zip(ended, texts, strict=True):
        verdicts[i] = Verdict(verify(text, rows[i]))
    return verdicts
