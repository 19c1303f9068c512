"""Laws of tasks: what a verdict becomes, which prompt is which, and every error a user can provoke.

Not here: the apprentice's world (test_world.py).
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from nearfuture.tasks import Task, VerdictReward, check_gold, judge, load_task
from nearfuture.tasks.identity import prompt_hash, with_prompt_ids
from nearfuture.tasks.rows import as_dataset
from nearfuture.types import NoSignalError, UserError, Verdict


def says(verify: Any, **fields: Any) -> Task:
    rows = [{"prompt": "1+1=", "answer": "2"}, {"prompt": "2+2=", "answer": "4"}]
    return Task(**({"name": "sums", "train": rows, "evaluation": [], "verify": verify} | fields))


def equals_answer(completion: str, row: dict[str, Any]) -> bool:
    return bool(completion == row["answer"])


def raises(error: Exception) -> Any:
    def verify(completion: str, row: dict[str, Any]) -> bool:
        raise error

    return verify


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (True, Verdict.CORRECT),
        (False, Verdict.WRONG),
        (None, Verdict.INVALID_GOLD),
        (np.bool_(True), Verdict.CORRECT),
        (np.array(False), Verdict.WRONG),
        (torch.tensor(True), Verdict.CORRECT),
        *((v, v) for v in Verdict),
    ],
)
def test_what_a_verifier_may_return(answer: Any, verdict: Verdict) -> None:
    assert judge(lambda completion, row: answer, "2", {}) is verdict


@pytest.mark.parametrize("answer", [1.0, 1, "correct"])
def test_a_score_is_no_verdict(answer: Any) -> None:
    with pytest.raises(UserError, match=r"must return a Verdict, a bool or None.*correct_threshold=1\.0"):
        judge(lambda completion, row: answer, "2", {})


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (1.0, Verdict.CORRECT),
        (0.5, Verdict.CORRECT),
        (0.125, Verdict.WRONG),
        (np.float32(0.75), Verdict.CORRECT),
        (0, Verdict.WRONG),
        (math.nan, Verdict.INVALID_GOLD),
        (True, Verdict.CORRECT),
        (Verdict.NO_ANSWER, Verdict.NO_ANSWER),
        (None, Verdict.INVALID_GOLD),
    ],
)
def test_a_score_counts_from_the_threshold_that_the_task_names(score: Any, verdict: Verdict) -> None:
    task = Task("scores", [{"prompt": "?"}], [], lambda completion, row: score, correct_threshold=0.5)
    assert judge(task.verify, "2", {}) is verdict
    assert judge(replace(task, notes=()).verify, "2", {}) is verdict, "a copy of the task judges alike"
    if score == 0.125:
        assert judge(replace(task, correct_threshold=0.1).verify, "2", {}) is Verdict.CORRECT


def test_a_timeout_is_told_from_a_crash() -> None:
    assert judge(raises(TimeoutError("slow")), "2", {}) is Verdict.TIMEOUT
    assert judge(raises(RuntimeError("broken")), "2", {}) is Verdict.CRASH


def test_a_crash_is_logged_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def crashes(completion: str, row: dict[str, Any]) -> bool:
        return bool(row["no such column"])

    with caplog.at_level(logging.ERROR):
        assert [judge(crashes, "2", {}) for _ in range(3)] == [Verdict.CRASH] * 3
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None


def test_the_verifier_cannot_change_the_row() -> None:
    def clears(completion: str, row: dict[str, Any]) -> bool:
        row.clear()
        return True

    row = {"prompt": "1+1="}
    judge(clears, "2", row)
    assert row == {"prompt": "1+1="}


def test_rewards_of_all_verdicts() -> None:
    reward = VerdictReward(says(lambda completion, row: Verdict(completion)))
    logged: dict[str, float] = {}
    completions = [verdict.value for verdict in Verdict]
    rewards = reward(
        prompts=["?"] * 6, completions=completions, completion_ids=[[1]] * 6, log_metric=logged.__setitem__
    )
    assert dict(zip(completions, rewards, strict=True)) == {
        "correct": 1.0,
        "wrong": 0.0,
        "no_answer": 0.0,
        "invalid_gold": None,
        "timeout": None,
        "crash": None,
    }
    assert logged == {f"verifier/{name}_frac": pytest.approx(1 / 6) for name in completions}
    assert reward.verdicts == dict.fromkeys(Verdict, 1)
    assert reward.__name__ == "correct"


def test_every_completion_is_judged_with_its_own_row() -> None:
    seen: list[dict[str, Any]] = []

    def verify(completion: str, row: dict[str, Any]) -> bool:
        seen.append(row)
        return equals_answer(completion, row)

    reward = VerdictReward(says(verify))
    rewards = reward(
        prompts=["1+1=", "2+2="],
        completions=["2", "5"],
        answer=["2", "4"],
        trainer_state=object(),
        log_extra=print,
        log_metric=lambda name, value: None,
        environments=[],
    )
    assert rewards == [1.0, 0.0]
    assert seen == [{"prompt": "1+1=", "answer": "2"}, {"prompt": "2+2=", "answer": "4"}]


def test_of_a_conversation_the_last_message_is_judged() -> None:
    reward = VerdictReward(says(equals_answer))
    plain = [{"role": "assistant", "content": "1"}, {"role": "assistant", "content": "2"}]
    parts = [{"role": "assistant", "content": [{"type": "text", "text": "2"}]}]
    assert reward(prompts=["?"] * 3, completions=[plain, parts, []], answer=["2", "2", "2"]) == [1.0, 1.0, 0.0]


def test_gold_that_verifies_passes_and_a_task_without_gold_is_left_alone() -> None:
    check_gold(says(equals_answer, gold_column="answer"))
    check_gold(says(raises(RuntimeError("never called"))))


def test_gold_that_does_not_verify_is_named() -> None:
    rows = [{"prompt": f"{i}+0=", "answer": str(i)} for i in range(9)] + [{"prompt": "lost"}]
    task = says(lambda completion, row: int(completion) < 5, train=rows, gold_column="answer")
    with pytest.raises(
        UserError, match=r"5 of 10 .*train\[5\].*train\[6\].*train\[7\].*correct the verifier"
    ) as caught:
        check_gold(task)
    assert "train[8]" not in str(caught.value)
    with pytest.raises(UserError, match=r"evaluation\[0\] prompt='lost' None -> missing"):
        check_gold(says(equals_answer, evaluation=[{"prompt": "lost"}], gold_column="answer"))
    with pytest.raises(UserError, match=r"1 of 3 .*test\[0\] prompt='1\+0=' None -> missing"):
        check_gold(says(equals_answer, test=[{"prompt": "1+0="}], gold_column="answer"))


def test_a_task_has_no_test_rows_unless_it_says_so() -> None:
    assert says(equals_answer).test == []


def test_no_training_rows_is_no_signal() -> None:
    with pytest.raises(NoSignalError, match="0 training rows"):
        check_gold(says(equals_answer, train=[]))


def test_the_shipped_task_loads_by_name() -> None:
    task = load_task("apprentice")
    assert task.name == "apprentice"
    assert {"prompt", "answer", "prompt_id", "family"} <= set(task.evaluation[0])


OWN = """
from nearfuture.tasks import Task

