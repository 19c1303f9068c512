"""What becomes of single rows: gold answers, options, whole prompts, images; and every way a file can be wrong.

Not here: the published data sets and the commands (test_data.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data_rows import jsonl, own_cache, parquet, png
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.tasks.data import DataConfig, data_task, find_source, load_rows
from nearfuture.tasks.data.gold import boxed, clean_gold
from nearfuture.tasks.data.messages import read_messages
from nearfuture.tasks.data.schema import MISMATCH, NO_GOLD, NO_MESSAGE
from nearfuture.types import NoSignalError, UserError, Verdict
from nearfuture.verify import RowVerifier


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache(tmp_path, monkeypatch)


def load(folder: Path, *rows: dict[str, Any], **settings: Any) -> Any:
    has_images = any(name in rows[0] for name in ("image", "images"))
    write, name = (parquet, "rows.parquet") if has_images else (jsonl, "rows.jsonl")
    return load_rows(DataConfig(str(write(folder / name, list(rows))), **settings))


@given(st.text(alphabet="12x+-^{}\\ ", min_size=1, max_size=12).filter(lambda t: t.strip() == t and "boxed" not in t))
def test_an_answer_comes_out_of_what_it_is_wrapped_in(answer: str) -> None:
    is_balanced = answer.count("{") == answer.count("}") and "}{" not in answer and not answer.startswith("}")
    assert clean_gold(f"${answer}$") == clean_gold(answer) == answer
    if is_balanced and boxed(f"\\boxed{{{answer}}}") == answer:
        assert clean_gold(f"First \\boxed{{7}}, which gives {answer}. So \\boxed{{{answer}}}.") == answer
        assert clean_gold(f"$\\boxed{{{answer}}}$ or $\\boxed{{{answer}}}$") == f"{answer}, {answer}"


def test_the_last_box_closes_its_braces() -> None:
    assert boxed("\\boxed{1}, hence \\boxed{\\frac{1}{2}} and \\boxed{3") == "\\frac{1}{2}"


@pytest.mark.parametrize(
    ("row", "gold", "kind", "options"),
    [
        ({"question": "?", "answer": "We get $x=3$, so \\boxed{3}."}, "3", "numeric", None),
        ({"question": "?", "answer": "1+1\n#### 1,024"}, "1,024", "numeric", None),
        ({"question": "?", "answer": 5}, "5", "numeric", None),
        ({"question": "?", "answer": True}, "True", "bool", None),
        ({"question": "?", "answer": "$\\frac12$"}, "\\frac12", "math", None),
        ({"question": "?", "answer": "B", "options": ["red", "blue"]}, "B", "mcq", ["red", "blue"]),
        ({"question": "?", "answer": "blue", "options": {"A": "red", "B": "blue"}}, "B", "mcq", ["red", "blue"]),
        ({"question": "Which?\nA. red\nB. blue", "answer": "B. blue"}, "B", "mcq", ["red", "blue"]),
        ({"question": "Which force?", "answer": "F"}, "F", "math", None),  # a letter that is a quantity
        ({"question": "?", "answer": "7", "kind": "geometry", "difficulty": "hard"}, "7", "numeric", None),
    ],
)
def test_what_an_answer_is(row: dict[str, Any], gold: str, kind: str, options: Any, tmp_path: Path) -> None:
    found = load(tmp_path, row).rows[0]
    assert (found["gold"], found["kind"], found["options"]) == (gold, kind, options)
    task = data_task(DataConfig(str(tmp_path / "rows.jsonl")))
    assert task.verify(f"\\boxed{{{gold}}}", found) is Verdict.CORRECT
    listed = found["prompt"][0]["content"].count("B. blue")
    assert listed == (options is not None)  # the options stand in the prompt once, whoever listed them


def test_an_option_is_told_by_its_text_too(tmp_path: Path) -> None:
    row = {"question": "Which?\nA. red\nB. blue", "answer": "B"}
    found = load(tmp_path, row).rows[0]
    task = data_task(DataConfig(str(tmp_path / "rows.jsonl")))
    assert (
        task.verify("\\boxed{blue}", found) is Verdict.CORRECT and task.verify("\\boxed{red}", found) is Verdict.WRONG
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "?", "answer": ["1", "2"]}, "a list of several gold answers"),
        ({"question": "", "answer": "1"}, "no question"),
        ({"question": "<image>?", "answer": "1"}, MISMATCH),
        ({"question": "<image> or <image>?", "answer": "1", "image": png()}, MISMATCH),
        ({"question": "<image>?", "answer": "1", "images": [png(), png(1)]}, MISMATCH),
        ({"question": "<image 2>, <image 1>?", "answer": "1", "images": [png(), png(1)]}, MISMATCH),
        ({"problem": "?", "answer": "1", "videos": ["a.mp4"]}, "has a video"),
        ({"prompt": [], "solution": "1"}, "no question"),
        ({"prompt": [{"role": "user", "content": "<image><image>"}], "solution": "1", "images": [png()]}, MISMATCH),
        ({"prompt": [{"role": "user", "content": [{"type": "audio"}]}], "solution": "1"}, MISMATCH),
        ({"prompt": [{"role": "user", "content": [None]}], "solution": "1"}, MISMATCH),
        ({"prompt": [{"role": "user", "content": 3}], "solution": "1"}, MISMATCH),
        ({"prompt": [{"role": "user", "content": "1?"}, None], "solution": "1"}, NO_MESSAGE),
        ({"prompt": [{"content": "1?"}], "solution": "1"}, NO_MESSAGE),
    ],
)
def test_a_row_that_cannot_be_shown_or_judged_is_left_out(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, row)
    assert loaded.counts.dropped == {reason: 1} and loaded.counts.num_kept == 0 == len(loaded.rows)


def test_images_stand_where_the_text_mentions_them(tmp_path: Path) -> None:
    blocks = [
        load(tmp_path, row).rows[0]["prompt"][-1]["content"]
        for row in (
            {"question": "Is <image> more than <image>?", "answer": "yes", "images": [png(), png(1)]},
            {"question": "Is <image1> more than <image2>?", "answer": "yes", "images": [png(), png(1)]},
            {"prompt": [{"role": "user", "content": "Is <image> more?"}], "solution": "yes", "images": [png()]},
            {"prompt": [{"role": "user", "content": "More?"}], "solution": "yes", "images": [png()]},
        )
    ]
    shown = [[block["text"] or "IMAGE" for block in found] for found in blocks]
    asked = "?\nThink step by step. Then give the final answer in \\boxed{}."
    assert shown == [
        ["Is ", "IMAGE", " more than ", "IMAGE", asked],
        ["Is ", "IMAGE", " more than ", "IMAGE", asked],
        ["Is ", "IMAGE", " more?"],
        ["IMAGE", "More?"],
    ]


def test_a_whole_prompt_has_one_id_whatever_holds_it(tmp_path: Path) -> None:
    row = {"prompt": [{"role": "user", "content": [{"type": "text", "text": "1+1?"}]}], "solution": "2"}
    other = {
        "prompt": [{"role": "user", "content": [{"type": "text", "text": "1+1?", "image": None}]}],
        "solution": "2",
    }
    uids = {load_rows(DataConfig(str(write(tmp_path / name, [one])))).rows[0]["uid"]
            for one in (row, other) for write, name in ((jsonl, "rows.jsonl"), (parquet, "rows.parquet"))}  # fmt: skip
    assert len(uids) == 1


def test_a_system_prompt_stands_first_unless_the_data_brings_one(tmp_path: Path) -> None:
    said = "Answer in German."
    own = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "?"}]
    first = [
        load(tmp_path, row, dataset_system_prompt=said).rows[0]["prompt"][0]
        for row in (
            {"question": "?", "answer": "1"},
            {"question": "<image>?", "answer": "1", "image": png()},
            {"prompt": own, "solution": "1"},
        )
    ]
    assert [message["role"] for message in first] == ["system"] * 3
    assert [message["content"] for message in first] == [said, [{"type": "text", "text": said}], "Be short."]


def test_messages_are_text_alone_in_text_data() -> None:
    prompt = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    assert read_messages(prompt, 0, as_blocks=False) == [{"role": "user", "content": "ab"}]
    assert read_messages([{"role": "tool", "content": "a"}], 0, as_blocks=False) is None


def test_a_known_set_is_known_by_its_id_too(tmp_path: Path) -> None:
    place = tmp_path / "openai" / "gsm8k"
    place.mkdir(parents=True)
    jsonl(place / "train.jsonl", [{"question": "How many?", "answer": "1+1\n#### 2"}])
    (place / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: train.jsonl\n---\n"
    )
    loaded = load_rows(DataConfig(str(place)))
    assert (loaded.form, loaded.rows[0]["gold"], loaded.rows[0]["kind"]) == ("gsm8k", "2", "numeric")
    assert loaded.rows[0]["uid"].startswith("gsm8k:")
    short = find_source("OpenDataArena/MMFineReason-SFT-123K")
    assert short is not None and short[0] == "mmfinereason"


def test_a_known_set_without_a_column_it_needs_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "zwhe99" / "DeepMath-103K"
    place.mkdir(parents=True)
    jsonl(place / "train.jsonl", [{"question": "1+1?", "answer": "2", "final_answr": "2"}])
    with pytest.raises(UserError, match=r"final_answer is missing\. Did you mean 'final_answr'"):
        load_rows(DataConfig(str(place)))
    mapped = load_rows(DataConfig(str(place), dataset_columns={"gold": "final_answr"}))
    assert mapped.rows[0]["gold"] == "2"


def test_paths_of_images_start_from_the_folder_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(png()["bytes"])
    path = jsonl(tmp_path / "rows.jsonl", [{"question": "<image>?", "answer": "1", "images": ["one.png"]}])
    row = load_rows(DataConfig(str(path))).rows[0]
    assert row["images"][0].size == (32, 32)
    stored = parquet(tmp_path / "rows.parquet", [{"question": "<image>?", "answer": "1", "images": [png()]}])
    assert load_rows(DataConfig(str(stored))).rows[0]["uid"] == row["uid"]  # bytes or a file, the same image


def test_what_can_be_wrong_with_a_file(tmp_path: Path) -> None:
    rows = [{"question": f"{i}?", "answer": str(i)} for i in range(4)]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError, match="has no splits, so the same rows would be trained on and evaluated"):
        data_task(DataConfig(str(path), dataset_test_split="test"))
    torn = tmp_path / "torn.jsonl"
    torn.write_text(path.read_text() + '{"question": "5')
    with pytest.raises(UserError, match=r"cannot be read: JSON parse error.*Correct the file"):
        load_rows(DataConfig(str(torn)))
    messages = jsonl(tmp_path / "messages.jsonl", [{"prompt": [{"role": "user", "content": "?"}], "solution": "1"}])
    with pytest.raises(UserError, match="dataset_template=text makes a string of a question"):
        load_rows(DataConfig(str(messages), dataset_template="text"))
    with pytest.raises(NoSignalError, match="of 4 rows none are left"):
        data_task(DataConfig(str(path), dataset_max_difficulty=0))


def test_data_sets_that_were_saved_to_disk(tmp_path: Path) -> None:
    rows = Dataset.from_list([{"question": "1+1?", "answer": "2"}])
    rows.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": rows, "test": rows}).save_to_disk(str(tmp_path / "two"))
    assert len(load_rows(DataConfig(str(tmp_path / "one"))).rows) == 1
    task = data_task(DataConfig(str(tmp_path / "two"), dataset_test_split="test"))
    assert len(task.train) == len(task.evaluation) == 1
    with pytest.raises(UserError, match=r'Unknown split "dev"'):
        load_rows(DataConfig(str(tmp_path / "two"), dataset_train_split="dev"))


def test_a_question_that_comes_again_is_held_out_or_trained_on_never_both(tmp_path: Path) -> None:
    rows = [{"question": f"{i % 10}?", "answer": str(i % 10)} for i in range(30)]
    task = data_task(DataConfig(str(jsonl(tmp_path / "rows.jsonl", rows)), dataset_num_held_out=4))
    held, trained = task.evaluation["uid"][:], task.train["uid"][:]
    assert len(held) == len(set(held)) == 4 and len(trained) == 18 and not set(held) & set(trained)


def test_rows_are_the_same_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"question": f"{i}?", "answer": str(i), "family": None if i < 5 else "late"} for i in range(10)]
    path = str(jsonl(tmp_path / "rows.jsonl", rows))
    whole = load_rows(DataConfig(path)).rows
    monkeypatch.setattr("nearfuture.tasks.data.loading.PART", 3)
    assert json.dumps(list(load_rows(DataConfig(path)).rows)) == json.dumps(list(whole))


@pytest.mark.parametrize(
    "options",
    [
        ["red", "blue"],
        {"A": "red", "B": "blue"},
        {"text": ["red", "blue"], "label": ["A", "B"]},
        {"text": ["red", "blue"], "label": ["1", "2"]},
        [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}],
        '["red", "blue"]',
        "['red', 'blue']",
        "A) red B) blue",
        "A. red\nB. blue",
    ],
)
@pytest.mark.parametrize("column", ["options", "choices"])
def test_options_are_read_in_every_form(options: Any, column: str, tmp_path: Path) -> None:
    label = "2" if isinstance(options, dict) and "1" in options.get("label", []) else "B"
    for gold in (label, "blue"):
        found = load(tmp_path, {"question": "?", "answer": gold, column: options}).rows[0]
        assert (found["gold"], found["kind"], found["options"]) == ("B", "mcq", ["red", "blue"])


@pytest.mark.parametrize("options", ["[null, true", "[A] red [B] blue", "a b c", 7])
def test_options_that_cannot_be_read_are_counted(options: Any, tmp_path: Path) -> None:
    row = {"question": "?", "answer": "B", "options": options}
    assert load(tmp_path, row).counts.dropped == {"options that cannot be read": 1}


@pytest.mark.parametrize("is_text", [False, True])
def test_numbers_beside_options_are_positions_or_texts_as_all_rows_together_tell(is_text: bool, tmp_path: Path) -> None:
    def golds(answers: list[int], options: list[str]) -> list[str]:
        written = [str(answer) if is_text else answer for answer in answers]
        rows = [{"question": f"{i}?", "answer": gold, "choices": options} for i, gold in enumerate(written)]
        return list(load(tmp_path, *rows).rows["gold"])

    colours = ["red", "green", "blue"]
    assert golds([0, 1, 2, 2], colours) == ["A", "B", "C", "C"]  # as MMLU has it
    assert golds([1, 3, 2, 1], colours) == ["A", "C", "B", "A"]
    assert golds([7, 9, 8], ["7", "8", "9"]) == ["A", "C", "B"]
    with pytest.raises(UserError, match=r"numbers from 1 to 2 beside options.*Write letters"):
        golds([1, 2], colours)


def test_a_number_beyond_the_options_is_counted(tmp_path: Path) -> None:
    rows = [{"question": f"{i}?", "answer": i, "options": ["red", "blue"]} for i in (0, 1, 2)]
    assert load(tmp_path, *rows).counts.dropped == {"an answer that numbers no option": 1}


def test_messages_with_an_answer_are_a_form(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1+1?"}]
    for name in ("answer", "gold", "solution"):
        found = load(tmp_path, {"messages": turns, name: "2"})
        assert found.form == "messages" and found.rows[0]["gold"] == "2"
        assert [one["content"] for one in found.rows[0]["prompt"]] == ["Add.", "1+1?"]
    mapped = load(tmp_path, {"messages": turns, "a": "2"}, dataset_columns={"question": "messages", "gold": "a"})
    assert mapped.rows[0]["prompt"] == found.rows[0]["prompt"]
    answered = load(tmp_path, {"messages": [*turns, {"role": "assistant", "content": "2"}], "answer": "2"})
    assert answered.counts.dropped == {"messages that end with the assistant's own answer": 1}


def test_a_worked_solution_is_reduced_to_its_answer_or_left_out(tmp_path: Path) -> None:
    rows = [
        {"problem": "1+1?", "solution": "We add.\nIt is \\boxed{2}."},
        {"problem": "1+2?", "solution": "We add.\n#### 3"},
        {"problem": "1+3?", "solution": "4"},
        {"problem": "1+4?", "solution": "We add.\nThat makes five."},
    ]
    found = load(tmp_path, *rows)
    assert list(found.rows["gold"]) == ["2", "3", "4"]
    assert found.counts.dropped == {"a worked solution without a marked answer": 1}


@pytest.mark.parametrize("answer", [{"target": ["5"]}, 1e20, 2**60 * 1.0])
def test_an_answer_that_is_no_answer_is_counted(answer: Any, tmp_path: Path) -> None:
    assert sum(load(tmp_path, {"question": "?", "answer": answer}).counts.dropped.values()) == 1


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_is_read_as_it_is_written(separator: str, mark: str, tmp_path: Path) -> None:
    golds = ["9007199254740993", "", "123456789012345678901234567890", "None", "NA", "null", "0.10", "007", "True"]
    lines = [separator.join(["question", "answer"]), *(f'"{i}, {i}?"{separator}{g}' for i, g in enumerate(golds))]
    for suffix in (".csv", ".tsv"):
        path = tmp_path / f"rows{suffix}"
        path.write_text(mark + "\n".join(lines) + "\n", encoding="utf-8")
        found = load_rows(DataConfig(str(path)))
        assert list(found.rows["gold"]) == [gold for gold in golds if gold]
        assert found.counts.dropped == {NO_GOLD: 1}
        assert found.rows[0]["prompt"][0]["content"].startswith("0, 0?")


VERL = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    assert data_source == "made" and extra_info == {"index": 32}, (data_source, extra_info)
    wanted = ground_truth["target"] if isinstance(ground_truth, dict) else [ground_truth]
    return float(solution_str in wanted)
"""


