"""A page as a value: what is empty is left out, text is text, and one style serves every kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from markupsafe import Markup
from pages import Page as Read

from nearfuture.lab.page.charts import Row, draw_rows
from nearfuture.lab.page.page import (
    Block,
    Figure,
    Folded,
    Group,
    Heading,
    Items,
    Page,
    Plotted,
    Quote,
    Section,
    Text,
    titled,
)
from nearfuture.lab.page.plot import Line, PageData, Plot, Points
from nearfuture.lab.page.svg import PALETTE
from nearfuture.lab.page.table import Table
from nearfuture.record.formats import MINUS
from nearfuture.stats.seeds import Estimate, shade_over_seeds

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


def test_pages_of_a_run_list_each_other_however_late_one_was_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = page(Section("One", ["text"])).write(run / "report" / "index.html")
    assert "<details" not in first.read_text()
    stranger = run / "report" / "notes.html"
    stranger.write_text("<title>mine</title>")
    second = page(Section("Two", ["text"])).write(run / "evaluation" / "index.html")
    assert Read(first.read_text()).loads == ["../evaluation/index.html", "#one"]
    assert Read(second.read_text()).loads == ["../report/index.html", "#two"]
    once = first.read_text()
    page(Section("Two", ["text"])).write(second)
    assert first.read_text() == once and stranger.read_text() == "<title>mine</title>"


def test_numbers_for_the_scripts_stand_in_the_page_once(tmp_path: Path) -> None:
    xs = np.arange(5.0)
    lines = [
        Line(name, PALETTE["c0"], {"step": Points(xs, xs / 3), "tokens": Points(xs * 10, xs / 3)}) for name in "ab"
    ]
    plot = Plot("T </script>", "share", {"step": "step", "tokens": "tokens"}, lines)
    html = page(Section("One", [Plotted(plot, lambda: ["drawn"])])).write(tmp_path / "page.html").read_text()
    found = Read(html)
    assert found.data["arrays"] == [[0, 1, 2, 3, 4], [0, 0.3333, 0.6667, 1, 1.333], [0, 10, 20, 30, 40]]
    assert found.data["plots"][0]["title"] == "T </script>" and "drawn" in found.text
    assert "uPlot" in html and "uPlot" not in page(Section("One", ["text"])).html()


def test_a_page_of_many_points_stays_small_and_keeps_the_last() -> None:
    xs = np.arange(100_000.0)
    data = PageData()
    data.add(Plot("T", "share", {"step": "step"}, [Line("a", PALETTE["c0"], {"step": Points(xs, xs)})]))
    written = json.loads(data.json())
    assert written["every"] == 2 and written["arrays"][0][-2:] == [99_997, 99_999]
    assert len(written["arrays"][0]) == 50_000


def test_an_interval_is_written_as_it_is() -> None:
    rows = [Row("even", Estimate(0.5, 0.4, 0.6, 5)), Row("uneven", Estimate(-2.083, -5.97, 1.13, 99))]
    drawn = draw_rows(rows, "rows", "points", mark=0.0, is_difference=True, digits=2)
    assert "even +0.50 ±0.10" in drawn and f"uneven {MINUS}2.08 [{MINUS}5.97, +1.13]" in drawn


def test_the_interval_of_two_seeds_presses_nothing_flat() -> None:
    """Student's factor for two seeds is 12.7: the axis shows a part of it, and an arrow says that it goes on."""
    rows = [Row("two", Estimate(0.5, -0.4, 1.4, 2)), Row("five", Estimate(0.6, 0.55, 0.65, 5))]
    ticks = re.findall(r"<text[^>]*>(-?[0-9.]+)</text>", draw_rows(rows, "rows", "points", is_difference=False))
    assert ticks and all(0.2 <= float(tick) <= 0.9 for tick in ticks)
    np.testing.assert_allclose(
        shade_over_seeds(np.array([[0.2, 0.5], [0.4, 0.5]])), [[0.3, 0.5], [0.2, 0.5], [0.4, 0.5]]
    )
