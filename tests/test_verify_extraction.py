"""Where an answer stands and what a gold answer is: for each kind of saying it, responses that are right and wrong.

Not here: how two values are compared (`test_verify.py`, `test_verify_pairs.py`).
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from nearfuture.types import Verdict
from nearfuture.verify import Item, explain, verify, verify_many
from nearfuture.verify.extract import extract

TABLE = json.loads((Path(__file__).parent / "data" / "verifier_extraction.json").read_text())
"""Name of a kind -> rows with `kind`, `gold`, maybe `options`, and the responses that are `right` and `wrong`."""


@pytest.mark.parametrize("name", TABLE)
def test_answers_are_found_where_they_stand(name: str) -> None:
    items, expected = [], []
    for row in TABLE[name]:
        responses = (*row["right"], *row["wrong"])
        items += [Item(response, row["gold"], row["kind"], row.get("options")) for response in responses]
        expected += [True] * len(row["right"]) + [False] * len(row["wrong"])
    verdicts = verify_many(items)
    assert {Verdict.INVALID_GOLD, Verdict.CRASH, Verdict.TIMEOUT}.isdisjoint(verdicts)
    assert [
        f"{item.gold[-20:]!r} {item.response!r} is {verdict}"
        for item, verdict, is_right in zip(items, verdicts, expected, strict=True)
        if (verdict is Verdict.CORRECT) != is_right
    ] == []


@pytest.mark.parametrize(
    ("kind", "gold"),
    [
        ("math", "First we add the two numbers, which gives the sum. Then we halve it. So we are done."),
        ("math", "We add.\nWe halve the sum of the two numbers that were given.\nWe are done here."),
        ("numeric", "First we add the two numbers. Then we halve."),
        ("math", "so it is \\boxed{\\frac{1}{2}"),
        ("math", "#### \nnothing"),
        ("mcq", "First we add, then we halve."),
    ],
)
def test_a_solution_whose_answer_is_not_marked_is_no_gold_answer(kind: str, gold: str) -> None:
    for response in ("\\boxed{5}", "\\boxed{C}", gold):
        assert verify(response, gold, kind=kind, options=["p", "q"] if kind == "mcq" else None) is Verdict.INVALID_GOLD


def test_strict_wants_a_box_that_a_later_line_does_not_contradict() -> None:
    for response, text in {"\\boxed{4}": "4", "\\boxed{4}. The answer is 4.": "4"}.items():
        found = extract(response, strict=True)
        assert found is not None and (found.text, found.parts) == (text, ())
    contradicted = extract("\\boxed{4}. Actually, the answer is 5.", strict=True)
    assert contradicted is not None and contradicted.parts == ("4", "5")
    assert extract("\\boxed{4} is wrong. The answer is 5.", strict=True) is None


def test_the_public_signature() -> None:
    parameters = inspect.signature(verify).parameters
    assert list(parameters) == ["response", "gold", "kind", "options", "tolerance"]
    assert [name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY] == [
        "kind",
        "options",
        "tolerance",
    ]
    assert (parameters["options"].default, parameters["tolerance"].default) == (None, None)
    assert list(inspect.signature(explain).parameters) == list(parameters)
