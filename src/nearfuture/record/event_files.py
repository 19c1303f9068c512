"""Scalars out of TensorBoard event files, without TensorBoard.

An event file is a sequence of records, each `uint64 length, uint32 crc, bytes, uint32 crc`, and each record one
protobuf message: Event{step = 2, summary = 5}, Summary{value = 1}, Value{tag = 1, simple_value = 2, tensor = 8},
TensorProto{dtype = 1, tensor_content = 4, float_val = 5}. Checksums are not verified; a record that is cut off, as a
kill leaves it, ends the file.

Not here: images, histograms and texts; which scalar is the reward (`logs`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

Field = tuple[int, int | bytes]
HEADER, FOOTER = 12, 4
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT, DOUBLE = 1, 2


def read_scalars(paths: Iterable[Path]) -> Iterator[dict[str, float]]:
    """Yield one row per scalar, `{"step": ..., tag: value}`, file by file."""
    for path in paths:
        for record in _records(path.read_bytes()):
            fields = list(_fields(record))
            step = next((value for number, value in fields if number == 2), 0)
            for summary in (value for number, value in fields if number == 5 and isinstance(value, bytes)):
                for _, value in _fields(summary):
                    tag, scalar = _scalar(value)
                    if tag is not None and scalar is not None and isinstance(step, int):
                        yield {"step": float(step), tag: scalar}


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + HEADER + FOOTER <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        if at + HEADER + length + FOOTER > len(data):
            return
        yield data[at + HEADER : at + HEADER + length]
        at += HEADER + length + FOOTER


def _fields(message: bytes) -> Iterator[Field]:
    """Yield (number, value) of every field: an int, or the bytes of anything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind, value = key & 7, b""
        if kind == VARINT:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(kind)
        if size is None:
            if kind != BYTES:
                return
            size, at = _varint(message, at)
        value = message[at : at + size]
        at += size
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            break
    return value, at


def _scalar(value: int | bytes) -> tuple[str | None, float | None]:
    """Tag and value of a Summary.Value; old writers store a float, TensorFlow 2 a tensor of one element."""
    tag, scalar = None, None
    for number, content in _fields(value) if isinstance(value, bytes) else ():
        if not isinstance(content, bytes):
            continue
        if number == 1:
            tag = content.decode("utf-8", errors="replace")
        elif number == 2 and len(content) == 4:
            (scalar,) = struct.unpack("<f", content)
        elif number == 8:
            scalar = _tensor_scalar(content)
    return tag, scalar


def _tensor_scalar(tensor: bytes) -> float | None:
    fields = dict(_fields(tensor))
    content = fields.get(4) or fields.get(5)
    form = {(FLOAT, 4): "<f", (DOUBLE, 8): "<d"}.get((fields.get(1), len(content) if isinstance(content, bytes) else 0))  # type: ignore[arg-type]
    return None if form is None or not isinstance(content, bytes) else float(struct.unpack(form, content)[0])
