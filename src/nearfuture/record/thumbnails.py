"""Images of a prompt as text, small enough for a log and a page: data URIs with the original size.

Not here: where they are shown (`nearfuture.lab.report`).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

LONGEST_SIDE = 384
MAX_IMAGES = 4
JPEG_QUALITY = 80


def thumbnails(images: Sequence[Image.Image]) -> list[dict[str, Any]]:
    """Return the first `MAX_IMAGES` images, at most `LONGEST_SIDE` large: `data`, and original `width` and `height`."""
    return [
        {"data": data_uri(image), "width": image.width, "height": image.height} for image in list(images)[:MAX_IMAGES]
    ]


def data_uri(image: Image.Image) -> str:
    """Return a copy with at most `LONGEST_SIDE` pixels per side, as PNG or JPEG, whichever is smaller.

    Example:
        >>> data_uri(Image.new("RGB", (8, 8)))[:22]
        'data:image/png;base64,'
    """
    small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    files = {"png": _encoded(small, "PNG", optimize=True)}
    if small.mode == "RGB":
        files["jpeg"] = _encoded(small, "JPEG", quality=JPEG_QUALITY)
    kind = min(files, key=lambda name: len(files[name]))
    return f"data:image/{kind};base64,{base64.b64encode(files[kind]).decode()}"


def _encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()
