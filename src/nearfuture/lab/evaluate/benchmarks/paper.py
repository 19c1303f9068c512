"""The benchmarks of the paper's table 1, except We-Math: how upstream rows are read, and what is averaged over them.

    MMMU-Pro     college questions with ten options, and the same ones as screenshots; the mean of both halves
    MathVista    testmini: options whose gold is the option's text, and free answers with a stated precision
    MathVision   the full test split: competition problems, a third of them with options
    ZeroBench    100 main questions beyond today's models, and their 334 sub-questions, which are the paper's column
    MMBench      English dev split, row by row, and by CircularEval beside it
    MMStar       val: options inside the question's text; the micro average, and the macro one over fine categories
    MathVerse    testmini: 788 problems, each in five versions that move words into the image

ZeroBench carries a canary: never put any part of it into training data.

Not here: We-Math and its score (`wemath`), what a benchmark is (`benchmark`), the metrics (`metrics`), what an answer
must be equal to (`nearfuture.verify`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from nearfuture.lab.evaluate.benchmarks import wemath
from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Draft, Part
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, all_in_cluster, all_of, share_of
from nearfuture.tasks.data.asking import LETTERS, SHOWN, images_of, kind_of, letter_of, lettered_options, written_list

Doc = Mapping[str, Any]
NUM_IMAGES = 7
"""The image columns of an MMMU-Pro question."""
ANSWER_KINDS = {"integer": "numeric", "float": "numeric", "list": "list", "text": "text"}
ANSWER_HINTS = {"integer": "The answer is an integer.", "list": "The answer is a list of numbers in brackets."}
CIRCLE = 1_000_000
"""From this index on, MMBench's rows repeat question `index % CIRCLE` with its options shifted."""
VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")


def mmmu_pro_standard(doc: Doc) -> Draft:
    """Read config `standard (10 options)`: the text refers to `<image 1>`, the options are a list written as text."""
    images = images_of(doc, *(f"image_{number}" for number in range(1, NUM_IMAGES + 1)))
    options = written_list(doc["options"])
    return Draft(doc["question"], doc["answer"], "mcq", options, images=images, uid=doc["id"], family=doc["subject"])


def mmmu_pro_vision(doc: Doc) -> Draft:
    """Read config `vision`: it has no question column; the image shows the same options as the options column."""
    shown, options = images_of(doc, "image"), written_list(doc["options"])
    return Draft(SHOWN, doc["answer"], "mcq", options, True, shown, uid=doc["id"], family=doc["subject"])


def mathvista(doc: Doc) -> Draft:
    """Read a row: a choice's gold is the letter of its `answer`; other golds follow `answer_type` and `precision`."""
    is_choice = doc["question_type"] == "multi_choice"
    options = [str(choice) for choice in doc["choices"] or []] if is_choice else []
    decimals = None if is_choice else _decimals(doc)
    return Draft(
        doc["question"] + (f" (Unit: {doc['unit']})" if doc["unit"] else ""),
        letter_of(doc["answer"], options) if options else doc["answer"],
        "mcq" if is_choice else ANSWER_KINDS.get(doc["answer_type"], "math"),
        options,
        images=images_of(doc, "decoded_image"),
        tolerance=None if decimals is None else {"decimals": decimals},
        uid=doc["pid"],
        family=(doc["metadata"] or {}).get("task"),
        meta={"question_type": doc["question_type"]},
        hint="" if is_choice else _hint(doc["answer_type"], decimals),
    )


def _decimals(doc: Doc) -> int | None:
    precision = doc["precision"]
    return None if doc["answer_type"] != "float" or precision is None or math.isnan(precision) else int(precision)


def _hint(answer_type: str, decimals: int | None) -> str:
    if decimals is not None:
        return f"The answer is a number with {decimals} decimal place{'' if decimals == 1 else 's'}."
    return ANSWER_HINTS.get(answer_type, "")


def mathvision(doc: Doc) -> Draft:
    """With options the answer is a letter, otherwise a value; options may be bare letters that the image explains."""
    options = [str(option) for option in doc["options"] or []]
    return Draft(
        doc["question"],
        doc["answer"],
        "mcq" if options else "math",
        options,
        has_options=options == list(LETTERS[: len(options)]),
        images=images_of(doc, "decoded_image"),
        uid=doc["id"],
        difficulty=float(doc["level"]),
        family=doc["subject"],
        meta={"level": int(doc["level"])},
    )


def zerobench(doc: Doc) -> Draft:
    """Read either split, since their columns are the same; the kind of an answer follows from its form."""
    gold, question_id = str(doc["question_answer"]), str(doc["question_id"])
    images = images_of(doc, "question_images_decoded")
    return Draft(
        doc["question_text"], gold, kind_of(gold), images=images, uid=question_id, cluster=main_id(question_id)
    )


def main_id(question_id: str) -> str:
    """Return the main question of a sub-question: the text before the last separator.

    Example:
        >>> main_id("17_2"), main_id("17.2"), main_id("17")
        ('17', '17', '17')
    """
    return re.sub(r"[._-][^._-]*$", "", question_id)


