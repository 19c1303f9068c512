"""What AutoNPO does when the trigger has fired: confirm, weigh the candidates, decide. The executor acts.

    probe      pi_t samples its past mistakes; too few solved -> continue
    weigh      every saved checkpoint before t, and staying: Q from its slice of the pool, V from the same samples
    decide     argmax S = Q / V with guards, among them the budget and places already returned to;
               or argmax of expected gain minus price, if steps are charged (`autonpo.price: slope`)
    compare    after the replay both branches exist at one step: which one does the run continue from?

Every decision is an event with its numbers. See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3. The
comparison is beyond the paper, which always continues from the guided branch; the lineage makes it cheap.

Not here: the pure pieces (`nearfuture.method`), the probe (`nearfuture.run.auto.probe`), the memory
(`nearfuture.run.auto.controller`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from nearfuture.guidance.held_out import Answers
from nearfuture.method.lineage import Lineage
from nearfuture.method.mistakes import MistakePool
from nearfuture.method.price import Terms, select_worth, slope_of
from nearfuture.method.rollback import Candidate, Choice, select
from nearfuture.method.trigger_config import SLOPE_STEPS
from nearfuture.run.auto.probe import Bench, Probe, run_probe, score_candidates
from nearfuture.run.auto.worth import asked_for, staying, weighed
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.types import Kind, UserError

WriteEvent = Callable[..., None]
Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Fired:
    """A trigger that fired.

    Attributes:
        lineage: its head is at the step where the trigger fired.
        state: the controller's state at that step.
        steps: the steps of earlier checkpoints on the path, 0 for the base weights.
        max_pass_rate: the gate's highest pass rate.
        num_samples: the most samples per prompt when the guide is asked.
        num_generations: rollouts per group.
    """

    lineage: Lineage
    state: dict[str, Any]
    steps: list[int]
    max_pass_rate: float
    num_samples: int
    num_generations: int

    @property
    def step(self) -> int:
        """The step where it fired."""
        step = self.lineage.head.end_step
        assert step is not None
        return step

    @property
    def emas(self) -> dict[str, float]:
        """Reward and entropy, smoothed, as the trigger saw them."""
        reward, entropy = self.state["trigger"]["seen"][-1][3:5]
        return {"reward_ema": reward, "entropy_ema": entropy}

    def pool(self, window: int) -> MistakePool:
        """The mistakes of the last `window` steps."""
        pool = MistakePool(self.max_pass_rate, window)  # for reading: nothing is observed
        pool.load_state_dict(self.state["pool"])
        return pool

    def terms(self, config: AutoNPOConfig) -> Terms:
        """The terms of a candidate's gain and price; the slope is that of the last steps."""
        seen = [row for row in self.state["trigger"]["seen"] if row[0] > self.step - SLOPE_STEPS]
        slope = slope_of([row[0] for row in seen], [row[1] for row in seen])
        return Terms(config.gain_factor, self.num_samples, self.num_generations, slope)

    def blocked_steps(self) -> list[int]:
        """Steps that an earlier intervention returned to, at a reward that has not been exceeded since."""
        earlier = (s.intervention for s in self.lineage.segments)
        back = [i for i in earlier if i and i.kind == Kind.AUTO and i.start_step < i.guide.step]
        reward_ema = self.emas["reward_ema"]
        return [i.start_step for i in back if reward_ema <= i.evidence["reward_ema"]]


@dataclass(frozen=True)
class WayBack:
    """Where to go back to and why.

    Attributes:
        step: the checkpoint's step; if the run stays, the step where the trigger fired.
        prompt_ids: the prompts to ask the guide.
        given: the samples that the probe has drawn already, by prompt id.
        known: correct and judged rollouts of a prompt when it was last failed, by its id.
        evidence: the numbers that led here.
    """

    step: int
    prompt_ids: list[str]
    given: dict[str, list[list[int]]]
    known: dict[str, tuple[int, int]]
    evidence: dict[str, Any]


def is_spent(lineage: Lineage, config: AutoNPOConfig) -> bool:
    """True if the run has made as many interventions as it may; it then no longer stops for a trigger."""
    made = sum(s.intervention is not None and s.intervention.kind == Kind.AUTO for s in lineage.segments)
    return made >= config.max_interventions


