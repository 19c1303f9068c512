"""MMStar, val: options inside the question's text; the micro average, and the macro one over its 18 fine categories.

Not here: reading options out of a text (`asking.lettered_options`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Row, make_row
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy
from nearfuture.tasks.data.asking import LETTERS, images_of, lettered_options


def row(doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """Where no options can be read, they are the four letters."""
    return make_row(
        "mmstar",
        doc["index"],
        doc["question"],
        images_of(doc, "image"),
        gold=doc["answer"],
        kind="mcq",
        options=lettered_options(doc["question"]) or list(LETTERS[:4]),
        is_listed=True,
        instruction=instruction,
        family=doc["category"],
        l2_category=doc["l2_category"],
    )


BENCHMARK = Benchmark(
    name="mmstar",
    title="MM-Star",
    parts=(Part("mmstar", "Lin-Chen/MMStar", None, "val", row),),
    metric=accuracy(),
    others=(accuracy("macro", over="l2_category"),),
    licence="not declared",
    note="micro average; macro: mean over fine categories",
)
