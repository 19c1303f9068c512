"""Laws of the apprentice's world, and of the files that ship with it.

Not here: what every task must do (test_task.py), and how GRPO learns this world (docs/world.md).
"""

from __future__ import annotations

import importlib
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.tasks import Task, check_gold, load_task
from nearfuture.tasks.worlds.apprentice import families, world
from nearfuture.tasks.worlds.apprentice.shipped import FOLDER
from nearfuture.types import Verdict

chains = st.tuples(
    st.integers(0, world.N - 1),
    st.lists(st.tuples(st.sampled_from(world.OPERATORS), st.integers(0, world.N - 1)), min_size=1, max_size=8).map(
        tuple
    ),
)


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("apprentice")


def test_a_trace_worked_out_by_hand() -> None:
    """3|4 is row 3, column 4 of `|`: 0; then 0;1 is row 0, column 1 of `;`: 5; then 5+0 is 5."""
    assert world.TABLES["|"][3] == (1, 0, 2, 3, 0, 4)
    assert world.TABLES[";"][0] == (5, 5, 5, 4, 3, 5)
    assert world.trace((3, (("|", 4), (";", 1), ("+", 0)))) == "055"
    assert world.verify("055", {"prompt": "3|4;1+0="}) is Verdict.CORRECT
    assert world.trace((5, (("+", 4),))) == "3"


@given(chains)
def test_prompts_can_be_read_back(chain: world.Chain) -> None:
    assert world.parse(world.write(chain)) == chain


@given(chains, st.text("0123456789 a=", max_size=9))
def test_only_the_right_trace_is_correct_in_either_notation(chain: world.Chain, other: str) -> None:
    row = {"prompt": world.write(chain)}
    right = world.trace(chain)
    closed = right + "="
    assert len(right) == len(chain[1])
    assert world.close(right) == closed
    assert world.verify(right, row) is world.verify(closed, row) is Verdict.CORRECT
    assert (world.verify(other, row) is Verdict.CORRECT) == (other in (right, closed))


@given(chains, chains)
def test_an_answer_means_the_same_in_both_notations(chain: world.Chain, other: world.Chain) -> None:
    row, answer = {"prompt": world.write(chain)}, world.trace(other)
    assert world.verify(world.close(answer), row) is world.verify(answer, row)
    assert world.read(world.close(answer)) == world.read(answer) == answer


@given(chains, st.data())
def test_one_changed_digit_or_a_changed_length_is_wrong(chain: world.Chain, data: st.DataObject) -> None:
    row, right = {"prompt": world.write(chain)}, world.trace(chain)
    place = data.draw(st.integers(0, len(right) - 1))
    digit = data.draw(st.sampled_from(world.DIGITS.replace(right[place], "")))
    assert world.verify(right[:place] + digit + right[place + 1 :], row) is Verdict.WRONG
    assert world.verify(right + digit, row) is Verdict.WRONG
    assert world.verify(right[:-1] or right * 2, row) is Verdict.WRONG


@pytest.mark.parametrize(
    "completion",
    ["", "0 5 5", "055<eos>", "five", "05\uff15", "\u00b2", "=", "==", "055==", "=055", "0=5=5", "05=5", "655="],
)
def test_other_characters_are_no_answer(completion: str) -> None:
    assert world.verify(completion, {"prompt": "3|4;1+0="}) is Verdict.NO_ANSWER


@pytest.mark.parametrize("prompt", [None, "", "3=", "3|4", "6|1=", "3*4=", "3||4=", 34, "3|4;=", "3|\u00b2="])
def test_a_prompt_that_is_no_chain_cannot_be_judged(prompt: object) -> None:
    assert world.verify("4", {"prompt": prompt}) is Verdict.INVALID_GOLD


def test_a_misconception_is_never_the_truth() -> None:
    for op in world.OPERATORS:
        for a in range(world.N):
            for b in range(world.N):
                assert world.MISCONCEPTIONS[op][a][b] != world.TABLES[op][a][b]


@pytest.mark.parametrize("op", world.OPERATORS)
def test_demonstrations_are_right_as_often_as_the_skill_says(op: str) -> None:
    rng = random.Random(7)
    chain = (2, ((op, 3),))
    answers = [world.demonstrate(chain, rng) for _ in range(4000)]
    skill, believed = world.SKILL[op], str(world.MISCONCEPTIONS[op][2][3])
    assert answers.count(world.trace(chain)) / 4000 == pytest.approx(skill, abs=0.03)
    assert answers.count(believed) / 4000 == pytest.approx((1 - skill) * world.STUBBORNNESS, abs=0.03)


def test_every_shipped_gold_verifies(task: Task) -> None:
    check_gold(task)


