"""We-Math, testmini: composite problems with their steps, scored by what a model masters and what it memorizes.

A composite problem with two or three steps is asked as a whole, and so is each step. The outcome depends on which are
right:

                            whole right                      whole wrong
    all steps right         complete mastery (CM)            inadequate generalization (IG)
    some step wrong         rote memorization (RM), strict   insufficient knowledge (IK)

    score = (N - IG / 2 - RM - IK) / N = (CM + IG / 2) / N

Loose: a problem whose whole is right counts as mastered unless all its steps are wrong. N counts the composite problems
of which every question is present (525 in the full split), so that a subset has an honest denominator.
See "We-Math" (arXiv:2407.01284), section 3.3.

Departure: none known. Whether the paper's column is strict or loose is unknown (docs/evaluation.md); our table has the
strict score.

Not here: intervals (`nearfuture.stats.clusters`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Correct, Draft, Metric, Part, Question, Unit
from nearfuture.lab.evaluate.benchmarks.metrics import WHOLE, accuracy, mean_of, share_of
from nearfuture.tasks.data.asking import images_of, lettered_options

KEYS = {steps: (*(f"{steps}steps_{i}" for i in range(1, steps + 1)), f"{steps}steps_multi") for steps in (2, 3)}
"""The keys of a composite problem's questions: the steps first, the whole last."""
SCORES = {"CM": 1.0, "IG": 0.5, "RM": 0.0, "IK": 0.0}
ONE_STEP = {key for keys in KEYS.values() for key in keys[:-1]}


def read(doc: Mapping[str, Any]) -> Draft:
    """Read a row: the options are one text; `ID` and the number of steps name the problem, `key` the place in it."""
    return Draft(
        doc["question"],
        doc["answer"],
        "mcq",
        lettered_options(doc["option"]),
        images=images_of(doc, "image_path"),
        uid=f"{doc['ID']}/{doc['key']}",
        family=doc["key"],
        cluster=f"{doc['ID']}/{doc['key'].partition('_')[0]}",
        meta={"key": doc["key"]},
    )


def outcome(steps: Sequence[bool], whole: bool, *, is_strict: bool) -> str:
    """Return the outcome of a composite problem: CM, IG, RM or IK.

    Example:
        >>> [outcome((True, False), True, is_strict=strict) for strict in (True, False)]
        ['RM', 'CM']
    """
    if whole:
        is_mastered = all(steps) if is_strict else any(steps)
        return "CM" if is_mastered else "RM"
    return "IG" if all(steps) else "IK"


def composite(name: str, values: Mapping[str, float], *, is_strict: bool) -> Metric:
    """The mean value of the outcomes over composite problems; sample j of all their questions is one run."""

    def units(questions: Sequence[Question], correct: Correct) -> list[Unit]:
        problems: dict[str, dict[str, Sequence[bool | None]]] = {}
        for question, runs in zip(questions, correct, strict=True):
            problems.setdefault(question.cluster, {})[question.fact("key")] = runs
        return [
            Unit(cluster, WHOLE, _value(found, values, is_strict))
            for cluster, found in problems.items()
            if any(set(found) == set(keys) for keys in KEYS.values())
        ]

    return Metric(name, units)


def _value(found: Mapping[str, Sequence[bool | None]], values: Mapping[str, float], is_strict: bool) -> float:
    keys = next(keys for keys in KEYS.values() if set(keys) == set(found))
    worth: list[float | None] = []
    for run in zip(*(found[key] for key in keys), strict=True):
        judged = [right for right in run if right is not None]
        worth.append(
            values.get(outcome(judged[:-1], judged[-1], is_strict=is_strict), 0.0) if len(judged) == len(run) else None
        )
    return mean_of(worth)


def remark(questions: Sequence[Question]) -> str:
    """Say how many composite problems the score covers, and how many are left out because they lack a question."""
    complete, lacking = num_composites(questions)
    return f"{complete} composite problems" + (f"; {lacking} lack a question and are left out" if lacking else "")


def num_composites(questions: Sequence[Question]) -> tuple[int, int]:
    """Count the composite problems that are complete, and those that lack a question."""
    keys: dict[str, set[str]] = {}
    for question in questions:
        keys.setdefault(question.cluster, set()).add(question.fact("key"))
    complete = Counter(any(found == set(wanted) for wanted in KEYS.values()) for found in keys.values())
    return complete[True], complete[False]


BENCHMARK = Benchmark(
    name="wemath",
    title="WeMath",
    parts=(Part("wemath", "We-Math/We-Math", None, "testmini", read),),
    metric=composite("score (strict)", SCORES, is_strict=True),
    others=(
        composite("score (loose)", SCORES, is_strict=False),
        composite("complete mastery (strict)", {"CM": 1.0}, is_strict=True),
        composite("inadequate generalization", {"IG": 1.0}, is_strict=True),
        composite("rote memorization (strict)", {"RM": 1.0}, is_strict=True),
        composite("rote memorization (loose)", {"RM": 1.0}, is_strict=False),
        composite("insufficient knowledge", {"IK": 1.0}, is_strict=True),
        share_of("one step (S1)", "key", *ONE_STEP),
        share_of("two steps (S2)", "key", "2steps_multi"),
        share_of("three steps (S3)", "key", "3steps_multi"),
        accuracy(),
    ),
    licence="cc-by-nc-4.0 (non-commercial)",
    note="score over complete composite problems, clustered by problem",
    remark=remark,
)
