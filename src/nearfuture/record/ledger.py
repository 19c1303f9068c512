"""What a run has paid, segment by segment: optimizer steps, tokens, seconds.

    steps  = kept_steps + abandoned_steps          (the head's path; scouts and abandoned tails)
    tokens = rollout_tokens + guide_tokens         (everything that was generated for training)

A run with `guidance_harvest` has `harvested_tokens` as well: answers that entered a cache without being bought; they
are in no other sum.

A number that the run did not write is `None`, never 0. Steps that were computed twice after a kill are listed
separately (`recomputed_*`) and are in no other sum: they are the machine's cost, not the method's.

Not here: comparing two runs (`equal_clocks`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nearfuture.method.lineage import Segment
from nearfuture.record.clocks import collections, is_sampled_for
from nearfuture.record.reading import Row
from nearfuture.record.records import EVALUATION, RunRecords, is_number
from nearfuture.record.writing import write_whole
from nearfuture.seal import sealed

LEDGER_VERSION = 1
STEP_COSTS = ("rollout_tokens", "trained_tokens", "seconds")
Number = int | float | None


def build_ledger(records: RunRecords) -> dict[str, Any]:
    """Add up a run.

    Returns:
        `segments`, one entry each in the order they were trained, and `totals` with the same keys, plus
        `generated_tokens` and the shares `guide_frac` (of generated tokens) and `abandoned_frac` (of steps).
        `missing` counts the steps that lack a cost, by its name: the sums do not contain them.
    """
    entries = [_segment_entry(records, segment) for segment in records.segments]
    totals: dict[str, Any] = {key: _total(entry[key] for entry in entries) for key in _summed_keys(entries[0])}
    totals["recomputed_steps"] = records.recomputed_steps
    twice = records.overwritten_steps
    totals["recomputed_tokens"] = _sum(row.get("rollout_tokens") for row in twice) if twice else 0
    totals["recomputed_seconds"] = _sum(row.get("seconds") for row in twice) if twice else 0
    totals["generated_tokens"] = _total([totals["rollout_tokens"], totals["guide_tokens"]])
    totals["guide_frac"] = _share(totals["guide_tokens"], totals["generated_tokens"])
    totals["abandoned_frac"] = _share(totals["abandoned_steps"], totals["steps"])
    return {
        "version": LEDGER_VERSION,
        "run": records.name,
        "segments": entries,
        "totals": totals,
        "missing": _missing(records),
    }


def write_ledger(records: RunRecords) -> Path:
    """Write `ledger.json` into the run folder atomically."""
    path = records.folder / "ledger.json"
    text = json.dumps(build_ledger(records), indent=2, allow_nan=False) + "\n"
    write_whole(path, sealed(text))
    return path


def _segment_entry(records: RunRecords, segment: Segment) -> dict[str, Any]:
    steps = records.last_step(segment.id) - segment.start_step
    kept_steps = records.kept_until(segment.id) - segment.start_step
    rows = [row for (segment_id, _), row in records.rows.items() if segment_id == segment.id]
    training = [row for row in rows if is_training(row)]
    collected = [event for segment_id, event in collections(records) if segment_id == segment.id]
    evaluations = [row for row in rows if EVALUATION in row]
    has_guide = is_sampled_for(records, segment) or bool(collected)
    harvests = bool(records.config.get("guidance_harvest"))
    harvested = [event for event in collected if event["event"] == "collected"]
    return {
        "segment": segment.id,
        "parent": segment.parent,
        "kind": segment.kind,
        "reason": segment.reason,
        "start_step": segment.start_step,
        "end_step": segment.end_step,
        "steps": steps,
        "kept_steps": kept_steps,
        "abandoned_steps": steps - kept_steps,
        "scout_steps": steps - kept_steps if segment.reason == "scout" else 0,
        "unlogged_steps": max(0, steps - len(training)),
        "rollout_tokens": _sum(row.get("rollout_tokens") for row in training) if steps else 0,
        "guide_tokens": _sum(event.get("guide_tokens") for event in collected) if has_guide else 0,
        **({"harvested_tokens": _harvested(harvested)} if harvests else {}),
        "trained_tokens": _sum(row.get("trained_tokens") for row in training) if steps else 0,
        "eval_tokens": _sum(row.get("eval/tokens") for row in evaluations) if evaluations else 0,
        "train_seconds": _sum(row.get("seconds") for row in training) if steps else 0,
        "collect_seconds": _sum(event.get("seconds") for event in collected) if has_guide else 0,
        "eval_seconds": _sum(row.get("eval/seconds") for row in evaluations) if evaluations else 0,
        "num_evaluations": len(evaluations),
    }


def _harvested(collections: list[Row]) -> Number:
    return _sum(event.get("harvested_tokens") for event in collections) if collections else 0


def _missing(records: RunRecords) -> dict[str, int]:
    training = [row for row in records.rows.values() if is_training(row)]
    counts = {key: sum(not is_number(row.get(key)) for row in training) for key in STEP_COSTS}
    return {key: count for key, count in counts.items() if count}


def is_training(row: Row) -> bool:
    """True if a merged row carries an optimizer step (an evaluation alone does not)."""
    return any(key not in ("segment", "step", "total_steps") and not key.startswith("eval/") for key in row)


def _summed_keys(entry: dict[str, Any]) -> list[str]:
    return [key for key in entry if key.endswith(("_steps", "_tokens", "_seconds", "_evaluations")) or key == "steps"]


def _sum(values: Iterable[Any]) -> Number:
    numbers = [value for value in values if is_number(value)]
    if not numbers:
        return None
    total = sum(numbers)
    return round(total, 3) if isinstance(total, float) else total


def _total(values: Iterable[Number]) -> Number:
    """Add up segments; one unknown number makes the total unknown."""
    numbers = list(values)
    return None if None in numbers else _sum(numbers)


def _share(part: Number, whole: Number) -> float | None:
    return None if part is None or not whole else round(part / whole, 6)
