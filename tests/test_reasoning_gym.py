"""Families of reasoning-gym as tasks: sides that cannot overlap, its own scorers, and a walk through all of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("reasoning_gym", reason="one of its packages needs a C compiler to install")

from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import judge, load_task
from nearfuture.tasks.gyms import scoring
from nearfuture.tasks.gyms.reasoning import draw
from nearfuture.tasks.gyms.rows import Sizes
from nearfuture.tasks.gyms.sides import side_of
from nearfuture.types import NoSignalError, UserError, Verdict

SMALL = {"num_train": 24, "num_evaluation": 8, "num_test": 8}
SUMS = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2}
WITHOUT_GOLD = {
    "boxnet": "any plan that ends with every box in its place",
    "graph_color": "any colouring without a conflict",
    "propositional_logic": "any conclusion that follows",
    "rubiks_cube": "any moves that solve the cube",
    "rush_hour": "any moves that free the car",
}
"""Families that have no single answer: their scorer judges what it is given."""
SLOW = {"arc_agi", "futoshiki", "intermediate_integration", "knight_swap", "puzzle24", "zebra_puzzles"}
"""Seconds a question, or a data set to read: walked through with one question."""
FORMS = ("{}", " {} ", "So.\n<answer>{}</answer>", "<answer>0</answer> <answer> {} </answer>")
SINGLE = [name for name in scoring.families() if name != "composite"]


def prompts(rows: Any) -> set[str]:
    return {row["prompt"][0]["content"] for row in rows}


def test_sides_do_not_overlap_and_have_their_numbers() -> None:
    task = load_task("reasoning_gym/chain_sum", {**SUMS, **SMALL})
    sides = [prompts(rows) for rows in (task.train, task.evaluation, task.test)]
    assert [len(side) for side in sides] == [24, 8, 8]
    assert not any(a & b for a, b in itertools.combinations(sides, 2))


def test_the_same_arguments_give_the_same_questions_and_another_seed_others() -> None:
    first, again, other = (load_task("reasoning_gym/gcd", {**SMALL, "data_seed": seed}) for seed in (0, 0, 1))
    assert first.train == again.train
    assert len(prompts(first.train) & prompts(other.train)) < 3, "the package's own neighbouring seeds share questions"


def test_neighbouring_seeds_of_the_package_share_their_questions() -> None:
    """Why ours are hashed; where this changes, the hash is no longer needed."""
    import reasoning_gym

    first, second = (reasoning_gym.create_dataset("gcd", seed=seed, size=9) for seed in (0, 1))
    assert [first[i + 1]["question"] for i in range(8)] == [second[i]["question"] for i in range(8)]


@settings(max_examples=30)
@given(st.text(), st.integers(1, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_side_that_is_not_wanted_gets_nothing(question: str, train: int, evaluation: int, test: int) -> None:
    wanted = {"train": train, "evaluation": evaluation, "test": test}
    assert wanted[side_of(question, wanted)] > 0


def test_a_family_with_few_questions_says_how_many_are_missing() -> None:
    args = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1, "allow_negation": False}
    task = load_task("reasoning_gym/chain_sum", {**args, "num_train": 400, "num_evaluation": 40, "num_test": 40})
    sides = [prompts(rows) for rows in (task.train, task.evaluation, task.test)]
    assert 0 < len(sides[0]) < 400
    assert not any(a & b for a, b in itertools.combinations(sides, 2))
    assert any("no more different questions" in note for note in task.notes)


@settings(max_examples=20)
@given(
    st.integers(0, 23),
    st.sampled_from(FORMS),
)
def test_the_answer_is_judged_and_another_number_is_wrong(index: int, form: str) -> None:
    row = TASK.train[index]
    assert judge(TASK.verify, form.format(row["answer"]), row) is Verdict.CORRECT
    assert judge(TASK.verify, form.format(int(row["answer"]) + 1), row) is Verdict.WRONG


TASK = load_task("reasoning_gym/chain_sum", {**SUMS, **SMALL})


def test_partial_credit_is_wrong_below_the_threshold_and_correct_from_it_on() -> None:
    row = TASK.train[0]
    said = f"{row['answer']} or so"
    assert 0 < scoring.score(said, row) < 1
    assert judge(TASK.verify, said, row) is Verdict.WRONG
    lax = load_task("reasoning_gym/chain_sum", {**SUMS, **SMALL, "correct_threshold": 0.01})
    assert judge(lax.verify, said, row) is Verdict.CORRECT


def test_a_mixture_names_the_family_of_each_row() -> None:
    parts = [{"name": "chain_sum", "weight": 3, "config": SUMS}, {"name": "gcd"}]
    task = load_task("reasoning_gym/composite", {"datasets": parts, **SMALL})
    families = [row["family"] for row in task.train]
    assert set(families) == {"chain_sum", "gcd"}
    assert families.count("chain_sum") > families.count("gcd")
    assert all(judge(task.verify, row["answer"], row) is Verdict.CORRECT for row in task.test)


def test_a_prompt_can_be_text_without_an_instruction() -> None:
    row = load_task("reasoning_gym/gcd", {**SMALL, "prompt": "text", "instruction": ""}).train[0]
    assert isinstance(row["prompt"], str)
    assert "<answer>" not in row["prompt"]


def test_shots_are_solved_questions_of_no_side_the_same_before_every_question() -> None:
    args = {**SUMS, **SMALL, "instruction": "", "system_prompt": "", "num_shots": 2}
    task = load_task("reasoning_gym/chain_sum", args)
    first, other = task.train[0]["prompt"], task.test[0]["prompt"]
    assert [turn["role"] for turn in first] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert first[:5] == other[:5]
    assert first[5] != other[5]
    shown = {first[1]["content"], first[3]["content"]}
    asked = {row["prompt"][5]["content"] for rows in (task.train, task.evaluation, task.test) for row in rows}
    assert len(shown) == 2
    assert not shown & asked
    one, plus, two = first[1]["content"].removesuffix(" =").split()[-3:]
    assert int(first[2]["content"]) == int(one) + {"+": 1, "-": -1}[plus] * int(two)


def test_shots_keep_the_form_that_the_instruction_asks_for() -> None:
    task = load_task("reasoning_gym/gcd", {**SMALL, "num_shots": 1})
    shot = task.train[0]["prompt"][1]["content"]
    assert scoring.answer_of(shot).isdigit()
    assert shot != scoring.answer_of(shot)
    text = load_task("reasoning_gym/gcd", {**SMALL, "num_shots": 1, "prompt": "text"}).train[0]["prompt"]
    assert text.startswith(task.train[0]["prompt"][0]["content"] + "\n" + shot + "\n\n")


def test_held_out_questions_can_be_asked_in_two_ways_and_training_ones_are_not() -> None:
    task = load_task("reasoning_gym/chain_sum", {**SUMS, **SMALL, "held_out_num_shots": 2})
    assert [len(rows) for rows in (task.train, task.evaluation, task.test)] == [24, 16, 16]
    plain, shown = task.test[:8], task.test[8:]
    assert {row["family"] for row in (*task.train, *plain)} == {"chain_sum"}
    assert {row["family"] for row in shown} == {"chain_sum after 2 solved"}
    assert [row["prompt"][-1] for row in plain] == [row["prompt"][-1] for row in shown]
    assert {len(row["prompt"]) for row in shown} == {5}
    assert all(judge(task.verify, row["answer"], row) is Verdict.CORRECT for row in task.test)


def test_without_shots_and_system_prompt_a_row_is_as_before() -> None:
    plain = load_task("reasoning_gym/gcd", SMALL)
    assert [turn["role"] for turn in plain.train[0]["prompt"]] == ["user"]
    assert plain.train == load_task("reasoning_gym/gcd", {**SMALL, "num_shots": 0}).train


@pytest.mark.parametrize(
    ("spec", "args", "said"),
    [
        ("reasoning_gym/chain_sums", {}, "no family 'chain_sums'. Did you mean 'chain_sum'"),
        ("reasoning_gym/chain_sum", {"max_digit": 2}, "task_args.max_digit.*Did you mean 'max_digits'"),
        ("reasoning_gym/chain_sum", {"max_digits": 0}, "refuses task_args"),
        ("reasoning_gym/chain_sum", {"num_shots": -1}, "no number is negative"),
        ("reasoning_gym/graph_color", {"num_shots": 1}, "no gold answers to show"),
        ("reasoning_gym/chain_sum", {"prompt": "text", "system_prompt": ""}, "needs prompt: messages"),
        ("reasoning_gym/chain_sum", {"size": 5}, "task_args.size"),
        ("reasoning_gym/composite", {}, "refuses task_args"),
        ("reasoning_gym/chain_sum", {"num_train": 0}, "at least one question"),
        ("reasoning_gym/chain_sum", {"num_test": -1}, "none negative"),
        ("reasoning_gym/chain_sum", {"num_train": "many"}, "whole numbers"),
        ("reasoning_gym/chain_sum", {"prompt": "chat"}, "messages or text"),
        ("apprentice", {"max_digits": 2}, "does not take task_args"),
    ],
)
def test_what_cannot_be_is_refused_in_words(spec: str, args: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_task(spec, args)


def test_no_question_to_train_on_is_no_signal() -> None:
    args = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1, "num_train": 1, "num_evaluation": 500}
    with pytest.raises(NoSignalError, match="none of"):
        load_task("reasoning_gym/chain_sum", args)


def test_a_configuration_takes_arguments_whole_or_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("task: reasoning_gym/chain_sum\ntask_args:\n  max_digits: 2\n  num_train: 9\nmax_steps: 1\n")
    config = load_configuration(path, [f"run_dir={tmp_path}/run", "task_args.num_train=7"])
    assert config.run.task_args == {"max_digits": 2, "num_train": 7}


@pytest.mark.parametrize("name", SINGLE)
def test_every_family_loads_verifies_its_gold_and_judges(name: str) -> None:
    num = 1 if name in SLOW else 3
    sizes = Sizes(num_train=num, num_evaluation=0, num_test=0)
    rows = draw(name, {}, sizes).rows("train", name, {}, sizes)
    assert len(rows) == num
    for row in rows:
        assert (row["answer"] is None) == (name in WITHOUT_GOLD)
        if row["answer"] is not None:
            assert scoring.score(row["answer"], row) >= 1.0
        for said in ("", "nonsense", "1 2", "[1]", '{"a": 1}'):
            assert 0.0 <= scoring.score(said, row) <= 1.0
