"""The files of a run folder as they are written: append-only logs that survive a kill, small files that are replaced.

Only the main process writes. Every line is flushed; `sync` puts the logs on disk before a checkpoint counts. Every row
and every small file has its seal (`nearfuture.seal`).

Not here: reading them (`nearfuture.record.reading`, `records`), the lineage (`nearfuture.method.lineage`).
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from nearfuture.record.reading import read_rows
from nearfuture.record.writing import finite
from nearfuture.seal import sealed

PACKAGES = ("nearfuture", "torch", "transformers", "trl", "accelerate", "datasets", "peft", "vllm", "deepspeed")


class RunFolder:
    """Paths and logs of one run."""

    def __init__(self, path: Path, *, is_main: bool = True) -> None:
        self.path = Path(path)
        self.is_main = is_main
        self.lineage = self.path / "lineage.json"
        self.final = self.path / "final"
        self.config = self.path / "config.yaml"

    def append(self, name: str, row: dict[str, Any]) -> None:
        """Append one JSON object to `name` (`metrics`, `events` or `samples`); NaN becomes null."""
        if not self.is_main:
            return
        path = self.path / f"{name}.jsonl"
        with open(path, "a+b") as file:
            if file.tell() and _last_byte(file) != b"\n":
                file.write(b"\n")  # a kill tore the previous line
            file.write(sealed(json.dumps(finite(row), ensure_ascii=False)).encode() + b"\n")

    def event(self, event: str, **facts: Any) -> None:
        """Append an event, unless the same one was already written before a kill."""
        if not self.is_main:
            return
        row = {"event": event, **facts}
        if not any({k: v for k, v in seen.items() if k != "time"} == row for seen in self.events()):
            self.append("events", {**row, "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")})

    def events(self) -> list[dict[str, Any]]:
        """The events so far; a torn or damaged line is not an event."""
        return read_rows(self.path / "events.jsonl", required="event").rows

    def sync(self) -> None:
        """Flush the logs to disk."""
        for path in self.path.glob("*.jsonl") if self.is_main else ():
            with open(path, "rb") as file:
                os.fsync(file.fileno())

    def write(self, name: str, text: str) -> None:
        """Seal and replace a small file atomically."""
        if not self.is_main:
            return
        temporary = self.path / f"{name}.tmp"
        with open(temporary, "w") as file:
            file.write(sealed(text))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path / name)


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    return bytes(file.read(1))


def environment() -> dict[str, Any]:
    """The environment of a run: versions, platform, commit of the working directory."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": versions,
        "git": git.stdout.strip() or None,
        "command": sys.argv,
    }