def mmbench(doc: Doc) -> Draft:
    """Read a row: missing options and hints are written `nan`, and all shifts of a question form one cluster."""
    return Draft(
        doc["question"],
        doc["answer"],
        "mcq",
        [str(doc[letter]) for letter in "ABCD" if not is_absent(doc[letter])],
        images=images_of(doc, "image"),
        uid=doc["index"],
        family=doc["category"],
        hint="" if is_absent(doc["hint"]) else str(doc["hint"]),
        cluster=int(doc["index"]) % CIRCLE,
    )


def is_absent(value: Any) -> bool:
    """True for what upstream writes for a missing value: null, `nan` (text or number), an empty text.

    Example:
        >>> [is_absent(value) for value in (None, "nan", float("nan"), "", "Nan, a bread")]
        [True, True, True, True, False]
    """
    return value is None or str(value).strip().lower() in ("nan", "")


def mmstar(doc: Doc) -> Draft:
    """Read a row: if no options can be found, they are the four letters."""
    return Draft(
        doc["question"],
        doc["answer"],
        "mcq",
        lettered_options(doc["question"]) or list(LETTERS[:4]),
        has_options=True,
        images=images_of(doc, "image"),
        uid=doc["index"],
        family=doc["category"],
        meta={"l2_category": doc["l2_category"]},
    )


def mathverse(doc: Doc) -> Draft:
    """Read a row: `question` lists the options, except in vision-only rows, which have them in `question_for_eval`."""
    is_choice = doc["question_type"] == "multi-choice"
    options = lettered_options(doc["question"]) or lettered_options(doc["question_for_eval"] or "")
    return Draft(
        doc["question"].strip() or SHOWN,
        doc["answer"],
        "mcq" if is_choice else "math",
        (options or list(LETTERS[:4])) if is_choice else [],
        has_options=True,
        images=images_of(doc, "image"),
        uid=doc["sample_index"],
        family=doc["problem_version"],
        cluster=doc["problem_index"],
    )


def _mathvision(name: str, split: str, note: str) -> Benchmark:
    part = Part("mathvision", "MathLLMs/MathVision", None, split, mathvision)
    levels = tuple(share_of(f"level {level}", "level", str(level)) for level in range(1, 6))
    return Benchmark(name, "MathVision", (part,), accuracy(), levels, "mit", note)


ZEROBENCH, CANARY = "jonathan-roberts1/zerobench", "not declared; canary: never train on it"
PAPER = (
    Benchmark(
        name="mmmu_pro",
        title="MMMU-Pro",
        parts=(
            Part("mmmu_pro_standard", "MMMU/MMMU_Pro", "standard (10 options)", "test", mmmu_pro_standard),
            Part("mmmu_pro_vision", "MMMU/MMMU_Pro", "vision", "test", mmmu_pro_vision),
        ),
        metric=accuracy(over="part"),
        others=tuple(share_of(half, "part", f"mmmu_pro_{half}") for half in ("standard", "vision")),
        licence="apache-2.0",
        note="mean of standard (10 options) and vision; a question is one cluster over both",
    ),
    Benchmark(
        name="mathvista",
        title="MathVista",
        parts=(Part("mathvista", "AI4Math/MathVista", None, "testmini", mathvista),),
        metric=accuracy(),
        others=(
            share_of("multiple choice", "question_type", "multi_choice"),
            share_of("free form", "question_type", "free_form"),
        ),
        licence="cc-by-sa-4.0",
        note="testmini",
    ),
    _mathvision("mathvision", "test", "full test split"),
    Benchmark(
        name="zerobench_sub",
        title="ZeroBench",
        parts=(Part("zerobench_sub", ZEROBENCH, None, "zerobench_subquestions", zerobench),),
        metric=accuracy(),
        licence=CANARY,
        note="the 334 sub-questions, clustered by main question",
    ),
    wemath.BENCHMARK,
    Benchmark(
        name="mmbench",
        title="MMBench",
        parts=(Part("mmbench", "lmms-lab/MMBench", "en", "dev", mmbench),),
        metric=accuracy(),
        others=(all_in_cluster("circular"),),
        licence="not declared",
        note="row-level accuracy, clustered by question; circular: all shifts right in one run",
    ),
    Benchmark(
        name="mmstar",
        title="MM-Star",
        parts=(Part("mmstar", "Lin-Chen/MMStar", None, "val", mmstar),),
        metric=accuracy(),
        others=(accuracy("macro", over="l2_category"),),
        licence="not declared",
        note="micro average; macro: mean over fine categories",
    ),
    Benchmark(
        name="mathverse",
        title="MathVerse",
        parts=(Part("mathverse", "AI4Math/MathVerse", "testmini", "testmini", mathverse),),
        metric=accuracy(),
        others=tuple(share_of(version.lower(), "family", version) for version in VERSIONS),
        licence="mit",
        note="five versions of each problem, clustered by problem",
    ),
)
"""The eight benchmarks of the paper's table 1, in its order."""

BESIDE = (
    _mathvision("mathvision_testmini", "testmini", "304 problems, for a quick look; not the paper's split"),
    Benchmark(
        name="zerobench",
        title="ZeroBench (main)",
        parts=(Part("zerobench", ZEROBENCH, None, "zerobench", zerobench),),
        metric=accuracy(),
        others=(all_of("5 of 5", 5),),
        licence=CANARY,
        note="the 100 main questions; not in the paper's table",
    ),
)
"""Benchmarks that are not columns of that table."""

BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in (*PAPER, *BESIDE)}
