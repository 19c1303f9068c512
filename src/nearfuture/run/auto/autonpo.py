"""What AutoNPO does when the trigger has fired: confirm, weigh the candidates, decide. The executor acts.

    probe      pi_t samples its past mistakes; too few solved -> go on
    weigh      every saved checkpoint behind t: Q from its slice of the pool, V from the same samples
    decide     argmax S = Q / V, with guards; budget and places already returned to are guards as well

Every decision is an event with its numbers. See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.3.

Not here: the pure pieces (`nearfuture.method`), the probe (`nearfuture.run.auto.probe`), the memory
(`nearfuture.run.auto.controller`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfuture.guidance.engine import Engine, Row
from nearfuture.method.lineage import Lineage
from nearfuture.method.mistakes import MistakePool
from nearfuture.method.rollback import Candidate, select
from nearfuture.run.auto.probe import Probe, is_confirmed, run_probe, score_candidates
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.train.exact import CONTROLLER, state_file
from nearfuture.types import UserError, Verdict

Say = Callable[..., None]


@dataclass(frozen=True)
class Decision:
    """What was decided at a trigger: `back_to` None means go on. `prompt_ids` are those the guide is asked for."""

    back_to: int | None
    probe: Probe
    prompt_ids: list[str]
    evidence: dict[str, Any]


def fired_state(folder: Path) -> dict[str, Any]:
    """The controller's state in the checkpoint of the step at which the trigger fired.

    Raises:
        UserError: the checkpoint holds none.
    """
    path = state_file(folder, CONTROLLER)
    if not path.exists():
        raise UserError(
            f"{path} does not exist, but the trigger fired there, and a run that goes back takes its state along. "
            "Was the checkpoint deleted by hand? Put it back from a copy, or start over with --clean."
        )
    state: dict[str, Any] = json.loads(path.read_text())
    return state


def is_spent(lineage: Lineage, config: AutoNPOConfig) -> bool:
    """True where as many interventions were made as the run may make; nothing stops for a trigger then."""
    made = sum(s.intervention is not None and s.intervention.kind == "auto" for s in lineage.segments)
    return made >= config.max_interventions


def decide(
    lineage: Lineage,
    state: dict[str, Any],
    steps: list[int],
    load: Callable[[int], Engine],
    rows: dict[str, Row],
    verify: Callable[[str, Row], Verdict],
    config: AutoNPOConfig,
    event: Say,
    *,
    seed: int,
    batch_size: int,
    max_pass_rate: float,
) -> Decision:
    """Confirm a trigger and choose where to go back to.

    Args:
        lineage: its head stands at the step where the trigger fired.
        state: the controller's, there.
        steps: of the checkpoints on the path behind it, 0 for the base weights.
        load: puts the policy of a step into an engine; the one before is gone then.
        rows: training rows by prompt id.
        verify: (completion, row) -> verdict.
        config: AutoNPO's settings.
        event: writes an event.
        seed: of the probe.
        batch_size: completions sampled or scored at once.
        max_pass_rate: of the gate.
    """
    step = lineage.head.end_step
    assert step is not None
    pool = MistakePool(max_pass_rate, window=config.max_rollback_distance)
    pool.load_state_dict(state["pool"])
    reward_ema = state["trigger"]["seen"][-1][3]
    event("triggered", reward_ema=reward_ema, entropy_ema=state["trigger"]["seen"][-1][4], **pool.metrics())
    behind = [s for s in steps if 0 < step - s <= config.max_rollback_distance]
    if reason := _too_small(pool, config) or _nowhere(step, steps, behind, config):
        empty = Probe(step, [], [], [], [], 0, 0.0)
        event("declined", reason=reason)
        return Decision(None, empty, [], {})
    probe = run_probe(load(step), pool, rows, verify, config, step=step, seed=seed, batch_size=batch_size)
    event("probe", **probe.facts())
    if not is_confirmed(probe, config):
        event(
            "declined",
            reason=f"the present policy solves {probe.num_solved} of {len(probe.rows)} past mistakes (pass rate "
            f"{probe.pass_rate:.3f}); {config.probe_min_solved} and {config.probe_min_pass_rate} are needed.",
        )
        return Decision(None, probe, [], {})
    candidates = score_candidates(probe, pool, behind, load, config, batch_size=batch_size)
    choice = select(
        candidates,
        min_prompts=config.min_prompts,
        min_quality=config.probe_min_pass_rate,
        min_gain=config.min_gain,
        blocked_steps=_without_progress(lineage, reward_ema),
    )
    facts = _facts(candidates, choice.candidate, choice.guard, choice.reason)
    if choice.candidate is None:
        event("declined", **facts)
        return Decision(None, probe, [], facts)
    asked = pool.slice(choice.candidate.step, step, config.slice) if config.ask == "slice" else pool.slice(0, step)
    asked_ids = [mistake.prompt_id for mistake in asked]
    evidence = {**facts, "reward_ema": reward_ema}
    if config.mode == "advise":
        event("advised", **facts)
        return Decision(None, probe, asked_ids, evidence)
    return Decision(choice.candidate.step, probe, asked_ids, evidence)


def _facts(candidates: list[Candidate], chosen: Candidate | None, guard: Any, reason: str) -> dict[str, Any]:
    """Why: all candidates with Q, V and S, the choice, and what overruled the argmax."""
    return {
        "candidates": [candidate.as_row() for candidate in candidates],
        "rollback_distance": None if chosen is None else chosen.rollback_distance,
        "guard": None if guard is None else str(guard),
        "reason": reason,
    }


def _too_small(pool: MistakePool, config: AutoNPOConfig) -> str | None:
    if len(pool) >= config.min_prompts:
        return None
    return (
        f"the mistake pool holds {len(pool)} prompts, autonpo.min_prompts={config.min_prompts} are needed. Nothing is "
        "failed often enough to go back for."
    )


def _nowhere(step: int, steps: list[int], behind: list[int], config: AutoNPOConfig) -> str | None:
    if behind:
        return None
    return (
        f"no checkpoint lies within autonpo.max_rollback_distance={config.max_rollback_distance} steps: the last one "
        f"before step {step} is of step {max(s for s in steps if s < step)}. Save more often (save_steps), keep more "
        "(save_total_limit), or allow a longer way back."
    )


def _without_progress(lineage: Lineage, reward_ema: float) -> list[int]:
    """Steps an earlier intervention returned to, at a reward that has not been passed since."""
    earlier = [s.intervention for s in lineage.segments if s.intervention is not None and s.intervention.kind == "auto"]
    return [i.start_step for i in earlier if reward_ema <= i.evidence["reward_ema"]]
