"""The clocks of a run: `step`, `total_steps`, generated tokens and seconds.

`step` is the position on the lineage. `total_steps` counts every optimizer step ever paid for. `tokens` counts every
token ever generated for training: rollouts, and a guide's samples, solved or not. `seconds` is the time for the same,
without evaluation and start-up; it depends on the machine and on what else ran there. Steps that had to be computed
again after a kill are an accident of the machine: no clock counts them, and the ledger lists them separately.

Not here: tokens and seconds by segment (`ledger`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nearfuture.method.lineage import Segment
from nearfuture.record.reading import Row
from nearfuture.record.records import RunRecords, is_number

Clock = Literal["step", "total_steps", "tokens", "seconds"]
CLOCKS: tuple[Clock, ...] = ("step", "total_steps", "tokens")
PRICES = {"tokens": ("rollout_tokens", "guide_tokens"), "seconds": ("seconds", "seconds")}
"""The cost of a step and of a collection on each clock: the key in a metrics row, and that in an event."""


def served_segment(records: RunRecords, collected: Row) -> int:
    """Return the segment that a collection was made for: the first later one with that guide, else the event's own."""
    collected_from = (collected.get("guide_segment"), collected.get("guide_step"))
    for segment in records.segments:
        guide = segment.intervention.guide if segment.intervention else None
        if guide and (guide.segment, guide.step) == collected_from and segment.id > guide.segment:
            return segment.id
    return int(collected.get("segment", records.head))


def collections(records: RunRecords) -> list[tuple[int, Row]]:
    """Return every sampling of a guide with the segment it serves: collections, AutoNPO's probes and comparisons.

    A probe is charged to the segment whose trigger it examined, because it may not lead to a new one, and so is a
    collection that led to none. A sampling that was repeated after a kill counts once, like a step.
    """
    sampled = [event for event in records.events if event.get("event") in ("collected", "probe", "accepted")]
    last = {(event["event"], event.get("segment"), event.get("step")): event for event in sampled}
    return [(served_segment(records, event), event) for event in last.values()]


def is_sampled_for(records: RunRecords, segment: Segment) -> bool:
    """True if a guide was sampled for a segment; one that only distils (`inject_guidance: false`) writes nothing."""
    return segment.intervention is not None and records.config.get("inject_guidance") is not False


def has_tokens(records: RunRecords) -> bool:
    """True if every step has its rollout tokens and every guide its own, so that the token clock can be trusted."""
    return has_prices(records, "tokens")


def has_prices(records: RunRecords, clock: Clock) -> bool:
    """True if every step and every guide has its price, so that a clock can be trusted; steps have none but 1."""
    if clock not in PRICES:
        return True
    of_step, of_guide = PRICES[clock]
    counted = sum(is_number(row.get(of_step)) for row in records.rows.values())
    priced = {segment_id for segment_id, event in collections(records) if is_number(event.get(of_guide))}
    guided = {segment.id for segment in records.segments if is_sampled_for(records, segment)}
    steps = sum(records.last_step(segment.id) - segment.start_step for segment in records.segments)
    return counted == steps and guided <= priced


def paid_at(records: RunRecords, clock: Clock, ats: Iterable[tuple[int, int]]) -> NDArray[np.float64]:
    """Return what a clock showed when a segment had finished a step, for each (segment, step).

    Raises:
        ValueError: the clock counts tokens or seconds, and something has no price; see `has_prices`.
    """
    ats = list(ats)
    if clock == "step":
        return np.array([step for _, step in ats], dtype=np.float64)
    if clock == "total_steps":
        return np.array([records.total_steps_at(*at) for at in ats], dtype=np.float64)
    of_step, of_guide = PRICES[clock]
    if not has_prices(records, clock):
        raise ValueError(f"{records.name} lacks {of_step} or {of_guide} in some rows, so it has no clock of {clock}")
    # A collection is charged before the first step of the segment it serves, everything else where it was made;
    # segments follow each other in time.
    bills = [((id, _charged_at(id, event)), event.get(of_guide) or 0) for id, event in collections(records)]
    bills += [(at, row[of_step]) for at, row in records.rows.items() if is_number(row.get(of_step))]
    bills.sort(key=lambda bill: bill[0])
    sums = np.concatenate([[0.0], np.cumsum([amount for _, amount in bills])])
    times = [at for at, _ in bills]
    return np.array([sums[bisect_right(times, at)] for at in ats], dtype=np.float64)


def _charged_at(segment_id: int, event: Row) -> int:
    """The step of a segment after which a sampling is paid; -1: before its first step."""
    is_its_own = segment_id == event.get("segment")
    return int(event["step"]) if is_its_own and is_number(event.get("step")) else -1


def head_positions(records: RunRecords) -> list[tuple[int, int]]:
    """Return the (segment, step) of every step on the head's path, step 0 first."""
    at = [(segment_id, limit) for segment_id, limit in sorted(records.head_path.items())]
    steps = [
        (segment_id, step)
        for segment_id, limit in at
        for step in range(records.segment(segment_id).start_step + 1, limit + 1)
    ]
    return [(records.segments[0].id, 0), *steps]
