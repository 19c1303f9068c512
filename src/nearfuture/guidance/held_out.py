"""Held-out pass rate of the current policy, by family, without a trace in the run.

    mean@k = mean over prompts of (correct samples / k);   pass@k = share of prompts solved at least once in k

An evaluation draws from its own seed, so switching it on or off does not change a bit of the training.

Not here: sampling and judging (`ask`), intervals over seeds and problems (one run cannot give them).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from nearfuture.guidance.ask import Sample, ask
from nearfuture.guidance.engine import Engine, Row
from nearfuture.tasks.judging import Verify
from nearfuture.types import Verdict


@dataclass(frozen=True)
class Answers:
    """What a policy answered: correct and judged completions per row, samples per row, generated tokens, seconds."""

    num_correct: list[int]
    num_judged: list[int]
    num_samples: int
    num_unjudged: int
    num_cut_off: int
    num_tokens: int
    seconds: float

    @property
    def rates(self) -> list[float]:
        """Share of correct among the judged completions, per row; NaN if none could be judged."""
        return [c / n if n else float("nan") for c, n in zip(self.num_correct, self.num_judged, strict=True)]


def answer(
    engine: Engine,
    rows: Sequence[Row],
    verify: Verify,
    *,
    num_samples: int,
    batch_size: int,
    seed: int,
    on_sample: Callable[[int, Sample], None] = lambda index, sample: None,
) -> Answers:
    """Sample every row `num_samples` times and judge; with the same seed, two policies are compared on the same draws.

    Seven parameters: each is a separate choice of the caller.

    Args:
        engine: the policy.
        rows: held-out rows.
        verify: their task's verifier. A completion that could not be judged is counted separately.
        num_samples: completions per row.
        batch_size: how many completions are sampled at once.
        seed: the seed of the sampling.
        on_sample: called with the index of the row and each of its samples, for people to look at.
    """
    began = time.perf_counter()
    lengths = engine.prompt_lengths(rows)
    longest_first = sorted(range(len(rows)), key=lambda i: -lengths[i])
    drawn = [i for i in longest_first for _ in range(num_samples)]
    num_correct, num_judged = [0] * len(rows), [0] * len(rows)
    num_tokens = num_cut_off = 0
    seeds = count(seed * 1_000_003)
    samples = ask(engine, verify, [rows[i] for i in drawn], batch_size=batch_size, seeds=seeds)
    for i, sample in zip(drawn, samples, strict=True):
        num_judged[i] += sample.verdict.is_judged
        num_correct[i] += sample.verdict is Verdict.CORRECT
        num_tokens += len(sample.completion_ids)
        num_cut_off += sample.is_cut_off
        on_sample(i, sample)
    num_unjudged = len(drawn) - sum(num_judged)
    seconds = time.perf_counter() - began
    return Answers(num_correct, num_judged, num_samples, num_unjudged, num_cut_off, num_tokens, seconds)


def metrics_of(answers: Answers, rows: Sequence[Row], groups: Sequence[str] = ("family",)) -> dict[str, float]:
    """Return the metrics of the answers to held-out rows.

    Args:
        answers: the answers to these rows.
        rows: held-out rows.
        groups: columns that group the pass rate. A family has its own name, another group `<column>-<value>`.

    Returns:
        `eval/pass_rate`, `eval/pass_at_k`, `eval/<family>/pass_rate`, `eval/num_prompts`, `eval/num_samples`,
        `eval/unjudged`, `eval/clipped_frac` (completions cut off), `eval/tokens`, `eval/seconds`.
    """
    rates = {i: rate for i, rate in enumerate(answers.rates) if answers.num_judged[i]}
    families: dict[str, list[float]] = defaultdict(list)
    for i, rate in rates.items():
        for column in groups:
            if rows[i].get(column) is not None:
                value = str(rows[i][column])
                families[value if column == "family" else f"{column}-{value}"].append(rate)
    return {
        "eval/pass_rate": _mean(list(rates.values())),
        "eval/pass_at_k": _mean([float(rate > 0) for rate in rates.values()]),
        **{f"eval/{family}/pass_rate": _mean(values) for family, values in sorted(families.items())},
        "eval/num_prompts": len(rates),
        "eval/num_samples": answers.num_samples,
        "eval/unjudged": answers.num_unjudged,
        "eval/clipped_frac": answers.num_cut_off / max(1, len(rows) * answers.num_samples),
        "eval/tokens": answers.num_tokens,
        "eval/seconds": answers.seconds,
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
