"""MMBench, English dev split: row by row, as the paper's column fits, and by CircularEval beside it.

Rows from index 1,000,000 on ask the question `index % 1,000,000` again with its options moved on: one cluster.

Not here: the test split, which has no labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Row, make_row
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, all_in_cluster
from nearfuture.tasks.data.asking import images_of

CIRCLE = 1_000_000


def row(doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """Absent options and hints are written `nan`."""
    options = [str(doc[letter]) for letter in "ABCD" if not is_absent(doc[letter])]
    return make_row(
        "mmbench",
        doc["index"],
        doc["question"],
        images_of(doc, "image"),
        gold=doc["answer"],
        kind="mcq",
        options=options,
        hint="" if is_absent(doc["hint"]) else str(doc["hint"]),
        instruction=instruction,
        family=doc["category"],
        cluster=int(doc["index"]) % CIRCLE,
    )


def is_absent(value: Any) -> bool:
    """True for what upstream writes where it has nothing: null, `nan` (text or number), an empty text.

    Example:
        >>> [is_absent(value) for value in (None, "nan", float("nan"), "", "Nan, a bread")]
        [True, True, True, True, False]
    """
    return value is None or str(value).strip().lower() in ("nan", "")


BENCHMARK = Benchmark(
    name="mmbench",
    title="MMBench",
    parts=(Part("mmbench", "lmms-lab/MMBench", "en", "dev", row),),
    metric=accuracy(),
    others=(all_in_cluster("circular"),),
    licence="not declared",
    note="row-level accuracy, clustered by question; circular: all shifts right in one run",
)
