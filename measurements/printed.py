"""A script's table: printed as it comes, and written where asked to.

Not here: what is measured (the scripts that import this).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def print_lines(lines: Iterable[str], output: Path | None) -> None:
    """Print each line as it comes, and write all of them to `output`, if there is one."""
    printed = []
    for line in lines:
        print(line, flush=True)
        printed.append(line)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("\n".join(printed) + "\n")
