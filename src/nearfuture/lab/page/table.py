"""A table as a value, shown on a page or in the terminal.

Not here: its look on a page (`page.html.j2`, `style.css`).
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import rich.table
from markupsafe import Markup
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

LONGEST_NAME = 9
"""The most characters of a column's name on one line of the terminal."""


@dataclass(frozen=True, slots=True)
class Table:
    """Column names and rows of text; cells may be `Markup`, and the first column is text.

    Attributes:
        columns: the names of the columns.
        rows: the rows, one cell per column.
        label: the table's name for a screen reader.
        look: a CSS class: `dense`, or `ledger`.
        foot: a last row, set apart.
        groups: names above the columns, with how many columns each spans.
        last_is_text: whether the last column holds words rather than numbers.
    """

    kind: ClassVar = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    label: str = ""
    look: str = ""
    foot: Sequence[str] = ()
    groups: Sequence[tuple[str, int]] = ()
    last_is_text: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows)

    def for_terminal(self) -> rich.table.Table:
        """The table for a rich console: numbers and the first column stay on one line, other words wrap, none is cut.

        It may be wider than the console.
        """
        shown = rich.table.Table(box=None, pad_edge=False, header_style="dim")
        for index, name in enumerate(self.columns):
            is_text = index == 0 or (self.last_is_text and index == len(self.columns) - 1)
            cells = [
                cell.striptags() if isinstance(cell, Markup) else cell for cell in (row[index] for row in self.rows)
            ]
            has_words = any(" " in cell for cell in cells)
            is_whole = has_words if index == 0 else not (is_text or has_words)
            lines = textwrap.wrap(name, LONGEST_NAME, break_long_words=False, break_on_hyphens=False)
            pieces = [*lines, *(cells if is_whole else [word for cell in cells for word in cell.split()])]
            shown.add_column(
                "\n".join(lines),
                justify="left" if is_text else "right",
                no_wrap=is_whole,
                min_width=max((cell_len(piece) for piece in pieces), default=1),
            )
        for row in self.rows:
            shown.add_row(*(Text(cell.striptags() if isinstance(cell, Markup) else cell) for cell in row))
        return shown


def as_text(shown: RenderableType, width: int) -> str:
    """The text that a console of that width would print, for a file."""
    written = io.StringIO()
    Console(file=written, width=width, no_color=True).print(shown)
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())
