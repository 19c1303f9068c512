"""A page as a value: what is empty is left out, text is text, and one style serves every kind."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup
from pages import Page as Read

from nearfuture.lab.page.page import Block, Figure, Folded, Group, Heading, Items, Page, Quote, Section, Text, titled
from nearfuture.lab.page.svg import PALETTE
from nearfuture.lab.page.table import Table

EMPTY: list[Block] = [
    "",
    None,
    Text([""]),
    Items([]),
    Table(["a"], []),
    Figure(None, "unsaid"),
    Group([]),
    Folded("", []),
]
NUMBERS = Table(
    ["run", "rate"], [["<b>", Markup("<i>0.5</i>")]], "Rates", foot=["all", "1"], groups=[("", 1), ("g", 1)]
)


def page(*sections: Section) -> Page:
    return Page("report", "a & b", "nearfuture report a", ["said"], sections)


def test_what_is_empty_is_left_out() -> None:
    html = page(Section("Nothing", [*EMPTY, Group(EMPTY)]), Section("Something", [*EMPTY, "there"])).html()
    assert "Nothing" not in html and "unsaid" not in html and '<h2 id="something">' in html
    assert titled("Heading", EMPTY) == [] and titled("Heading", ["a", ""]) == [Heading("Heading"), "a"]


def test_text_is_text_and_elements_nest() -> None:
    quote = Quote("<script>", "guide", "✓", "verified", "guidance")
    found = Read(page(Section("All & sundry", [NUMBERS, Group([quote, Folded("more", [NUMBERS])], "beside")])).html())
    assert found.text.count("<b>") == 2 and "<script>" in found.text and "<i>" not in found.text
    assert found.ids == ["all-sundry", "page-data"] and found.loads == ["#all-sundry"]


def test_a_table_is_the_same_in_the_terminal() -> None:
    shown = NUMBERS.for_terminal()
    assert [[str(cell) for cell in column.cells] for column in shown.columns] == [["<b>"], ["0.5"]]


def test_every_colour_of_a_drawing_has_a_light_a_dark_and_a_printed_one(tmp_path: Path) -> None:
    html = page(Section("One", ["text"])).write(tmp_path / "page.html").read_text()
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert all(html.count(f"--{name}: #") == 4 for name in PALETTE)
