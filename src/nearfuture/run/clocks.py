"""The three axes a run is read against: `step`, `total_steps` and generated tokens.

`step` is the position on the lineage. `total_steps` counts every optimizer step ever paid for. `tokens` counts every
token ever generated for training: rollouts, and the samples a guide drew, solved or not. Steps that a kill forced to
be computed again are an accident of the machine: no clock counts them, the ledger names them apart.

Not here: tokens and seconds by segment (`ledger`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nearfuture.run.reading import Row
from nearfuture.run.records import RunRecords, is_number

Clock = Literal["step", "total_steps", "tokens"]
CLOCKS: tuple[Clock, ...] = ("step", "total_steps", "tokens")


def served_segment(records: RunRecords, collected: Row) -> int:
    """Return the segment a collection was made for: the first later one with that guide, else the event's own."""
    collected_from = (collected.get("guide_segment"), collected.get("guide_step"))
    for segment in records.segments:
        guide = segment.intervention.guide if segment.intervention else None
        if guide and (guide.segment, guide.step) == collected_from and segment.id > guide.segment:
            return segment.id
    return int(collected.get("segment", records.head))


def collections(records: RunRecords) -> list[tuple[int, Row]]:
    """Return every sampling of a guide with the segment it serves: collections, and AutoNPO's probes.

    A probe is charged to the segment whose trigger it looked into, because it may lead to none.
    """
    sampled = [event for event in records.events if event.get("event") in ("collected", "probe")]
    return [(served_segment(records, event), event) for event in sampled]


def has_tokens(records: RunRecords) -> bool:
    """True where every step has its rollout tokens and every guide its own, so that the token clock can be trusted."""
    counted = sum(is_number(row.get("rollout_tokens")) for row in records.rows.values())
    priced = {segment_id for segment_id, event in collections(records) if is_number(event.get("guide_tokens"))}
    guided = {segment.id for segment in records.segments if segment.intervention is not None}
    steps = sum(records.last_step(segment.id) - segment.start_step for segment in records.segments)
    return counted == steps and guided <= priced


def paid_at(records: RunRecords, clock: Clock, ats: Iterable[tuple[int, int]]) -> NDArray[np.float64]:
    """Return what a clock shows when a segment had finished a step, for each (segment, step).

    Raises:
        ValueError: the token clock of a run whose rows do not all carry rollout tokens; see `has_tokens`.
    """
    ats = list(ats)
    if clock == "step":
        return np.array([step for _, step in ats], dtype=np.float64)
    if clock == "total_steps":
        return np.array([records.total_steps_at(*at) for at in ats], dtype=np.float64)
    if not has_tokens(records):
        raise ValueError(f"{records.name} lacks rollout or guide tokens, so it has no token clock")
    # A collection is charged before the first step of the segment it serves; segments follow each other in time.
    bills = [((segment_id, -1), event.get("guide_tokens") or 0) for segment_id, event in collections(records)]
    bills += [(at, row["rollout_tokens"]) for at, row in records.rows.items() if is_number(row.get("rollout_tokens"))]
    bills.sort(key=lambda bill: bill[0])
    sums = np.concatenate([[0.0], np.cumsum([amount for _, amount in bills])])
    times = [at for at, _ in bills]
    return np.array([sums[_num_up_to(times, at)] for at in ats], dtype=np.float64)


def _num_up_to(times: list[tuple[int, int]], at: tuple[int, int]) -> int:

    return bisect_right(times, at)


def head_positions(records: RunRecords) -> list[tuple[int, int]]:
    """Return the (segment, step) of every step on the head's path, step 0 first."""
    at = [(segment_id, limit) for segment_id, limit in sorted(records.head_path.items())]
    steps = [
        (segment_id, step)
        for segment_id, limit in at
        for step in range(records.segment(segment_id).start_step + 1, limit + 1)
    ]
    return [(records.segments[0].id, 0), *steps]
