"""Verifiers of one's own, in every form, and the rewards that are made of verdicts.

Not here: the built-in verifier's verdicts (`test_verify.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nearfuture.tasks import Task, VerdictReward, check_gold
from nearfuture.tasks.reward import MIN_VERDICTS
from nearfuture.types import UserError, Verdict
from nearfuture.verify import ExternalVerifier, MathReward, RowVerifier, load_verifier

OWN = """
import os
import time

def verl(data_source, solution_str, ground_truth, extra_info=None):
    if solution_str == "hang":
        while True:
            pass
    if solution_str == "wait":
        time.sleep(1.5)
        return 1.0
    if solution_str == "die":
        os._exit(1)
    if solution_str == "cannot":
        return None
    assert data_source == "sums" and extra_info["difficulty"] == 3
    return {"score": 1.0 if solution_str == ground_truth else 0.1}

def easyr1(reward_inputs, format_weight=0.1):
    same = [float(one["response"] == one["ground_truth"]) for one in reward_inputs]
    return [{"overall": 0.9 * score + 0.1, "format": 1.0, "accuracy": score} for score in same]

def easyr1_one(reward_input):
    return {"overall": float(reward_input["response"] == reward_input["ground_truth"])}

def older(predicts, ground_truths):
    return [{"overall": float(a == b)} for a, b in zip(predicts, ground_truths)]

def older_one(predict, ground_truth):
    return {"overall": float(predict == ground_truth)}

def of_a_task(completion, row):
    assert row["difficulty"] == 3
    return completion == row["gold"]

def unknown(a, b, c):
    return 1.0

def alone(response):
    return 1.0 if "5" in response else 0.0

def too_few(reward_inputs):
    return [1.0]
