"""An append-only journal: finished work survives a kill, byte for byte.

One JSON line per record, each with a checksum; the first line holds the settings. When `append` returns, the operating
system has the record, so a kill loses none; it is on the disk within a second, so a power cut loses little. Lines that
a kill tore or a disk damaged are cut away when the journal is opened, and that work is done again.

Not here: what the records mean (`draws`).
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfuture.guidance.files import fsync_folder
from nearfuture.json_text import loads

logger = logging.getLogger(__name__)

JOURNAL_NAME = "journal.jsonl"
SYNC_EVERY = 1.0  # seconds
Record = dict[str, Any]


class Journal:
    """The records of one piece of work with given settings, in `folder/journal.jsonl`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Open the journal, or begin a new one if there is none or it has other settings."""
        self.path = folder / JOURNAL_NAME
        self._synced_at = -math.inf
        folder.mkdir(parents=True, exist_ok=True)
        records, num_bytes = _read(self.path)
        self.records = records[1:]
        if not records or records[0] != settings:
            self._begin(settings, found=records[0] if records else None)
        else:
            _truncate(self.path, num_bytes)
            logger.info("Resuming %s after %d batches.", self.path, len(self.records))

    def append(self, record: Record) -> None:
        """Add a record."""
        with self.path.open("ab") as file:
            file.write(_format(record))
            file.flush()
            if time.monotonic() - self._synced_at >= SYNC_EVERY:
                os.fsync(file.fileno())
                self._synced_at = time.monotonic()

    def _begin(self, settings: Mapping[str, Any], found: Record | None) -> None:
        if found is not None:
            changed = sorted(key for key in {*settings, *found} if settings.get(key) != found.get(key))
            logger.warning(
                "%s holds %d batches collected with other settings (%s): starting over.",
                self.path, len(self.records), ", ".join(changed),
            )  # fmt: skip
        self.records = []
        self.path.write_bytes(b"")
        self.append(dict(settings))
        fsync_folder(self.path.parent)
        fsync_folder(self.path.parent.parent)


def damage(path: Path) -> str:
    """Say where a journal is not as it was written; empty if at most its last line was torn by a kill."""
    lines = path.read_bytes().splitlines(keepends=True)
    bad = [number for number, line in enumerate(lines, 1) if _parse(line) is None]
    is_torn_only = bad == [len(lines)] and not lines[-1].endswith(b"\n")
    return "" if not bad or is_torn_only else f"damaged: line {bad[0]}"


def discard(folder: Path) -> None:
    """Delete the journal of finished work, and its folder if it is otherwise empty."""
    (folder / JOURNAL_NAME).unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _format(record: Record) -> bytes:
    return json.dumps({"crc": _crc(record), "record": record}, separators=(",", ":")).encode() + b"\n"


def _parse(line: bytes) -> Record | None:
    """Return the record of a line, or None if it is torn or damaged."""
    try:
        fields = loads(line)
        record = fields["record"]
        is_intact = line.endswith(b"\n") and isinstance(record, dict) and fields["crc"] == _crc(record)
    except (ValueError, KeyError, TypeError):
        return None
    return record if is_intact else None


def _crc(record: Record) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())


def _read(path: Path) -> tuple[list[Record], int]:
    """Return the records before the first torn or damaged line, and how many bytes they take."""
    records: list[Record] = []
    num_bytes = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        record = _parse(line)
        if record is None:
            logger.warning("%s: line %d is torn or damaged; resuming before it.", path, len(records) + 1)
            break
        records.append(record)
        num_bytes += len(line)
    return records, num_bytes


def _truncate(path: Path, num_bytes: int) -> None:
    with path.open("r+b") as file:
        file.truncate(num_bytes)
        os.fsync(file.fileno())
