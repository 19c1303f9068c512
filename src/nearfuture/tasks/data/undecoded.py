"""Keep the images of a data set encoded: pixels take megabytes, and most code needs none.

Not here: reading a data set (`reading`).
"""

from __future__ import annotations

from typing import Any


def undecoded(found: Any) -> Any:
    """Return the same data set with images as bytes, in lists of images as well."""
    import datasets

    for name, feature in found.features.items():
        plain = datasets.Image(decode=False)
        if isinstance(feature, datasets.Image):
            found = found.cast_column(name, plain)
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            found = found.cast_column(name, datasets.List(plain))
    return found
