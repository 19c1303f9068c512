"""Small synthetic run folders for the tests of records, ledger and report; every number can be checked by hand.

    GRPO:  one segment, steps 1..12.
    NPO:   segment 0  0..4   scout, all abandoned; the guide is its step 4
           segment 1  0..10  early guidance over 0..4, trained ahead to 10, abandoned after 6; the guide is its step 10
           segment 2  6..12  late guidance over 6..10, the head
           total steps 4 + 10 + 6 = 20, kept 6 + 6 = 12, extra 8 (4 scout, 4 abandoned)
    Auto:  segment 0  0..10  the trigger fires at 5 and is declined, fires at 10 and goes back, abandoned after 6
           segment 1  6..14  guided by step 10 until step 10, the head

Every step costs 100 rollout tokens, 80 trained tokens and 2 seconds; an evaluation 40 tokens and 1 second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def step_row(segment: int, step: int, total_steps: int, **more: Any) -> Row:
    """A training row with the costs named above."""
    row = {
        "segment": segment,
        "step": step,
        "total_steps": total_steps,
        "seconds": 2.0,
        "rollout_tokens": 100,
        "trained_tokens": 80,
        "loss": 0.5,
        "npo/pass_rate": step / 20,
        "npo/entropy": 1.0 - step / 40,
        "npo/guided_frac": 0.0,
    }
    return row | more


def eval_row(segment: int, step: int, total_steps: int, pass_rate: float, num_prompts: int | None = 50) -> Row:
    """An evaluation row of two families, four samples a prompt."""
    row = {
        "segment": segment,
        "step": step,
        "total_steps": total_steps,
        "eval/pass_rate": pass_rate,
        "eval/sums/pass_rate": pass_rate + 0.1,
        "eval/words/pass_rate": pass_rate - 0.1,
        "eval/num_samples": 4,
        "eval/tokens": 40,
        "eval/seconds": 1.0,
    }
    return row if num_prompts is None else row | {"eval/num_prompts": num_prompts}


def segment(number: int, start_step: int, end_step: int | None, **more: Any) -> Row:
    """A segment of `lineage.json`."""
    plain: Row = {"parent": None, "reason": None, "abandoned_from": None, "total_steps_before": 0, "intervention": None}
    return {"id": number, "start_step": start_step, "end_step": end_step} | plain | more


def intervention(kind: str, guide_segment: int, guide_step: int, start_step: int, end_step: int | None) -> Row:
    """An intervention of `lineage.json`."""
    guide = {
        "segment": guide_segment,
        "step": guide_step,
        "path": f"segments/{guide_segment:03d}/checkpoint-{guide_step}",
    }
    return {"kind": kind, "guide": guide, "start_step": start_step, "end_step": end_step, "evidence": {}}


def write_run(
    folder: Path,
    segments: list[Row],
    metrics: Iterable[Row],
    *,
    head: int | None = None,
    events: Iterable[Row] = (),
    samples: Iterable[Row] = (),
) -> Path:
    """Write a run folder in the executor's format."""
    folder.mkdir(parents=True)
    head = segments[-1]["id"] if head is None else head
    (folder / "lineage.json").write_text(json.dumps({"version": 1, "head": head, "segments": segments}))
    (folder / "config.yaml").write_text("seed: 7\nmax_steps: 12\n")
    (folder / "env.json").write_text(json.dumps({"python": "3.11.7", "versions": {"numpy": "2.0"}, "git": "abc123"}))
    for name, rows in (("metrics", metrics), ("events", events), ("samples", samples)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def grpo_run(folder: Path, pass_rate: Callable[[int], float] = lambda step: 0.2 + 0.04 * step) -> Path:
    """Twelve steps without interventions, evaluated every three."""
    metrics = [eval_row(0, 0, 0, pass_rate(0))]
    for step in range(1, 13):
        metrics.append(step_row(0, step, step))
        metrics += [eval_row(0, step, step, pass_rate(step))] if step % 3 == 0 else []
    return write_run(
        folder, [segment(0, 0, 12, reason="horizon")], metrics, events=[{"event": "finished", "segment": 0, "step": 12}]
    )


def npo_run(folder: Path, pass_rate: Callable[[int], float] = lambda step: 0.2 + 0.05 * step) -> Path:
    """The run above: a scout, early guidance, a rollback, late guidance; evaluated every two steps."""
    segments = [
        segment(0, 0, 4, reason="scout", abandoned_from=0),
        segment(
            1,
            0,
            10,
            reason="guide",
            abandoned_from=6,
            total_steps_before=4,
            intervention=intervention("early", 0, 4, 0, 4),
        ),
        segment(
            2, 6, 12, parent=1, reason="horizon", total_steps_before=14, intervention=intervention("late", 1, 10, 6, 10)
        ),
    ]
    metrics = [eval_row(0, 0, 0, pass_rate(0))]
    for entry in segments:
        for step in range(entry["start_step"] + 1, entry["end_step"] + 1):
            total = entry["total_steps_before"] + step - entry["start_step"]
            guided = 0.5 if entry["intervention"] and step <= entry["intervention"]["end_step"] else 0.0
            metrics.append(step_row(entry["id"], step, total, **{"npo/guided_frac": guided}))
            metrics += [eval_row(entry["id"], step, total, pass_rate(step))] if step % 2 == 0 else []
    return write_run(folder, segments, metrics, events=npo_events(), samples=npo_samples())


def npo_events() -> list[Row]:
    """Two collections: 300 and 500 guide tokens, 6 and 9 seconds; two rollbacks."""
    collected = {"event": "collected", "num_prompts": 10, "num_solved": 5, "num_samples": 40}
    return [
        {"event": "segment_started", "segment": 0, "step": 0, "total_steps": 0},
        collected
        | {"kind": "early", "segment": 0, "step": 4, "total_steps": 4}
        | {"guide_segment": 0, "guide_step": 4, "guide_tokens": 300, "seconds": 6.0},
        {"event": "rollback", "kind": "early", "from_segment": 0, "from_step": 4, "to_segment": 1, "to_step": 0},
        collected
        | {"kind": "late", "segment": 1, "step": 10, "total_steps": 14}
        | {"guide_segment": 1, "guide_step": 10, "guide_tokens": 500, "seconds": 9.0},
        {"event": "rollback", "kind": "late", "from_segment": 1, "from_step": 10, "to_segment": 2, "to_step": 6},
        {"event": "finished", "segment": 2, "step": 12, "total_steps": 20},
    ]


def candidate(distance: int, quality: float | None, cost: float | None, num_prompts: int = 20) -> Row:
    """A candidate at step 10."""
    signal = None if quality is None or cost is None else quality / cost
    row = {"rollback_distance": distance, "step": 10 - distance, "num_prompts": num_prompts}
    return row | {"quality": quality, "variance_cost": cost, "effective_signal": signal}


CANDIDATES = [candidate(2, 0.5, 1.0, num_prompts=3), candidate(4, 0.4, 1.25), candidate(8, 0.6, 4.0)]
CHOICE = {"rollback_distance": 4, "guard": "too_few_prompts", "reason": "S = 0.32 at distance 4 is the largest."}


def auto_run(folder: Path, *, mode: str = "act") -> Path:
    """The run above, or (`advise`) one that only says what it would have done at step 10 and goes on in segment 0.

    Held-out pass rates are 0.2 + 0.03 a step, and 0.1 more on the guided branch; evaluated every two steps.
    """
    segments = [segment(0, 0, 14, reason="horizon")]
    if mode == "act":
        plan = intervention("auto", 0, 10, 6, 10) | {"evidence": CHOICE | {"candidates": CANDIDATES}}
        segments = [
            segment(0, 0, 10, reason="trigger", abandoned_from=6),
            segment(1, 6, 14, parent=0, reason="horizon", total_steps_before=10, intervention=plan),
        ]
    metrics = [eval_row(0, 0, 0, 0.2)]
    for entry in segments:
        for step in range(entry["start_step"] + 1, entry["end_step"] + 1):
            total = entry["total_steps_before"] + step - entry["start_step"]
            watched = {"autonpo/reward_ema": step / 30, "autonpo/entropy_ema": 1.0 - step / 50}
            moved = {f"autonpo/{name}": 0.125 for name in ("reward_rise", "reward_rise_se", "entropy_slope_se")}
            metrics.append(step_row(entry["id"], step, total, **watched, **moved, **{"autonpo/entropy_slope": -0.25}))
            rate = 0.2 + 0.03 * step + 0.1 * entry["id"]
            metrics += [eval_row(entry["id"], step, total, rate)] if step % 2 == 0 else []
    write_run(folder, segments, metrics, events=auto_events(mode))
    with (folder / "config.yaml").open("a") as file:
        file.write(f"autonpo.mode: {mode}\nautonpo.window: 4\nautonpo.max_reward_t: 1.5\nautonpo.min_prompts: 8\n")
    return folder


def auto_events(mode: str = "act") -> list[Row]:
    """Two probes of 40 tokens and 1 second; one collection of 160 tokens and 3 seconds."""
    probe = {"num_prompts": 30, "num_samples": 120, "pass_rate": 0.25, "guide_tokens": 40, "seconds": 1.0}
    first, second = ({"segment": 0, "step": step, "total_steps": step} for step in (5, 10))
    seen = {"event": "triggered", "autonpo/pool/num_prompts": 77.0}
    decided = {"candidates": CANDIDATES, **CHOICE}
    went = [
        {"event": "collected", **second, "kind": "auto", "guide_segment": 0, "guide_step": 10, "num_prompts": 50}
        | {"num_solved": 33, "num_samples": 400, "guide_tokens": 160, "seconds": 3.0},
        {"event": "rollback", **second, "kind": "auto", "from_segment": 0, "from_step": 10, "to_segment": 1}
        | {"to_step": 6, "num_guidance": 33, **decided},
    ]
    return [
        {**seen, **first, "reward_ema": 0.16, "entropy_ema": 0.9},
        {"event": "probe", **first, **probe, "num_solved": 2},
        {"event": "declined", **first, "reason": "too few were solved."},
        {**seen, **second, "reward_ema": 0.33, "entropy_ema": 0.8},
        {"event": "probe", **second, **probe, "num_solved": 12},
        *(went if mode == "act" else [{"event": "advised", **second, **decided}]),
        {"event": "finished", "segment": 1 if mode == "act" else 0, "step": 14},
    ]


def npo_samples() -> list[Row]:
    """One prompt with a guide and one without; the text holds what a careless page would break on."""
    return [
        {
            "segment": 2,
            "step": 8,
            "prompt_id": "p1",
            "prompt": "Is 1 < 2 & 3 > 2?",
            "pass_rate": 0.5,
            "rollouts": [{"text": "<b>no</b>", "verdict": "wrong"}, {"text": "yes", "verdict": "correct"}],
            "guidance": {"text": "1 < 2, so yes", "guide_segment": 1, "guide_step": 10},
        },
        {
            "segment": 2,
            "step": 12,
            "prompt_id": "p2",
            "prompt": "2 + 2 = ?",
            "pass_rate": 1.0,
            "rollouts": [{"text": "4", "verdict": "correct"}, {"text": "…", "verdict": "timeout"}],
            "guidance": None,
        },
    ]


def resumed_run(folder: Path) -> Path:
    """Killed after step 5 while it wrote step 6, resumed from step 3, still running at step 8; never evaluated.

    The first row of the resumed process was appended to the torn one.
    """
    write_run(folder, [segment(0, 0, None)], [step_row(0, step, step, loss=0.9) for step in range(1, 6)])
    resumed = [json.dumps(step_row(0, step, step)) for step in range(4, 9)]
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"segment": 0, "step": 6, "tot' + "\n".join(resumed) + '\n{"segment": 0, "st')
    return folder
