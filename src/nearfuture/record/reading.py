"""Read the JSON files of a run folder, including files that were cut off by a kill or damaged by a disk.

A killed process can leave half a line behind, and the resumed process may append its first row to that half. Such a
line is torn: it is skipped and counted, but a whole row at its end is kept. A line whose seal does not match is
damaged: it is skipped, and named by its number. Nothing here guesses values.

Not here: what the rows mean (`records`), what they cost (`ledger`), checking a whole folder
(`nearfuture.run.integrity`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfuture import seal
from nearfuture.json_text import loads
from nearfuture.record import flat_yaml
from nearfuture.types import UserError

Row = dict[str, Any]
_COUNTS = ("segment", "step", "total_steps", "guide_segment", "guide_step", "from_step", "to_step")
_AMOUNTS = ("seconds", "rollout_tokens", "guide_tokens")


@dataclass
class Rows:
    """The content of a file of rows: the rows in order, the number of torn lines, and the numbers of damaged lines."""

    rows: list[Row] = field(default_factory=list)
    torn: int = 0
    damaged: list[int] = field(default_factory=list)


def read_rows(path: Path, required: str, *, is_sealed: bool = False) -> Rows:
    """Read a file with one JSON object per line; a missing file has no rows.

    Args:
        path: the file.
        required: a key that every row has. It tells a row from a nested object when a torn line is searched.
        is_sealed: whether every row must have a seal, as in all runs since seals exist.
    """
    found = Rows()
    for number, line in enumerate(path.read_bytes().split(b"\n") if path.exists() else [], 1):
        if not line.strip():
            continue
        row = _parse(line, required, is_sealed=is_sealed)
        if row is None:
            is_whole = _object(line, required) is not None
            if is_whole or seal.state(line) == "damaged":
                found.damaged.append(number)
            else:
                found.torn += 1
            row = None if is_whole else _row_after_a_torn_half(line, required, is_sealed=is_sealed)
        if row is not None:
            found.rows.append(seal.without(row))
    return found


def read_object(path: Path) -> Row:
    """Read one JSON object, or a YAML mapping if the name ends in `.yaml`; a missing file is empty.

    Raises:
        UserError: the file exists but is not a mapping, or has changed since it was written.
    """
    if not path.exists():
        return {}
    data = path.read_bytes()
    try:
        if seal.state(data) == "damaged":
            raise ValueError("its bytes have changed since it was written")
        text = data.decode()
        value = flat_yaml.load(text) if path.suffix == ".yaml" else loads(text)
    except (ValueError, flat_yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}. Restore it from a copy, or report another run.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds {type(value).__name__}, but a mapping was expected. Was it edited by hand?")
    return seal.without(value)


def _parse(line: bytes, required: str, *, is_sealed: bool) -> Row | None:
    """The row of a line; None if it is not a row, or not as it was written."""
    state = seal.state(line)
    if state == "damaged" or (state == "unsealed" and is_sealed):
        return None
    value = _object(line, required)
    return value if value is not None and _is_well_formed(value) else None


def _object(line: bytes, required: str) -> Row | None:
    try:
        value = loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and required in value else None


def _is_well_formed(row: Row) -> bool:
    """True if what is counted, added up and shown has the type that was written; what is missing is no fault."""
    rollouts = row.get("rollouts") or []
    return (
        all(row.get(name) is None or type(row[name]) is int for name in _COUNTS)
        and all(isinstance(row.get(name), int | float | None) for name in _AMOUNTS)
        and isinstance(row.get("guidance"), dict | None)
        and isinstance(rollouts, list)
        and all(isinstance(rollout, dict) for rollout in rollouts)
    )


def _row_after_a_torn_half(line: bytes, required: str, *, is_sealed: bool) -> Row | None:
    start = line.find(b"{", 1)
    while start != -1:
        row = _parse(line[start:], required, is_sealed=is_sealed)
        if row is not None:
            return row
        start = line.find(b"{", start + 1)
    return None
