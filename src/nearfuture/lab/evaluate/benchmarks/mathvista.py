"""MathVista, testmini: options whose gold is the option's text, and free answers with a stated precision.

Not here: the tolerance's meaning (`nearfuture.verify`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Row, make_row
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, share_of
from nearfuture.tasks.data.asking import images_of, letter_of

KINDS = {"integer": "numeric", "float": "numeric", "list": "list", "text": "text"}
HINTS = {"integer": "The answer is an integer.", "list": "The answer is a list of numbers in brackets."}


def row(doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """Choices: the letter of the option that `answer` spells; else by `answer_type`, to `precision` decimals."""
    is_choice = doc["question_type"] == "multi_choice"
    options = [str(choice) for choice in doc["choices"] or []] if is_choice else None
    unit = f" (Unit: {doc['unit']})" if doc["unit"] else ""
    metadata = doc["metadata"] or {}
    return make_row(
        "mathvista",
        doc["pid"],
        doc["question"] + unit,
        images_of(doc, "decoded_image"),
        gold=letter_of(doc["answer"], options) if options else doc["answer"],
        kind="mcq" if is_choice else KINDS.get(doc["answer_type"], "math"),
        options=options,
        hint="" if is_choice else _hint(doc),
        instruction=instruction,
        tolerance=None if is_choice else _tolerance(doc),
        family=metadata.get("task"),
        question_type=doc["question_type"],
    )


def _hint(doc: Mapping[str, Any]) -> str:
    decimals = (_tolerance(doc) or {}).get("decimals")
    if doc["answer_type"] == "float" and decimals is not None:
        return f"The answer is a number with {decimals} decimal place{'' if decimals == 1 else 's'}."
    return HINTS.get(doc["answer_type"], "")


def _tolerance(doc: Mapping[str, Any]) -> dict[str, int] | None:
    precision = doc["precision"]
    if doc["answer_type"] != "float" or precision is None or math.isnan(precision):
        return None
    return {"decimals": int(precision)}


BENCHMARK = Benchmark(
    name="mathvista",
    title="MathVista",
    parts=(Part("mathvista", "AI4Math/MathVista", None, "testmini", row),),
    metric=accuracy(),
    others=(
        share_of("multiple choice", lambda question: question.fact("question_type") == "multi_choice"),
        share_of("free form", lambda question: question.fact("question_type") == "free_form"),
    ),
    licence="cc-by-sa-4.0",
    note="testmini",
)
