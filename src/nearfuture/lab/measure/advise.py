"""Replay the plateau trigger over a log: where AutoNPO would have stopped to think, and what no log can say.

    nearfuture advise LOG [--json FILE] [--run NUMBER]

The log continues as it was, so a later firing is what you see if you did not act on the earlier one.

Not here: the formats of logs (`nearfuture.record.logs`), the trigger (`nearfuture.method.trigger`).
"""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import groupby
from typing import Any

from nearfuture.lab.measure.recommend import FARTHEST, NEAREST, recommend, recommendation_text
from nearfuture.method.trends import MIN_ROWS
from nearfuture.method.trigger import PlateauTrigger, TriggerConfig
from nearfuture.record import flat_yaml
from nearfuture.record.logs import Log

CONSTANT = 0.0
"""Stands in for an entropy that was not logged: it never falls, so the trigger never fires."""
MOST_TOLD = 5
"""Firings that are told in words."""
NOT_KNOWN = (
    "confirmation: whether the policy at that step solves prompts it had failed; AutoNPO asks it, and continues if not",
    "quality Q: how many of the failed prompts it would solve at each distance",
    "variance cost V: how far it had moved from each checkpoint, and so which distance has the largest S = Q / V",
    "which checkpoints were saved: only a saved step can be returned to",
)


def advise(log: Log, config: TriggerConfig | None = None) -> dict[str, Any]:
    """Replay the trigger over a log.

    Args:
        log: steps, rewards and entropies; without an entropy only the reward is judged.
        config: the trigger's settings.

    Returns:
        What `--json` writes: `fired` with one object per firing (`step`, reward and entropy at that step, how they
        moved, and the range of distances AutoNPO would have weighed), `stagnant` with the stretches in which the reward
        alone stood still, what was read, what a log cannot say, and the `recommendation`.
    """
    has_entropy = log.columns["entropy"] is not None
    trigger = PlateauTrigger(config)
    fired: list[dict[str, Any]] = []
    stagnant: list[int] = []
    for step, reward, entropy in zip(log.steps, log.rewards, log.entropies, strict=True):
        if trigger.observe(step, reward, entropy if has_entropy else CONSTANT):
            fired.append(_firing(trigger))
        if trigger.evidence is not None and math.isfinite(reward) and trigger.evidence.is_stagnant:
            stagnant.append(step)
    return {
        "log": str(log.path),
        "columns": log.columns,
        "notes": log.notes,
        "num_rows": len(log.steps),
        "first_step": log.steps[0] if log.steps else None,
        "last_step": log.steps[-1] if log.steps else None,
        "num_ignored": int(trigger.metrics()["autonpo/num_ignored"]),
        "has_entropy": has_entropy,
        "has_full_window": trigger.evidence is not None,
        "settings": asdict(trigger.config),
        "fired": fired,
        "stagnant": _stretches(log.steps, set(stagnant), trigger.config),
        "not_known": list(NOT_KNOWN),
        "recommendation": recommend(
            log, trigger.evidence, [firing["step"] for firing in fired], keeps_already=_keeps(log)
        ),
    }


def _keeps(log: Log) -> bool:
    """True for a log of ours whose run serves its own answers (`source: own`)."""
    folder = log.path if log.path.is_dir() else log.path.parent
    config = folder / "config.yaml"
    return config.exists() and flat_yaml.load(config.read_text()).get("source") == "own"


def _stretches(steps: list[int], stagnant: set[int], config: TriggerConfig) -> list[list[int]]:
    """Return first and last step of every stretch of at least `patience` steps in which the reward stood still."""
    stretches = []
    for is_stagnant, group in groupby(steps, key=stagnant.__contains__):
        held = [step for step in group if step >= config.warmup]
        if is_stagnant and held and held[-1] - held[0] + 1 >= config.patience:
            stretches.append([held[0], held[-1]])
    return stretches