def sums():
    return Task(name="sums", train=[{"prompt": "1+1="}], evaluation=[], verify=lambda completion, row: None)

def nothing():
    return None
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def test_a_task_of_ones_own_loads_from_a_file(own_file: Path) -> None:
    assert load_task(f"{own_file}:sums").train == [{"prompt": "1+1="}]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("aprentice", "Did you mean 'apprentice'"),
        ("chess", "not a shipped task"),
        ("{folder}/absent.py:sums", "there is no file"),
        ("{folder}/own.py", "path/to/file.py:function"),
        ("{folder}/own.py:sum", "Did you mean 'sums'"),
        ("{folder}/own.py:nothing", "returned NoneType"),
        ("{folder}/notes.txt:sums", "must end in .py"),
    ],
)
def test_a_task_that_cannot_be_loaded(spec: str, message: str, own_file: Path) -> None:
    (own_file.parent / "notes.txt").write_text("")
    with pytest.raises(UserError, match=message):
        load_task(spec.format(folder=own_file.parent))


def test_a_hash_depends_on_the_prompt_and_its_images_alone() -> None:
    text = {"prompt": [{"role": "user", "content": "1+1="}]}
    assert prompt_hash(text) == prompt_hash({"answer": "2", "prompt": [{"content": "1+1=", "role": "user"}]})
    assert prompt_hash(text) == prompt_hash({"prompt": [{"role": "user", "content": "1+1=", "name": None}]})
    assert prompt_hash(text) != prompt_hash({"prompt": [{"role": "system", "content": "1+1="}]})
    assert len(prompt_hash(text)) == 16


def test_images_are_part_of_the_prompt() -> None:
    image = pytest.importorskip("PIL.Image")
    black, white, wide = (image.new("L", size, colour) for size, colour in [((2, 3), 0), ((2, 3), 255), ((3, 2), 0)])
    rows = [{"prompt": "?"}, *({"prompt": "?", "image": picture} for picture in (black, white, wide))]
    rows.append({"prompt": "?", "images": [black, white]})
    assert len({prompt_hash(row) for row in rows}) == len(rows)
    assert prompt_hash({"prompt": "?", "image": black.copy()}) == prompt_hash({"prompt": "?", "image": black})


