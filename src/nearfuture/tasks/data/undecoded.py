"""Data sets whose images stay encoded: pixels are megabytes, and most questions need none.

Not here: reading a data set (`reading`).
"""

from __future__ import annotations

from typing import Any


def undecoded(found: Any) -> Any:
    """The same data set with images as bytes, lists of images too."""
    import datasets

    for name, feature in found.features.items():
        plain = datasets.Image(decode=False)
        if isinstance(feature, datasets.Image):
            found = found.cast_column(name, plain)
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            found = found.cast_column(name, datasets.List(plain))
    return found
