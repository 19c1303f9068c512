"""What the matrix trains on: small tasks and data sets of every form, judged by a rule that half of all answers pass.

`prepare` writes the models and files that the table names; the functions are what its `task` names.

Not here: the settings (`matrix_table`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matrix_verifier
import tiny_vl
from matrix_verifier import is_odd, verify

from nearfuture.tasks import Task
from nearfuture.verify.files import read_rows

PACKAGE = Path(__import__("nearfuture").__file__).parent
CHAINS = PACKAGE / "tasks" / "worlds" / "apprentice"
NUM_TRAIN, NUM_HELD_OUT = 48, 4
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
Row = dict[str, Any]


def _chains() -> list[Row]:
    rows = read_rows(CHAINS / "train.jsonl")[: NUM_TRAIN + NUM_HELD_OUT]
    return [{"prompt": row["prompt"], "prompt_id": row["prompt_id"], "family": row["family"]} for row in rows]


def _task(name: str, rows: list[Row]) -> Task:
    return Task(name, train=rows[:NUM_TRAIN], evaluation=rows[NUM_TRAIN:], verify=verify)


def strings() -> Task:
    return _task("strings", _chains())


def messages(style: str = "user") -> Task:
    rows = [{**row, "prompt": [{"role": style, "content": row["prompt"]}]} for row in _chains()]
    return _task("messages", rows)


def images() -> Task:
    return _task("images", tiny_vl.rows(NUM_TRAIN + NUM_HELD_OUT))


def mixed() -> Task:
    rows = tiny_vl.rows(NUM_TRAIN + NUM_HELD_OUT)
    return _task("mixed", [tiny_vl.without_image(row) if i % 3 == 0 else row for i, row in enumerate(rows)])


def prepare(folder: Path) -> dict[str, str]:
    """Write models and files below `folder`; the names the table knows them by."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "worlds": Path(__file__),
        "rule": Path(matrix_verifier.__file__),
        "chains": CHAINS / "model",
        "chat": _chat_model(folder / "chat"),
        "vision": tiny_vl.save_model(folder / "vision"),
        "file": _write(folder / "questions.jsonl", _questions(NUM_TRAIN)),
        "folder": _splits(folder / "splits"),
        "folder_of_pictures": folder / "pictures",
        "pictures": _pictures(folder / "pictures.jsonl", folder / "pictures"),
    }
    for name, rows_of in TRACES.items():
        rows = [row for prompt in _all_ids() for row in rows_of(prompt)]
        found[f"traces_{name}"] = _write(folder / f"traces-{name}.jsonl", rows)
    return {name: str(path) for name, path in found.items()}


def _write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _chat_model(folder: Path) -> Path:
    """The apprentice with a chat template."""
    shutil.copytree(CHAINS / "model", folder, dirs_exist_ok=True)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def _questions(num: int, start: int = 0) -> list[Row]:
    """Short chains, whose answer is a number of three digits; half of all such numbers are near enough to gold."""
    rows = [row for row in read_rows(CHAINS / "train.jsonl") if row["family"] == "length-3"][start : start + num]
    gold = {"answer": TEXT, "kind": "numeric", "tolerance": {"abs": 120.0}}
    return [
        {"uid": f"q{start + i}", "question": row["prompt"], "difficulty": i % 10 / 10, **gold}
        for i, row in enumerate(rows)
    ]


def _splits(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    _write(folder / "train.jsonl", _questions(24))
    _write(folder / "test.jsonl", _questions(4, start=24))
    return folder


def _pictures(path: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    rows = []
    for i, (row, question) in enumerate(zip(tiny_vl.rows(24), _questions(24), strict=True)):
        row["images"][0].save(folder / f"{i}.png")
        rows.append({**question, "question": f"<image>{i % 10}?>", "images": [f"{i}.png"]})
    return _write(path, rows)


def _all_ids() -> list[str]:
    """Ids of the prompts of every task and data set here."""
    return [row["prompt_id"] for make in (strings, images) for row in make().train] + [
        f"q{i}" for i in range(NUM_TRAIN)
    ]


TEXT, OTHER = BOTH = ("250", "252")
assert is_odd(TEXT) and is_odd(OTHER)
TRACES: dict[str, Callable[[str], list[Row]]] = {
    "luffy": lambda id: [{"prompt_id": id, "target": [{"role": "assistant", "content": text}]} for text in BOTH],
    "rlep": lambda id: [{"extra_info": {"prompt_id": id}, "reward_model": {"candidates": list(BOTH)}}],
    "easyvideor1": lambda id: [{"problem_id": id, "has_offline_trajectory": True, "offline_output": t} for t in BOTH],
    "jsonl": lambda id: [{"prompt_id": id, "completion": text} for text in BOTH],
}
"""Rows for a prompt with two answers that every world here accepts: some settings ask for two."""
