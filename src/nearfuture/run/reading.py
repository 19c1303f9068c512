"""Reads the JSON files of a run folder, including one that was cut off by a kill.

A process that is killed can leave half a line behind, and the resumed process may append its first row to that half.
Such a line is skipped and counted, and a whole row glued to it is saved; nothing here guesses values.

Not here: what the rows mean (`records`) and what they cost (`ledger`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nearfuture.run import flat_yaml
from nearfuture.types import UserError

Row = dict[str, Any]


def read_rows(path: Path, required: str) -> tuple[list[Row], int]:
    """Read a file of one JSON object a line; a missing file has no rows.

    Args:
        path: the file.
        required: a key every row carries. It tells a row from a nested object when a torn line is searched.

    Returns:
        The rows in file order, and how many lines were torn.
    """
    if not path.exists():
        return [], 0
    rows: list[Row] = []
    torn = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        row = _parse(line, required)
        if row is None:
            torn += 1
            row = _row_after_a_torn_half(line, required)
        if row is not None:
            rows.append(row)
    return rows, torn


def read_object(path: Path) -> Row:
    """Read one JSON object, or a YAML mapping where the name ends in `.yaml`; a missing file is empty.

    Raises:
        UserError: the file is there and is not a mapping.
    """
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        value = flat_yaml.load(text) if path.suffix == ".yaml" else json.loads(text)
    except (ValueError, flat_yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}. Restore it from a copy, or report another run.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds {type(value).__name__}, a mapping was expected. Was it edited by hand?")
    return value


def _parse(line: str, required: str) -> Row | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and required in value else None


def _row_after_a_torn_half(line: str, required: str) -> Row | None:
    start = line.find("{", 1)
    while start != -1:
        row = _parse(line[start:], required)
        if row is not None:
            return row
        start = line.find("{", start + 1)
    return None