def _firing(trigger: PlateauTrigger) -> dict[str, Any]:
    seen, evidence = trigger.explain(), trigger.evidence
    assert evidence is not None
    step = seen["step"]
    farthest = min(FARTHEST, step)
    nearest = min(NEAREST, farthest)
    return {
        "step": step,
        "reward": seen["reward_ema"],
        "entropy": seen["entropy_ema"],
        "since": evidence.since,
        "reward_evidence": evidence.reward_evidence,
        "entropy_evidence": evidence.entropy_evidence,
        "reward_rise": evidence.reward.slope * (step - evidence.since),
        "reward_rise_se": evidence.reward.slope_se * (step - evidence.since),
        "entropy_slope": evidence.entropy.slope,
        "entropy_slope_se": evidence.entropy.slope_se,
        "rollback_distances": [nearest, farthest],
        "back_to_steps": [step - farthest, step - nearest],
    }


def advice_text(advice: dict[str, Any]) -> str:
    """Put the advice into words."""
    columns = advice["columns"]
    lines = [
        f"{advice['log']}: {advice['num_rows']} rows, steps {advice['first_step']} to {advice['last_step']}; "
        f"reward = {columns['reward']}, entropy = {columns['entropy'] or 'not logged'}.",
        *advice["notes"],
    ]
    if advice["num_ignored"]:
        lacks = "only one of the two values" if advice["has_entropy"] else "no reward"
        lines.append(f"{advice['num_ignored']} rows have {lacks} and were ignored.")
    lines += ["", *recommendation_text(advice["recommendation"]), "", *_verdict(advice)]
    if advice["fired"]:
        lines += ["", "What a log cannot say:", *(f"  - {what}" for what in advice["not_known"])]
    return "\n".join(lines)


def _verdict(advice: dict[str, Any]) -> list[str]:
    if not advice["has_full_window"]:
        stretch = advice["settings"]["min_stretch"]
        return [
            f"Too short to judge: the trigger compares a stretch of {stretch} steps (--min-stretch), of {MIN_ROWS} "
            "rows at least, with what came before."
        ]
    if not advice["has_entropy"]:
        return _reward_alone(advice)
    if not advice["fired"]:
        return ["It never fired: at no time did the reward stand still while the entropy fell."]
    told = [_words(number, firing) for number, firing in enumerate(advice["fired"], 1)]
    if len(told) > MOST_TOLD:
        between = f"... and {len(told) - MOST_TOLD} more firings in between (all of them: --json FILE)."
        told = [*told[: MOST_TOLD - 1], ["", between], told[-1]]
    return ["Where the trigger fired:", *(line for words in told for line in words)]


def _reward_alone(advice: dict[str, Any]) -> list[str]:
    """Say what the reward alone shows."""
    lines = [
        "The log has no entropy, so this judges the reward alone. AutoNPO fires only where the entropy falls as well: "
        "log it (TRL: `entropy`, verl: `actor/entropy`), or name its column with --entropy COLUMN."
    ]
    if not advice["stagnant"]:
        return [*lines, "The reward never stood still for long: no plateau."]
    places = ", ".join(f"{first} to {last}" for first, last in advice["stagnant"])
    return [*lines, f"As far as the noise allows us to tell, it had stopped rising: steps {places}."]


def _words(number: int, firing: dict[str, Any]) -> list[str]:
    stretch = firing["step"] - firing["since"]
    fall, fall_se = (firing[key] * stretch for key in ("entropy_slope", "entropy_slope_se"))
    (nearest, farthest), (first, last) = firing["rollback_distances"], firing["back_to_steps"]
    return [
        "",
        f"{number}. Step {firing['step']}: reward {firing['reward']:.4g}, entropy {firing['entropy']:.4g}.",
        f"   The reward most likely stopped rising at step {firing['since']}: {firing['reward_evidence']:.2g} nats say "
        f"so. In these {stretch} steps it moved by {firing['reward_rise']:+.3g} (standard error "
        f"{firing['reward_rise_se']:.2g}), the entropy by {fall:+.3g} (standard error {fall_se:.2g}).",
        f"   AutoNPO would now have asked the policy for prompts it had failed, and weighed going back {nearest} to "
        f"{farthest} steps, to a checkpoint between step {first} and step {last}.",
    ]
