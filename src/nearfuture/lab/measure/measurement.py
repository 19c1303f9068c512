"""Measures the signal of near-future guides at one anchor: what pi_(T+D) could give pi_T, and at what variance.

    1. pi_T samples training prompts; those without a correct one among m samples are its failed set F_T
    2. every guide pi_(T+D), and at distance 0 pi_T itself, samples F_T afresh: m samples a prompt -> Q
    3. each scores its own samples, pi_T scores them all (the training forward) -> d = log p - log q -> every V
    4. where the model is small, pi_T's own gradients on these samples, to judge V

Fresh samples in 2 because F_T was chosen for its bad luck in 1: what pi_T solves by trying again, Q(0), is no signal.
Weights are streamed, one policy at a time.

Not here: the estimators (`nearfuture.method`), numbers to rows (`signal_rows`), which steps (`signal`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearfuture.guidance.engine import Engine, Row
from nearfuture.guidance.judged import judge_samples
from nearfuture.lab.measure.signal_rows import CLIP, anchor_rows
from nearfuture.method.signal import GuideSamples
from nearfuture.run.checkpoints import Policies
from nearfuture.run.settings.config import Configuration
from nearfuture.stats.resampling import draw_resamples
from nearfuture.tasks import Task, judge
from nearfuture.train import TRLEngine
from nearfuture.train.gradients import GradientSpread, gradient_spread, num_trainable
from nearfuture.types import UserError, Verdict

MIN_FAILED = 8
SMALL_MODEL = 5_000_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be measured.

    Attributes:
        anchors: steps of the learners; empty: the base weights and the checkpoint in the middle of the run.
        distances: steps ahead of the anchor; empty: up to 8 of those there are checkpoints for. 0 is always measured.
        num_prompts: failed prompts wanted for each anchor; fewer are taken where the data has no more.
        num_samples: m, samples a prompt, when failed prompts are chosen and again when a guide is measured.
        k: samples the guide is allowed for coverage; None: the run's `guide_num_samples`, at most m.
        num_resamples: bootstrap resamples of the prompts.
        num_gradients: samples whose gradients are computed, for each distance; 0 is off.
    """

    anchors: tuple[int, ...] = ()
    distances: tuple[int, ...] = ()
    num_prompts: int = 512
    num_samples: int = 16
    k: int | None = None
    num_resamples: int = 1000
    num_gradients: int = 64


@dataclass(frozen=True, slots=True)
class Drawn:
    """Samples of one policy: N = P * m rows in the order of the prompts; log-probs are filled in by scoring."""

    rows: list[Row]
    completion_ids: list[list[int]]
    verdicts: list[str]
    prompt_N: NDArray[np.int64]

    def count(self, of: Callable[[Verdict], bool]) -> NDArray[np.int64]:
        """Count the samples of each prompt with such a verdict: [P]."""
        is_counted_N = [of(Verdict(value)) for value in self.verdicts]
        return np.bincount(self.prompt_N, weights=is_counted_N).astype(np.int64)


