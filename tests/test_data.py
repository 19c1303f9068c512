"""Data sets: every adapter on rows with the upstream columns, what is left out counted, and the two commands.

The rows are made here; none is of a published data set.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import invoke
from data_rows import jsonl, own_cache, parquet, png
from datasets import Dataset, Features, Image, List, Value

from nearfuture.lab.forecast.overlap import Overlap
from nearfuture.run import build
from nearfuture.run.settings.load import check
from nearfuture.tasks import check_gold
from nearfuture.tasks.data import SOURCES, DataConfig, data_task, load_rows
from nearfuture.tasks.data.findings import Findings
from nearfuture.tasks.data.light import Light
from nearfuture.tasks.data.loading import REPEATED
from nearfuture.train.positions import position_limit
from nearfuture.types import UserError, Verdict

BASE = Path(__file__).parent.parent / "src" / "nearfuture" / "tasks" / "worlds"
APPRENTICE, SHAPES = BASE / "apprentice" / "model", BASE / "shapes" / "model"


def fine(**changes: Any) -> dict[str, Any]:
    row = {
        "question": "<image>\nHow many degrees has the angle?",
        "answer": "35",
        "ori_question": "q",
        "original_answer": "35 degrees",
        "image": png(),
        "caption": "an angle",
        "qwen3vl_235b_thinking_response": "<think>..</think>35",
        "pass_rate": 0.0,
        "is_consistent": True,
        "consistency_analysis": "",
        "source": "made",
        "id": "f1",
    }
    return {**row, **changes}


def raw_dapo(index: int, problem: str = "What is 6*7?") -> dict[str, Any]:
    text = (
        f"Solve the following math problem step by step.\n\n{problem}\n\nRemember to put your answer on its own line."
    )
    return {
        "data_source": "math_dapo",
        "prompt": [{"role": "user", "content": text}],
        "ability": "MATH",
        "reward_model": {"ground_truth": "42", "style": "rule"},
        "extra_info": {"index": str(index)},
    }


# By registered name: rows with the upstream columns; the golds and kinds that must come out; the reasons left out.
UPSTREAM: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]], dict[str, int]]] = {
    "mmfinereason": (
        [
            fine(),
            fine(answer=None, id="f2"),
            fine(answer="(B)", question="<image>Which one?\nA. red\nB. blue", id="f3"),
            fine(answer="Yes", question="<image>Is it so?", id="f4"),
            fine(answer="the rate of change is larger there", id="f5"),
            fine(answer="\\frac{3}{4}\\pi", question="<image>In radians?", id="f6"),
        ],
        [("35", "numeric"), ("B", "mcq"), ("Yes", "bool"), ("\\frac{3}{4}\\pi", "math")],
        {"no gold answer": 1, "answer in prose, which rules cannot judge": 1},
    ),
    "geometry3k": (
        [
            {
                "images": [png()],
                "problem": "<image>Find $x$.",
                "answer": "\\sqrt{221}",
                "id": "1",
                "choices": ["1", "2", "3", "4"],
                "ground_truth": "A",
            }
        ],
        [("\\sqrt{221}", "math")],
        {},
    ),
    "mmk12": (
        [{"id": "a", "question": "<image>Which?", "answer": "C", "subject": "physics", "image": png()}],
        [("C", "mcq")],
        {},
    ),
    "virl39k": (
        [
            {
                "question": "<image>Find $x$.",
                "answer": "\\boxed{12}",
                "PassRate_32BTrained": 0.5,
                "PassRate_7BBase": 0.25,
                "category": "geometry",
                "source": "made",
                "qid": "q1",
                "image": ["images/one.png"],
            }
        ],
        [("12", "numeric")],
        {},
    ),
    "openr1_math": (
        [
            {
                "problem": "What is $1/2$?",
                "solution": "...",
                "answer": "\\frac{1}{2}",
                "problem_type": "Algebra",
                "question_type": "math-word-problem",
                "source": "made",
                "uuid": "u",
            },
            {
                "problem": "Prove it.",
                "solution": "...",
                "answer": "proof",
                "problem_type": "Algebra",
                "question_type": "proof",
                "source": "made",
                "uuid": "v",
            },
            {
                "problem": "Pick.\nA. 1\nB. 2",
                "solution": "...",
                "answer": "B",
                "problem_type": "Algebra",
                "question_type": "MCQ",
                "source": "made",
                "uuid": "w",
            },
        ],
        [("\\frac{1}{2}", "math"), ("B", "mcq")],
        {"a proof, without an answer to compare": 1},
    ),
    "dapo_math": (
        [raw_dapo(i) for i in range(3)] + [raw_dapo(9, "What is 40+2?")],
        [("42", "numeric")] * 2,
        {REPEATED: 2},
    ),
    "dapo_math_processed": (
        [
            {
                "prompt": "What is 6*7?",
                "solution": "42",
                "data_source": "math_dapo",
                "source_prompt": [{"role": "user", "content": "x"}],
                "ability": "MATH",
                "reward_model": {"ground_truth": "42", "style": "rule"},
                "extra_info": {"index": "1"},
            }
        ],
        [("42", "numeric")],
        {},
    ),
    "deepmath": (
        [
            {
                "question": "Limit?",
                "final_answer": "$\\infty$",
                "difficulty": 5.5,
                "topic": "Mathematics -> Calculus",
                "r1_solution_1": "",
                "r1_solution_2": "",
                "r1_solution_3": "",
            }
        ],
        [("\\infty", "math")],
        {},
    ),
    "gsm8k": (
        [{"question": "How many?", "answer": "1+1\n#### 1,024"}, {"question": "?", "answer": "nothing"}],
        [("1024", "numeric")],
        {"no line `####` in the answer": 1},
    ),
    "math": (
        [
            {"problem": "Sum?", "level": "Level 3", "type": "Algebra", "solution": "so $\\boxed{\\frac{1}{2}}$."},
            {"problem": "Sum?", "level": "Level ?", "type": "Algebra", "solution": "no box"},
            *(
                {"problem": f"{i}?", "level": "Level 1", "type": "Algebra", "solution": f"\\boxed{{{i}}}"}
                for i in range(5)
            ),
        ],
        [("\\frac{1}{2}", "math"), *((str(i), "numeric") for i in range(5))],
        {"no box in the solution": 1},
    ),
    "math500": (
        [
            {
                "problem": "Sum?",
                "solution": "...",
                "answer": "7",
                "subject": "Algebra",
                "level": 2,
                "unique_id": "test/1.json",
            }
        ],
        [("7", "numeric")],
        {},
    ),
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache(tmp_path, monkeypatch)


def mirror(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Write rows where `load_dataset` finds them: a folder called as the repository, whose card names the file."""
    source = SOURCES[name]
    features: dict[str, Any] = {}
    if isinstance(rows[0].get("image"), dict):
        features["image"] = Image()
    if isinstance((rows[0].get("images") or [None])[0], dict):
        features["images"] = List(Image())
    place = folder / source.repo
    place.mkdir(parents=True)
    configs = source.config if isinstance(source.config, tuple) else (source.config or "default",)
    card = "---\nconfigs:\n"
    for i, config in enumerate(configs):  # a row each where there are several, the rest in the last
        last = i == len(configs) - 1
        found = Dataset.from_list(rows[i:] if last else rows[i : i + 1])
        for column, feature in features.items():
            found = found.cast_column(column, feature)
        found.to_parquet(str(place / f"{config}.parquet"))
        card += f"- config_name: {config}\n  data_files:\n  - split: {source.split}\n    path: {config}.parquet\n"
    (place / "README.md").write_text(f"{card}---\n")


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_published_set_is_read_and_every_row_accounted_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, expected, left_out = UPSTREAM[name]
    mirror(tmp_path, name, rows)
    monkeypatch.chdir(tmp_path)
    if name == "virl39k":
        (tmp_path / "unpacked" / "images").mkdir(parents=True)
        (tmp_path / "unpacked" / "images" / "one.png").write_bytes(png()["bytes"])
    loaded = load_rows(DataConfig(name, dataset_image_root=str(tmp_path / "unpacked") if name == "virl39k" else None))
    assert [(row["gold"], row["kind"]) for row in loaded.rows] == expected
    assert loaded.counts.dropped == Counter(left_out)
    assert loaded.counts.num_rows == len(rows) == loaded.counts.num_kept + sum(left_out.values())
    assert len(set(loaded.rows["uid"])) == len(loaded.rows)
    for row in loaded.rows:
        is_formula = row["kind"] in ("math", "numeric", "list")
        assert row["solution"] == (f"${row['gold']}$" if is_formula else row["gold"])
        assert row["uid"].startswith(f"{name}:")
        images = row.get("images") or ([row["image"]] if row.get("image") is not None else [])
        content = row["prompt"][-1]["content"]
        blocks = content if isinstance(content, list) else []
        assert [block["type"] for block in blocks].count("image") == len(images)
        assert all(image.size == (32, 32) for image in images)
        assert "<image>" not in json.dumps([block.get("text") for block in blocks])


