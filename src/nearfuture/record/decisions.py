"""What a run decided: every trigger and every planned intervention, with everything the run folder says about it.

    seen        pass rate and entropy where the trigger fired, and how they moved over its window
    probe       which past mistakes the current policy solves
    candidates  Q, V, S, expected gain and price of every checkpoint it could go back to, and of staying; the choice,
                its guard, its reason
    collection  the guidance
    comparison  both branches, asked after the replay if the configuration says so
    cost        the cost of all this, and the steps trained twice
    brought     held-out pass rate and entropy, abandoned and guided

A number that the run did not write is None, never 0. The lineage says what was done; events add the numbers.

Not here: sentences and the page (`nearfuture.lab.report.explain_page`), cost and yield (`yields`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nearfuture.method.lineage import Segment
from nearfuture.record.reading import Row
from nearfuture.record.records import RunRecords, is_number
from nearfuture.record.yields import Brought, Cost, Facts, brought_by, cost_of
from nearfuture.types import Kind

Outcome = Literal["went back", "stayed", "declined", "advised", "undecided"]
EVENTS = ("triggered", "probe", "declined", "advised", "collected", "rollback", "accepted")
MOVED = ("reward_rise", "reward_rise_se", "entropy_slope", "entropy_slope_se", "reward_evidence", "entropy_evidence")
PROBE = ("num_prompts", "num_samples", "num_solved", "pass_rate", "guide_tokens", "seconds")
COLLECTED = ("num_prompts", "num_samples", "num_solved", "guide_tokens", "seconds")
HARVESTED = ("num_harvested", "harvested_tokens", "harvested_distance")
"""Numbers of a collection if the run harvests (`guidance_harvest`)."""
CANDIDATE = ("rollback_distance", "step", "num_prompts", "quality", "variance_cost", "effective_signal")
WORTH = ("expected_gain", "price")
"""Numbers of a candidate if the run has computed them."""
COMPARED = (
    *("difference", "ci_low", "ci_high", "guided_pass_rate", "abandoned_pass_rate"),
    *("num_prompts", "num_samples", "guide_tokens", "seconds"),
)


@dataclass(frozen=True, slots=True)
class RunDecision:
    """One trigger, or one intervention that the configuration asked for.

    Attributes:
        kind: the kind of intervention (`nearfuture.types.Kind`); `planned` if neither lineage nor events tell.
        segment: the segment that stopped for it; a rollback makes it the abandoned tail.
        step: where it stopped: the step of the trigger, and of the guide.
        total_steps: optimizer steps paid for by then.
        outcome: the outcome; `stayed` if AutoNPO let the policy answer its own mistakes; `undecided` while the run is
            deciding, or if it was stopped then.
        to_segment: the guided segment; None if the run did not go back.
        to_step: the step it went back to, or (`advised`) would have gone back to.
        rollback_distance: how far back that is.
        guided_until: the step at which guidance ends; None without guidance or without an end.
        num_guidance: prompts with guidance.
        guard: what overruled the argmax of S; None if nothing did.
        reason: why, in the planner's words.
        seen: at the trigger; None for a planned intervention. `window` is the stretch without a rise; in runs of
            earlier releases it is a setting, like `max_reward_t`.
        probe: None if there was none, like `collection` and `comparison`.
        candidates: by distance.
        kept: `guided` or `abandoned`, after a comparison.
        cost: what it cost.
        brought: None if there is no tail to compare with.
    """

    kind: str
    segment: int
    step: int
    total_steps: int
    outcome: Outcome
    to_segment: int | None
    to_step: int | None
    rollback_distance: int | None
    guided_until: int | None
    num_guidance: int | None
    guard: str | None
    reason: str | None
    seen: Facts | None
    probe: Facts | None
    candidates: tuple[Facts, ...]
    collection: Facts | None
    comparison: Facts | None
    kept: str | None
    cost: Cost
    brought: Brought | None


def decisions_of(records: RunRecords) -> list[RunDecision]:
    """Return what a run decided, in the order in which it did."""
    return [_decision(records, at, events) for at, events in sorted(_events_by_place(records).items())]


def _events_by_place(records: RunRecords) -> dict[tuple[int, int], dict[str, Row]]:
    """Group events by (segment, step) of the decision; if a kill had an event written twice, the later one counts."""
    places: dict[tuple[int, int], dict[str, Row]] = {_place(s): {} for s in records.segments if s.intervention}
    guided = {segment.id: _place(segment) for segment in records.segments if segment.intervention}
    for event in records.events:
        name = event["event"]
        segment, step = event.get("segment", event.get("from_segment")), event.get("step", event.get("from_step"))
        if name not in EVENTS or not (isinstance(segment, int) and isinstance(step, int)):
            continue
        place = guided.get(segment, (segment, step)) if name == "accepted" else (segment, step)
        if place[0] < len(records.segments):
            places.setdefault(place, {})[name] = event
    return places


def _place(guided: Segment) -> tuple[int, int]:
    """Return where a guided segment was decided on: at its guide."""
    assert guided.intervention is not None
    return guided.intervention.guide.segment, guided.intervention.guide.step


def _decision(records: RunRecords, at: tuple[int, int], events: dict[str, Row]) -> RunDecision:
    segment, step = at
    to = next((s for s in records.segments if s.intervention is not None and _place(s) == at), None)
    plan = None if to is None else to.intervention
    told: Row = dict(plan.evidence) if plan is not None else {}
    for name in ("declined", "advised", "rollback"):
        told |= {key: value for key, value in events.get(name, {}).items() if value is not None}
    outcome: Outcome = "undecided"
    if plan is not None:
        outcome = "stayed" if plan.kind == Kind.AUTO and plan.start_step == step else "went back"
    elif "advised" in events:
        outcome = "advised"
    elif "declined" in events:
        outcome = "declined"
    distance = _whole(told.get("rollback_distance"))
    to_step = plan.start_step if plan is not None else None if distance is None else step - distance
    has_trigger = plan.kind == Kind.AUTO if plan is not None else "triggered" in events or "probe" in events
    probe = _facts(events.get("probe"), PROBE)
    told_of = events.get("collected", {})
    collection = _facts(events.get("collected"), (*COLLECTED, *(name for name in HARVESTED if name in told_of)))
    comparison = _facts(events.get("accepted"), COMPARED)
    return RunDecision(
        kind=plan.kind if plan is not None else Kind.AUTO if has_trigger else str(told.get("kind", "planned")),
        segment=segment,
        step=step,
        total_steps=records.total_steps_at(segment, step),
        outcome=outcome,
        to_segment=None if to is None else to.id,
        to_step=to_step,
        rollback_distance=step - to_step if to_step is not None else None,
        guided_until=None if plan is None else plan.end_step,
        num_guidance=_whole(told.get("num_guidance", (collection or {}).get("num_solved"))),
        guard=told.get("guard"),
        reason=told.get("reason"),
        seen=_seen(records, at, events.get("triggered", {})) if has_trigger else None,
        probe=probe,
        candidates=_candidates(told.get("candidates")),
        collection=collection,
        comparison=comparison,
        kept=events.get("accepted", {}).get("kept"),
        cost=cost_of(
            records,
            to,
            probe=_required(probe, has_trigger and outcome in ("went back", "stayed", "advised"), PROBE),
            collection=_required(collection, plan is not None, COLLECTED),
            comparison=comparison,
        ),
        brought=None if to is None or step <= to.start_step else brought_by(records, to),
    )


def _required(facts: Facts | None, is_certain: bool, names: tuple[str, ...]) -> Facts | None:
    """Mark numbers as unknown if they must exist but were not written."""
    return _facts({}, names) if facts is None and is_certain else facts


def _seen(records: RunRecords, at: tuple[int, int], triggered: Row) -> Facts:
    row = records.rows.get(at, {})
    moved = {name: row.get(f"autonpo/{name}") for name in MOVED}
    emas = {name: triggered.get(name, row.get(f"autonpo/{name}")) for name in ("reward_ema", "entropy_ema")}
    pool = triggered.get("autonpo/pool/num_prompts", row.get("autonpo/pool/num_prompts"))
    settings = {name: records.config.get(f"autonpo.{name}") for name in ("window", "max_reward_t", "min_evidence")}
    window = row.get("autonpo/plateau_steps", settings["window"])
    facts: dict[str, Any] = {**emas, **moved, **settings, "window": window, "num_mistakes": pool}
    return _facts(facts, tuple(facts)) or {}


def _candidates(rows: object) -> tuple[Facts, ...]:
    told = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    found = [_facts(row, (*CANDIDATE, *(name for name in WORTH if name in row))) or {} for row in told]
    return tuple(sorted(found, key=lambda row: row["rollback_distance"] or 0))


def _facts(row: Mapping[str, Any] | None, names: tuple[str, ...]) -> Facts | None:
    """The named numbers of an event, each None if it is missing or not finite; None if there is no event."""
    if row is None:
        return None
    return {name: value if is_number(value := row.get(name)) else None for name in names}


def _whole(value: object) -> int | None:
    return int(value) if is_number(value) and isinstance(value, int | float) else None
