"""What a candidate is worth to this run: staying as a candidate, the expected gain of each, and the price of its steps.

All of it is computed from the probe's samples and the pool; no policy is asked again.

Not here: the formulas (`nearfuture.method.price`), Q and V (`nearfuture.run.auto.probe`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from nearfuture.method.mistakes import Mistake, MistakePool
from nearfuture.method.price import Terms, expected_gain, price_of
from nearfuture.method.rollback import Candidate
from nearfuture.run.auto.probe import Probe
from nearfuture.run.settings.config import AutoNPOConfig


def staying(probe: Probe, pool: MistakePool) -> Candidate:
    """The candidate that goes nowhere: its slice is what still stands, and the guide is the policy itself: V is 1."""
    standing = {mistake.prompt_id for mistake in pool.standing(probe.step, probe.step)}
    return Candidate(0, probe.step, *probe.among(standing), variance_cost=1.0)


def asked_for(candidate: Candidate, pool: MistakePool, now: int, config: AutoNPOConfig) -> list[Mistake]:
    """Return the mistakes to ask the guide about: the candidate's slice, or those of the pool that the policy of the
    candidate's step has not solved. Staying has no slice."""
    if config.ask == "pool" or candidate.rollback_distance == 0:
        return pool.standing(candidate.step, now)
    return pool.slice(candidate.step, now, config.slice)


def weighed(
    candidates: Iterable[Candidate],
    probe: Probe,
    pool: MistakePool,
    terms: Terms,
    num_prompts: int,
    config: AutoNPOConfig,
) -> list[Candidate]:
    """Give every candidate its expected gain and its price.

    Args:
        candidates: the candidates with Q and V.
        probe: which of its mistakes the current policy solves.
        pool: how the policy that would be guided had failed them.
        terms: the run's terms.
        num_prompts: the number of training prompts.
        config: what the guide is asked, and whether steps are charged.
    """
    counts = np.array([[sum(one.verdict.is_judged for one in samples) for samples in probe.samples], probe.num_correct])
    found = []
    for candidate in candidates:
        asked = {mistake.prompt_id: mistake.pass_rate for mistake in asked_for(candidate, pool, probe.step, config)}
        members = [i for i, row in enumerate(probe.rows) if row["prompt_id"] in asked]
        judged, correct = counts[:, members]
        now = correct / np.maximum(judged, 1)
        before = np.array([asked[probe.rows[i]["prompt_id"]] for i in members])
        gain = expected_gain(
            terms,
            len(asked) / num_prompts,
            (judged, correct),
            before if candidate.rollback_distance else now,
            candidate.variance_cost,
        )
        price = price_of(terms, candidate.rollback_distance) if config.price == "slope" else 0.0
        found.append(replace(candidate, expected_gain=gain, price=price))
    return found
