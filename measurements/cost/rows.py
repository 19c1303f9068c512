"""One line of a table of ratios: medians of pairs with their intervals.

Not here: what is measured (the files beside this one).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratios` are those of the pairs; an empty list where there is nothing to divide."""

    what: str
    bar: str
    expected: str
    measured: str
    is_met: bool | None = None
    ratios: tuple[float, ...] = ()


def ratio_row(what: str, bar: str, expected: str, ratios: Iterable[float], note: str = "") -> Row:
    """A row with the median of ratios and a 95 % interval for it; `bar` is `<= x`, `>= x` or empty."""
    values = sorted(ratios)
    low, high = interval(values)
    median = statistics.median(values)
    sign, _, limit = bar.partition(" ")
    met = None if not limit else median <= float(limit) if sign == "<=" else median >= float(limit)
    note = f"; {note}" if note else ""
    return Row(
        what, bar, expected, f"{median:.3f} ({low:.3f} to {high:.3f}, n={len(values)}){note}", met, tuple(values)
    )


def interval(ordered: list[float]) -> tuple[float, float]:
    """A distribution-free interval for the median: order statistics, n/2 -+ 0.98 sqrt(n); the range where n < 6."""
    n = len(ordered)
    k = max(0, int(n / 2 - 0.98 * n**0.5)) if n >= 6 else 0
    return ordered[k], ordered[n - 1 - k]


def divide(ours: list[float], theirs: list[float]) -> list[float]:
    """Ratios of pairs."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]
