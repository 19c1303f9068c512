"""The finished parts of a measurement: `<output>.partial`, one sealed line per part after a first line that says what
is measured.

Not here: sampling, and the final file (`difficulty`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from nearfuture import seal
from nearfuture.json_text import loads
from nearfuture.run import origin
from nearfuture.run.settings.config import Configuration
from nearfuture.tasks.fingerprint import HASH_LENGTH, Fingerprint, difference, digest_of
from nearfuture.train import checkpoint
from nearfuture.types import UserError

Counts = dict[str, tuple[int, int]]
"""Correct and judged samples, by row id."""


def measurement(
    config: Configuration, data: Fingerprint, *, model: str, verifier: str, num_samples: int, num_processes: int
) -> dict[str, Any]:
    """Return everything that a pass rate depends on, as the first line has it."""
    return {
        "rows": data.digest,
        "ids of rows": data.names,
        "settings": origin.digest(config),
        "samples a row": num_samples,
        "model": identity(model),
        "verifier": verifier,
        "hashes": "".join(data.hashes),
        "keys": {key: value for key, value in config.as_dict().items() if key not in origin.PLACES},
        "processes": num_processes,
    }


def identity(model: str) -> str:
    """Identify a model: by a digest of its files, or by its commit on the Hub."""
    if Path(model).is_dir():
        files = sorted(path for path in Path(model).iterdir() if path.is_file())
        return digest_of(json.dumps({path.name: checkpoint.digest(path) for path in files}))
    found = try_to_load_from_cache(model, "config.json")
    return Path(found).parent.name if isinstance(found, str) else model


@dataclass(frozen=True)
class Journal:
    """The finished parts, on disk.

    Attributes:
        path: the file, which only the main process reads and writes.
        measurement: what is measured.
    """

    path: Path
    measurement: Mapping[str, Any]

    def begin(self, say: Callable[[str], None]) -> Counts:
        """Return the counts of the finished parts; a part that a kill cut short or a disk damaged is sampled again.

        Raises:
            UserError: the file belongs to another measurement; the message says what differs.
        """
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append({"measurement": self.measurement})
            return {}
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            self.path.write_bytes(whole)
        states = [(line, seal.state(line)) for line in whole.splitlines()]
        lines = [loads(line) for line, state in states if state == "whole"]
        if len(states) == len(lines) == 1:  # of a call that failed before its first part
            self.path.unlink()
            return self.begin(say)
        before = lines[0].get("measurement", {}) if lines else {}
        if found := "; ".join(self._differences(before)):
            raise UserError(
                f"{self.path} belongs to another measurement (what differs: {found}). Measure as before, with the data "
                "and the model as they were; or remove it, or choose another --output."
            )
        if len(lines) < len(states):
            say(f"{self.path}: {len(states) - len(lines)} lines damaged; their rows are sampled again")
        if before.get("processes", 1) != (now := self.measurement["processes"]):
            say(f"begun with {before.get('processes', 1)} processes, now {now}: the rest is drawn differently")
        return {uid: (correct, judged) for line in lines[1:] for uid, correct, judged in line["rows"]}

    def add(self, counts: Counts) -> None:
        """Write a part down."""
        self._append({"rows": [(uid, *count) for uid, count in counts.items()]})

    def _append(self, value: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(seal.sealed(json.dumps(value, default=str)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _differences(self, before: Mapping[str, Any]) -> Iterator[str]:
        """Yield what differs. Files of earlier versions hold less, and only what they hold is compared."""
        now = json.loads(json.dumps(self.measurement, default=str))
        for key in ("rows", "ids of rows", "samples a row", "settings", "model", "verifier"):
            if key not in before and before and key in ("model", "verifier"):
                continue
            if before.get(key) == now[key]:
                continue
            yield f"{key}{_in_detail(key, before, now)}"


def _in_detail(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if key == "rows" and "hashes" in before:
        return f": {difference(_cut(before['hashes']), _cut(now['hashes']))}"
    if key == "settings" and "keys" in before:
        then, present = before["keys"], now["keys"]
        changed = [name for name in sorted(then.keys() | present.keys()) if then.get(name) != present.get(name)]
        return f": {', '.join(f'{name} {then.get(name)} -> {present.get(name)}' for name in changed)}"
    return f": {before[key]} -> {now[key]}" if key in ("samples a row", "verifier") and key in before else ""


def _cut(text: str) -> tuple[str, ...]:
    return tuple(text[i : i + HASH_LENGTH] for i in range(0, len(text), HASH_LENGTH))
