"""Rows of a file, by its suffix: `.jsonl` (one object per line), `.json` (a list of objects), `.parquet`.

    for number, row in read_rows(path): ...     a row that cannot be read comes as `DamagedRowError`, with its number

Not here: what the rows mean (the formats).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from nearfuture.guidance.interop.traces import DamagedRowError, Row
from nearfuture.json_text import loads
from nearfuture.types import UserError

T = TypeVar("T")
BATCH_SIZE = 256  # rows of a parquet file that are Python objects at a time


def read_rows(path: Path) -> Iterator[tuple[int, Row | DamagedRowError]]:
    """Yield the rows of a file with their numbers, from 1 (the line, in `.jsonl`).

    Raises:
        UserError: there is no such file, its suffix is unknown, or nothing in it can be read.
    """
    reader = _kind(path, _readers())
    if not path.is_file():
        raise UserError(f"{path} does not exist, or is not a file. Give the file that holds the trajectories.")
    return reader(path)


def read_kinds() -> tuple[str, ...]:
    """Return the suffixes of the files that `read_rows` reads."""
    return tuple(_readers())


def _readers() -> dict[str, Callable[[Path], Iterator[tuple[int, Row | DamagedRowError]]]]:
    return {".jsonl": _read_lines, ".json": _read_list, ".parquet": _read_parquet}


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write a new file completely or not at all, and return how many rows it has.

    Raises:
        UserError: the file exists, its suffix is unknown, or no parquet file can hold the rows.
    """
    writer = _kind(path, {".jsonl": _write_lines, ".json": _write_list, ".parquet": _write_parquet})
    if path.exists():
        raise UserError(f"{path} already exists and is not replaced. Choose another name, or delete it first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        num_rows = writer(draft, rows)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return num_rows


def _kind(path: Path, kinds: dict[str, Callable[..., T]]) -> Callable[..., T]:
    if path.suffix not in kinds:
        raise UserError(f"{path.name} does not end in {', '.join(kinds)}, so its kind is not known. Rename it.")
    return kinds[path.suffix]


def _read_lines(path: Path) -> Iterator[tuple[int, Row | DamagedRowError]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _parsed(line)


def _parsed(line: bytes) -> Row | DamagedRowError:
    try:
        return _row(loads(line))
    except ValueError as error:
        return DamagedRowError(f"not JSON ({error})")


def _row(value: object) -> Row | DamagedRowError:
    return value if isinstance(value, dict) else DamagedRowError(f"{type(value).__name__}, not an object")


def _read_list(path: Path) -> Iterator[tuple[int, Row | DamagedRowError]]:
    try:
        values = loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}. For one object per line, name it .jsonl.") from None
    if not isinstance(values, list):
        raise UserError(f"{path} holds one {type(values).__name__}, but a list of rows was expected.")
    for number, value in enumerate(values, start=1):
        yield number, _row(value)


def _read_parquet(path: Path) -> Iterator[tuple[int, Row | DamagedRowError]]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_SIZE):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} cannot be read as parquet after row {number}: {reason}. Fetch it again.") from error


def _write_lines(path: Path, rows: Iterable[Row]) -> int:
    with path.open("w", encoding="utf-8") as file:
        return sum(bool(file.write(json.dumps(row, ensure_ascii=False) + "\n")) for row in rows)


def _write_list(path: Path, rows: Iterable[Row]) -> int:
    whole = list(rows)
    path.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in whole) + "\n]\n", "utf-8")
    return len(whole)


def _write_parquet(path: Path, rows: Iterable[Row]) -> int:
    try:
        table = pa.Table.from_pylist(list(rows))
    except pa.ArrowException as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"the rows do not fit into one parquet table ({reason}). Write them as .jsonl.") from error
    pq.write_table(table, path)
    return int(table.num_rows)
