"""A comparison as text: a summary for the terminal, and everything for `comparison.txt`.

Not here: the page (`study_page`), the sentences (`study_words`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from markupsafe import Markup
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from nearfuture.lab.report import study_tables as tables
from nearfuture.lab.report import study_words as words
from nearfuture.lab.study.comparison import Comparison

WIDTH = 160


def study_text(comparison: Comparison) -> Group:
    """Return the summary: what each method reached and paid, and the claims about the reference."""
    at_equal = [found.at_equal["total_steps"] for found in comparison.against.values()]
    claims = [
        sentence
        for primary, equal in zip(comparison.primary, at_equal, strict=True)
        for sentence in (words.claim(primary), words.claim(equal))
    ]
    overview = tables.overview_table(comparison)
    return _group(comparison, _table(overview.columns, overview.rows), claims)


def full_text(comparison: Comparison) -> str:
    """Return everything: the table of families, and every claim."""
    mean, deep = tables.rates_table(comparison, 1), tables.rates_table(comparison, comparison.largest_k)
    parts: list[RenderableType] = [f"mean@{comparison.num_samples}", _table(mean.columns, mean.rows), ""]
    if comparison.largest_k > 1:
        parts += [f"pass@{comparison.largest_k}", _table(deep.columns, deep.rows), ""]
    overview = tables.overview_table(comparison)
    parts += [_table(overview.columns, overview.rows)]
    text = io.StringIO()
    Console(file=text, width=WIDTH, no_color=True).print(_group(comparison, Group(*parts), words.claims(comparison)))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _group(comparison: Comparison, table: RenderableType, claims: Sequence[str]) -> Group:
    blocks = ([*words.lead(comparison), words.measured(comparison)], claims, [words.caution(comparison)])
    lines = [line for block in blocks for line in (*block, "")]
    return Group(table, Text(), *map(Text, [*lines[:-1], *words.notes(comparison)]))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(columns):
        table.add_column(name.replace(" ", "\n"), justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Markup(cell).striptags() for cell in row))
    return table
