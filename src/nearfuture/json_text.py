"""JSON out of files that anybody may have written.

Not here: whether the bytes are those that were written (`seal`).
"""

from __future__ import annotations

import json
from typing import Any


def loads(text: str | bytes, **settings: Any) -> Any:
    """Read one JSON value, as `json.loads` does.

    Raises:
        ValueError: it is no JSON, or nested deeper than Python reads (which is a RecursionError there).

    Example:
        >>> loads('{"a": [1]}')
        {'a': [1]}
        >>> loads("[" * 100_000)
        Traceback (most recent call last):
        ValueError: it is nested too deep to be read
    """
    try:
        return json.loads(text, **settings)
    except RecursionError:
        raise ValueError("it is nested too deep to be read") from None
