"""MathVerse, testmini: 788 problems, each in five versions that move words into the image.

Not here: the text-only config, which the paper's number of rows excludes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Question, Row, make_row
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, share_of
from nearfuture.tasks.data.asking import LETTERS, SHOWN, images_of, lettered_options

VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")


def row(doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """`question` lists the options; vision-only rows have none, and their options are in `question_for_eval`."""
    is_choice = doc["question_type"] == "multi-choice"
    options = lettered_options(doc["question"]) or lettered_options(doc["question_for_eval"] or "")
    return make_row(
        "mathverse",
        doc["sample_index"],
        doc["question"].strip() or SHOWN,
        images_of(doc, "image"),
        gold=doc["answer"],
        kind="mcq" if is_choice else "math",
        options=(options or list(LETTERS[:4])) if is_choice else None,
        is_listed=True,
        instruction=instruction,
        family=doc["problem_version"],
        cluster=doc["problem_index"],
    )


def _is_version(version: str, question: Question) -> bool:
    return question.fact("family") == version


BENCHMARK = Benchmark(
    name="mathverse",
    title="MathVerse",
    parts=(Part("mathverse", "AI4Math/MathVerse", "testmini", "testmini", row),),
    metric=accuracy(),
    others=tuple(share_of(version.lower(), partial(_is_version, version)) for version in VERSIONS),
    licence="mit",
    note="five versions of each problem, clustered by problem",
)
