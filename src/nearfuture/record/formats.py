"""Numbers as a reader expects them: 1.2 M, 4 %, 1 h 12 min, 0.830; a dash where one is not known (None, NaN). And
commands that can be pasted into a shell.

Not here: sentences (`nearfuture.lab.report.words`).
"""

from __future__ import annotations

import math
import shlex

THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
EXACT_BELOW = 10_000
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
MISSING = "\N{EN DASH}"


def count(value: float | None) -> str:
    """Format a count: exact below ten thousand, three digits and a unit above.

    Example:
        >>> count(9876), count(1_234_567).replace(THIN, " ")
        ('9876', '1.23 M')
    """
    if value is None or math.isnan(value):
        return MISSING
    if abs(value) >= EXACT_BELOW:
        value = float(f"{value:.3g}")
        size, unit = next((size, unit) for size, unit in UNITS if abs(value) >= size)
        return f"{value / size:.{max(0, 2 - int(math.log10(abs(value) / size)))}f}{THIN}{unit}"
    return f"{value:.0f}"


def tick(value: float) -> str:
    """Format a count on an axis, where a unit is enough: `20 k`.

    Example:
        >>> tick(20_000).replace(THIN, " "), tick(2_500).replace(THIN, " ")
        ('20 k', '2500')
    """
    number, _, unit = count(value).partition(THIN)
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{THIN if unit else ''}{unit}"


def rate(value: float | None) -> str:
    """Format a share between 0 and 1 with three digits."""
    return fixed(value)


def fixed(value: float | None, digits: int = 3) -> str:
    """Format a number with a given number of decimals."""
    return MISSING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """Format a difference with its sign."""
    if value is None or math.isnan(value):
        return MISSING
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else (f"+{text}" if value > 0 else f"{MINUS}{text}")


def percent(value: float | None) -> str:
    """Format a share as a percentage; a small share keeps a digit rather than becoming 0.

    Example:
        >>> percent(0.043).replace(THIN, " "), percent(0.0004).replace(THIN, " ")
        ('4 %', '0.04 %')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    shown = 100 * value
    size = abs(shown)
    digits = 0 if size == 0 or size >= 2 else min(4, math.ceil(-math.log10(size)) + (size >= 1))
    return f"{shown:.{digits}f}{THIN}%"


def duration(seconds: float | None) -> str:
    """Format seconds in the two largest units.

    Example:
        >>> duration(4354).replace(THIN, " "), duration(8.25).replace(THIN, " ")
        ('1 h 13 min', '8.2 s')
    """
    if seconds is None or math.isnan(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f}{THIN}s" if seconds else f"0{THIN}s"
    if seconds < 3600 - 0.5:
        return f"{int(seconds + 0.5) // 60}{THIN}min{THIN}{int(seconds + 0.5) % 60}{THIN}s"
    minutes = int(seconds / 60 + 0.5)
    if minutes < 48 * 60:
        return f"{minutes // 60}{THIN}h{THIN}{minutes % 60}{THIN}min"
    return f"{minutes // 1440}{THIN}d{THIN}{minutes % 1440 // 60}{THIN}h"


def p_value(value: float | None) -> str:
    """Format a p-value with two digits."""
    if value is None or math.isnan(value):
        return MISSING
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def plural(number: float, noun: str) -> str:
    """Format a count with its noun: `1 step`, `3 steps`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def command_line(*words: object) -> str:
    """Return a command as a shell reads it back: every printed command is made here.

    Example:
        >>> command_line("nearfuture", "train", "my task.yaml")
        "nearfuture train 'my task.yaml'"
    """
    return shlex.join(map(str, words))


def format_bytes(num_bytes: float) -> str:
    """Bytes for people, in decimal units.

    Example:
        >>> format_bytes(1_500_000)
        '1.5 MB'
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if num_bytes < 1000 or unit == "TB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    raise AssertionError
