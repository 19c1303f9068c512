"""What the `npo_*` tasks of lmms-eval call: the project's rows as prompts, the project's verifier as scorer.

    lmms-eval --include_path integrations/lmms_eval/tasks --tasks npo_mathvista ...

lmms-eval finds functions by name in this module, one set for each part of a benchmark (`mathvista_messages`,
`mathvista_text`, `mathvista_visual`, `mathvista_results`) and one aggregation for each benchmark (`wemath_score`).
Everything is a call into `nearfuture`; lmms-eval itself is not imported.

`truncated` is what the text shows: a thought, tag or box that was never closed. lmms-eval does not tell a scorer the
number of tokens; `--log_samples` keeps it (`token_counts`).

Not here: the benchmarks (`nearfuture.lab.evaluate.benchmarks`), the verifier (`nearfuture.verify`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nearfuture.lab.evaluate.benchmarks import PAPER, Benchmark, Part, Question
from nearfuture.lab.evaluate.benchmarks.loading import as_rgb
from nearfuture.types import Verdict
from nearfuture.verify import explain

OPENING = re.compile(r"\\boxed\s*\{|<answer>|<think>", re.IGNORECASE)
Doc = Mapping[str, Any]


def messages(part: Part, doc: Doc, lmms_eval_specific_kwargs: Any = None) -> list[dict[str, Any]]:
    """The prompt as chat messages, images where the text mentions them."""
    row = part.row(doc)
    images = iter(row["images"] or [])
    return [
        {"role": message["role"], "content": [_block(block, images) for block in message["content"]]}
        for message in row["prompt"]
    ]


def _block(block: Mapping[str, str], images: Any) -> dict[str, Any]:
    return {"type": "image", "url": as_rgb(next(images))} if block["type"] == "image" else dict(block)


def text(part: Part, doc: Doc, lmms_eval_specific_kwargs: Any = None) -> str:
    """The words of the prompt, for models that take text and images apart."""
    return "".join(block.get("text", "") for block in part.row(doc)["prompt"][-1]["content"])


def visual(part: Part, doc: Doc) -> list[Any]:
    """The images of the prompt, in order."""
    return [as_rgb(image) for image in part.row(doc)["images"] or []]


def results(part: Part, doc: Doc, responses: Sequence[str]) -> dict[str, Any]:
    """Judge a response; the document comes without its images."""
    row = part.row(doc)
    response = responses[0]
    found = explain(response, row["gold"], kind=row["kind"], options=row["options"], tolerance=row["tolerance"])
    is_judged = found.verdict.is_judged
    return {
        "acc": float(found.verdict is Verdict.CORRECT) if is_judged else math.nan,
        "score": {"question": Question.of(row), "correct": found.verdict is Verdict.CORRECT if is_judged else None},
        "extracted": {"uid": row["uid"], "verdict": found.verdict.value, "answer": found.answer},
        "truncated": float(found.verdict is Verdict.NO_ANSWER and OPENING.search(response) is not None),
        "parse_fail": float(found.verdict is Verdict.NO_ANSWER),
        "unjudged": float(not is_judged),
    }


def score(benchmark: Benchmark, rows: Sequence[Mapping[str, Any]]) -> float:
    """The benchmark's own number: mean over strata of means over units."""
    units = benchmark.metric.units([row["question"] for row in rows], [[row["correct"]] for row in rows])
    strata: dict[str, list[float]] = {}
    for unit in units:
        if not math.isnan(unit.value):
            strata.setdefault(unit.stratum, []).append(unit.value)
    return mean([mean(values) for values in strata.values()])


def extracted(rows: Sequence[Mapping[str, Any]]) -> float:
    """The share of responses in which an answer was found."""
    return mean([float(row["answer"] is not None) for row in rows])


def mean(values: Sequence[float]) -> float:
    """The mean of what is known."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        f"{part.name}_{function.__name__}": partial(function, part)
        for benchmark in PAPER
        for part in benchmark.parts
        for function in (messages, text, visual, results)
    },
    **{f"{benchmark.name}_score": partial(score, benchmark) for benchmark in PAPER},
}
globals().update(FUNCTIONS)  # lmms-eval looks names up in the module