def test_every_registered_set_has_a_test() -> None:
    assert set(SOURCES) - set(UPSTREAM) == {"mmfinereason_586k"}  # the same columns as mmfinereason


def test_both_spellings_of_the_pass_rate_and_the_rule_of_four_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [fine(id=str(i), question=f"<image>{i}?", pass_rate=rate) for i, rate in enumerate((0.0, 0.25, 0.75))]
    renamed = [
        {**{k: v for k, v in row.items() if k != "pass_rate"}, "qwen3vl_4b_pass_rate": row["pass_rate"]} for row in rows
    ]
    for name, spelling in (("one", rows), ("other", renamed)):
        mirror(tmp_path / name, "mmfinereason", spelling)
        monkeypatch.chdir(tmp_path / name)
        loaded = load_rows(DataConfig("mmfinereason", dataset_max_difficulty=0.0))
        assert loaded.rows["difficulty"] == [0.0]
        assert loaded.counts.dropped == {"difficulty outside the limits": 2}


FORMS = {
    "EasyR1": {"problem": "1+1?", "answer": "2"},
    "verl": {
        "data_source": "made",
        "prompt": [{"role": "user", "content": "1+1?"}],
        "reward_model": {"ground_truth": "2", "style": "rule"},
    },
    "TRL": {"prompt": "1+1?", "solution": "2"},
    "plain": {"question": "1+1?", "answer": "2"},
}


