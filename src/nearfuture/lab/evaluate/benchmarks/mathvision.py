"""MathVision, the full test split: competition problems, a third of them with options.

Not here: the quick split (304 rows) has a name of its own, `mathvision_testmini`, with the same rows' form.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Row, make_row
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, share_of
from nearfuture.tasks.data.asking import LETTERS, images_of

REPO = "MathLLMs/MathVision"
LEVELS = (1, 2, 3, 4, 5)


def row(doc: Mapping[str, Any], instruction: str | None = None) -> Row:
    """With options the answer is a letter, else a value; options may be bare letters that the image explains."""
    options = [str(option) for option in doc["options"] or []]
    return make_row(
        "mathvision",
        doc["id"],
        doc["question"],
        images_of(doc, "decoded_image"),
        gold=doc["answer"],
        kind="mcq" if options else "math",
        options=options or None,
        is_listed=options == list(LETTERS[: len(options)]),
        instruction=instruction,
        family=doc["subject"],
        difficulty=float(doc["level"]),
        level=int(doc["level"]),
    )


def _benchmark(name: str, split: str, note: str) -> Benchmark:
    levels = (share_of(f"level {level}", partial(_is_level, str(level))) for level in LEVELS)
    part = Part("mathvision", REPO, None, split, row)
    return Benchmark(name, "MathVision", (part,), accuracy(), tuple(levels), "mit", note)


def _is_level(level: str, question: Any) -> bool:
    return bool(question.fact("level") == level)


BENCHMARK = _benchmark("mathvision", "test", "full test split")
TESTMINI = _benchmark("mathvision_testmini", "testmini", "304 problems, for a quick look; not the paper's split")