class Measurement:
    """The protocol, for one run."""

    def __init__(
        self,
        config: Configuration,
        task: Task,
        rows: list[Row],
        policies: Policies,
        scope: Scope,
        say: Say,
    ) -> None:
        self.task, self.rows, self.policies, self.scope, self.say = task, rows, policies, scope, say
        self.batch_size = config.run.guide_batch_size
        self.seed = config.training.seed
        self.k = scope.k or min(config.run.guide_num_samples, scope.num_samples)

    def anchor(self, anchor: int, distances: list[int]) -> dict[str, Any]:
        """Measure one anchor at all its distances."""
        learner = self.policies.load(anchor)
        failed, num_tried = self._failed(learner, anchor)
        self.say(f"anchor {anchor}: fails on {len(failed)} of {num_tried} prompts ({self.scope.num_samples} samples)")
        drawn, behavior = {}, {}
        for distance in distances:
            guide = learner if distance == 0 else self.policies.load(anchor + distance)
            drawn[distance] = self._draw(guide, failed, f"{anchor}/measure/{anchor + distance}")
            if distance:
                behavior[distance] = self._score(guide, drawn[distance])
            solved = drawn[distance].count(lambda verdict: verdict is Verdict.CORRECT)
            self.say(f"  distance {distance}: {np.count_nonzero(solved)} of {len(failed)} solved at least once")
        learner = self.policies.load(anchor)
        ratios = {
            distance: self._log_ratios(learner, drawn[distance], behavior.get(distance)) for distance in distances
        }
        gradients = {d: self._gradients(learner, drawn[d], ratios[d], f"{anchor}/{d}") for d in distances}
        seed = _seed(self.seed, f"{anchor}/resamples")
        resamples_R_P = draw_resamples(len(failed), self.scope.num_resamples, np.random.default_rng(seed))
        return {
            "anchor": anchor,
            "num_prompts": len(failed),
            "num_tried": num_tried,
            **anchor_rows({d: _samples(drawn[d], ratios[d]) for d in distances}, gradients, self.k, resamples_R_P),
        }

    def _failed(self, learner: Engine, anchor: int) -> tuple[list[Row], int]:
        """Return prompts the learner fails in all of m samples, the longest first, and how many were tried for it."""
        order = np.random.default_rng(_seed(self.seed, f"{anchor}/prompts")).permutation(len(self.rows))
        share = max(1, self.batch_size // self.scope.num_samples)
        failed: list[Row] = []
        num_tried, wanted = 0, self.scope.num_prompts
        for start in range(0, len(order), share):
            chosen = [self.rows[i] for i in order[start : start + share]]
            drawn = self._draw(learner, chosen, f"{anchor}/select/{start}")
            num_correct = drawn.count(lambda verdict: verdict is Verdict.CORRECT)
            num_judged = drawn.count(lambda verdict: verdict.is_judged)
            for row, correct, judged in zip(chosen, num_correct, num_judged, strict=True):
                num_tried += len(failed) < wanted
                if len(failed) < wanted and judged and not correct:
                    failed.append(row)
            if len(failed) >= wanted:
                break
        if len(failed) < MIN_FAILED:
            raise UserError(
                f"anchor {anchor} fails on {len(failed)} of {num_tried} prompts (0 correct of "
                f"{self.scope.num_samples} samples); at least {MIN_FAILED} failed prompts are needed. Choose an "
                "earlier anchor, fewer samples (--num-samples), or a task with more prompts."
            )
        lengths = learner.prompt_lengths(failed) if failed else []
        longest_first = sorted(range(len(failed)), key=lambda i: -lengths[i])
        return [failed[i] for i in longest_first], num_tried

    def _draw(self, policy: Engine, prompts: list[Row], name: str) -> Drawn:
        """Sample every prompt m times and judge."""
        rows = [row for row in prompts for _ in range(self.scope.num_samples)]
        completion_ids: list[list[int]] = []
        verdicts: list[str] = []
        for start, batch in _batches(rows, self.batch_size):
            written = policy.generate(batch, _seed(self.seed, f"{name}/{start}"))
            verdicts += policy.broadcast(self._judge(policy, batch, written) if policy.is_main else [])
            completion_ids += written
        prompt_N = np.repeat(np.arange(len(prompts)), self.scope.num_samples)
        return Drawn(rows, completion_ids, verdicts, prompt_N)

    def _judge(self, policy: Engine, rows: list[Row], completion_ids: list[list[int]]) -> list[str]:
        verdicts = judge_samples(policy, lambda text, row: judge(self.task.verify, text, row), rows, completion_ids)
        return [verdict.value for verdict in verdicts]

    def _score(self, policy: Engine, drawn: Drawn) -> list[list[float]]:
        logps: list[list[float]] = []
        for start, batch in _batches(drawn.rows, self.batch_size):
            logps += policy.score(batch, drawn.completion_ids[start : start + len(batch)])
        return logps

    def _log_ratios(self, learner: Engine, drawn: Drawn, behavior: list[list[float]] | None) -> list[list[float]]:
        """Return d = log p - log q for every token; exactly 0 where the guide is the learner (None)."""
        if behavior is None:
            return [[0.0] * len(ids) for ids in drawn.completion_ids]
        pairs = zip(self._score(learner, drawn), behavior, strict=True)
        return [[p - q for p, q in zip(ours, theirs, strict=True)] for ours, theirs in pairs]

    def _gradients(
        self, learner: TRLEngine, drawn: Drawn, log_ratios: list[list[float]], name: str
    ) -> dict[str, dict[str, GradientSpread]]:
        """Measure the learner's gradients on samples of the guide: on any (`all`), on correct ones (`guided`)."""
        if not self.scope.num_gradients or num_trainable(learner) > SMALL_MODEL:
            return {}
        generator = np.random.default_rng(_seed(self.seed, f"{name}/gradients"))
        correct = [i for i, verdict in enumerate(drawn.verdicts) if verdict == Verdict.CORRECT.value]
        found = {}
        for kind, among in (("guided", correct), ("all", range(len(drawn.rows)))):
            if len(among) < MIN_FAILED:
                continue
            chosen = generator.permutation(among)[: self.scope.num_gradients].tolist()
            rows, ids = [drawn.rows[i] for i in chosen], [drawn.completion_ids[i] for i in chosen]
            found[kind] = gradient_spread(learner, rows, ids, _weightings([log_ratios[i] for i in chosen]))
        return found


def _weightings(log_ratios: list[list[float]]) -> dict[str, list[list[float]]]:
    """Return the token weights of a guided sample under each way to correct for the guide.

    `clipped` is the gradient of min(r A, clip(r) A) at A > 0: the ratio, and nothing above 1 + CLIP.
    """
    ratios = [np.exp(np.array(of_sample)) for of_sample in log_ratios]
    return {
        "on_policy": [np.ones_like(r).tolist() for r in ratios],
        "token": [r.tolist() for r in ratios],
        "clipped": [np.where(r <= 1.0 + CLIP, r, 0.0).tolist() for r in ratios],
        "sequence": [np.full_like(r, r.prod()).tolist() for r in ratios],
    }


def _samples(drawn: Drawn, log_ratios: list[list[float]]) -> GuideSamples:
    lengths = [len(of_sample) for of_sample in log_ratios]
    return GuideSamples(
        num_judged_P=drawn.count(lambda verdict: verdict.is_judged),
        num_correct_P=drawn.count(lambda verdict: verdict is Verdict.CORRECT),
        prompt_N=drawn.prompt_N,
        sample_K=np.repeat(np.arange(len(lengths)), lengths),
        log_ratios_K=np.concatenate([np.array(of_sample, dtype=np.float64) for of_sample in log_ratios]),
    )


def _batches(rows: list[Row], size: int) -> Iterator[tuple[int, list[Row]]]:
    return ((start, rows[start : start + size]) for start in range(0, len(rows), size))


def _seed(seed: int, name: str) -> int:
    """Return a seed of its own for everything that is drawn, in 31 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}/signal/{name}".encode()).digest()[:4], "big") >> 1
