"""What the page's scripts compute, in a JavaScript engine without a browser: Python's numbers, filters, saved files.

What needs a page and a mouse is in `test_browser.py`.
"""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from nearfuture.lab.page.page import HERE
from nearfuture.lab.report.pieces import trailing_mean

ENGINE = MiniRacer()
ENGINE.eval((HERE / "scripts" / "core.js").read_text("utf-8").replace("const core =", "var core ="))
NUMBERS = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=30)


def call(name: str, *arguments: Any) -> Any:
    """Call a function of `core` with plain values."""
    said = ENGINE.eval(f"JSON.stringify(core.{name}(...{json.dumps(arguments)}))")
    return json.loads(str(said))


@given(values=NUMBERS, window=st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_means_are_those_of_the_static_drawing(values: list[float], window: int) -> None:
    np.testing.assert_allclose(call("smooth", values, window), trailing_mean(np.array(values), window))


@given(values=NUMBERS, num_before=st.integers(0, 29), window=st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_a_branch_is_averaged_over_its_path(values: list[float], num_before: int, window: int) -> None:
    """What is handed over as `before` counts as if the whole path had been handed over."""
    before, own = values[:num_before], values[num_before:]
    whole = trailing_mean(np.array(values), window)
    np.testing.assert_allclose(call("smooth", own, window, before), whole[len(before) :])


def test_a_missing_value_stays_missing_and_counts_for_no_mean() -> None:
    assert call("smooth", [1, None, 3], 2) == [1, None, 3]
    assert call("smooth", [1, None, 4], 3) == [1, None, 2.5]


@pytest.mark.parametrize(("x", "found"), [(-5, 0), (4, 0), (6, 1), (10, 1), (14, 1), (16, 2), (99, 2)])
def test_the_nearest_point(x: float, found: int) -> None:
    assert call("nearest", [0, 10, 20], x) == found


def curve(name: str, xs: list[float], ys: list[float | None], **more: Any) -> dict[str, Any]:
    return {"name": name, "part": "", "colour": "#000", "width": 2, "xs": xs, "ys": ys, **more}


def test_every_curve_is_read_at_a_step_highest_first() -> None:
    curves = [
        curve("low", [0, 10, 20], [0.1, 0.2, 0.3]),
        curve("high", [0, 20], [0.5, 0.7], low=[0.4, 0.6], high=[0.6, 0.8]),
        curve("ended", [0, 10], [0.9, 0.9]),
        curve("missing", [0, 20], [0.5, None]),
    ]
    read = call("readings", curves, 19)
    assert [(one["name"], one["x"], one["y"]) for one in read] == [("high", 20, 0.7), ("low", 20, 0.3)]
    assert read[0]["bounds"] == [0.6, 0.8] and read[1]["bounds"] is None


def test_an_axis_begins_at_zero_unless_all_values_lie_in_the_upper_half() -> None:
    assert call("limits", [0.2, 0.5], False)[0] == 0
    low, high = call("limits", [0.8, 0.9], False)
    assert 0.7 < low < 0.8 and 0.9 < high < 1
    assert call("limits", [-1, 1], False)[0] < -1
    assert call("limits", [0, 0.01, 1], True)[0] > 0  # a logarithm has no zero
    assert call("limits", [], False) == [0, 1]
    low, high = call("limits", [0.2, 0.6], False, [-5, 5])
    assert low == 0 and 0.6 < high < 0.75  # the interval of two seeds does not press the curves flat
    assert len(call("limits", [0.5] * 250_000, False)) == 2  # more than a call takes as arguments


@given(low=st.floats(-100, 100), width=st.floats(0.001, 1e6), wanted=st.integers(3, 8))
@settings(max_examples=60, deadline=None)
def test_ticks_are_round_few_and_inside(low: float, width: float, wanted: int) -> None:
    found = call("ticks", low, low + width, wanted)
    assert 1 <= len(found) <= wanted + 1
    assert all(low - 1e-6 * width <= at <= low + width * (1 + 1e-6) for at in found)


def test_decades_on_a_logarithmic_axis() -> None:
    assert call("ticks", 0.001, 1000, 5, True) == [0.001, 0.01, 0.1, 1, 10, 100, 1000]
    assert call("ticks", 0.9, 6, 5, True) == [1, 2, 5]


TOLD = {
    0.1234: "0.123",
    5: "5",
    9999: "9999",
    20_000: "20 k",
    1_234_567: "1.23 M",
    None: "\N{EN DASH}",
    12.34567: "12.35",
}


@pytest.mark.parametrize(("value", "said"), TOLD.items())
def test_numbers_as_a_reader_expects_them(value: float | None, said: str) -> None:
    assert call("told", value) == said


def test_saved_data_can_be_read_back() -> None:
    curves = [curve('a "b", c', [1, 2], [0.1, None]), curve("d", [1], [0.2], part="abandoned", low=[0.1], high=[0.3])]
    rows = call("rows", curves, "step", "Held-out pass rate")
    read = list(csv.DictReader(io.StringIO(call("csv", rows))))
    assert [row["run"] for row in read] == ['a "b", c', 'a "b", c', "d"]
    assert read[1]["Held-out pass rate"] == "" and read[0]["part"] == "kept" and read[2]["high"] == "0.3"
    assert [row["step"] for row in read] == ["1", "2", "1"]


SAMPLE = {
    "run": "npo",
    "source": "training",
    "family": "sums",
    "step": 40,
    "prompt": "What is 1+1?",
    "expected": "2",
    "prompt_id": "p1",
    "answers": [{"text": "It is two.", "verdict": "correct", "read": "2"}, {"text": "3", "verdict": "wrong"}],
    "guidance": {"text": "So 2."},
}


@pytest.mark.parametrize(
    ("asked", "is_one"),
    [
        ({}, True),
        ({"words": "TWO what"}, True),
        ({"words": "two four"}, False),
        ({"family": "sums", "verdict": "wrong"}, True),
        ({"verdict": "no_answer"}, False),
        ({"guided": "yes"}, True),
        ({"guided": "no"}, False),
        ({"from": 40, "to": 40}, True),
        ({"from": 41}, False),
        ({"to": 39}, False),
        ({"run": "grpo"}, False),
        ({"source": "held-out"}, False),
        ({"words": "p1"}, True),
    ],
)
def test_samples_are_searched_and_filtered(asked: dict[str, Any], is_one: bool) -> None:
    assert call("matches", SAMPLE, asked) is is_one


def test_a_saved_figure_is_an_svg_that_stands_alone() -> None:
    given_curves = [curve("a<b", [0, 10], [0.1, 0.4], isMarked=True), curve("c", [0, 10], [0.2, None], dashes=[4, 3])]
    colours = {"ink": "#000", "soft": "#555", "hair": "#ccc", "paper": "#fff"}
    shown = {"title": "T", "unit": "share", "label": "step", "curves": given_curves, "range": [0, 10], "isLog": False}
    root = ElementTree.fromstring(call("svg", {**shown, "limits": [0, 0.5], "tickWords": [], "colours": colours}))
    words = [element.text for element in root.iter() if element.text]
    assert {"T", "share", "step", "a<b", "c", "0.5", "10"} <= set(words)
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(circles) == 2 and "var(" not in ElementTree.tostring(root, encoding="unicode")