@pytest.mark.parametrize("form", FORMS)
def test_known_forms_are_recognised_by_their_columns(form: str, tmp_path: Path) -> None:
    config = DataConfig(str(jsonl(tmp_path / "rows.jsonl", [FORMS[form]])))
    loaded = load_rows(config)
    assert loaded.form == form
    row = loaded.rows[0]
    assert (row["gold"], row["kind"]) == ("2", "numeric")
    assert row["prompt"][0]["content"].startswith("1+1?")
    task = data_task(config)
    assert task.verify("\\boxed{2}", row) is Verdict.CORRECT and task.verify("\\boxed{3}", row) is Verdict.WRONG
    check_gold(task)


def test_a_column_map_and_what_can_be_wrong_with_it(tmp_path: Path) -> None:
    name = str(jsonl(tmp_path / "rows.jsonl", [{"frage": "1+1?", "loesung": "2", "wahl": None}]))
    loaded = load_rows(DataConfig(name, dataset_columns={"question": "frage", "gold": "loesung"}))
    assert loaded.rows[0]["gold"] == "2"
    with pytest.raises(UserError, match=r"frage, loesung, wahl.*Set dataset_columns"):
        load_rows(DataConfig(name))
    with pytest.raises(UserError, match="Did you mean 'frage'"):
        load_rows(DataConfig(name, dataset_columns={"question": "frag", "gold": "loesung"}))
    with pytest.raises(UserError, match=r"'quest' is not a field. Did you mean 'question'"):
        load_rows(DataConfig(name, dataset_columns={"quest": "frage"}))
    with pytest.raises(UserError, match="no such file"):
        load_rows(DataConfig(str(tmp_path / "none.jsonl")))
    with pytest.raises(UserError, match="hf download openai/gsm8k"):
        load_rows(DataConfig("gsm8k"))


def test_an_id_is_made_of_content_and_of_nothing_else(tmp_path: Path) -> None:
    def uid(image: dict[str, Any], **row: Any) -> str:
        path = tmp_path / "rows.parquet"
        features = Features({**{name: Value("string") for name in row}, "image": Image()})
        Dataset.from_list([{**row, "image": image}], features=features).to_parquet(str(path))
        return str(load_rows(DataConfig(str(path))).rows[0]["uid"])

    one = uid(png(), question="<image>?", answer="2")
    assert uid(png(), answer="2", question="<image>?") == one  # other order of columns
    assert uid(png(), question="<image>?", answer="3") == one  # what is asked, not what is right
    assert uid(png(red=201), question="<image>?", answer="2") != one
    assert uid(png(), question="<image>!", answer="2") != one