@pytest.mark.parametrize("gold", ["5", {"target": ["5", "five"]}])
def test_rows_of_verl_reach_a_verifier_of_verl_as_they_were(gold: Any, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(VERL)
    row = {
        "data_source": "made",
        "prompt": [{"role": "user", "content": "2+3?"}],
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {"index": 32},
    }
    config = DataConfig(str(jsonl(tmp_path / "rows.jsonl", [row])), verifier=f"{tmp_path / 'own.py'}:compute_score")
    task = data_task(config)
    assert [task.verify(answer, task.train[0]) for answer in ("5", "6")] == [Verdict.CORRECT, Verdict.WRONG]


@pytest.mark.parametrize(
    "text", ["question;answer\nGröße?;5\n".encode("cp1252"), b"\xff\xfeq\x00", b"q\x00,answer\n1,2\n"]
)
def test_a_table_that_is_no_utf_8_is_refused_in_words(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text)
    with pytest.raises(UserError, match=r"rows\.csv.* cannot be read|which is no known form"):
        load_rows(DataConfig(str(path)))


@pytest.mark.parametrize(
    ("gold", "right", "wrong"),
    [
        ("$1,200", ["\\boxed{1200}", "\\boxed{\\$1200}", "The answer is $1200."], ["\\boxed{1}", "\\boxed{€1200}"]),
        ("1,234 km", ["\\boxed{1234}", "\\boxed{1,234 \\text{ km}}"], ["\\boxed{1234 \\text{ m}}"]),
        ("1,200%", ["\\boxed{1200\\%}", "\\boxed{12}"], ["\\boxed{200}"]),
        ("12,000 people", ["\\boxed{12000}"], ["\\boxed{12}"]),
        ("3,75", ["\\boxed{3.75}"], ["\\boxed{375}"]),
        ("-2, 1", ["\\boxed{1, -2}", "\\boxed{-2, 1}"], ["\\boxed{2, 1}", "\\boxed{1}"]),
        ("red, blue", ["\\boxed{red, blue}"], ["\\boxed{red}"]),
        ("$5", ["\\boxed{5}", "\\boxed{5 \\text{ dollars}}"], ["\\boxed{€5}", "\\boxed{5 \\text{ euros}}"]),
        ("¥5", ["\\boxed{5 \\text{ yen}}"], ["\\boxed{\\$5}"]),
        ("2/3 cup", ["\\boxed{2/3}"], ["\\boxed{2}"]),
    ],
)
def test_amounts_lengths_and_roots_as_people_write_them(
    gold: str, right: list[str], wrong: list[str], tmp_path: Path
) -> None:
    row = load(tmp_path, {"question": "?", "answer": gold}).rows[0]
    judge = RowVerifier()
    assert [judge(text, row) for text in right] == [Verdict.CORRECT] * len(right)
    assert Verdict.CORRECT not in [judge(text, row) for text in wrong]


@pytest.mark.parametrize("odd", [-1, "blue", 1.0, "B"])
def test_numbers_of_options_count_from_0_whatever_else_is_in_the_column(odd: Any, tmp_path: Path) -> None:
    options = ["red", "green", "blue", "pink"]
    rows = [{"question": f"{i}?", "answer": str(gold), "choices": options} for i, gold in enumerate((0, 1, 2, 3, odd))]
    found = load(tmp_path, *rows)
    assert [row["gold"] for row in found.rows][:4] == ["A", "B", "C", "D"]
    left = {-1: [], "blue": ["C"], 1.0: ["B"], "B": ["B"]}[odd]
    assert [row["gold"] for row in found.rows][4:] == left
    assert found.counts.dropped == ({} if left else {"an answer that numbers no option": 1})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "?", "answer": "He has 12 apples."}, "a worked solution without a marked answer"),
        ({"problem": "?", "solution": "So x is 4."}, "a worked solution without a marked answer"),
        (
            {"question": "?", "answer": "A", "options": ["B", "A"]},
            "an answer that is one option's letter and another's text",
        ),
        ({"question": "?", "answer": ["5", "five"]}, "a list of several gold answers"),
    ],
)
def test_what_cannot_be_judged_is_left_out_by_name(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    assert load(tmp_path, row).counts.dropped == {reason: 1}


@pytest.mark.parametrize("gold", ["12 apples.", "Type 2 diabetes.", "The North Sea.", "He has \\boxed{12} apples."])
def test_short_answers_with_a_full_stop_stay(gold: str, tmp_path: Path) -> None:
    assert load(tmp_path, {"question": "?", "answer": gold}).counts.dropped == {}