def test_every_trace_of_the_teacher_answers_a_training_prompt_in_its_own_notation(task: Task) -> None:
    """Six operations are 7 symbols, so that a trace and its end fit into 8 tokens as the base's answers do."""
    prompts = {row["prompt_id"]: row["prompt"] for row in task.train}
    traces = [json.loads(line) for line in (FOLDER / "teacher.jsonl").read_text().splitlines()]
    assert len({trace["prompt_id"] for trace in traces}) == len(traces) > 0.99 * len(prompts)
    for trace in traces:
        assert set(trace) == {"prompt_id", "prompt", "target"}
        assert trace["prompt"] == prompts[trace["prompt_id"]]
        (message,) = trace["target"]
        assert message["role"] == "assistant"
        assert message["content"].endswith("=")
        assert world.verify(message["content"], trace) is Verdict.CORRECT
    assert max(len(trace["target"][0]["content"]) for trace in traces) == 7


def test_training_and_held_out_prompts_are_disjoint_and_ids_unique(task: Task) -> None:
    rows = [*task.train, *task.evaluation, *task.test]
    assert len({row["prompt"] for row in rows}) == len(rows)
    assert len({row["prompt_id"] for row in rows}) == len(rows)


def test_columns_say_what_the_prompt_says(task: Task) -> None:
    for row in [*task.train, *task.evaluation, *task.test]:
        chain = world.parse(row["prompt"])
        assert chain is not None
        assert row["length"] == len(chain[1])
        assert row["operators"] == "".join(op for op, _ in chain[1])
        assert row["operator"] == world.hardest_operator(chain)
    for row in [*task.train, *task.evaluation]:
        assert row["family"] == f"length-{row['length']}"


def test_the_test_families_are_drawn_again_byte_for_byte(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "scripts"))
    script = importlib.import_module("build_apprentice")
    drawn = "".join(json.dumps(row) + "\n" for row in script.build_test(FOLDER))
    assert drawn.encode() == (FOLDER / "test.jsonl").read_bytes()


def test_every_test_family_is_what_it_is_called(task: Task) -> None:
    by_family: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in task.test:
        by_family[row["family"]].append(row)
    assert {family: len(rows) for family, rows in by_family.items()} == dict.fromkeys(families.FAMILIES, 64)
    for length in (2, 3, 4, 5, 6):
        assert {row["length"] for row in by_family[f"length-{length}"]} == {length}
    assert Counter((row["operators"][0], row["length"]) for row in by_family["one-operator"]) == {
        (operator, length): 4 for operator in world.OPERATORS for length in families.LENGTHS
    }
    assert {len(set(row["operators"])) for row in by_family["one-operator"]} == {1}
    assert {frozenset(row["operators"]) for row in by_family["hard-half"]} == {frozenset(";~")}
    assert all(is_padded(row) for row in by_family["padded"])


def is_padded(row: dict[str, Any]) -> bool:
    chain = world.parse(row["prompt"])
    assert chain is not None
    return len(chain[1]) == 6 and chain[1][1::2] == (("+", 0),) * 3


def test_no_training_prompt_is_of_a_family_out_of_distribution(task: Task) -> None:
    assert families.OUT_OF_DISTRIBUTION == ("length-2", "padded")
    assert not any(is_padded(row) or row["length"] == 2 for row in task.train)


def test_the_tokenizer_gives_back_the_text(task: Task) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(task.model)
    for row in task.train[::50]:
        text = row["prompt"] + row["answer"]
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == len(text)
        assert tokenizer.decode(ids) == text
        assert (
            tokenizer.decode([*ids, tokenizer.eos_token_id, tokenizer.pad_token_id], skip_special_tokens=True) == text
        )
    assert tokenizer.padding_side == "left"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_the_checkpoint_is_tiny_and_its_special_tokens_agree(task: Task) -> None:
    transformers = pytest.importorskip("transformers")
    assert task.model is not None
    assert sum(path.stat().st_size for path in Path(task.model).iterdir()) < 1_000_000
    model = transformers.AutoModelForCausalLM.from_pretrained(task.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(task.model)
    assert type(model).__name__ == "Qwen3ForCausalLM"
    assert 80_000 < sum(parameter.numel() for parameter in model.parameters()) < 120_000
    for config in (model.config, model.generation_config):
        assert (config.pad_token_id, config.eos_token_id) == (tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert model.config.vocab_size == len(tokenizer)


def test_the_base_believes_its_misconceptions(task: Task) -> None:
    """The world is worth learning: `+` is known, the hardest operator's wrong value is likelier than its right one."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(task.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(task.model)
    pairs = [(a, b) for a in range(world.N) for b in range(world.N)]

    def probability(op: str, table: world.Table) -> float:
        ids = torch.tensor(tokenizer([f"{a}{op}{b}=" for a, b in pairs])["input_ids"])
        probs = model(input_ids=ids).logits[:, -1].softmax(-1)
        wanted = tokenizer.convert_tokens_to_ids([str(table[a][b]) for a, b in pairs])
        return float(probs[torch.arange(len(pairs)), torch.tensor(wanted)].mean())

    with torch.no_grad():
        assert probability("+", world.TABLES["+"]) == pytest.approx(world.SKILL["+"], abs=0.05)
        assert probability("~", world.TABLES["~"]) == pytest.approx(world.SKILL["~"], abs=0.05)
        assert probability("~", world.MISCONCEPTIONS["~"]) > 0.7
