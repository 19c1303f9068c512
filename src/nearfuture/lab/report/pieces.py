"""Cut a metric of a run into the pieces that are drawn: one kept and one abandoned piece per segment.

A piece starts with the value that its segment branched from, so that the pieces join on `step`, while on the paid axes
every rollback is a visible drop to where the run started again.

Not here: drawing (`figures`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nearfuture.record.clocks import Clock, paid_at
from nearfuture.record.equal_clocks import num_judged, sampling_margin
from nearfuture.record.records import RunRecords, is_number

GUIDED = "npo/guided_frac"
SMOOTHED_OVER = 40
LONGEST_WINDOW = 25


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a curve.

    Attributes:
        segment: the segment it belongs to.
        is_kept: whether it is on the head's path.
        xs: the positions of its points on a clock.
        values: trailing means of the rows (equal to `raw` if the window is 1).
        raw: the single rows.
        ats: (segment, step) of each row.
        places: where on a clock the points are: `ats`, except that the first point is where the branch began.
        before: the rows before the first on its path, for means over other windows than that of `values`.
    """

    segment: int
    is_kept: bool
    xs: NDArray[np.float64]
    values: NDArray[np.float64]
    raw: NDArray[np.float64]
    ats: tuple[tuple[int, int], ...]
    places: tuple[tuple[int, int], ...]
    before: NDArray[np.float64]


def window_of(records: RunRecords, key: str) -> int:
    """Return over how many rows a curve is averaged: a fortieth of it, or 1 for what is an average already.

    A guided share is not averaged either: it jumps where a window of guidance begins and ends, which a mean would blur.
    """
    if key.startswith(("eval/", "autonpo/")) or key == GUIDED:
        return 1
    return smoothing(len(records.curve(key)))


def smoothing(num_rows: int) -> int:
    """Return a fortieth of all rows, over which a curve is averaged."""
    return int(min(LONGEST_WINDOW, max(1, round(num_rows / SMOOTHED_OVER))))


def pieces(records: RunRecords, key: str, clock: Clock) -> list[Piece]:
    """Cut a metric into pieces, in the order of training; empty if the run never wrote it."""
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
    abandoned = own[len(kept) :]  # `own` is in the order of steps
    places = dict(zip(range(len(ats)), ats, strict=True))
    for i in start:  # the state it branched from, at the price paid until then
        is_base_of_first = segment_id == records.segments[0].id
        places[i] = ats[i] if is_base_of_first else (segment_id, segment.start_step)
    cut = []
    for is_kept, inside, before in ((True, kept, start), (False, abandoned, kept[-1:] or start)):
        if inside or (is_kept and before and segment_id == records.head):
            indices = [*before, *inside]
            asked = tuple(places[i] for i in indices)
            cut.append(
                Piece(
                    segment=segment_id,
                    is_kept=is_kept,
                    xs=paid_at(records, clock, asked),
                    values=values[indices],
                    raw=raw[indices],
                    ats=tuple(ats[i] for i in indices),
                    places=asked,
                    before=raw[: indices[0]],
                )
            )
    return cut


def bands(records: RunRecords, cut: Sequence[Piece]) -> Iterator[tuple[Piece, list[float], list[float]]]:
    """Yield the kept pieces of a held-out pass rate with the bounds of the sampling error around them."""
    for piece in cut:
        counts = [num_judged(records.rows[at]) for at in piece.ats]
        if piece.is_kept and all(counts) and len(counts) > 1:
            values = [float(value) for value in piece.values]
            halves = [sampling_margin(value, int(n or 0)) for value, n in zip(values, counts, strict=True)]
            bounds = list(zip(values, halves, strict=True))
            yield piece, [max(0.0, v - half) for v, half in bounds], [min(1.0, v + half) for v, half in bounds]


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
