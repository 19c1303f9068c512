"""The values of a log's rows: numbers as loggers write them, nested objects flattened, percentages read as shares.

A value that is text or not finite counts as missing; nothing is filled in. An example of such a text is kept for each
column, so that a column without a number is named with what it holds.

Not here: the forms of files (`log_text`) and of lines (`log_lines`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nearfuture.method.trends import LARGEST

Row = dict[str, float]

WRAPPED = re.compile(r"^(?:np\.|numpy\.|torch\.)?(?:float\d*|int\d*|tensor)\(([^,()]+)[^()]*\)$")
FRACTION = re.compile(r"^\s*(\d+)\s*/\s*\d+\s*$")
DECIMAL_COMMA = re.compile(r"^-?\d+,\d+(?:[eE][-+]?\d+)?$")


@dataclass
class Texts:
    """What columns hold beside plain numbers: an example of each, by column.

    Attributes:
        percent: a percentage, which was read as a share.
        unread: a text that is no number.
    """

    percent: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def row_of(row: Mapping[Any, Any], with_comma: bool = False, prefix: str = "", texts: Texts | None = None) -> Row:
    """Flatten nested objects with `/` and keep what is a finite number.

    Args:
        row: names and values; names lose the spaces around them.
        with_comma: whether 0,5 is a number.
        prefix: of the names.
        texts: where examples of values that are not plain numbers are noted.
    """
    flat: Row = {}
    for key, value in row.items():
        if key is None:  # the surplus cells of a CSV line
            continue
        name = f"{prefix}{str(key).strip()}"
        if isinstance(value, dict):
            flat.update(row_of(value, with_comma, f"{name}/", texts))
        elif (number := number_of(value, with_comma)) is not None:
            flat[name] = number
            if texts is not None and isinstance(value, str) and value.strip().endswith("%"):
                texts.percent.setdefault(name, value.strip())
        elif texts is not None and isinstance(value, str) and value.strip():
            texts.unread.setdefault(name, value.strip())
    return flat


def number_of(value: Any, with_comma: bool = False) -> float | None:
    """Return a number as loggers write one; None for anything else.

    Example:
        >>> [number_of(value) for value in (0.5, "0.5", "np.float64(0.5)", "10/438", "50 %", "high")]
        [0.5, 0.5, 0.5, 10.0, 0.5, None]
        >>> number_of("0,5", with_comma=True)
        0.5
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    scale = 1
    if isinstance(value, str):
        value = value.strip()
        if value.endswith("%"):
            value, scale = value[:-1].strip(), 100
        if match := WRAPPED.match(value) or FRACTION.match(value):
            value = match.group(1)
        if with_comma and DECIMAL_COMMA.match(value):
            value = value.replace(",", ".")
    try:
        number = float(value) / scale
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= LARGEST else None