def test_held_out_rows_are_the_same_whatever_the_order(tmp_path: Path) -> None:
    rows = [{"question": f"{i}?", "answer": str(i)} for i in range(40)]
    held = []
    for name, ordered in (("a", rows), ("b", rows[::-1])):
        path = tmp_path / name / "rows.jsonl"
        path.parent.mkdir()
        task = data_task(DataConfig(str(jsonl(path, ordered)), dataset_num_held_out=10))
        held.append(set(task.evaluation["gold"]))
        assert len(task.train) == 30 and not held[-1] & set(task.train["gold"])
    assert held[0] == held[1] and len(held[0]) == 10


CONFIG = {"run_dir": "x", "max_steps": 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "exactly one of them"),
        ({"task": "apprentice", "dataset_name": "gsm8k"}, "exactly one of them"),
        ({"task": "apprentice", "dataset_template": "none"}, "a task has its own data"),
        ({"dataset_name": "gsm8k", "dataset_test_split": "test", "dataset_num_held_out": 3}, "Set one"),
        ({"dataset_name": "gsm8k", "max_prompt_length": 0}, "at least 1"),
        ({"dataset_nam": "gsm8k"}, "Did you mean dataset_name"),
    ],
)
def test_settings_that_exclude_each_other(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check({**CONFIG, **values})


def write_config(folder: Path, **values: Any) -> Path:
    path = folder / "run.yaml"
    settings = {"run_dir": str(folder / "run"), "max_steps": 2, **values}
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
    return path


TRAINING = {
    "dataset_template": "text",
    "per_device_train_batch_size": 16,
    "num_generations": 4,
    "max_completion_length": 8,
    "learning_rate": 1e-3,
}


def apprentice_rows(num_rows: int) -> list[dict[str, Any]]:
    lines = (BASE / "apprentice" / "train.jsonl").read_text().splitlines()[:num_rows]
    return [{"question": row["prompt"], "answer": row["answer"]} for row in map(json.loads, lines)]


def test_training_on_a_file_says_what_it_left_out(tmp_path: Path) -> None:
    rows = [*apprentice_rows(12), {"question": "?", "answer": ""}, {"question": "1" * 60, "answer": "1"}]
    rows += [{"question": "1", "answer": "\\frac{1}{"}]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    config = write_config(tmp_path, dataset_name=str(path), model=str(APPRENTICE), max_prompt_length=40, **TRAINING)
    code, output = invoke("train", config)
    assert code == 0, output
    assert "15 rows read, 13 kept; left out: 1 no gold answer, 1 gold answer that cannot be verified" in output
    assert "1 of 13 prompts have more than max_prompt_length=40 tokens (the longest 60)" in output
    code, output = invoke("train", config, "--clean", "dataset_num_held_out=4", "eval_every=1")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert code == 0 and [row["step"] for row in rows if "eval/pass_rate" in row] == [0, 1, 2]
    assert all(row["seconds"] > 1e-3 for row in rows if "loss" in row)  # an evaluation takes no time off its step
    code, output = invoke("train", config, "--dry-run")
    assert code == 0 and "12 training prompts" in output
    code, output = invoke("train", config, "--clean", "dataset_template=none")
    assert code == 2 and "no chat template" in output
    code, output = invoke("train", config, "--clean", "max_prompt_length=1")
    assert code == 3 and "all 13 training prompts are longer" in output


def test_prompts_that_the_model_cannot_take_are_named_before_step_1(tmp_path: Path) -> None:
    """The apprentice has 64 positions and a token per character."""
    rows = [*apprentice_rows(12), *({"question": "1" * length, "answer": "1"} for length in (60, 64, 900))]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    config = write_config(tmp_path, dataset_name=str(path), model=str(APPRENTICE), **TRAINING)
    room = 64 - _configuration(config).training.max_completion_length
    for command in (["train", config], ["train", config, "--dry-run"], ["plan", config]):
        code, output = invoke(*command)
        said = " ".join(output.split())
        assert code == 2 and "2 of 15 prompts have no room for an answer" in said, (command, said)
        assert "the longest has 900 tokens, and its max_position_embeddings are 64" in said
        assert f"max_prompt_length={room}" in said and not (tmp_path / "run").exists()
    code, output = invoke("data", "check", config)
    assert code == 0 and "too long for the model" in output and "900 tokens" in output, output
    code, output = invoke("train", config, f"max_prompt_length={room}", "--dry-run")
    assert code == 0 and "leave less room" not in output, output
    code, output = invoke("train", config, "max_prompt_length=63", "--dry-run")
    assert code == 0 and "1 of 13 prompts leave less room than max_completion_length" in " ".join(output.split())


@pytest.mark.parametrize(
    ("positions", "scaling", "limit"),
    [
        (2048, None, 2048),
        (None, None, None),
        (32768, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
        (131072, {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}, 131072),
    ],
)
def test_positions_count_what_the_rotary_scaling_adds(
    positions: int | None, scaling: dict[str, Any] | None, limit: int | None
) -> None:
    text = SimpleNamespace(max_position_embeddings=positions, rope_scaling=scaling)
    assert position_limit(SimpleNamespace(get_text_config=lambda: text)) == limit


def test_the_length_of_a_prompt_counts_the_tokens_of_its_images(tmp_path: Path) -> None:
    rows = [
        {"question": "<image>r>", "answer": "1", "image": png(size=size)} for size in ((48, 48), (64, 48), (64, 64))
    ]
    path = tmp_path / "rows.parquet"
    Dataset.from_list(rows).cast_column("image", Image()).to_parquet(str(path))
    config = check(
        {**CONFIG, "dataset_name": str(path), "dataset_template": "none", "model": str(SHAPES), "max_prompt_length": 16}
    )
    task = build.load_run_task(config)  # 9, 12 and 16 patches, start, end, `r>`
    assert [row["image"].size for row in task.train] == [(48, 48), (64, 48)]
    assert "1 of 3 prompts have more than max_prompt_length=16 tokens (the longest 20)" in task.notes[-1]


def test_check_finds_counts_and_names(tmp_path: Path) -> None:
    question = "What is the sum of the first one hundred whole numbers, please?"
    rows = [
        {"question": "1+1?", "answer": "2"},
        {"question": "1 + 1 ?", "answer": "2"},
        {"question": "1+1", "answer": "3"},
        {"question": "Half?", "answer": "\\frac{1}{"},
        {"question": question, "answer": "5050"},
        {"question": "Empty?", "answer": ""},
    ]
    config = write_config(tmp_path, dataset_name=str(jsonl(tmp_path / "rows.jsonl", rows)))
    facts = tmp_path / "facts.json"
    code, output = invoke("data", "check", config, "--json", facts)
    assert code == 0, output
    found = json.loads(facts.read_text())
    assert {f["finding"]: f["count"] for f in found["findings"]} == {
        "repeated": 1,
        "contradictory": 1,
        "unverifiable gold": 1,
    }
    assert (found["num_rows"], found["num_kept"], found["num_usable"]) == (6, 5, 4)
    assert found["left_out"] == [{"reason": "no gold answer", "count": 1, "rows": [5]}]
    assert "not compared (give --benchmarks DIR)" in output
    assert (
        "rows 0 and 2: '2' and '3'"
        in next(f for f in found["findings"] if f["finding"] == "contradictory")["examples"][0]
    )
    bad = jsonl(tmp_path / "bad.jsonl", [{"question": "Half?", "answer": "\\frac{1}{"}])
    code, output = invoke("data", "check", config, f"dataset_name={bad}")
    assert code == 2 and "of 1 rows none can be trained on" in output
    code, output = invoke("data", "check", config, "--benchmarks", tmp_path)
    assert code == 2 and "holds none of" in output


def test_holding_out_everything_is_refused_by_its_key(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"question": f"{i}?", "answer": "2"} for i in range(4)])
    with pytest.raises(UserError, match=r"dataset_num_held_out=4: there are 4 questions"):
        data_task(DataConfig(str(path), dataset_num_held_out=4))


