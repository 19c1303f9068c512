"""Laws of Countdown's world, and of the files that ship with it.

Not here: what every task must do (test_task.py), and how GRPO learns this world (docs/countdown.md).
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import Task, check_gold, load_task
from nearfuture.tasks.worlds.countdown import families, world
from nearfuture.tasks.worlds.countdown.shipped import FOLDER
from nearfuture.tasks.worlds.countdown.world import Expression, Puzzle
from nearfuture.types import Verdict

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs" / "countdown"

numbers = st.integers(1, 99)


@st.composite
def solved(draw: st.DrawFn) -> tuple[dict[str, str], Expression]:
    """A row whose prompt shows the numbers of an expression in some order, and the expression."""
    used = draw(st.lists(numbers, min_size=2, max_size=5))
    operators = draw(st.lists(st.sampled_from(world.OPERATORS), min_size=len(used) - 1, max_size=len(used) - 1))
    expression = Expression(tuple(used), tuple(operators))
    assume(1 <= world.value(expression) <= 99)
    shown = draw(st.permutations(used))
    return {"prompt": world.write(Puzzle(tuple(shown), world.value(expression)))}, expression


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("countdown")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("7+3*12", "correct"),  # 7 + 36
        ("12*3+7", "correct"),
        ("3*12+7", "correct"),
        ("7*3+12", "wrong"),  # 33: the numbers, not the target
        ("43", "wrong"),  # the target, not the numbers
        ("7+3*12+7-7", "wrong"),  # the target, but the 7 three times
        ("7+36", "wrong"),
        ("3*12", "wrong"),
    ],
)
def test_an_example_worked_out_by_hand(answer: str, verdict: str) -> None:
    assert world.verify(answer, {"prompt": "7 3 12>43="}) == verdict


@pytest.mark.parametrize(
    ("answer", "result"), [("2-3+4", 3), ("2*3*4", 24), ("20-2*3-4", 10), ("1+2*3-4*5", -13), ("9", 9)]
)
def test_products_bind_tighter_and_the_rest_goes_from_left_to_right(answer: str, result: int) -> None:
    expression = world.read(answer)
    assert expression is not None
    assert world.value(expression) == result


@given(solved())
def test_every_expression_answers_the_puzzle_it_makes(case: tuple[dict[str, str], Expression]) -> None:
    row, expression = case
    assert world.read(world.spell(expression)) == expression
    assert world.verify(world.spell(expression), row) is Verdict.CORRECT


@given(solved(), st.data())
def test_a_changed_left_out_or_repeated_number_is_wrong(
    case: tuple[dict[str, str], Expression], data: st.DataObject
) -> None:
    row, (used, operators) = case
    place = data.draw(st.integers(0, len(used) - 1))
    other = data.draw(numbers.filter(lambda n: n != used[place]))
    changed = Expression((*used[:place], other, *used[place + 1 :]), operators)
    shorter = Expression(used[:-1], operators[:-1])
    longer = Expression((*used, used[place]), (*operators, "*"))
    for expression in (changed, shorter, longer):
        assert world.verify(world.spell(expression), row) is Verdict.WRONG


@given(solved(), st.data())
def test_a_changed_operator_is_right_only_where_it_gives_the_same_value(
    case: tuple[dict[str, str], Expression], data: st.DataObject
) -> None:
    row, (used, operators) = case
    place = data.draw(st.integers(0, len(operators) - 1))
    other = data.draw(st.sampled_from(world.OPERATORS.replace(operators[place], "")))
    changed = Expression(used, (*operators[:place], other, *operators[place + 1 :]))
    verdict = Verdict.CORRECT if world.value(changed) == world.value(Expression(used, operators)) else Verdict.WRONG
    assert world.verify(world.spell(changed), row) is verdict


@given(solved())
def test_a_missed_target_is_wrong(case: tuple[dict[str, str], Expression]) -> None:
    row, expression = case
    puzzle = world.parse(row["prompt"])
    assert puzzle is not None
    assert world.write(puzzle) == row["prompt"]
    missed = puzzle._replace(target=puzzle.target % 99 + 1)
    assert world.verify(world.spell(expression), {"prompt": world.write(missed)}) is Verdict.WRONG


@given(st.text("0123456789+-* >=()/a", max_size=12))
def test_what_is_read_is_exactly_numbers_joined_by_operators(text: str) -> None:
    expression = world.read(text)
    assert (expression is None) == (world.verify(text, {"prompt": "7 3 12>43="}) is Verdict.NO_ANSWER)
    if expression is not None:
        assert world.spell(expression) == text
        assert len(expression.operators) == len(expression.numbers) - 1


@pytest.mark.parametrize(
    "answer",
    ["", "+", "7+", "-7+50", "7++3", "7+-3", "07+3*12", "7+0", "7 + 3*12", "(7+3)*12", "7+3*12=43", "7/3", "7**2"],
)
def test_anything_malformed_is_no_answer(answer: str) -> None:
    assert world.verify(answer, {"prompt": "7 3 12>43="}) is Verdict.NO_ANSWER


@pytest.mark.parametrize("answer", ["100-57", "7+3*12\n", "\uff17+3*12", "7+3*12<eos>", "9" * 10_000, "print(43)"])
def test_what_a_careless_parser_would_read_is_no_answer(answer: str) -> None:
    assert world.verify(answer, {"prompt": "7 3 12>43="}) is Verdict.NO_ANSWER


@pytest.mark.parametrize(
    "prompt",
    [
        None,
        "",
        7,
        "7>7=",
        "7 3 12>43",
        "7 3 12>0=",
        "7 3 12>100=",
        "7 0 3>4=",
        "07 3>4=",
        "7  3>4=",
        "7 3>-4=",
        "7 3>4=\n",
    ],
)
def test_a_prompt_that_is_no_puzzle_cannot_be_judged(prompt: object) -> None:
    assert world.verify("7+3*12", {"prompt": prompt}) is Verdict.INVALID_GOLD


def test_all_solutions_of_a_puzzle_counted_by_hand() -> None:
    """2 3 5 -> 11: 2*3+5 and 5+2*3, each with the factors in two orders; 3*5-2 is 13, 2*5-3 is 7, 2*5+3 is 13."""
    found = sorted(world.spell(expression) for expression in world.solutions(Puzzle((2, 3, 5), 11)))
    assert found == ["2*3+5", "3*2+5", "5+2*3", "5+3*2"]


@given(st.lists(st.integers(1, 20), min_size=2, max_size=4), st.integers(1, 99))
def test_enumeration_verification_and_the_need_of_times_agree(used: list[int], target: int) -> None:
    puzzle = Puzzle(tuple(used), target)
    row = {"prompt": world.write(puzzle)}
    found = list(world.solutions(puzzle))
    assert all(world.verify(world.spell(expression), row) is Verdict.CORRECT for expression in found)
    assert world.needs_times(puzzle) == all("*" in expression.operators for expression in found)


def test_every_shipped_gold_verifies(task: Task) -> None:
    check_gold(task)
    assert (len(task.train), len(task.evaluation), len(task.test)) == (2048, 256, 288)


def test_no_set_of_numbers_is_in_two_splits_and_ids_are_unique(task: Task) -> None:
    splits = {"train": task.train, "evaluation": task.evaluation, "test": task.test}
    sets = {name: {tuple(sorted(world.parse(row["prompt"]).numbers)) for row in rows} for name, rows in splits.items()}
    assert not sets["train"] & (sets["evaluation"] | sets["test"]) and not sets["evaluation"] & sets["test"]
    rows = [row for split in splits.values() for row in split]
    assert len({row["prompt"] for row in rows}) == len({row["prompt_id"] for row in rows}) == len(rows)


def test_columns_say_what_the_prompt_says(task: Task) -> None:
    for row in [*task.train, *task.evaluation, *task.test]:
        puzzle = world.parse(row["prompt"])
        assert puzzle is not None
        assert row["numbers"] == len(puzzle.numbers)
        assert row["operators"] == ("needs-times" if world.needs_times(puzzle) else "plus-minus")
    for rows in (task.train, task.evaluation):
        assert Counter(row["family"] for row in rows) == {f"numbers-{n}": len(rows) // 2 for n in (3, 4)}
        assert all(row["family"] == f"numbers-{row['numbers']}" for row in rows)


def test_every_test_family_is_what_it_is_called_and_two_are_out_of_distribution(task: Task) -> None:
    assert Counter(row["family"] for row in task.test) == dict.fromkeys(families.FAMILIES, families.SIZE)
    for row in task.test:
        puzzle = world.parse(row["prompt"])
        assert puzzle is not None
        counts, accepts = families.FAMILIES[row["family"]]
        assert row["numbers"] in counts
        assert accepts(puzzle)
        if row["family"] in ("plus-minus", "needs-times"):
            assert row["operators"] == row["family"]
        assert (row["family"] == "ascending") == families.is_ascending(puzzle)
    assert families.OUT_OF_DISTRIBUTION == ("numbers-5", "ascending")
    assert {row["numbers"] for row in task.train} == {3, 4}
    assert not any(families.is_ascending(world.parse(row["prompt"])) for row in task.train)


def test_the_prompts_are_drawn_again_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("build_countdown")
    for split, rows in script.build_prompts().items():
        drawn = "".join(json.dumps(row) + "\n" for row in rows)
        assert drawn.encode() == (FOLDER / f"{split}.jsonl").read_bytes(), split


def test_the_checkpoint_is_tiny_and_its_tokenizer_gives_back_the_text(task: Task) -> None:
    transformers = pytest.importorskip("transformers")
    assert task.model is not None
    assert sum(path.stat().st_size for path in Path(task.model).iterdir()) < 1_000_000
    model = transformers.AutoModelForCausalLM.from_pretrained(task.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(task.model)
    assert type(model).__name__ == "Qwen3ForCausalLM"
    assert model.config.vocab_size == len(tokenizer)
    for config in (model.config, model.generation_config):
        assert (config.pad_token_id, config.eos_token_id) == (tokenizer.pad_token_id, tokenizer.eos_token_id)
    for row in task.test[::20]:
        text = row["prompt"] + row["answer"]
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == len(text)
        assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == text


@pytest.mark.parametrize("name", ["grpo", "npo_early", "autonpo"])
def test_every_answer_and_its_end_fit_into_the_horizon_of_the_configurations(name: str, task: Task) -> None:
    """Five numbers of two digits and four operators are 14 symbols; with the end they are 15 tokens."""
    configuration = load_configuration(CONFIGS / f"{name}.yaml")
    assert configuration.run.task == "countdown"
    longest = max(len(row["answer"]) for row in [*task.train, *task.evaluation, *task.test])
    assert longest + 1 <= 15 <= configuration.training.max_completion_length