"""
ROW = {"prompt": "2+3=", "gold": "5", "kind": "math", "source": "sums", "difficulty": 3, "images": [object()]}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("form", ["verl", "easyr1", "easyr1_one", "older", "older_one", "of_a_task"])
def test_every_form_of_verl_and_easyr1(own: Path, form: str) -> None:
    verify = load_verifier(f"{own}:{form}")
    assert [decision.verdict for decision in verify.many(["5", "6"], [ROW, ROW])] == [Verdict.CORRECT, Verdict.WRONG]
    assert verify("5", ROW) is Verdict.CORRECT


def test_one_of_ones_own_cannot_hang_or_kill_a_run(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    verify = ExternalVerifier(f"{own}:verl", time_limit=0.5, size=2)
    decisions = verify.many(["hang", "die", "cannot", "5", "wait"], [ROW] * 5)
    expected = [Verdict.TIMEOUT, Verdict.CRASH, Verdict.INVALID_GOLD, Verdict.CORRECT, Verdict.CORRECT]
    assert [decision.verdict for decision in decisions] == expected
    assert "the worker died" in caplog.text


def test_the_threshold_decides(own: Path) -> None:
    assert ExternalVerifier(f"{own}:verl", threshold=0.1)("6", ROW) is Verdict.CORRECT
    assert ExternalVerifier(f"{own}:easyr1", threshold=0.1)("6", ROW) is Verdict.WRONG, "a format bonus is no answer"


def test_a_batch_with_too_few_scores_is_a_crash(own: Path) -> None:
    decisions = load_verifier(f"{own}:too_few").many(["5", "6"], [ROW, ROW])
    assert [decision.verdict for decision in decisions] == [Verdict.CRASH] * 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{own}:unknown", r"takes \(a, b, c\)\. It must take \(data_source, solution_str"),
        ("{own}:alone", r"takes \(response\)\. It must take"),  # nothing says that it wants the text
        ("{own}:very", "Did you mean 'verl'"),
        ("{own}.txt:verl", "there is no file"),
        ("maths", "neither lenient nor strict"),
    ],
)
def test_a_verifier_that_cannot_be_used(own: Path, spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_verifier(spec.format(own=own))


def test_the_version_changes_with_the_file_and_the_mode(own: Path, tmp_path: Path) -> None:
    edited = tmp_path / "own.py"
    edited.write_text(OWN + "\n")
    assert ExternalVerifier(f"{own}:verl").version != ExternalVerifier(f"{edited}:verl").version
    assert load_verifier("strict").version != load_verifier(None).version


def math_task(**fields: Any) -> Task:
    rows = [{"prompt": "?", "gold": "2\\sqrt{3}", "kind": "math"}, {"prompt": "?", "gold": "B", "kind": "mcq"}]
    return Task(**({"name": "maths", "train": rows, "evaluation": [], "verify": RowVerifier()} | fields))


def test_a_batch_is_judged_by_its_rows_and_the_rules_are_logged() -> None:
    logged: dict[str, float] = {}
    rewards = VerdictReward(math_task())(
        prompts=["?"] * 4,
        completions=["\\boxed{\\sqrt{12}}", "\\boxed{A}", "I do not know", "\\boxed{1}"],
        gold=["2\\sqrt{3}", "B", "5", ""],
        kind=["math", "mcq", "math", "math"],
        options=[None, ["x", "y"], None, None],
        log_metric=logged.__setitem__,
    )
    assert rewards == [1.0, 0.0, 0.0, None]
    assert logged["verifier/correct_frac"] == logged["verifier/invalid_gold_frac"] == 0.25
    shares = {name: value for name, value in logged.items() if name.startswith("verifier/rule/") and value}
    assert shares == {f"verifier/rule/{rule}_frac": 0.25 for rule in ("symbolic", "letter", "no_answer", "gold")}


def test_too_many_failures_stop_the_run() -> None:
    def fails_first(completion: str, row: dict[str, Any]) -> Verdict:
        return Verdict(completion)

    def step(reward: VerdictReward, num_failed: int) -> None:
        completions = ["timeout"] * num_failed + ["correct"] * (100 - num_failed)
        reward(prompts=["?"] * 100, completions=completions)

    with pytest.raises(UserError, match=r"failed on 51 of the latest 100 .*51 time-outs, 0 crashes.*5%"):
        step(VerdictReward(math_task(verify=fails_first)), 51)
    reward = VerdictReward(math_task(verify=fails_first))
    for _ in range(MIN_VERDICTS // 100 - 1):
        step(reward, 6)
    with pytest.raises(UserError, match=r"failed on 60 of the latest 1000 "):
        step(reward, 6)
    for _ in range(9):
        with pytest.raises(UserError, match="of the latest"):
            step(reward, 5)
    step(reward, 5)  # the steps with six are no longer among the latest
    any_share = VerdictReward(math_task(verify=fails_first, max_failure_frac=1.0))
    for _ in range(20):
        step(any_share, 100)


def test_golds_of_rows_are_verified_against_themselves() -> None:
    check_gold(math_task())
    bad = [
        {"prompt": "?", "gold": "5", "kind": "math"},
        {"prompt": "?", "gold": "", "kind": "math"},
        {"prompt": "?", "gold": "east", "kind": "numeric"},
        {"prompt": "?", "gold": "\\star{x}{y}", "kind": "math"},
        {"prompt": "?", "gold": "E", "kind": "mcq", "options": ["p", "q"]},
    ]
    with pytest.raises(
        UserError, match=r"4 of 5 gold answers .*train\[1\].*it is empty.*train\[2\].*not a number.*train\[3\]"
    ):
        check_gold(math_task(train=bad))
    with pytest.raises(UserError, match=r"evaluation\[3\] math gold='\\\\star{x}{y}'.*cannot be read as an expression"):
        check_gold(math_task(evaluation=[bad[0]] * 3 + [bad[3]]))


def test_a_row_without_a_kind_is_named() -> None:
    with pytest.raises(UserError, match="a row has no `kind`"):
        RowVerifier()("\\boxed{5}", {"gold": "5"})


def test_a_reward_for_plain_scripts_reads_the_usual_columns() -> None:
    reward = MathReward()
    message = [{"role": "assistant", "content": "\\boxed{1/2}"}]
    for column in ("gold", "solution", "answer", "ground_truth"):
        assert reward(completions=[message, "\\boxed{3}"], prompts=["?"] * 2, **{column: ["0.5", "$4$"]}) == [1.0, 0.0]
    assert reward(completions=["B"], answer=["B"], kind=["mcq"]) == [1.0]
    assert reward(completions=["\\boxed{1}"], answer=[None]) == [None]
    assert MathReward(strict=True)(completions=["The answer is 4."], answer=["4"]) == [0.0]
    with pytest.raises(UserError, match="no gold answers"):
        reward(completions=["\\boxed{3}"], prompts=["?"])
