"""Held-out pass rate of the present policy, by family, without a trace in the run.

    mean@k = mean over prompts of (correct samples / k);   pass@k = share of prompts solved at least once in k

Evaluation draws from its own seed: switching it on or off does not change a bit of the training.

Not here: sampling itself (`nearfuture.train.engine`), intervals over seeds and problems (one run cannot give them).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nearfuture.guidance.engine import Engine
from nearfuture.guidance.judged import has_ended, judge_samples
from nearfuture.types import Verdict

Row = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What a policy answered: correct and judged completions per row, generated tokens, seconds."""

    num_correct: list[int]
    num_judged: list[int]
    num_unjudged: int
    num_cut_off: int
    num_tokens: int
    seconds: float

    @property
    def rates(self) -> list[float]:
        """Share of correct among the judged, per row; NaN where none could be judged."""
        return [c / n if n else float("nan") for c, n in zip(self.num_correct, self.num_judged, strict=True)]


def answer(
    engine: Engine,
    rows: Sequence[Row],
    verify: Callable[[str, Row], Verdict],
    *,
    num_samples: int,
    batch_size: int,
    seed: int,
) -> Answers:
    """Sample every row `num_samples` times and judge; the same seed compares two policies on the same draws.

    Args:
        engine: the policy.
        rows: held-out rows.
        verify: (completion, row) -> verdict. A completion that could not be judged is counted apart.
        num_samples: completions per row.
        batch_size: completions sampled at once.
        seed: of the sampling.
    """
    began = time.perf_counter()
    lengths = engine.prompt_lengths(rows)
    order = sorted(range(len(rows)), key=lambda i: -lengths[i])
    draws = [i for i in order for _ in range(num_samples)]
    num_correct, num_judged = [0] * len(rows), [0] * len(rows)
    num_tokens = num_cut_off = 0
    for batch, start in enumerate(range(0, len(draws), batch_size)):
        indices = draws[start : start + batch_size]
        batch_rows = [rows[i] for i in indices]
        completions = engine.generate(batch_rows, seed * 1_000_003 + batch)
        num_tokens += sum(map(len, completions))
        num_cut_off += sum(not has_ended(ids, engine.eos_token_ids) for ids in completions)
        for i, verdict in zip(indices, judge_samples(engine, verify, batch_rows, completions), strict=True):
            num_judged[i] += verdict.is_judged
            num_correct[i] += verdict is Verdict.CORRECT
    num_unjudged = len(draws) - sum(num_judged)
    return Answers(num_correct, num_judged, num_unjudged, num_cut_off, num_tokens, time.perf_counter() - began)


def evaluate(
    engine: Engine,
    rows: Sequence[Row],
    verify: Callable[[str, Row], Verdict],
    *,
    num_samples: int,
    batch_size: int,
    seed: int,
    groups: Sequence[str] = ("family",),
) -> dict[str, float]:
    """Sample every held-out prompt and summarise; arguments as in `answer`.

    Args:
        groups: columns that group the pass rate. A family is called by its name, another group `<column>-<value>`.

    Returns:
        `eval/pass_rate`, `eval/pass_at_k`, `eval/<family>/pass_rate`, `eval/num_prompts`, `eval/num_samples`,
        `eval/unjudged`, `eval/clipped_frac` (completions cut off), `eval/tokens`, `eval/seconds`.
    """
    answers = answer(engine, rows, verify, num_samples=num_samples, batch_size=batch_size, seed=seed)
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
        "eval/num_samples": num_samples,
        "eval/unjudged": answers.num_unjudged,
        "eval/clipped_frac": answers.num_cut_off / max(1, len(rows) * num_samples),
        "eval/tokens": answers.num_tokens,
        "eval/seconds": answers.seconds,
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
