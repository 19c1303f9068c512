"""The lineage: the tree of segments a run has trained, and which of its branches the policy descends from.

`lineage.json` is the single truth about a run. A crash, a resume and a rollback share one code path: read the lineage,
run its head. Nothing is forgotten: a tail that was rolled back stays, marked with the step it was abandoned from.

It is sealed, and `lineage.copy.json` beside it is an identical copy: if one of the two is damaged, the other one
counts.

Not here: what to do next (`nearfuture.run.settings.plan`), checkpoints on disk (`nearfuture.train.checkpoint`).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nearfuture import seal
from nearfuture.json_text import loads
from nearfuture.types import Intervention, PolicyRef, UserError

logger = logging.getLogger(__name__)

VERSION = 1
COPY = "lineage.copy.json"


@dataclass(frozen=True, slots=True)
class Segment:
    """One uninterrupted stretch of training, from `start_step` (exclusive) to `end_step` (inclusive, None: running).

    Steps count optimizer updates along the path from the base weights. `parent` is the segment whose step `start_step`
    this one continues (None: the base weights). Steps after `abandoned_from` are on no path to the head.
    """

    id: int
    parent: int | None
    start_step: int
    end_step: int | None = None
    reason: str | None = None
    abandoned_from: int | None = None
    total_steps_before: int = 0
    intervention: Intervention | None = None
    passed_triggers: tuple[int, ...] = ()

    @property
    def kind(self) -> str | None:
        """The kind of the intervention that began this segment, such as `early` or `late`; None for plain GRPO."""
        return None if self.intervention is None else self.intervention.kind

    @property
    def folder(self) -> str:
        """Path relative to the run folder."""
        return f"segments/{self.id:03d}"

    def checkpoint(self, step: int) -> str:
        """Path of this segment's checkpoint at `step`, relative to the run folder."""
        return f"{self.folder}/checkpoint-{step}"

    def total_steps(self, step: int) -> int:
        """Optimizer steps ever paid for when this segment had finished `step`."""
        return self.total_steps_before + step - self.start_step


