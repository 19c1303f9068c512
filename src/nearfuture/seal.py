"""A seal: the last key of a JSON object is a checksum of every byte before it, so that a flipped byte is found.

    {"step": 3, "loss": 0.5, "crc": "1f2e3d4c"}          a row, or an object over several lines
    # crc: 1f2e3d4c                                      the last line of any other text (YAML)

Whoever reads JSON reads such a file as it is, with one key more. CRC-32 finds every change within 32 neighbouring bits,
and misses one of 4e9 others: it guards against disks, not against people. Standard library only.

Not here: checkpoints (`nearfuture.train.checkpoint`) and guidance (`nearfuture.guidance.header`), which are larger and
have digests beside them.
"""

from __future__ import annotations

import re
import zlib
from typing import Any, Literal

KEY = "crc"
State = Literal["whole", "damaged", "unsealed"]
_SEAL = re.compile(rb'(?:, "crc": "([0-9a-f]{8})"\}|,\n "crc": "([0-9a-f]{8})"\n\}|# crc: ([0-9a-f]{8}))\Z')


def sealed(text: str) -> str:
    r"""Return a JSON object (not an empty one), or any other text that ends with a newline, with its seal.

    Example:
        >>> sealed('{"step": 3}')
        '{"step": 3, "crc": "d3a4e216"}'
        >>> state(sealed('{"step": 3}').encode()), state(b'{"step": 4, "crc": "d3a4e216"}')
        ('whole', 'damaged')
    """
    if not text.startswith("{"):
        assert text.endswith("\n")
        return f"{text}# crc: {_crc(text.encode())}\n"
    body = text.rstrip().removesuffix("}").rstrip()
    begin, end = (",\n ", "\n}\n") if "\n" in body else (", ", "}")
    return f'{body}{begin}"{KEY}": "{_crc(body.encode())}"{end}'


def state(data: bytes) -> State:
    """Say whether bytes are those that were sealed; one newline at their end may be there or not."""
    data = data.removesuffix(b"\n")
    found = _SEAL.search(data)
    if found is None:
        return "unsealed"
    crc = next(group for group in found.groups() if group is not None)
    return "whole" if crc.decode() == _crc(data[: found.start()]) else "damaged"


def without(value: dict[str, Any]) -> dict[str, Any]:
    """An object without its seal."""
    return {key: item for key, item in value.items() if key != KEY}


def _crc(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"