def test_check_refuses_what_training_refuses(tmp_path: Path) -> None:
    rows = [{"question": f"{i}?", "answer": "2", "number": str(i // 2)} for i in range(4)]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    columns = {"question": "question", "gold": "answer", "uid": "number"}
    config = write_config(tmp_path, dataset_name=str(path), dataset_columns=columns)
    code, output = invoke("data", "check", config)
    assert code == 2 and "'0' names two different prompts (rows 0 and 1)" in " ".join(output.split())


def test_check_finds_rows_of_a_benchmark_by_question_and_by_image(tmp_path: Path) -> None:
    question = "What is the sum of the angles that are marked in the figure of the pentagon?"
    leaked, other = png(red=10), png(red=20)
    options = ["one", "two", "three", "four"]
    star = {
        "index": 0,
        "question": f"{question}\nOptions: A: one, B: two, C: three, D: four",
        "image": leaked,
        "answer": "A",
        "category": "math",
        "l2_category": "geometry",
        "meta_info": json.dumps({"source": "made", "split": "val", "image_path": "x"}),
    }
    place = tmp_path / "data" / "Lin-Chen" / "MMStar"
    place.mkdir(parents=True)
    Dataset.from_list([star]).cast_column("image", Image()).to_parquet(str(place / "mmstar.parquet"))
    (place / "README.md").write_text(
        "---\nconfigs:\n- config_name: val\n  data_files:\n  - split: val\n    path: mmstar.parquet\n---\n"
    )
    rows = [
        {"question": f"<image>{question}", "answer": "540", "image": other},
        {"question": "<image>Something else?", "answer": "1", "image": leaked},
        {"question": "<image>Not in any?", "answer": "1", "image": png(red=30)},
    ]
    path = tmp_path / "rows.parquet"
    Dataset.from_list(rows).cast_column("image", Image()).to_parquet(str(path))
    config = write_config(tmp_path, dataset_name=str(path), model=str(SHAPES))
    code, output = invoke("data", "check", config, "--benchmarks", tmp_path / "data", "--json", tmp_path / "facts.json")
    assert code == 0, output
    found = {f["finding"]: f for f in json.loads((tmp_path / "facts.json").read_text())["findings"]}
    assert found["in a benchmark"]["count"] == 2 and len(options) == 4
    said = " ".join(found["in a benchmark"]["examples"])
    assert "its question is in mmstar" in said and "its image is in mmstar" in said


def test_check_tells_signs_apart_and_opens_images_without_a_model(tmp_path: Path) -> None:
    torn = png()
    torn["bytes"] = torn["bytes"][:-30]
    rows = [
        {"question": "<image>What is 1+1?", "answer": "2", "image": png(1)},
        {"question": "<image>What is 1-1?", "answer": "0", "image": png(1)},
        {"question": "<image>Torn?", "answer": "1", "image": torn},
    ]
    config = write_config(tmp_path, dataset_name=str(parquet(tmp_path / "rows.parquet", rows)))
    code, output = invoke("data", "check", config, "--json", tmp_path / "facts.json")
    assert code == 0, output
    found = json.loads((tmp_path / "facts.json").read_text())
    assert {f["finding"]: f["count"] for f in found["findings"]} == {"image": 1}
    assert found["num_usable"] == 2 and "does not open" in output


def test_an_image_of_a_benchmark_is_known_by_its_pixels() -> None:
    question = {"prompt": [{"role": "user", "content": "Find x."}], "images": [png(9)]}
    packed = {"uid": "a", "prompt": [{"role": "user", "content": "Find y."}], "images": [png(9, kind="BMP")]}
    other = {"uid": "b", "prompt": [{"role": "user", "content": "Find x."}], "images": [png(8)]}
    rows, findings = [packed, other], Findings()
    overlap = Overlap([Light.of(row) for row in rows])
    assert overlap.compare("made", [question], findings) == 1 and not findings.counts
    overlap.compare_pixels(rows, findings)
    assert findings.examples["in a benchmark"] == ["a: its image is in made"]


def test_difficulty_goes_on_where_it_was_killed_and_can_be_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearfuture.lab.measure import difficulty

    monkeypatch.setattr(difficulty, "PART", 4)
    path = jsonl(tmp_path / "rows.jsonl", apprentice_rows(10))
    config = write_config(tmp_path, dataset_name=str(path), model=str(APPRENTICE), **TRAINING)
    whole, again = tmp_path / "whole.parquet", tmp_path / "again.parquet"
    code, output = invoke("data", "difficulty", config, "--output", whole, "--num-samples", 4)
    assert code == 0 and "10 rows x 4 samples" in output, output

    def failed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    add, calls = difficulty.Journal.add, []
    monkeypatch.setattr(difficulty.Journal, "add", failed)
    with pytest.raises(KeyboardInterrupt):  # nothing was finished, so nothing else is refused
        list(difficulty.measure_difficulty(_configuration(config), again, num_samples=3))

    def killed(journal: Any, value: Any) -> None:
        add(journal, value)
        calls.append(value)
        if len(calls) == 2:
            with journal.path.open("a") as torn:
                torn.write('{"rows": [["half')
            raise KeyboardInterrupt

    monkeypatch.setattr(difficulty.Journal, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        list(difficulty.measure_difficulty(_configuration(config), again, num_samples=4))
    monkeypatch.setattr(difficulty.Journal, "add", add)
    code, output = invoke("data", "difficulty", config, "--output", again, "--num-samples", 3)
    assert code == 2 and "belongs to another measurement (what differs: samples a row: 4 -> 3)" in output
    jsonl(path, [row | {"answer": "else"} if i == 3 else row for i, row in enumerate(apprentice_rows(10))])
    code, output = invoke("data", "difficulty", config, "--output", again, "--num-samples", 4)
    assert (
        code == 2
        and "belongs to another measurement (what differs: rows: 1 of 10 rows differs, the first is row 3)" in output
    )
    jsonl(path, apprentice_rows(10))
    code, output = invoke("data", "difficulty", config, "--output", again, "--num-samples", 4)
    assert code == 0 and "continuing after 8 of 10 rows" in output
    assert again.read_bytes() == whole.read_bytes()
    code, output = invoke("data", "difficulty", config, "--output", again)
    assert code == 2 and "exists" in output
    loaded = load_rows(DataConfig(str(whole), dataset_max_difficulty=0.0, dataset_template="text"))
    assert loaded.form == "the project's schema" and set(loaded.rows["difficulty"]) == {0.0}
    assert set(loaded.rows["uid"]) <= set(Dataset.from_parquet(str(whole))["uid"])


def test_difficulty_of_rows_that_ask_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last row of a part may be one of an earlier part: it is no sign that the part was sampled."""
    monkeypatch.setattr("nearfuture.lab.measure.difficulty.PART", 2)
    rows = apprentice_rows(3)
    path = jsonl(tmp_path / "rows.jsonl", [rows[0], rows[1], rows[2], rows[0]])
    small = {**TRAINING, "per_device_train_batch_size": 4}
    config = write_config(tmp_path, dataset_name=str(path), model=str(APPRENTICE), **small)
    output = tmp_path / "hard.parquet"
    code, said = invoke("data", "difficulty", config, "--output", output, "--num-samples", 2)
    assert code == 0, said
    found = Dataset.from_parquet(str(output))
    assert len(found) == 4 and found["difficulty"][0] == found["difficulty"][3]


def _configuration(path: Path) -> Any:
    from nearfuture.run.settings.load import load_configuration

    return load_configuration(path)


TASK = """
from nearfuture import Task

ROWS = [
    {"prompt": "1+1=", "answer": "2"},
    {"prompt": "1+1=", "answer": "3"},
    {"prompt": "2+2=", "answer": "x"},
    {"prompt": "3+3=", "answer": "6"},
]

def verify(completion, row):
    return completion == row["answer"] and completion.isdigit()

def sums():
    return Task("sums", train=ROWS, evaluation=ROWS[3:], verify=verify, gold_column="answer")
"""


def test_a_task_of_ones_own_is_checked_with_its_own_verifier(tmp_path: Path) -> None:
    (tmp_path / "my_task.py").write_text(TASK)
    config = tmp_path / "own.yaml"
    config.write_text(f"task: {tmp_path}/my_task.py:sums\nrun_dir: {tmp_path}/run\nmax_steps: 1\n")
    facts = tmp_path / "facts.json"
    code, output = invoke("data", "check", config, "--json", facts)
    assert code == 0, output
    found = json.loads(facts.read_text())
    assert {f["finding"]: f["count"] for f in found["findings"]} == {
        "contradictory": 1,
        "unverifiable gold": 1,
        "in evaluation too": 1,
    }
    assert (found["num_rows"], found["num_usable"]) == (4, 3)
    assert "train[2]" in output and "train[3] is evaluation[0]" in output
    assert "lengths: not checked" in output
