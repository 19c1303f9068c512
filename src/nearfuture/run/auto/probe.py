"""The confirming probe of AutoNPO: does the present policy solve what it failed before, and how far back pays?

    1. pi_t samples a subset of the mistake pool, a few times each; the verifier judges
    2. enough of them solved?  otherwise the run goes on: the plateau is not one a near-future guide can lift
    3. every checkpoint r < t scores the same samples: V(D) from log pi_r - log pi_t; Q(D) from the slice of the
       pool that a replay from r would cross

One set of rollouts serves everything: the old checkpoints only score, one after the other, and the solved samples go
into the collection. See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3;
reconstruction.md 2.1, and 2.3 for the numbers.

Not here: the choice among the candidates (`nearfuture.method.rollback`), acting on it (`nearfuture.run.executor`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfuture.guidance.engine import Engine, Row
from nearfuture.guidance.judged import judge_samples
from nearfuture.method import variance_cost
from nearfuture.method.mistakes import MistakePool
from nearfuture.method.rollback import Candidate
from nearfuture.method.signal import GuideSamples
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.types import Verdict


@dataclass(frozen=True)
class Probe:
    """What pi_t wrote on prompts it failed before.

    Attributes:
        step: t.
        rows: the probed prompts.
        failed_at: the step at which each was failed last.
        samples: per prompt, the completions.
        verdicts: per prompt, their verdicts.
        num_tokens: generated tokens in all.
        seconds: wall clock of sampling and judging.
    """

    step: int
    rows: list[Row]
    failed_at: list[int]
    samples: list[list[list[int]]]
    verdicts: list[list[str]]
    num_tokens: int
    seconds: float

    @property
    def num_solved(self) -> int:
        """Prompts solved at least once."""
        return sum(Verdict.CORRECT.value in verdicts for verdicts in self.verdicts)

    @property
    def pass_rate(self) -> float:
        """Mean pass rate over the probed prompts, of the samples that could be judged."""
        return _pass_rate(self.verdicts)

    def given(self) -> dict[str, list[list[int]]]:
        """The samples by prompt id, for the collection."""
        return {row["prompt_id"]: samples for row, samples in zip(self.rows, self.samples, strict=True)}

    def facts(self) -> dict[str, Any]:
        """The numbers of the event."""
        return {
            "num_prompts": len(self.rows),
            "num_samples": sum(map(len, self.samples)),
            "num_solved": self.num_solved,
            "pass_rate": self.pass_rate,
            "guide_tokens": self.num_tokens,
            "seconds": self.seconds,
        }


def run_probe(
    engine: Engine,
    pool: MistakePool,
    rows: dict[str, Row],
    verify: Callable[[str, Row], Verdict],
    config: AutoNPOConfig,
    *,
    step: int,
    seed: int,
    batch_size: int,
) -> Probe:
    """Sample prompts of the pool with the present policy.

    Args:
        engine: holds pi_t.
        pool: of the run, at step t.
        rows: training rows by prompt id.
        verify: (completion, row) -> verdict.
        config: how many prompts and samples, how far back.
        step: t.
        seed: of the draw and the sampling.
        batch_size: completions sampled at once.
    """
    began = time.monotonic()
    start = max(0, step - config.max_rollback_distance)
    mistakes = pool.sample(config.probe_num_prompts, np.random.default_rng([seed, step]), start, step, config.slice)
    drawn = engine.broadcast([(mistake.prompt_id, mistake.step) for mistake in mistakes])
    lengths = engine.prompt_lengths([rows[prompt_id] for prompt_id, _ in drawn])
    probed = [pair for _, pair in sorted(zip(lengths, drawn, strict=True), key=lambda item: (-item[0], item[1]))]
    asked = [rows[prompt_id] for prompt_id, _ in probed for _ in range(config.probe_num_samples)]
    completions: list[list[int]] = []
    for batch, first in enumerate(range(0, len(asked), batch_size)):
        completions += engine.generate(asked[first : first + batch_size], seed * 1_000_003 + step * 1_009 + batch)
    judged = judge_samples(engine, verify, asked, completions) if engine.is_main else []
    verdicts = engine.broadcast([verdict.value for verdict in judged])
    k = config.probe_num_samples
    return Probe(
        step=step,
        rows=[rows[prompt_id] for prompt_id, _ in probed],
        failed_at=[failed_at for _, failed_at in probed],
        samples=[completions[i : i + k] for i in range(0, len(completions), k)],
        verdicts=[verdicts[i : i + k] for i in range(0, len(verdicts), k)],
        num_tokens=sum(map(len, completions)),
        seconds=time.monotonic() - began,
    )


def is_confirmed(probe: Probe, config: AutoNPOConfig) -> bool:
    """True where the present policy solves enough of what it failed before."""
    return probe.pass_rate >= config.probe_min_pass_rate and probe.num_solved >= config.probe_min_solved


def score_candidates(
    probe: Probe,
    pool: MistakePool,
    steps: Sequence[int],
    load: Callable[[int], Engine],
    config: AutoNPOConfig,
    *,
    batch_size: int,
) -> list[Candidate]:
    """Q and V of every checkpoint one could go back to, from the samples of the probe.

        Q(D) = mean pass rate of pi_t on the probed prompts of the slice D;   V(D) from d = log pi_(t-D) - log pi_t

    Args:
        probe: the samples of pi_t.
        pool: tells which probed prompts belong to a distance.
        steps: of the saved checkpoints before t.
        load: puts the policy of a step into an engine; the one before is gone then.
        config: the reading of a slice, the form of V.
        batch_size: completions scored at once.
    """
    flat = [(row, ids) for row, samples in zip(probe.rows, probe.samples, strict=True) for ids in samples if ids]
    guide_logps = _score(load(probe.step), flat, batch_size)
    found = []
    for step in sorted(steps, reverse=True):
        learner_logps = _score(load(step), flat, batch_size)
        in_slice = {mistake.prompt_id for mistake in pool.slice(step, probe.step, config.slice)}
        members = [i for i, row in enumerate(probe.rows) if row["prompt_id"] in in_slice]
        found.append(
            Candidate(
                rollback_distance=probe.step - step,
                step=step,
                num_prompts=len(members),
                quality=_pass_rate([probe.verdicts[i] for i in members]),
                variance_cost=_cost(probe, learner_logps, guide_logps, config.variance_cost),
            )
        )
    return found


def _score(engine: Engine, flat: list[tuple[Row, list[int]]], batch_size: int) -> list[list[float]]:
    logps: list[list[float]] = []
    for first in range(0, len(flat), batch_size):
        chunk = flat[first : first + batch_size]
        logps += engine.score([row for row, _ in chunk], [ids for _, ids in chunk])
    return logps


def _pass_rate(verdicts: Sequence[Sequence[str]]) -> float:
    """Mean over prompts of correct over judged; a prompt without a judgement is left out; NaN where none is left."""
    rates = []
    for of_prompt in verdicts:
        judged = [verdict for verdict in of_prompt if Verdict(verdict).is_judged]
        if judged:
            rates.append(judged.count(Verdict.CORRECT.value) / len(judged))
    return sum(rates) / len(rates) if rates else float("nan")


def _cost(probe: Probe, learner: list[list[float]], guide: list[list[float]], form: str) -> float:
    """V over all samples of the probe, in the form asked for; infinite where it overflows."""
    prompt_N = [i for i, samples in enumerate(probe.samples) for ids in samples if ids]
    samples = GuideSamples(
        num_judged_P=np.array([len(verdicts) for verdicts in probe.verdicts]),
        num_correct_P=np.array([verdicts.count(Verdict.CORRECT.value) for verdicts in probe.verdicts]),
        prompt_N=np.array(prompt_N),
        sample_K=np.repeat(np.arange(len(guide)), [len(logps) for logps in guide]),
        log_ratios_K=np.concatenate([np.subtract(p, q) for p, q in zip(learner, guide, strict=True)]),
    )
    once = np.ones((1, len(probe.rows)))
    with np.errstate(over="ignore"):
        costs: dict[str, Callable[[], Any]] = {
            "token": lambda: variance_cost.token_cost(samples, once),
            "sequence": lambda: np.exp(variance_cost.sequence_log_cost(samples, once)),
            "kl": lambda: np.exp(variance_cost.kl_log_cost(variance_cost.kl_k3(samples, once))),
        }
        return float(costs[form]()[0])
