"""Remember a data set by a short hash of every row, so that a change is noticed and can be named.

    hash of a row    covers everything in it except its names (`prompt_id`, `uid`, `id`, `source`); images count by the
                     bytes they are stored as. The same content has the same hash wherever the file is
    digest           covers all hashes in order, since the order of rows is part of a training run

Images are not decoded; their bytes are read once per start (some seconds per ten gigabytes).

Not here: ids of prompts (`identity`), checking a run against it (`nearfuture.run.origin`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128_hexdigest

if TYPE_CHECKING:
    from datasets import Dataset

NAMES = ("prompt_id", "uid", "id", "source")
HASH_LENGTH = 8
"""Hexadecimal digits per row: two different rows collide once in four billion."""


READ_AT_ONCE = 64
"""Rows of a data set: fewer calls than rows, and no more images than a batch has."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of rows in order.

    Attributes:
        hashes: the hash of every row.
        names: a digest of the rows' names.
    """

    hashes: tuple[str, ...]
    names: str

    @property
    def digest(self) -> str:
        """The digest of all rows."""
        return digest_of("".join(self.hashes))

    def facts(self) -> dict[str, Any]:
        """The part that a lineage remembers."""
        return {"num_rows": len(self.hashes), "digest": self.digest, "names": self.names}


def fingerprint(rows: Dataset | list[dict[str, Any]]) -> Fingerprint:
    """Hash every row."""
    hashes, names = [], []
    for row in _undecoded(rows):
        content = {name: value for name, value in row.items() if name not in NAMES}
        hashes.append(digest_of(_text(content))[:HASH_LENGTH])
        names.append(str(row.get("prompt_id")))
    return Fingerprint(tuple(hashes), digest_of(json.dumps(names)))


def difference(before: tuple[str, ...], now: tuple[str, ...]) -> str:
    """Say what differs between two data sets; empty if nothing does.

    Example:
        >>> difference(("a", "b", "c"), ("a", "x", "c"))
        '1 of 3 rows differs, the first is row 1'
        >>> difference(("a", "b"), ("b", "a"))
        'the same 2 rows are in another order, from row 0 on'
    """
    if before == now:
        return ""
    shared = min(len(before), len(now))
    changed = [index for index in range(shared) if before[index] != now[index]]
    first = changed[0] if changed else shared
    if sorted(before) == sorted(now):
        return f"the same {len(now)} rows are in another order, from row {first} on"
    if len(before) != len(now):
        differ = f"{len(changed)} of the first {shared} differ, " if changed else ""
        return f"{len(before)} rows then, {len(now)} now; {differ}the first difference is row {first}"
    return f"{len(changed)} of {len(now)} rows {'differs' if len(changed) == 1 else 'differ'}, the first is row {first}"


def _undecoded(rows: Dataset | list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Return the rows, with images as they are stored."""
    if isinstance(rows, list):
        yield from rows
        return
    from datasets import Image, List

    for name, feature in rows.features.items():
        if isinstance(feature, Image):
            rows = rows.cast_column(name, Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), Image):
            rows = rows.cast_column(name, List(Image(decode=False)))
    for batch in rows.iter(READ_AT_ONCE):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


def _text(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_type_of)


def _plain(value: Any) -> Any:
    """Turn a value into JSON; bytes, files and images become digests, keys without a value vanish, as in `datasets`."""
    if isinstance(value, Mapping):
        if value.keys() == {"bytes", "path"}:
            return digest_of(Path(value["path"]).read_bytes() if value["bytes"] is None else value["bytes"])
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return digest_of(value)
    if hasattr(value, "tobytes"):
        return [str(getattr(value, "mode", "")), str(getattr(value, "size", "")), digest_of(value.tobytes())]
    return value


def digest_of(data: str | bytes) -> str:
    """Hash bytes or a text into 32 hexadecimal digits."""
    return xxh3_128_hexdigest(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)


def _type_of(value: Any) -> str:
    return type(value).__name__