@dataclass(frozen=True)
class Lineage:
    """The segments of a run in the order they began; the last one is the head.

    `origin` describes what the run started with (its data), as plain values; None for a run from before rows and files
    were sealed, which need not have any seals.

    Example:
        >>> lineage = Lineage.begin().end_head(40, "scout")
        >>> guide = lineage.ref(40)
        >>> lineage = lineage.branch(Intervention("early", guide, start_step=0, end_step=40))
        >>> [(s.id, s.parent, s.start_step, s.abandoned_from) for s in lineage.segments]
        [(0, None, 0, 0), (1, None, 0, None)]
        >>> lineage.head.total_steps_before
        40
    """

    segments: tuple[Segment, ...] = field(default_factory=tuple)
    origin: dict[str, Any] | None = None

    @classmethod
    def begin(cls, origin: dict[str, Any] | None = None) -> Lineage:
        """Return the lineage of a run that is about to take its first step from the base weights."""
        return cls((Segment(id=0, parent=None, start_step=0),), origin)

    def until(self, segment: int) -> Lineage:
        """Return the lineage as it was while that segment was its head and was trained."""
        return replace(self, segments=self.segments[: segment + 1])

    def cut(self, segment: int, step: int) -> Lineage:
        """Return a fork's lineage: this one up to a step of a segment, which is the head again and continues there."""
        whole = self.segments[segment]
        passed = tuple(trigger for trigger in whole.passed_triggers if trigger <= step)
        head = replace(whole, end_step=None, reason=None, passed_triggers=passed)
        tree = replace(self, segments=(*self.segments[:segment], head))
        kept = {one.id: last for one, last in tree.path()}
        return replace(tree, segments=tuple(_marked(one, kept) for one in tree.segments))

    @property
    def head(self) -> Segment:
        """The segment that is being trained."""
        return self.segments[-1]

    def path(self, to: int | None = None) -> list[tuple[Segment, int | None]]:
        """Return the segments from the base weights to the end of segment `to` (None: the head).

        Each comes with its last step on the path: its own end, or where the next one branched off.
        """
        segment = self.head if to is None else self.segments[to]
        steps: list[tuple[Segment, int | None]] = [(segment, segment.end_step)]
        while segment.parent is not None:
            start, segment = segment.start_step, self.segments[segment.parent]
            steps.append((segment, start))
        return steps[::-1]

    def ref(self, step: int) -> PolicyRef | None:
        """Return the policy at `step` on the path to the head; None means the base weights (step 0).

        Raises:
            UserError: the path does not reach `step`.
        """
        if step == 0:
            return None
        for segment, last in self.path():
            if segment.start_step < step and (last is None or step <= last):
                return PolicyRef(segment.id, step, segment.checkpoint(step))
        reached = self.path()[-1][1]
        raise UserError(f"step {step} is not on the path to the head, which has reached step {reached}.")

    def total_steps(self, step: int) -> int:
        """Return all optimizer steps paid for when the head is at `step`, scouts and abandoned tails included."""
        return self.head.total_steps(step)

    def end_head(self, step: int, reason: str) -> Lineage:
        """Return the lineage after the head has stopped at `step`."""
        assert step >= self.head.start_step
        return self._with_head(replace(self.head, end_step=step, reason=reason))

    def extend_head(self, *, passed_trigger: int | None = None) -> Lineage:
        """Let the stopped head continue: a trigger was examined and dismissed, or the horizon was extended."""
        passed = self.head.passed_triggers + (() if passed_trigger is None else (passed_trigger,))
        return self._with_head(replace(self.head, end_step=None, reason=None, passed_triggers=passed))

    def _with_head(self, head: Segment) -> Lineage:
        return replace(self, segments=(*self.segments[:-1], head))

    def branch(self, intervention: Intervention) -> Lineage:
        """Begin a new head at `intervention.start_step`; whatever follows that step on the path is marked abandoned."""
        start = self.ref(intervention.start_step)
        parent = None if start is None else start.segment
        return self._continue(parent, intervention.start_step, intervention=intervention)

    def return_to(self, policy: PolicyRef) -> Lineage:
        """Begin a new head where an abandoned tail ended; the branch that was tried instead is abandoned.

        The trigger that fired there has already been examined.
        """
        return self._continue(policy.segment, policy.step, passed_triggers=(policy.step,))

    def _continue(self, parent: int | None, step: int, **facts: Any) -> Lineage:
        """Begin a new head at `step` of `parent`, and mark what no longer leads to a head."""
        end = self.head.end_step
        assert end is not None, "only a segment that has ended can be branched from"
        paid = self.total_steps(end)
        head = Segment(len(self.segments), parent, step, total_steps_before=paid, **facts)
        tree = replace(self, segments=(*self.segments, head))
        kept = {segment.id: last for segment, last in tree.path()}
        return replace(tree, segments=tuple(_marked(segment, kept) for segment in tree.segments))

    def write(self, path: Path) -> None:
        """Write the lineage and its copy, each atomically: a reader sees the old or the new one, never a part."""
        payload: dict[str, Any] = {"version": VERSION, "head": self.head.id}
        if self.origin is not None:
            payload["origin"] = self.origin
        text = seal.sealed(json.dumps({**payload, "segments": [asdict(s) for s in self.segments]}, indent=1))
        for place in (path.with_name(COPY), path):
            temporary = place.with_suffix(".json.tmp")
            with open(temporary, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, place)

    @classmethod
    def read(cls, path: Path) -> Lineage:
        """Read `lineage.json`, or its copy if it is damaged.

        Raises:
            UserError: it is missing, both are damaged, or another version of the tool wrote it.
        """
        try:
            return cls.read_alone(path)
        except UserError as error:
            copy = path.with_name(COPY)
            if not path.exists() or not copy.exists():
                raise
            try:
                lineage = cls.read_alone(copy)
            except UserError as second:
                raise UserError(f"{error} Its copy cannot be used either: {second}") from None
            logger.warning("%s %s is intact and used instead.", error, copy)
            return lineage

    @classmethod
    def read_alone(cls, path: Path) -> Lineage:
        """Read one of the two files, regardless of the other; raises as `read` does."""
        try:
            data = path.read_bytes()
            if seal.state(data) == "damaged":
                raise ValueError("its bytes have changed since it was written")
            payload = loads(data)
        except FileNotFoundError:
            raise UserError(
                f"{path} does not exist: {path.parent} is not a run folder. Name the folder that `train` wrote "
                "(it also holds config.yaml and metrics.jsonl)."
            ) from None
        except ValueError as error:
            raise UserError(
                f"{path} is damaged ({error}). Restore it from a copy, or start over with --clean."
            ) from None
        version = payload.get("version") if isinstance(payload, dict) else None
        if version != VERSION:
            raise UserError(
                f"{path} has version {version}, this tool reads version {VERSION}. Use the release that wrote the run."
            )
        try:
            lineage = cls(tuple(map(_segment, payload["segments"])), payload.get("origin"))
            broken = _broken(lineage.segments, payload["head"])
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a lineage ({error!r}). Restore it from a copy of the run.") from error
        unknown = sorted(payload.keys() - {"version", "head", "origin", "segments", seal.KEY})
        if lineage.origin is not None and seal.state(data) == "unsealed":
            broken = broken or "its seal is broken"
        if broken or unknown:
            why = broken or f"it holds {', '.join(unknown)}, which no lineage has"
            raise UserError(f"{path} cannot be followed: {why}. Restore it from a copy of the run.")
        return lineage


