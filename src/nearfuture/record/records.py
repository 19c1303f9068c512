"""One run folder in memory: its tree of segments, its merged metrics, its events and samples.

A metrics row belongs to (segment, step). A run that was killed and resumed writes some rows twice; the later value
wins here, the earlier one is kept in `overwritten_steps`, because it was paid for.

Not here: the tree itself (`nearfuture.method.lineage`), sums (`ledger`), the axes other than `step` (`clocks`),
anything drawn (`nearfuture.lab.report`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nearfuture.method.lineage import Lineage, Segment
from nearfuture.record.reading import Row, read_object, read_rows
from nearfuture.types import UserError

TRAINING_COSTS = ("seconds", "rollout_tokens", "trained_tokens", "loss")
EVALUATION = "eval/pass_rate"
HELD_OUT = "held-out"
"""The `source` of samples from an evaluation; a sample without it is a group of training."""
LARGEST = 2**53
"""The largest whole number that a float holds exactly; a larger one in a log is not a count."""
LOGS = {"metrics": "step", "events": "event", "samples": "prompt_id"}
"""The logs of a run, each with a key that all its rows have."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric, with a value for each row that has a finite one."""

    segments: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class RunRecords:
    """All records of a run folder, read with plain JSON."""

    folder: Path
    name: str
    lineage: Lineage
    rows: dict[tuple[int, int], Row]
    overwritten_steps: tuple[Row, ...] = ()
    events: tuple[Row, ...] = ()
    samples: tuple[Row, ...] = ()
    config: Row = field(default_factory=dict)
    env: Row = field(default_factory=dict)
    torn_lines: dict[str, int] = field(default_factory=dict)
    damaged_lines: dict[str, list[int]] = field(default_factory=dict)
    num_stray_rows: int = 0

    @classmethod
    def load(cls, folder: Path) -> RunRecords:
        """Read a run folder.

        Raises:
            UserError: the folder is not a run, its lineage cannot be followed, or it has no metrics row yet.
        """
        folder = Path(folder)
        lineage = Lineage.read(folder / "lineage.json")
        found = {
            f"{name}.jsonl": read_rows(folder / f"{name}.jsonl", required, is_sealed=lineage.origin is not None)
            for name, required in LOGS.items()
        }
        metrics, events, samples = (rows.rows for rows in found.values())
        merged = _merge(metrics, lineage.segments)
        if not merged.rows:
            raise UserError(
                f"{folder} has no metrics row yet ({len(metrics)} rows read), and a report needs at least one finished "
                "step. Wait for the first step, or look at the run's log."
            )
        return cls(
            folder=folder,
            name=folder.resolve().name,
            lineage=lineage,
            rows=merged.rows,
            overwritten_steps=tuple(merged.overwritten_steps),
            events=tuple(events),
            samples=tuple(samples),
            config=read_object(folder / "config.yaml"),
            env=read_object(folder / "env.json"),
            torn_lines={name: rows.torn for name, rows in found.items() if rows.torn},
            damaged_lines={name: rows.damaged for name, rows in found.items() if rows.damaged},
            num_stray_rows=merged.num_stray_rows,
        )

    def renamed(self, name: str) -> RunRecords:
        """Return the same run under another name, for folders with equal names."""
        return replace(self, name=name)

    @property
    def recomputed_steps(self) -> int:
        """Optimizer steps that were computed again after a resume."""
        return len(self.overwritten_steps)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments in the order they began."""
        return self.lineage.segments

    @property
    def head(self) -> int:
        """The id of the segment the policy descends from."""
        return self.lineage.head.id

    @property
    def is_finished(self) -> bool:
        """True if the head has ended at the horizon, or the run said so at its end (a longer horizon reopens it)."""
        head = self.lineage.head
        said = any(event["event"] == "finished" and event.get("step") == head.end_step for event in self.events)
        return head.end_step is not None and (head.reason == "horizon" or said)

    def segment(self, segment_id: int) -> Segment:
        """Return the segment of that id."""
        return self.lineage.segments[segment_id]

    def last_step(self, segment_id: int) -> int:
        """Return the last step of a segment: its end, or while it runs the last step written."""
        segment = self.segment(segment_id)
        if segment.end_step is not None:
            return segment.end_step
        written = [step for row_segment, step in self.rows if row_segment == segment_id]
        return max([segment.start_step, *written])

    @cached_property
    def head_path(self) -> dict[int, int]:
        """The last kept step of every segment on the head's path."""
        return self.path_to(self.head)

    def path_to(self, segment_id: int) -> dict[int, int]:
        """Return the last step of every segment on the path from the base weights to the end of `segment_id`.

        What an ancestor did after its descendant's start is not on the path.
        """
        return {
            segment.id: self.last_step(segment.id) if last is None else last
            for segment, last in self.lineage.path(segment_id)
        }

    def kept_until(self, segment_id: int) -> int:
        """Return the last step of a segment on the head's path; its start if there is none."""
        return self.head_path.get(segment_id, self.segment(segment_id).start_step)

    def is_kept(self, segment_id: int, step: int) -> bool:
        """True if the state after `step` of that segment is on the head's path; all segments share the base, step 0."""
        if step == 0:
            return True
        return segment_id in self.head_path and self.segment(segment_id).start_step <= step <= self.kept_until(
            segment_id
        )

    def curve(self, key: str) -> Curve:
        """Return one metric along the head's path: by step, one value per step."""
        found = {at[1]: (at[0], row[key]) for at, row in self._kept_rows if is_number(row.get(key))}
        return Curve(
            segments=np.array([segment_id for segment_id, _ in found.values()], dtype=np.int64),
            steps=np.array(list(found), dtype=np.int64),
            values=np.array([value for _, value in found.values()], dtype=np.float64),
        )

    def on_path(self, segment_id: int, key: str) -> dict[int, tuple[int, int]]:
        """Return the steps on the path to the end of a segment that carry a metric, each with its (segment, step)."""
        limits = self.path_to(segment_id)
        return {
            at[1]: at
            for at, row in sorted(self.rows.items(), key=lambda item: item[0])
            if (at[1] == 0 or (at[0] in limits and self.segment(at[0]).start_step < at[1] <= limits[at[0]]))
            and is_number(row.get(key))
        }

    def has(self, key: str) -> bool:
        """True if any row, kept or abandoned, carries a finite value of that metric."""
        return any(is_number(row.get(key)) for row in self.rows.values())

    @cached_property
    def _kept_rows(self) -> list[tuple[tuple[int, int], Row]]:
        """Yield rows by step; where two segments meet, the older one comes last, and its value counts."""
        kept = [item for item in self.rows.items() if self.is_kept(*item[0])]
        return sorted(kept, key=lambda item: (item[0][1], -item[0][0]))

    def total_steps_at(self, segment_id: int, step: int) -> int:
        """Return how many optimizer steps were paid for when that segment had finished `step`."""
        return self.segment(segment_id).total_steps(step)

    def families(self) -> list[str]:
        """Return the task families that were evaluated, in alphabetical order."""
        keys = {key for row in self.rows.values() for key in row}
        names = {key.split("/")[1] for key in keys if key.startswith("eval/") and key.endswith("/pass_rate")}
        return sorted(names - {"pass_rate"})


