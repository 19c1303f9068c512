"""The probe of AutoNPO: does the current policy solve what it failed before, and how far back does it pay to go?

    1. pi_t samples a subset of the mistake pool, a few times each; the verifier judges
    2. enough of them solved?  otherwise the run continues: the plateau is not one a near-future guide can lift
    3. every checkpoint r < t scores the same samples: V(D) from log pi_r - log pi_t; Q(D) from the slice of the
       pool that a replay from r would cross

One set of samples serves all purposes: the old checkpoints only score, one after another, and the solved samples go
into the collection. See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3; reconstruction.md 2.1, and
2.3 for the numbers.

Not here: the choice among the candidates (`nearfuture.method.rollback`), what follows from it
(`nearfuture.run.auto.autonpo`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np

from nearfuture.guidance.ask import Sample, ask, score_in_batches
from nearfuture.guidance.engine import Engine, Row
from nearfuture.method import variance_cost
from nearfuture.method.mistakes import MistakePool
from nearfuture.method.rollback import Candidate
from nearfuture.method.signal import GuideSamples
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.tasks.judging import Verify
from nearfuture.types import Verdict


@dataclass(frozen=True)
class Bench:
    """What a probe works with.

    Attributes:
        load: loads the policy of a step into an engine, and releases the previous one.
        rows: training rows by prompt id.
        verify: their task's verifier.
        seed: the seed of the draw and of the sampling.
        batch_size: how many completions are sampled or scored at once.
    """

    load: Callable[[int], Engine]
    rows: dict[str, Row]
    verify: Verify
    seed: int
    batch_size: int


@dataclass(frozen=True)
class Probe:
    """What pi_t wrote on prompts it failed before.

    Attributes:
        step: t.
        rows: the probed prompts.
        samples: the samples of each prompt.
        seconds: wall-clock time of sampling and judging.
    """

    step: int
    rows: list[Row]
    samples: list[list[Sample]]
    seconds: float

    @property
    def num_solved(self) -> int:
        """Prompts solved at least once."""
        return sum(num_correct > 0 for num_correct in self.num_correct)

    @property
    def num_correct(self) -> list[int]:
        """Correct samples, per prompt."""
        return [sum(sample.verdict is Verdict.CORRECT for sample in samples) for samples in self.samples]

    @property
    def pass_rate(self) -> float:
        """Mean pass rate over the probed prompts, counting samples that could be judged."""
        return _pass_rate(self.samples)

    def among(self, prompt_ids: Collection[str]) -> tuple[int, float]:
        """How many of these prompts were probed, and the mean pass rate over them."""
        samples = [ours for row, ours in zip(self.rows, self.samples, strict=True) if row["prompt_id"] in prompt_ids]
        return len(samples), _pass_rate(samples)

    def given(self) -> dict[str, list[list[int]]]:
        """The completions by prompt id, for the collection."""
        pairs = zip(self.rows, self.samples, strict=True)
        return {row["prompt_id"]: [sample.completion_ids for sample in samples] for row, samples in pairs}

    def facts(self) -> dict[str, Any]:
        """The numbers of the event."""
        flat = list(chain.from_iterable(self.samples))
        return {
            "num_prompts": len(self.rows),
            "num_samples": len(flat),
            "num_solved": self.num_solved,
            "pass_rate": self.pass_rate,
            "guide_tokens": sum(len(sample.completion_ids) for sample in flat),
            "seconds": self.seconds,
        }


def run_probe(bench: Bench, pool: MistakePool, step: int, behind: Sequence[int], config: AutoNPOConfig) -> Probe:
    """Sample prompts of the pool with the present policy.

    Args:
        bench: what to work with.
        pool: the run's pool at step t.
        step: t.
        behind: steps of the checkpoints that the run could go back to. With `slice: at` each is judged by the failures
            of one step, so the prompts are drawn from these; if the run can only stay, from all.
        config: how many prompts and samples, and how far back.
    """
    engine = bench.load(step)
    began = time.monotonic()
    rng, mode = np.random.default_rng([bench.seed, step]), config.slice if behind else "since"
    starts = behind if mode == "at" else [max(0, step - config.max_rollback_distance)]
    mistakes = pool.sample(config.probe_num_prompts, rng, starts, step, mode)
    drawn = engine.broadcast([(mistake.prompt_id, mistake.step) for mistake in mistakes])
    lengths = engine.prompt_lengths([bench.rows[prompt_id] for prompt_id, _ in drawn])
    longest_first = sorted(zip(lengths, drawn, strict=True), key=lambda item: (-item[0], item[1]))
    rows = [bench.rows[prompt_id] for _, (prompt_id, _) in longest_first]
    asked = [row for row in rows for _ in range(config.probe_num_samples)]
    seeds = count(bench.seed * 1_000_003 + step * 1_009)
    samples = list(ask(engine, bench.verify, asked, batch_size=bench.batch_size, seeds=seeds))
    k = config.probe_num_samples
    by_prompt = [samples[i : i + k] for i in range(0, len(samples), k)]
    return Probe(step, rows, by_prompt, time.monotonic() - began)


def score_candidates(
    bench: Bench, probe: Probe, pool: MistakePool, steps: Iterable[int], config: AutoNPOConfig
) -> list[Candidate]:
    """Return Q and V of every checkpoint that the run could go back to, from the samples of the probe.

        Q(D) = mean pass rate of pi_t on the probed prompts of the slice D;   V(D) from d = log pi_(t-D) - log pi_t

    Args:
        bench: what to work with.
        probe: the samples of pi_t.
        pool: says which probed prompts belong to a distance.
        steps: the steps of the saved checkpoints before t.
        config: how a slice is read, and the form of V.
    """
    guide_logps = _score(bench, probe, probe.step)
    found = []
    for step in sorted(steps, reverse=True):
        learner_logps = _score(bench, probe, step)
        in_slice = {mistake.prompt_id for mistake in pool.slice(step, probe.step, config.slice)}
        num_prompts, quality = probe.among(in_slice)
        found.append(
            Candidate(
                rollback_distance=probe.step - step,
                step=step,
                num_prompts=num_prompts,
                quality=quality,
                variance_cost=cost_of(probe, learner_logps, guide_logps, config.variance_cost),
            )
        )
    return found


def _score(bench: Bench, probe: Probe, step: int) -> list[list[float]]:
    """Return the log-probs of every non-empty sample under the policy of a step."""
    pairs = zip(probe.rows, probe.samples, strict=True)
    written = [(row, one.completion_ids) for row, samples in pairs for one in samples if one.completion_ids]
    rows, completions = [row for row, _ in written], [ids for _, ids in written]
    return score_in_batches(bench.load(step).score, rows, completions, bench.batch_size)


def _pass_rate(samples: Sequence[Sequence[Sample]]) -> float:
    """Mean over prompts of correct over judged samples, over prompts that have any; NaN if there are none."""
    rates = []
    for of_prompt in samples:
        judged = [sample.verdict for sample in of_prompt if sample.verdict.is_judged]
        if judged:
            rates.append(judged.count(Verdict.CORRECT) / len(judged))
    return sum(rates) / len(rates) if rates else float("nan")


def cost_of(probe: Probe, learner: list[list[float]], guide: list[list[float]], form: str) -> float:
    """V over all samples of the probe, in the given form; infinite if it overflows.

    No second moment of weights is below 1, so an estimate below it is noise; that of whole sequences underflows to 0.
    """
    samples = GuideSamples(
        num_judged_P=np.array([len(of_prompt) for of_prompt in probe.samples]),
        num_correct_P=np.array(probe.num_correct),
        prompt_N=np.array([i for i, of_prompt in enumerate(probe.samples) for one in of_prompt if one.completion_ids]),
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
        return max(1.0, float(costs[form]()[0]))
