"""ZeroBench: 100 main questions made to be beyond today's models, and their 334 sub-questions, the paper's column.

The repository carries a canary: never put any of it into training data.

Not here: the harnesses' substring tests; an answer must be equal by its kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Row, make_row
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, all_of
from nearfuture.tasks.data.asking import images_of, kind_of

REPO = "jonathan-roberts1/zerobench"


def row(part: str, doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """Both splits have the same columns; the answer's kind is told from its form."""
    gold = str(doc["question_answer"])
    return make_row(
        part,
        doc["question_id"],
        doc["question_text"],
        images_of(doc, "question_images_decoded"),
        gold=gold,
        kind=kind_of(gold),
        instruction=instruction,
        cluster=main_id(str(doc["question_id"])),
    )


def main_id(question_id: str) -> str:
    """The main question a sub-question belongs to: what stands before the last separator.

    Example:
        >>> main_id("17_2"), main_id("17.2"), main_id("17")
        ('17', '17', '17')
    """
    return re.sub(r"[._-][^._-]*$", "", question_id)


SUB = Benchmark(
    name="zerobench_sub",
    title="ZeroBench",
    parts=(Part("zerobench_sub", REPO, None, "zerobench_subquestions", partial(row, "zerobench_sub")),),
    metric=accuracy(),
    licence="not declared; canary: never train on it",
    note="the 334 sub-questions, clustered by main question",
)
MAIN = Benchmark(
    name="zerobench",
    title="ZeroBench (main)",
    parts=(Part("zerobench", REPO, None, "zerobench", partial(row, "zerobench")),),
    metric=accuracy(),
    others=(all_of("5 of 5", 5),),
    licence="not declared; canary: never train on it",
    note="the 100 main questions; not in the paper's table",
)
