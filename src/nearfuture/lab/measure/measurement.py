"""Measure the signal of near-future guides at one anchor: what pi_(T+D) could give pi_T, and at what variance.

    1. pi_T samples training prompts; those without a correct one among m samples are its failed set F_T
    2. every guide pi_(T+D), and at distance 0 pi_T itself, samples F_T afresh: m samples per prompt -> Q
    3. each scores its own samples, pi_T scores them all (the training forward) -> d = log p - log q -> every V
    4. if the model is small, pi_T's own gradients on these samples, to judge V

The samples in 2 are fresh because F_T was selected for bad luck in 1: what pi_T solves by trying again, Q(0), is not
signal. Weights are streamed, one policy at a time.

Not here: the estimators (`nearfuture.method`), turning numbers into rows (`signal_rows`), choosing steps
(`run_signal`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearfuture.guidance.ask import Sample, ask, score_in_batches
from nearfuture.guidance.engine import Engine, Row
from nearfuture.lab.measure.scope import Scope
from nearfuture.lab.measure.signal_rows import CLIP, anchor_rows
from nearfuture.method.signal import GuideSamples
from nearfuture.run.checkpoints import Policies
from nearfuture.run.settings.config import Configuration
from nearfuture.stats.resampling import draw_resamples
from nearfuture.tasks import Task
from nearfuture.tasks.identity import hashed_seed
from nearfuture.train import TRLEngine
from nearfuture.train.gradients import GradientSpread, gradient_spread, num_trainable
from nearfuture.types import UserError, Verdict

MIN_FAILED = 8
SMALL_MODEL = 5_000_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The samples of one policy: N = P * m rows in the order of the prompts."""

    rows: list[Row]
    samples: list[Sample]
    prompt_N: NDArray[np.int64]

    @property
    def completion_ids(self) -> list[list[int]]:
        """The completion ids of each sample."""
        return [sample.completion_ids for sample in self.samples]

    def count(self, of: Callable[[Verdict], bool]) -> NDArray[np.int64]:
        """Count the samples of each prompt with this verdict: [P]."""
        is_counted_N = [of(sample.verdict) for sample in self.samples]
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
            drawn[distance] = self._draw(guide, failed, anchor, "measure", anchor + distance)
            if distance:
                behavior[distance] = self._score(guide, drawn[distance])
            solved = drawn[distance].count(lambda verdict: verdict is Verdict.CORRECT)
            self.say(f"  distance {distance}: {np.count_nonzero(solved)} of {len(failed)} solved at least once")
        learner = self.policies.load(anchor)
        ratios = {
            distance: self._log_ratios(learner, drawn[distance], behavior.get(distance)) for distance in distances
        }
        gradients = {
            d: self._gradients(learner, drawn[d], ratios[d], self._seed(anchor, d, "gradients")) for d in distances
        }
        generator = np.random.default_rng(self._seed(anchor, "resamples"))
        resamples_R_P = draw_resamples(len(failed), self.scope.num_resamples, generator)
        return {
            "anchor": anchor,
            "num_prompts": len(failed),
            "num_tried": num_tried,
            **anchor_rows({d: _samples(drawn[d], ratios[d]) for d in distances}, gradients, self.k, resamples_R_P),
        }

    def _failed(self, learner: Engine, anchor: int) -> tuple[list[Row], int]:
        """Return the prompts that the learner fails in all of m samples, longest first, and how many were tried."""
        order = np.random.default_rng(self._seed(anchor, "prompts")).permutation(len(self.rows))
        share = max(1, self.batch_size // self.scope.num_samples)
        failed: list[Row] = []
        num_tried, wanted = 0, self.scope.num_prompts
        for start in range(0, len(order), share):
            chosen = [self.rows[i] for i in order[start : start + share]]
            drawn = self._draw(learner, chosen, anchor, "select", start)
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

    def _draw(self, policy: Engine, prompts: list[Row], *name: object) -> Drawn:
        """Sample every prompt m times and judge."""
        rows = [row for row in prompts for _ in range(self.scope.num_samples)]
        seeds = (self._seed(*name, start) for start in count(0, self.batch_size))
        samples = list(ask(policy, self.task.verify, rows, batch_size=self.batch_size, seeds=seeds))
        prompt_N = np.repeat(np.arange(len(prompts)), self.scope.num_samples)
        return Drawn(rows, samples, prompt_N)

    def _seed(self, *name: object) -> int:
        """Return a separate seed for everything that is drawn."""
        return hashed_seed(self.seed, "signal", *name)

    def _score(self, policy: Engine, drawn: Drawn) -> list[list[float]]:
        return score_in_batches(policy.score, drawn.rows, drawn.completion_ids, self.batch_size)

    def _log_ratios(self, learner: Engine, drawn: Drawn, behavior: list[list[float]] | None) -> list[list[float]]:
        """Return d = log p - log q for every token; exactly 0 if the guide is the learner (None)."""
        if behavior is None:
            return [[0.0] * len(ids) for ids in drawn.completion_ids]
        pairs = zip(self._score(learner, drawn), behavior, strict=True)
        return [[p - q for p, q in zip(ours, theirs, strict=True)] for ours, theirs in pairs]

    def _gradients(
        self, learner: TRLEngine, drawn: Drawn, log_ratios: list[list[float]], seed: int
    ) -> dict[str, dict[str, GradientSpread]]:
        """Measure the learner's gradients on the guide's samples: on all (`all`), and on correct ones (`guided`)."""
        if not self.scope.num_gradients or num_trainable(learner) > SMALL_MODEL:
            return {}
        generator = np.random.default_rng(seed)
        correct = [i for i, sample in enumerate(drawn.samples) if sample.verdict is Verdict.CORRECT]
        found = {}
        for kind, among in (("guided", correct), ("all", range(len(drawn.rows)))):
            if len(among) < MIN_FAILED:
                continue
            chosen = generator.permutation(among)[: self.scope.num_gradients].tolist()
            rows, ids = [drawn.rows[i] for i in chosen], [drawn.samples[i].completion_ids for i in chosen]
            found[kind] = gradient_spread(learner, rows, ids, _weightings([log_ratios[i] for i in chosen]))
        return found


def _weightings(log_ratios: list[list[float]]) -> dict[str, list[list[float]]]:
    """Return the token weights of a guided sample under each way to correct for the guide.

    `clipped` is the gradient of min(r A, clip(r) A) at A > 0: the ratio, and 0 above 1 + CLIP.
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
