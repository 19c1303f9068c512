"""A metric of a run cut into the pieces that are drawn: one kept and one abandoned piece of each segment.

A piece starts with the value its segment was branched from, so that on `step` the pieces join, and on the paid axes
every rollback is a visible fall back to where the run started again.

Not here: drawing (`figures`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nearfuture.record.clocks import Clock, paid_at
from nearfuture.record.records import RunRecords, is_number

GUIDED = "npo/guided_frac"
SMOOTHED_OVER = 40
LONGEST_WINDOW = 25


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a curve; `raw` are the single rows, `values` their trailing mean (equal where window is 1)."""

    segment: int
    is_kept: bool
    xs: NDArray[np.float64]
    values: NDArray[np.float64]
    raw: NDArray[np.float64]
    ats: tuple[tuple[int, int], ...]


def window_of(records: RunRecords, key: str) -> int:
    """Return over how many rows a curve is averaged: a fortieth of it; what is an average already not at all.

    Nor a guided share: it jumps where a window of guidance begins and ends, and a mean would blur just that.
    """
    if key.startswith(("eval/", "autonpo/")) or key == GUIDED:
        return 1
    return smoothing(len(records.curve(key)))


def smoothing(num_rows: int) -> int:
    """Return over how many rows a curve is averaged: a fortieth of all."""
    return int(min(LONGEST_WINDOW, max(1, round(num_rows / SMOOTHED_OVER))))


def pieces(records: RunRecords, key: str, clock: Clock) -> list[Piece]:
    """Cut a metric into pieces, in the order they were trained; empty where the run never wrote it."""
    window = window_of(records, key)
    return [piece for segment in records.segments for piece in _of_segment(records, segment.id, key, clock, window)]


def _of_segment(records: RunRecords, segment_id: int, key: str, clock: Clock, window: int) -> list[Piece]:
    segment = records.segment(segment_id)
    limits = records.path_to(segment_id)
    found = {
        at: float(row[key])
        for at, row in records.rows.items()
        if is_number(row.get(key)) and _is_on(records, limits, at)
    }
    base = next((at for at in sorted(found) if at[1] == 0), None)
    ats = [at for at in sorted(found, key=lambda at: (at[1], at[0])) if at[1] > 0 or at == base]
    raw = np.array([found[at] for at in ats])
    values = trailing_mean(raw, window)
    inherited = [i for i, at in enumerate(ats) if at[0] != segment_id or at == base]
    own = [i for i, at in enumerate(ats) if at[0] == segment_id and at != base]
    start = inherited[-1:]
    kept_until = records.kept_until(segment_id)
    kept = [i for i in own if segment_id in records.head_path and ats[i][1] <= kept_until]
    abandoned = own[len(kept) :]  # own is in the order of steps
    xs = dict(zip(own, paid_at(records, clock, [ats[i] for i in own]), strict=True))
    for i in start:  # the state it was branched from, at the price paid until it was branched
        is_base_of_first = segment_id == records.segments[0].id
        xs[i] = float(paid_at(records, clock, [ats[i] if is_base_of_first else (segment_id, segment.start_step)])[0])
    cut = []
    for is_kept, inside, before in ((True, kept, start), (False, abandoned, kept[-1:] or start)):
        if inside or (is_kept and before and segment_id == records.head):
            indices = [*before, *inside]
            cut.append(
                Piece(
                    segment=segment_id,
                    is_kept=is_kept,
                    xs=np.array([xs[i] for i in indices]),
                    values=values[indices],
                    raw=raw[indices],
                    ats=tuple(ats[i] for i in indices),
                )
            )
    return cut


def _is_on(records: RunRecords, limits: dict[int, int], at: tuple[int, int]) -> bool:
    segment_id, step = at
    return step == 0 or (segment_id in limits and records.segment(segment_id).start_step <= step <= limits[segment_id])


def trailing_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Average every value with the `window - 1` before it (fewer at the start).

    Example:
        >>> trailing_mean(np.array([1.0, 3.0, 5.0]), 2).tolist()
        [1.0, 2.0, 4.0]
    """
    if window <= 1 or not len(values):
        return values
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)