def _marked(segment: Segment, kept: dict[int, int | None]) -> Segment:
    """Return the segment with the step after which it is on no path to the head, given the last kept steps."""
    last = kept.get(segment.id, segment.start_step)
    return replace(segment, abandoned_from=None if last == segment.end_step else last)


NUMBERS = ("id", "parent", "start_step", "end_step", "abandoned_from", "total_steps_before", "segment", "step")
LARGEST = 10**15


def _segment(row: dict[str, Any]) -> Segment:
    intervention = row.get("intervention")
    _check_numbers(row, ("id", "start_step", "total_steps_before"))
    if intervention is not None:
        _check_numbers(intervention)
        _check_numbers(intervention["guide"], ("segment", "step"))
        intervention = Intervention(**{**intervention, "guide": PolicyRef(**intervention["guide"])})
    passed = tuple(row.get("passed_triggers", ()))
    return Segment(**{**row, "intervention": intervention, "passed_triggers": passed})


def _check_numbers(row: dict[str, Any], required: Sequence[str] = ()) -> None:
    """Require steps and segments to be whole numbers from 0 on; those that are not required may be missing.

    Raises:
        TypeError: one is something else.
    """
    for name in NUMBERS:
        value = row.get(name)
        if (value is not None or name in required) and (type(value) is not int or not 0 <= value <= LARGEST):
            raise TypeError(f"{name} is {value!r}, but must be a whole number from 0")


def _broken(segments: tuple[Segment, ...], head: int) -> str:
    """Say why `branch` cannot have made this tree, as after an edit by hand; empty if it can."""
    ids = [segment.id for segment in segments]
    if not ids or ids != list(range(len(ids))):
        return f"its segments are {ids}, but must be numbered from 0 in the order they were begun"
    parents = {segment.parent for segment in segments if segment.parent is not None}
    guides = {segment.intervention.guide.segment for segment in segments if segment.intervention is not None}
    if missing := sorted(({head} | parents | guides) - set(ids)):
        return f"it refers to segments {missing}, but holds only {ids}"
    if head != ids[-1]:
        return f"its head is segment {head}, but the one begun last is {ids[-1]}"
    for segment in segments:
        if segment.parent is None:
            if segment.start_step != 0:
                return f"segment {segment.id} continues no segment, but starts at step {segment.start_step}"
            continue
        parent, start = segments[segment.parent], segment.start_step
        end = parent.end_step
        if parent.id >= segment.id or start <= parent.start_step or end is None or start > end:
            return f"segment {segment.id} continues step {start} of segment {parent.id}, which has no such step"
    return ""
