"""The story of a run in words: what was seen at each trigger, what the probe found, the choice, its cost and yield.

Reads the run folder only: `events.jsonl` for the decisions, the metrics for what came before and after. No torch.

Not here: the decisions themselves (`nearfuture.run.autonpo`), curves and costs by segment (`nearfuture.run.report`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from nearfuture.run.reading import Row
from nearfuture.run.records import RunRecords

DECISIONS = ("triggered", "probe", "declined", "advised", "collected", "rollback")


def explain(folder: Path) -> Group:
    """Tell a run's story for the terminal.

    Raises:
        UserError: the folder is no run, or has no metrics yet.
    """
    records = RunRecords.load(folder)
    parts: list[RenderableType] = [f"{records.name}: {_opening(records)}", ""]
    for event in records.events:
        if event.get("event") in DECISIONS:
            parts += _tell(event, records)
    last = records.lineage.head
    at = f"step {records.last_step(last.id)}" if last.end_step is None else f"step {last.end_step}"
    state = "has finished" if records.is_finished else "stands"
    parts.append(
        f"It {state} at {at}, after {records.total_steps_at(last.id, records.last_step(last.id))} steps paid for."
    )
    return Group(*parts)


def _opening(records: RunRecords) -> str:
    kinds = [s.intervention.kind for s in records.segments if s.intervention is not None]
    mode = records.config.get("autonpo.mode")
    watch = f"AutoNPO was set to {mode}" if mode else "AutoNPO was off"
    done = f"{len(kinds)} interventions ({', '.join(kinds)})" if kinds else "no intervention"
    return f"{len(records.segments)} segments, {done}; {watch}."


def _tell(event: Row, records: RunRecords) -> Iterator[RenderableType]:
    """One event as sentences, and its candidates as a table."""
    match event["event"]:
        case "triggered":
            yield (
                f"Step {event['step']} (segment {event['segment']}): the trigger fired. On-policy pass rate (moving "
                f"average) {event['reward_ema']:.3f} stands still, entropy {event['entropy_ema']:.3f} nats falls. "
                f"{event['autonpo/pool/num_prompts']:.0f} past mistakes in the pool."
            )
        case "probe":
            yield (
                f"  The probe asked the policy of step {event['step']} for {event['num_prompts']} of them, "
                f"{event['num_samples']} samples ({event['guide_tokens']} tokens, {event['seconds']:.1f} s): "
                f"{event['num_solved']} solved now, pass rate {event['pass_rate']:.3f}."
            )
        case "declined":
            yield f"  It went on without going back: {event['reason']}"
            yield from _candidates(event)
        case "advised":
            yield f"  It would have gone back {event['rollback_distance']} steps. {event['reason']}"
            yield from _candidates(event)
        case "collected":
            yield (
                f"  The guide (segment {event['guide_segment']}, step {event['guide_step']}) solved "
                f"{event['num_solved']} of {event['num_prompts']} prompts in {event['num_samples']} samples "
                f"({event['guide_tokens']} tokens, {event['seconds']:.1f} s)."
            )
        case "rollback":
            yield _rollback(event)
            yield from _candidates(event)
            yield _brought(event, records)
    if event["event"] in ("rollback", "declined", "advised"):
        yield ""


def _rollback(event: Row) -> str:
    guard = f" A guard overruled the argmax: {event['guard']}." if event.get("guard") else ""
    reason = f" {event['reason']}" if event.get("reason") else " The configuration asked for it."
    return (
        f"  It went back {event['rollback_distance']} steps, from {event['from_step']} to {event['to_step']}, with "
        f"guidance for {event['num_guidance']} prompts.{reason}{guard}"
    )


def _candidates(event: Row) -> Iterator[Table]:
    rows = event.get("candidates")
    if not rows:
        return
    table = Table("distance", "step", "prompts", "Q", "V", "S = Q / V", "")
    for row in rows:
        chosen = "chosen" if row["rollback_distance"] == event.get("rollback_distance") else ""
        numbers = [_number(row[key]) for key in ("quality", "variance_cost", "effective_signal")]
        table.add_row(str(row["rollback_distance"]), str(row["step"]), str(row["num_prompts"]), *numbers, chosen)
    yield table


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _brought(event: Row, records: RunRecords) -> str:
    """Both branches at the step of the guide: the abandoned tail and the guided one."""
    step = event["from_step"]
    told = []
    for key, name in (("eval/pass_rate", "held-out pass rate"), ("npo/entropy", "entropy")):
        before = records.rows.get((event["from_segment"], step), {}).get(key)
        after = records.rows.get((event["to_segment"], step), {}).get(key)
        if before is not None and after is not None:
            told.append(f"{name} {before:.3f} on the abandoned tail, {after:.3f} on the guided one")
    paid = event["rollback_distance"]
    what = "; ".join(told) if told else "both branches were not evaluated at that step"
    return f"  At step {step}: {what}. It cost {paid} steps trained twice."
