"""The table of a guidance cache: one row per trajectory, in a parquet file that pandas and duckdb read as well.

Rows are sorted by prompt id, those of one prompt in the order they came, and stored in small row groups, so that one
look-up reads one group. Every page has a checksum that is verified when it is read.

Not here: what is allowed in a row (`checks`), the header beside the table (`header`).
"""

from __future__ import annotations

import bisect
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearfuture.guidance.header import damaged
from nearfuture.types import Guidance, UserError, Verdict

Entry = tuple[Guidance, str]
"""A trajectory and its text. The text is for readers and verifiers; training uses the ids."""

ROW_GROUP_SIZE = 64
SCHEMA = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("prompt_hash", pa.string()),
        ("completion_ids", pa.list_(pa.int32())),
        ("behavior_logps", pa.list_(pa.float32())),
        ("guide_segment", pa.int32()),
        ("guide_step", pa.int32()),
        ("verdict", pa.string()),
        ("num_samples", pa.int32()),
        ("num_correct", pa.int32()),
        ("completion", pa.string()),
    ]
)


def write_table(path: Path, entries: Iterable[Entry], *, num_kept: int = 1) -> tuple[int, int]:
    """Write the entries sorted by prompt id, and flush them to the disk.

    Returns:
        How many were written, and how many were not because another entry of their prompt has the same token ids.

    Raises:
        UserError: a prompt has more entries than `num_kept` (with 1, the same entry twice is one too many).
    """
    rows = iter(entries)
    chunks = [SCHEMA.empty_table()]
    while chunk := list(islice(rows, ROW_GROUP_SIZE)):  # Arrow's 8 bytes per token, not Python's 60
        chunks.append(pa.Table.from_pylist([_to_row(entry) for entry in chunk], schema=SCHEMA))
    whole = pa.concat_tables(chunks).sort_by("prompt_id")  # a stable sort: the first entry of a prompt stays the first
    table = _distinct(whole) if num_kept > 1 else whole
    _check_pools(table, num_kept)
    with path.open("wb") as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP_SIZE, compression="zstd", write_page_checksum=True)
        file.flush()
        os.fsync(file.fileno())
    return int(table.num_rows), int(whole.num_rows - table.num_rows)


class TableReader:
    """The rows of a table by number: reads the row group that holds a row, and keeps the last few groups.

    `num_groups_read` counts the row groups that were read from the file.
    """

    def __init__(self, path: Path, *, max_groups_kept: int = 32) -> None:
        self._path = path
        self._max_groups_kept = max_groups_kept
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self.num_groups_read = 0
        with self._reading():
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            if self._file.schema_arrow.names != SCHEMA.names:
                raise damaged(str(path), f"its columns are {self._file.schema_arrow.names}, not {SCHEMA.names}")
            sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._ends = list(accumulate(sizes))

    def column(self, name: str) -> list[Any]:
        """Read a single column."""
        with self._reading():
            values: list[Any] = self._file.read(columns=[name]).column(0).to_pylist()
            return values

    def entry(self, row: int) -> Entry:
        """Return row number `row`."""
        group = bisect.bisect_right(self._ends, row)
        start = self._ends[group - 1] if group else 0
        with self._reading():
            return _to_entry(self._group(group), row - start)

    def __iter__(self) -> Iterator[Entry]:
        """Yield all rows in order, one row group in memory at a time."""
        for group in range(len(self._ends)):
            with self._reading():
                table = self._read(group)
                entries = [_to_entry(table, row) for row in range(table.num_rows)]
            yield from entries

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _group(self, group: int) -> Any:
        if group not in self._kept:
            self._kept[group] = self._read(group)
        self._kept.move_to_end(group)
        while len(self._kept) > self._max_groups_kept:
            self._kept.popitem(last=False)
        return self._kept[group]

    def _read(self, group: int) -> Any:
        self.num_groups_read += 1
        return self._file.read_row_group(group)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: no verdict, no tokens
            raise damaged(str(self._path), (str(error).strip() or repr(error)).splitlines()[0]) from error


def _to_row(entry: Entry) -> dict[str, Any]:
    guidance, text = entry
    row = {name: getattr(guidance, name) for name in SCHEMA.names if name != "completion"}
    return {**row, "verdict": guidance.verdict.value, "completion": text.encode("utf-8", "replace").decode()}


def _to_entry(table: Any, row: int) -> Entry:
    values = {name: table.column(name)[row] for name in SCHEMA.names}
    if missing := [name for name, value in values.items() if not value.is_valid]:
        raise ValueError(f"row {row} of a group has no {', '.join(missing)}")
    plain = {name: value.as_py() for name, value in values.items() if name not in ("completion_ids", "behavior_logps")}
    text = plain.pop("completion")
    verdict = Verdict(plain.pop("verdict"))
    ids, logps = (tuple(values[name].values.to_numpy().tolist()) for name in ("completion_ids", "behavior_logps"))
    return Guidance(completion_ids=ids, behavior_logps=logps, verdict=verdict, **plain), text


def _distinct(table: Any) -> Any:
    """Drop rows with the token ids of an earlier row of their prompt, from a table sorted by prompt."""
    kept: list[int] = []
    for _, rows in groupby(range(table.num_rows), table.column("prompt_id").to_pylist().__getitem__):
        seen: set[bytes] = set()
        for row in rows:
            ids = table.column("completion_ids")[row].values.to_numpy().tobytes()
            kept += [row] if ids not in seen else []
            seen.add(ids)
    return table if len(kept) == table.num_rows else table.take(kept)


def _check_pools(table: Any, num_kept: int) -> None:
    """Refuse a prompt with too many rows, or with rows that were made for two different prompts."""
    pairs = zip(table.column("prompt_id").to_pylist(), table.column("prompt_hash").to_pylist(), strict=True)
    for prompt_id, rows in groupby(pairs, lambda pair: pair[0]):
        hashes = [hashed for _, hashed in rows]
        if len(hashes) > num_kept:
            allowed = "one trajectory" if num_kept == 1 else f"at most {num_kept} trajectories"
            raise UserError(
                f"prompt {prompt_id!r} has {len(hashes)} entries; this cache holds {allowed} "
                "per prompt. Drop some of them, or write it with a larger num_kept."
            )
        if len(set(hashes)) > 1:
            differing = ", ".join(sorted(set(hashes)))
            raise UserError(
                f"prompt {prompt_id!r} has entries for two different prompts (hashes {differing}). "
                "One id must mean one prompt; correct the ids."
            )