def test_an_image_is_its_pixels_however_it_is_held(tmp_path: Path) -> None:
    image, datasets = pytest.importorskip("PIL.Image"), pytest.importorskip("datasets")
    picture = image.new("RGB", (5, 3), (1, 2, 3))
    picture.putpixel((2, 1), (200, 30, 9))
    picture.save(tmp_path / "a.png")
    png = (tmp_path / "a.png").read_bytes()
    column = datasets.Dataset.from_list([{"prompt": "?", "images": [picture]}])
    undecoded = column.cast_column("images", datasets.List(datasets.Image(decode=False)))
    held = [
        [picture],
        [picture.quantize()],
        [png],
        [{"bytes": png, "path": None}],
        [{"bytes": None, "path": str(tmp_path / "a.png")}],
        column[0]["images"],
        undecoded[0]["images"],
    ]
    assert len({prompt_hash({"prompt": "?", "images": images}) for images in held}) == 1
    other = picture.quantize()
    other.putpalette([255 - value for value in other.getpalette()])  # other colours, the same indices
    assert prompt_hash({"prompt": "?", "images": [other]}) != prompt_hash({"prompt": "?", "images": [picture]})
    assert prompt_hash({"prompt": "?", "images": []}) == prompt_hash({"prompt": "?", "images": None})
    broken = [{"prompt": "?", "images": [{"bytes": b"no image", "path": None}]}]  # named when images are checked
    assert with_prompt_ids(broken)[0]["prompt_id"] == prompt_hash(broken[0])


def test_given_ids_are_kept_and_missing_ones_are_hashed() -> None:
    rows = [
        {"prompt": "a", "prompt_id": "p", "id": "x"},
        {"prompt": "b", "uid": "u"},
        {"prompt": "c", "id": 7},
        {"prompt": "d"},
    ]
    assert [row["prompt_id"] for row in with_prompt_ids(rows)] == ["p", "u", "7", prompt_hash({"prompt": "d"})]
    assert "prompt_id" not in rows[1]


def test_a_prompt_may_appear_twice_but_an_id_means_one_prompt() -> None:
    assert len(with_prompt_ids([{"prompt": "a", "id": "1"}, {"prompt": "a", "id": "1"}])) == 2
    with pytest.raises(UserError, match=r"'1' names two different prompts \(rows 0 and 2\)"):
        with_prompt_ids([{"prompt": "a", "id": "1"}, {"prompt": "c", "id": "2"}, {"prompt": "b", "id": "1"}])


def test_a_dataset_gets_the_same_ids_as_a_list() -> None:
    datasets = pytest.importorskip("datasets")
    mixed = [
        {"prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "how many?"}]}]},
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "1+1="}]}]},
    ]
    as_list = [row["prompt_id"] for row in with_prompt_ids(mixed)]
    assert with_prompt_ids(datasets.Dataset.from_list(mixed))["prompt_id"][:] == as_list
    named = datasets.Dataset.from_list([{"prompt": "a", "prompt_id": "p"}, {"prompt": "b", "prompt_id": None}])
    assert with_prompt_ids(named)["prompt_id"][:] == ["p", prompt_hash({"prompt": "b"})]


def test_rows_are_a_list_a_data_set_or_come_one_by_one() -> None:
    rows = [{"prompt": f"{i}+{i}=", "answer": str(2 * i)} for i in range(3)]
    verify = lambda completion, row: completion == row["answer"]  # noqa: E731
    for given in (rows, tuple(rows), (row for row in rows), Dataset.from_list(rows)):
        assert len(Task("own", train=given, evaluation=[], verify=verify).train) == 3
    table = Dataset.from_list(rows).to_pandas()
    for given, said in (
        (table, r"train is of type DataFrame.*Dataset.from_pandas"),
        ([*rows, {"question": "?"}], "train: row 3 has no prompt, but question"),
        (["1+1="], r"train: row 0 has no prompt, but '1\+1='"),
        (Dataset.from_list([{"question": "?"}]), "the rows have no prompt, but question"),
        (rows[0], "train is of type dict"),
    ):
        with pytest.raises(UserError, match=said):
            Task("own", train=given, evaluation=[], verify=verify)


def test_a_column_of_several_types_is_named() -> None:
    rows = [{"prompt": "?", "answer": "1"}, {"prompt": "!", "answer": 1}]
    task = Task("own", train=rows, evaluation=[], verify=lambda completion, row: True)
    with pytest.raises(UserError, match=r"values of several types in answer \(int and str\)"):
        as_dataset(task.train, "task 'own'")
