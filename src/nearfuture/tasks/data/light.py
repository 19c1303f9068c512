"""Rows without their heavy images: hashes and sizes replace them, and questions are reduced to what they ask.

Not here: the findings in them (`findings`, `nearfuture.lab.forecast.overlap`).
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from nearfuture.tasks.data.schema import image_bytes
from nearfuture.tasks.identity import images_of

Row = Mapping[str, Any]
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What PIL raises for files that are not complete images."""
PUNCTUATION = re.compile("\\s|\\$|\\\\[()\\[\\]]|[?\"'`\u2018\u2019\u201c\u201d]|[.,;:](?!\\d)")


@dataclass(frozen=True)
class Light:
    """A row without its images: its text columns, the hashes of its images, and their sizes (None: does not open)."""

    row: Row
    hashes: tuple[str, ...]
    sizes: tuple[tuple[int, int] | None, ...]

    @classmethod
    def of(cls, row: Row) -> Light:
        """Make the light form of a row whose images are undecoded."""
        images = images_of(row)
        texts = {name: value for name, value in row.items() if name not in ("image", "images")}
        return cls(texts, tuple(map(image_hash, images)), tuple(map(size_of, images)))


def texts_of(prompt: Any) -> str:
    """Return all text of a prompt, without its image blocks."""
    if isinstance(prompt, str):
        return prompt
    contents = [message.get("content") or "" for message in prompt]
    parts = [[content] if isinstance(content, str) else [p.get("text") or "" for p in content] for content in contents]
    return "\n".join(text for part in parts for text in part)


def normalised(text: str) -> str:
    """Normalise a question: ignore case, spaces, dollars and final punctuation, which authors write differently.

    Signs are kept: `1+1` and `1-1` are different questions, and so are `5` and `5!`.

    Example:
        >>> normalised("<image 1> What is  $x + 1$?") == normalised("what is x+1")
        True
        >>> normalised("1+1") == normalised("1-1"), normalised("1.5") == normalised("15")
        (False, False)
    """
    text = re.sub(r"<image[ _]?\d*>", "", text).lower()
    return PUNCTUATION.sub("", text)


def image_hash(image: Any) -> str:
    """Hash the bytes that an image is stored as."""
    return hashlib.sha256(image_bytes(image)).hexdigest()[:16]


def is_whole(image: Any) -> bool:
    """True if all pixels can be read."""
    try:
        with Image.open(io.BytesIO(image_bytes(image))) as opened:
            opened.load()
    except BROKEN:
        return False
    return True


def size_of(image: Any) -> tuple[int, int] | None:
    """Return width and height from the header; None if the image does not open."""
    try:
        with Image.open(io.BytesIO(image_bytes(image))) as opened:
            return opened.size
    except BROKEN:
        return None


def pixel_hash(image: Any) -> str | None:
    """Hash size and pixels, in RGB; None if the image does not open."""
    try:
        with Image.open(io.BytesIO(image_bytes(image))) as opened:
            pixels = opened.convert("RGB")
    except BROKEN:
        return None
    return hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()[:16]
