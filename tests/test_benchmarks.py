"""The benchmarks: upstream's rows read right, and every metric by hand."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from benchmark_data import fixtures, rows_of
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.lab.evaluate.benchmarks import BENCHMARKS, PAPER, Metric, Question, Unit
from nearfuture.lab.evaluate.benchmarks.loading import load_benchmark
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, all_of
from nearfuture.lab.evaluate.benchmarks.paper import is_absent
from nearfuture.lab.evaluate.benchmarks.wemath import BENCHMARK as WEMATH
from nearfuture.lab.evaluate.benchmarks.wemath import num_composites, outcome
from nearfuture.method.signal import pass_at_k
from nearfuture.tasks.data.asking import ask, lettered_options, with_images
from nearfuture.types import UserError
from nearfuture.verify import verify

KEYS = ("2steps_1", "2steps_2", "2steps_multi")


def value(units: Sequence[Unit]) -> float:
    """The mean over strata of the means over units."""
    strata: dict[str, list[float]] = {}
    for unit in units:
        if not math.isnan(unit.value):
            strata.setdefault(unit.stratum, []).append(unit.value)
    return float(np.mean([np.mean(values) for values in strata.values()]))


def of(metric: Metric, questions: list[Question], *runs: Sequence[bool | None]) -> float:
    """A metric, given the runs: of each run, of each question, right or not."""
    return value(metric.units(questions, list(zip(*runs, strict=True))))


def metric(benchmark: str, name: str) -> Metric:
    return next(found for found in BENCHMARKS[benchmark].others if found.name == name)


def test_the_paper_has_eight_in_its_order() -> None:
    titles = ["MMMU-Pro", "MathVista", "MathVision", "ZeroBench", "WeMath", "MMBench", "MM-Star", "MathVerse"]
    assert [benchmark.title for benchmark in PAPER] == titles


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_row_has_the_schema_and_its_gold_verifies(name: str) -> None:
    rows = rows_of(name)
    assert len(rows) >= 20
    assert len({row["uid"] for row in rows.texts()}) == len(rows)
    for row in (rows[i] for i in range(len(rows))):
        blocks = row["prompt"][0]["content"]
        assert [image.mode for image in row["images"]] == ["RGB"] * sum(b["type"] == "image" for b in blocks)
        assert "\\boxed{}" in blocks[-1]["text"]
        settings = {"kind": row["kind"], "options": row["options"], "tolerance": row["tolerance"]}
        assert verify(f"\\boxed{{{row['gold']}}}", row["gold"], **settings) == "correct"
        assert verify("\\boxed{H}", row["gold"], **settings) == "wrong"


def test_images_stand_where_the_text_mentions_them() -> None:
    row = rows_of("mmmu_pro")[3]
    blocks = [block.get("text", "image") for block in row["prompt"][0]["content"]]
    assert blocks[:4] == ["How much is 3 plus 2? See ", "image", " and ", "image"]
    assert [image.size for image in row["images"]] == [(24, 24), (32, 24)]
    assert blocks[4].startswith(".\nA. 5\nB. 6")


@given(st.lists(st.sampled_from(["<image>", "<image 1>", "<image2>", "<image_3>", "word "])), st.integers(0, 4))
def test_every_image_is_shown_and_nothing_else_is_lost(pieces: list[str], num_images: int) -> None:
    blocks, shown = with_images("".join(pieces), list(range(num_images)))
    assert len(shown) == sum(block["type"] == "image" for block in blocks)
    assert set(shown) == set(range(num_images))
    assert "".join(block.get("text", "") for block in blocks).count("word ") == pieces.count("word ")


def test_options_are_read_out_of_texts() -> None:
    assert lettered_options("A. 1; B. 2 cm; C. no; D. No correct answer") == ["1", "2 cm", "no", "No correct answer"]
    assert lettered_options("Find x.\nChoices:\nA:30\nB:60\nC:$90$") == ["30", "60", "$90$"]
    assert lettered_options("Which? (A) on (B) off") == ["on", "off"]
    assert lettered_options("A plane flies. Where to?") == []


def test_an_instruction_replaces_ours() -> None:
    row = load_benchmark(BENCHMARKS["mmstar"], fixtures(), "Answer inside <answer> tags.")[0]
    assert row["prompt"][0]["content"][-1]["text"].endswith("D: grey\nAnswer inside <answer> tags.")
    assert row["uid"] == rows_of("mmstar")[0]["uid"]
    assert ask("Why?", [], kind="text")[0][0]["content"][-1]["text"].startswith("Why?\nThink")


def test_mathvista_knows_letters_decimals_and_units() -> None:
    rows = [rows_of("mathvista")[i] for i in range(4)]
    assert [(row["kind"], row["gold"]) for row in rows] == [
        ("mcq", "B"),
        ("numeric", "7"),
        ("numeric", "1.25"),
        ("list", "[1, 4]"),
    ]
    assert rows[2]["tolerance"] == {"decimals": 2}
    text = rows[2]["prompt"][0]["content"][-1]["text"]
    assert text.startswith("The answer is a number with 2 decimal places.\nWhat does the picture say? (Unit: cm)")
    doc = {"pid": "1", "question": "?", "choices": ["x", "x"], "unit": None, "answer": "x", "metadata": None}
    doc |= {"question_type": "multi_choice", "answer_type": "text", "precision": None}
    twice = (
        BENCHMARKS["mathvista"]
        .parts[0]
        .row(doc | {"question_type": "multi_choice", "answer_type": "text", "precision": None})
    )
    assert verify("\\boxed{A}", twice["gold"], kind="mcq", options=twice["options"]) == "invalid_gold"


def test_mmbench_leaves_out_what_is_absent() -> None:
    rows = rows_of("mmbench")
    assert [len(row["options"]) for row in rows.facts()].count(3) == 6
    assert all("nan" not in row["prompt"][0]["content"][-1]["text"] for row in rows.facts())
    assert {json.loads(row["meta"])["cluster"] for row in rows.facts()} == {str(i) for i in range(6)}
    assert is_absent(float("nan"))


def test_clusters_are_what_is_no_independent_draw() -> None:
    sizes = {
        name: sorted(Counter(Question.of(row).cluster for row in rows.texts()).values())
        for name, rows in ((name, rows_of(name)) for name in ("mmmu_pro", "zerobench_sub", "mathverse", "wemath"))
    }
    assert sizes == {
        "mmmu_pro": [2] * 20,
        "zerobench_sub": [2] * 10,
        "mathverse": [5] * 4,
        "wemath": [3, 3, 3, 4, 4, 4],
    }


def test_mmmu_pro_is_the_mean_of_its_halves() -> None:
    questions = [Question(str(i), str(i), "mmmu_pro_standard") for i in range(4)] + [
        Question("v", "v", "mmmu_pro_vision")
    ]
    right = [True, False, False, False, True]
    assert of(BENCHMARKS["mmmu_pro"].metric, questions, right) == pytest.approx((0.25 + 1.0) / 2)
    assert of(metric("mmmu_pro", "standard"), questions, right) == pytest.approx(0.25)
    assert of(metric("mmmu_pro", "vision"), questions, right) == pytest.approx(1.0)


def test_mmstar_micro_and_macro() -> None:
    questions = [Question(str(i), str(i), facts={"l2_category": c}) for i, c in enumerate("aaab")]
    assert of(BENCHMARKS["mmstar"].metric, questions, [True, True, True, False]) == pytest.approx(0.75)
    assert of(metric("mmstar", "macro"), questions, [True, True, True, False]) == pytest.approx(0.5)


def test_circular_wants_every_shift_in_one_run() -> None:
    questions = [Question(str(i), cluster) for i, cluster in enumerate(["q", "r", "q", "r", "q"])]
    first, second = [True, True, True, True, True], [True, False, False, True, True]
    assert of(metric("mmbench", "circular"), questions, first) == 1.0
    assert of(metric("mmbench", "circular"), questions, second) == 0.0
    assert of(metric("mmbench", "circular"), questions, first, second) == pytest.approx(0.5)
    unjudged = [True, None, False, True, None]  # q is lost already, r is open
    assert of(metric("mmbench", "circular"), questions, unjudged) == 0.0
    assert of(BENCHMARKS["mmbench"].metric, questions, second) == pytest.approx(3 / 5)


def composites(*problems: str) -> tuple[list[Question], list[bool]]:
    """Problems of two steps, each as three letters: steps and whole, `1` right."""
    asked = [(str(i), key, mark) for i, marks in enumerate(problems) for key, mark in zip(KEYS, marks, strict=False)]
    questions = [Question(f"{i}{key}", i, facts={"key": key}) for i, key, _ in asked]
    return questions, [mark == "1" for *_, mark in asked]


def test_we_math_by_hand() -> None:
    """CM 111; IG 110; RM (strict) 101 and 001, of which loose forgives the first; IK 010. N = 5."""
    questions, right = composites("111", "110", "101", "001", "010")
    strict, loose = WEMATH.metric, metric("wemath", "score (loose)")
    assert of(strict, questions, right) == pytest.approx((5 - 0.5 * 1 - 2 - 1) / 5) == pytest.approx(0.3)
    assert of(loose, questions, right) == pytest.approx((5 - 0.5 * 1 - 1 - 1) / 5) == pytest.approx(0.5)
    shares = {found.name: of(found, questions, right) for found in WEMATH.others[1:6]}
    assert list(shares.values()) == pytest.approx([0.2, 0.2, 0.4, 0.2, 0.2])  # CM, IG, RM strict, RM loose, IK
    assert of(metric("wemath", "one step (S1)"), questions, right) == pytest.approx(6 / 10)
    assert of(metric("wemath", "two steps (S2)"), questions, right) == pytest.approx(3 / 5)


def test_we_math_counts_complete_problems_only() -> None:
    questions, right = composites("111", "110")
    assert of(WEMATH.metric, questions[:-1], right[:-1]) == 1.0  # the second lacks its whole
    assert num_composites(questions[:-1]) == (1, 1)
    assert of(WEMATH.metric, questions, [*right[:-1], None]) == 1.0  # or nobody judged it


@given(st.lists(st.tuples(st.integers(2, 3), st.integers(0, 15)), min_size=1, max_size=12))
def test_we_math_is_upstreams_formula(problems: list[tuple[int, int]]) -> None:
    questions, right, counts = [], [], dict.fromkeys(("CM", "IG", "RM", "IK"), 0)
    for number, (steps, bits) in enumerate(problems):
        marks = [bool(bits >> i & 1) for i in range(steps + 1)]
        keys = [*(f"{steps}steps_{i}" for i in range(1, steps + 1)), f"{steps}steps_multi"]
        questions += [Question(f"{number}{key}", str(number), facts={"key": key}) for key in keys]
        right += marks
        counts[outcome(marks[:-1], marks[-1], is_strict=True)] += 1
    n = len(problems)
    assert of(WEMATH.metric, questions, right) == pytest.approx(
        (n - counts["IG"] / 2 - counts["RM"] - counts["IK"]) / n
    )
    assert of(metric("wemath", "score (loose)"), questions, right) >= of(WEMATH.metric, questions, right)


def test_mean_at_k_leaves_out_what_was_not_judged() -> None:
    questions = [Question("a", "a"), Question("b", "b"), Question("c", "c")]
    assert of(accuracy(), questions, [True, False, None], [None, False, None]) == pytest.approx(0.5)


def test_pass_at_k_and_all_of_k_by_enumeration() -> None:
    """4 samples, 3 right: a pair holds a right one always, two right ones in C(3,2)/C(4,2)."""
    assert pass_at_k(np.array([4]), np.array([3]), 2)[0] == 1.0
    units = all_of("2 of 2", 2).units([Question("a", "a"), Question("b", "b")], [[True, True, True, False], [True]])
    assert units[0].value == pytest.approx(0.5)
    assert math.isnan(units[1].value)


def test_what_is_missing_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    folder = tmp_path
    with pytest.raises(UserError, match=r"hf download AI4Math/MathVista --repo-type dataset --local-dir .*MathVista"):
        load_benchmark(BENCHMARKS["mathvista"], folder)
    with pytest.raises(UserError, match=r"Lin-Chen/MMStar .*cannot be read.*hf download.*--data DIR"):
        load_benchmark(BENCHMARKS["mmstar"])
    repo = folder / "AI4Math/MathVista"
    repo.mkdir(parents=True)
    Dataset.from_list([{"pid": "1"}]).to_parquet(str(repo / "test.parquet"))
    with pytest.raises(UserError, match="split testmini"):
        load_benchmark(BENCHMARKS["mathvista"], folder)
