"""MMMU-Pro: college questions with ten options, and the same ones as screenshots; the mean of both halves.

Both halves ask the same 1,730 questions; where their ids agree, a question is one cluster over both.

Not here: the metric's mean over parts (`metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Row, make_row
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, share_of
from nearfuture.tasks.data.asking import SHOWN, images_of, written_list

REPO = "MMMU/MMMU_Pro"
STANDARD, VISION = "mmmu_pro_standard", "mmmu_pro_vision"
NUM_IMAGES = 7


def standard_row(doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """Config `standard (10 options)`: the text names its images `<image 1>`, the options are the text of a list."""
    return make_row(
        STANDARD,
        doc["id"],
        doc["question"],
        images_of(doc, *(f"image_{number}" for number in range(1, NUM_IMAGES + 1))),
        gold=doc["answer"],
        kind="mcq",
        options=written_list(doc["options"]),
        instruction=instruction,
        family=doc["subject"],
    )


def vision_row(doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """Config `vision`: no question column; image and options column say the same."""
    return make_row(
        VISION,
        doc["id"],
        SHOWN,
        images_of(doc, "image"),
        gold=doc["answer"],
        kind="mcq",
        options=written_list(doc["options"]),
        is_listed=True,
        instruction=instruction,
        family=doc["subject"],
    )


BENCHMARK = Benchmark(
    name="mmmu_pro",
    title="MMMU-Pro",
    parts=(
        Part(STANDARD, REPO, "standard (10 options)", "test", standard_row),
        Part(VISION, REPO, "vision", "test", vision_row),
    ),
    metric=accuracy(over="part"),
    others=(
        share_of("standard", lambda question: question.part == STANDARD),
        share_of("vision", lambda question: question.part == VISION),
    ),
    licence="apache-2.0",
    note="mean of standard (10 options) and vision; a question is one cluster over both",
)