def is_number(value: object) -> bool:
    """True for a finite number; None, NaN and text are missing values."""
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    return is_whole or (isinstance(value, float) and math.isfinite(value))


def _is_place(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


@dataclass
class _Merged:
    rows: dict[tuple[int, int], Row] = field(default_factory=dict)
    overwritten_steps: list[Row] = field(default_factory=list)
    num_stray_rows: int = 0


def _merge(metrics: Iterable[Row], segments: Iterable[Segment]) -> _Merged:
    """Merge rows of one (segment, step); a row counts as computed twice if it repeats a cost, not just any value.

    Rows past the end of their segment are leftovers of a kill, too: the resumed process ended it earlier.
    """
    ends = {segment.id: segment.end_step for segment in segments}
    merged = _Merged()
    for row in metrics:
        segment_id, step = row.get("segment"), row["step"]
        if not _is_place(segment_id) or segment_id not in ends or not _is_place(step):
            merged.num_stray_rows += 1
            continue
        end = ends[segment_id]
        is_past_the_end = end is not None and step > end
        kept = merged.rows.setdefault((segment_id, step), {}) if not is_past_the_end else dict(row)
        repeated = {key: kept[key] for key in row if key in kept}
        if any(key in repeated for key in TRAINING_COSTS):
            merged.overwritten_steps.append(repeated)
        kept.update(row)
    return merged