def decide(fired: Fired, bench: Bench, config: AutoNPOConfig, event: WriteEvent) -> WayBack | None:
    """Confirm a trigger and choose where to go back to; None: the run continues.

    Args:
        fired: the trigger.
        bench: what to probe with.
        config: AutoNPO's settings.
        event: writes an event.
    """
    step, pool = fired.step, fired.pool(config.max_rollback_distance)
    event("triggered", **fired.emas, **pool.metrics())
    behind = [s for s in fired.steps if 0 < step - s <= config.max_rollback_distance]
    if reason := _too_small(pool, config) or ("" if config.stay else _nowhere(fired, behind, config)):
        event("declined", reason=reason)
        return None
    probe = run_probe(bench, pool, step, behind, config)
    event("probe", **probe.facts())
    if reason := _unconfirmed(probe, config):
        event("declined", reason=reason)
        return None
    found = [*([staying(probe, pool)] if config.stay else []), *score_candidates(bench, probe, pool, behind, config)]
    candidates = weighed(found, probe, pool, fired.terms(config), len(bench.rows), config)
    choice = _choice(candidates, fired, config)
    facts = _facts(candidates, choice)
    if choice.candidate is None or config.mode == "advise":
        event("declined" if choice.candidate is None else "advised", **facts)
        return None
    evidence = {**facts, "reward_ema": fired.emas["reward_ema"]}
    asked = asked_for(choice.candidate, pool, step, config)
    size = fired.num_generations
    known = {mistake.prompt_id: (round(mistake.pass_rate * size), size) for mistake in asked}
    return WayBack(choice.candidate.step, [*known], probe.given(), known, evidence)


def _choice(candidates: list[Candidate], fired: Fired, config: AutoNPOConfig) -> Choice:
    """Choose by Q / V, as the paper does, or by the expected gain minus the price of the steps."""
    blocked, least = fired.blocked_steps(), config.probe_min_pass_rate
    if config.price == "slope":
        return select_worth(candidates, min_prompts=config.min_prompts, min_quality=least, blocked_steps=blocked)
    return select(
        candidates,
        min_prompts=config.min_prompts,
        min_quality=least,
        min_gain=config.min_gain,
        blocked_steps=blocked,
    )


def _facts(candidates: list[Candidate], choice: Choice) -> dict[str, Any]:
    """Return the reasons: all candidates with Q, V and S, the choice, and what overruled the argmax."""
    return {
        "candidates": [candidate.as_row() for candidate in candidates],
        "rollback_distance": None if choice.candidate is None else choice.candidate.rollback_distance,
        "guard": None if choice.guard is None else str(choice.guard),
        "reason": choice.reason,
    }


def _too_small(pool: MistakePool, config: AutoNPOConfig) -> str | None:
    if len(pool) >= config.min_prompts:
        return None
    return (
        f"the mistake pool holds {len(pool)} prompts, autonpo.min_prompts={config.min_prompts} are needed. There are "
        "too few failures to go back for."
    )


def _nowhere(fired: Fired, behind: list[int], config: AutoNPOConfig) -> str | None:
    if behind:
        return None
    return (
        f"no checkpoint is within autonpo.max_rollback_distance={config.max_rollback_distance} steps: the last one "
        f"before step {fired.step} is of step {max(s for s in fired.steps if s < fired.step)}. Save more often "
        "(save_steps), keep more (save_total_limit), or allow a longer way back."
    )


def _unconfirmed(probe: Probe, config: AutoNPOConfig) -> str | None:
    if probe.pass_rate >= config.probe_min_pass_rate and probe.num_solved >= config.probe_min_solved:
        return None
    return (
        f"the present policy solves {probe.num_solved} of {len(probe.rows)} past mistakes (pass rate "
        f"{probe.pass_rate:.3f}); {config.probe_min_solved} and {config.probe_min_pass_rate} are needed."
    )


def compare(guided: Answers, abandoned: Answers) -> dict[str, Any]:
    """Keep the better branch; the guided one if they are equal.

        difference = mean over held-out prompts of (pass rate, guided) - (pass rate, abandoned)

    Both branches get the same prompts and seeds, so that the difficulty of prompts cancels. The prompts are the task's
    `evaluation` split, so the choice must be judged on another split (`Task.test`).

    Args:
        guided: answers of the policy that was retrained with guidance.
        abandoned: answers of the policy that guided it, to the same prompts with the same seeds.

    Returns:
        The facts of the `accepted` event: which branch is `kept`, and by how much, with a normal 95 % interval over
        prompts (None for a single prompt).

    Raises:
        UserError: no prompt could be judged for both.
    """
    differences = np.subtract(guided.rates, abandoned.rates)
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        raise UserError(
            f"none of {len(guided.rates)} held-out prompts could be judged for both branches. Look at the verifier's "
            "time-outs and crashes, or set autonpo.accept=always."
        )
    difference = float(differences.mean())
    half = Z_95 * float(differences.std(ddof=1)) / len(differences) ** 0.5 if len(differences) > 1 else None
    return {
        "kept": "guided" if difference >= 0 else "abandoned",
        "difference": difference,
        "ci_low": None if half is None else difference - half,
        "ci_high": None if half is None else difference + half,
        "num_prompts": len(differences),
        "num_samples": sum(guided.num_judged) + sum(abandoned.num_judged),
        "guided_pass_rate": float(np.nanmean(guided.rates)),
        "abandoned_pass_rate": float(np.nanmean(abandoned.rates)),
        "guide_tokens": guided.num_tokens + abandoned.num_tokens,
        "seconds": guided.seconds + abandoned.seconds,
    }
