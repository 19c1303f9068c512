"""Write files completely or not at all, and make values that JSON can hold.

Not here: append-only logs (`folder`), what is written (`ledger`, `nearfuture.lab`).
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader or a kill never meets half of it: temporary name, fsync, rename.

    A device or a pipe (`/dev/stdout`) is written to, not replaced; for a link, its target is replaced.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write plain values atomically, as JSON that a person can read."""
    write_whole(path, json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Write rows as CSV with a header; unknown or infinite values are empty, keys that are not columns are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(finite(dict(row)) for row in rows)
    return text.getvalue()


def finite(value: Any) -> Any:
    """Turn NaN and infinities into None, at any depth: JSON has neither.

    Example:
        >>> finite({"a": [1.0, float("nan")]})
        {'a': [1.0, None]}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
