"""The table of a guidance cache: one row a prompt, in a parquet file that pandas and duckdb read as well.

Rows are sorted by prompt id and lie in small row groups, so that one look-up reads one group. Every page carries a
checksum that is verified when it is read.

Not here: what is allowed into a row (`checks`), the header beside the table (`header`).
"""

from __future__ import annotations

import bisect
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, islice, pairwise
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


def write_table(path: Path, entries: Iterable[Entry]) -> int:
    """Write the entries sorted by prompt id, flush them to the disk, and return how many there are."""
    rows = iter(entries)
    chunks = [SCHEMA.empty_table()]
    while chunk := list(islice(rows, ROW_GROUP_SIZE)):  # Arrow's 8 bytes a token, not Python's 60
        chunks.append(pa.Table.from_pylist([_to_row(entry) for entry in chunk], schema=SCHEMA))
    table = pa.concat_tables(chunks).sort_by("prompt_id")
    _check_unique(table.column("prompt_id").to_pylist())
    with path.open("wb") as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP_SIZE, compression="zstd", write_page_checksum=True)
        file.flush()
        os.fsync(file.fileno())
    return int(table.num_rows)


class TableReader:
    """The rows of a table by number: reads the row group that holds a row, and keeps the last few groups.

    `num_groups_read` counts the row groups that were read from the file, for those who want to know.
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

    def strings(self, column: str) -> list[str]:
        """Read one column of strings, and nothing else."""
        with self._reading():
            values: list[str] = self._file.read(columns=[column]).column(0).to_pylist()
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
        except (OSError, pa.ArrowException) as error:
            raise damaged(str(self._path), str(error).strip().splitlines()[0]) from error


def _to_row(entry: Entry) -> dict[str, Any]:
    guidance, text = entry
    row = {name: getattr(guidance, name) for name in SCHEMA.names if name != "completion"}
    return {**row, "verdict": guidance.verdict.value, "completion": text.encode("utf-8", "replace").decode()}


def _to_entry(table: Any, row: int) -> Entry:
    values = {name: table.column(name)[row] for name in SCHEMA.names}
    plain = {name: value.as_py() for name, value in values.items() if name not in ("completion_ids", "behavior_logps")}
    text = plain.pop("completion")
    verdict = Verdict(plain.pop("verdict"))
    ids, logps = (tuple(values[name].values.to_numpy().tolist()) for name in ("completion_ids", "behavior_logps"))
    return Guidance(completion_ids=ids, behavior_logps=logps, verdict=verdict, **plain), text


def _check_unique(sorted_ids: list[str]) -> None:
    twice = next((a for a, b in pairwise(sorted_ids) if a == b), None)
    if twice is not None:
        raise UserError(f"prompt {twice!r} has two entries; a cache holds one trajectory a prompt. Drop one of them.")
