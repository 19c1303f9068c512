"""The overlay for lmms-eval, driven without it: its functions ask and judge as `nearfuture evaluate` does.

Not here: the same through lmms-eval itself (`integrations/lmms_eval/parity.py`, with the result in its README).
"""

from __future__ import annotations

import math
import re
from types import ModuleType
from typing import Any

import pytest
from benchmark_data import ROOT, fixtures, load_script, rows_of
from datasets import load_dataset

from nearfuture.lab.evaluate.benchmarks import PAPER, Part
from nearfuture.lab.evaluate.suites import judge_answers
from nearfuture.verify import verify

FOLDER = ROOT / "integrations/lmms_eval"
PARTS = [(benchmark, part) for benchmark in PAPER for part in benchmark.parts]
FORMS = (
    "\\boxed{GOLD}",
    "<think>\\boxed{0}</think>The answer is GOLD.",
    "\\boxed{B} or \\boxed{C}",
    "so \\boxed{GOLD",
    "<think>without end",
    "",
    "Answer: (GOLD)",
)


@pytest.fixture(scope="module")
def utils() -> ModuleType:
    return load_script("integrations/lmms_eval/tasks/utils.py")


def docs(part: Part) -> Any:
    """What lmms-eval hands to a task's functions: upstream's rows, images decoded."""
    return load_dataset(str(fixtures() / part.repo), part.config, split=part.split)


def without_images(doc: dict[str, Any]) -> dict[str, Any]:
    """What it hands to a scorer."""
    return {name: value for name, value in doc.items() if not hasattr(value, "tobytes") and "decoded" not in name}


@pytest.mark.parametrize(("benchmark", "part"), PARTS, ids=lambda of: of.name)
def test_prompts_and_verdicts_are_ours(utils: ModuleType, benchmark: Any, part: Part) -> None:
    ours = {row["uid"]: row for row in (rows_of(benchmark.name)[i] for i in range(len(rows_of(benchmark.name))))}
    for doc in docs(part):
        responses = [form.replace("GOLD", str(doc.get("answer") or doc.get("question_answer"))) for form in FORMS]
        found = [getattr(utils, f"{part.name}_results")(without_images(doc), [response]) for response in responses]
        row = ours[found[0]["extracted"]["uid"]]
        judged = judge_answers(responses, [row] * len(FORMS))
        assert [one["extracted"]["verdict"] for one in found] == [verdict.value for verdict, _ in judged]
        assert [one["acc"] for one in found] == [float(verdict == "correct") for verdict, _ in judged]
        assert [one["truncated"] for one in found] == [0, 0, 0, 1, 1, 0, 0]
        blocks = getattr(utils, f"{part.name}_messages")(doc)[0]["content"]
        assert [b.get("text") for b in blocks] == [b.get("text") for b in row["prompt"][0]["content"]]
        images = [image.tobytes() for image in row["images"]]
        assert [b["url"].tobytes() for b in blocks if b["type"] == "image"] == images
        assert [image.tobytes() for image in getattr(utils, f"{part.name}_visual")(doc)] == images


def test_the_score_is_the_benchmarks_own(utils: ModuleType) -> None:
    """Of We-Math's first problem the whole is wrong and its steps are right: half a point for one of six."""
    [part] = [part for benchmark, part in PARTS if benchmark.name == "wemath"]
    rows = []
    for doc in docs(part):
        is_right = doc["ID"] == "0" and doc["key"].startswith("2steps") and doc["key"] != "2steps_multi"
        response = f"\\boxed{{{doc['answer'] if is_right else 'D'}}}"
        rows.append(utils.wemath_results(doc, [response])["score"])
    assert utils.wemath_score(rows) == pytest.approx(0.5 / 6)


def test_what_was_not_judged_leaves_the_mean(utils: ModuleType) -> None:
    doc = {"index": 1, "question": "?\nOptions: A: x, B: y", "answer": "F", "category": "c", "l2_category": "d"}
    found = utils.mmstar_results(doc, ["\\boxed{A}"])
    assert verify("\\boxed{A}", "F", kind="mcq", options=["x", "y"]) == "invalid_gold"
    assert math.isnan(found["acc"]) and found["unjudged"] == 1.0
    assert utils.mean([1.0, found["acc"], 0.0]) == 0.5
    assert utils.extracted([{"answer": "A"}, {"answer": None}]) == 0.5


def test_the_task_files_are_those_the_benchmarks_make(utils: ModuleType) -> None:
    script = load_script("integrations/lmms_eval/build_tasks.py")
    written = {path.name: path.read_text() for path in (FOLDER / "tasks").glob("npo_*.yaml")}
    assert written == script.files()
    assert {f"npo_{benchmark.name}.yaml" for benchmark in PAPER} <= set(written)
    for text in written.values():
        assert all(hasattr(utils, name) for name in re.findall(r"!function utils\.(\w+)", text))
