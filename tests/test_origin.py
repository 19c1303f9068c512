"""A run knows its data: other rows are refused with what differs, the same rows elsewhere are the same."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import MODEL, WORLD, invoke, run
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nearfuture.run.integrity import damages
from nearfuture.tasks.fingerprint import difference, fingerprint

SETTINGS = [
    f"model={MODEL}",
    "dataset_num_held_out=4",
    "per_device_train_batch_size=16",
    "num_generations=4",
    "max_completion_length=4",
    "save_steps=1",
    "seed=3",
]
Row = dict[str, Any]


def rows(number: int = 40) -> list[Row]:
    words = [json.loads(line)["prompt"] for line in (WORLD / "train.jsonl").read_text().splitlines()[:number]]
    return [{"question": word, "answer": str(index)} for index, word in enumerate(words)]


def write(path: Path, found: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def settings(folder: Path, data: Path, max_steps: int = 2) -> list[str]:
    config = folder / "config.yaml"
    folder.mkdir(exist_ok=True)
    config.write_text(f"run_dir: {folder / 'run'}\n")
    return [str(config), f"dataset_name={data}", "dataset_template=text", f"max_steps={max_steps}", *SETTINGS]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on forty questions that has ended."""
    folder = tmp_path_factory.mktemp("begun")
    code, output = run("train", *settings(folder, write(folder / "rows.jsonl", rows())), "no_signal_patience=0")
    assert code == 0, output
    return folder


def resumed(begun: Path, folder: Path, data: Path) -> tuple[int, str]:
    """Go on with a copy of the run, with data from that file."""
    shutil.copytree(begun / "run", folder / "run")
    return invoke("train", *settings(folder, data), "no_signal_patience=0", "--resume")


def changed(index: int, **values: Any) -> Callable[[list[Row]], list[Row]]:
    return lambda found: [row | values if i == index else row for i, row in enumerate(found)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(30, answer="77"), "1 of 36 rows differs, the first is row "),
        (changed(30, question="What is this?"), "differ"),
        (lambda found: found[:-1], "rows then,"),
        (lambda found: [*found, {"question": "one more", "answer": "1"}], "rows then,"),
        (lambda found: random.Random(0).sample(found, len(found)), "are in another order, from row "),
    ],
)
def test_other_data_is_refused_with_what_differs(
    change: Callable[[list[Row]], list[Row]], said: str, begun: Path, tmp_path: Path
) -> None:
    code, output = resumed(begun, tmp_path, write(tmp_path / "rows.jsonl", change(rows())))
    assert code == 2 and "was begun with other" in output and said in output, output
    before = (begun / "run" / "metrics.jsonl").read_bytes()
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before  # nothing was trained


def test_a_moved_file_is_the_same_data(begun: Path, tmp_path: Path) -> None:
    code, output = resumed(begun, tmp_path, write(tmp_path / "elsewhere" / "rows.jsonl", rows()))
    assert code == 0, output


def test_a_file_under_another_name_has_other_ids(begun: Path, tmp_path: Path) -> None:
    code, output = resumed(begun, tmp_path, write(tmp_path / "others.jsonl", rows()))
    assert code == 2 and "Give the file the name it had" in output, output


def test_what_says_which_row_differs_can_itself_be_lost(begun: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", rows())
    shutil.copytree(begun / "run", tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text("{")
    code, output = invoke("train", *settings(tmp_path, data), "no_signal_patience=0", "--resume")
    assert code == 0 and "data.json" in output, output
    assert damages(tmp_path / "run") == []  # the data is the same, so that it could be written again


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_two_data_sets_differ_exactly_where_their_hashes_do(one: list[str], other: list[str]) -> None:
    said = difference(tuple(one), tuple(other))
    assert bool(said) == (one != other)
    if said:
        pairs = list(zip(one, other, strict=False))
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        assert f"row {first}" in said


def test_a_row_is_its_content_in_a_list_and_in_a_dataset() -> None:
    found = [{"prompt": [{"role": "user", "content": "1+1"}], "answer": "2", "n": None, "id": str(i)} for i in range(3)]
    assert fingerprint(found).hashes == fingerprint(Dataset.from_list(found)).hashes
    renamed = [row | {"id": "x"} for row in found]
    assert fingerprint(renamed).hashes == fingerprint(found).hashes


def test_an_image_is_the_bytes_it_is_stored_as(tmp_path: Path) -> None:
    from datasets import Features, Value
    from datasets import Image as Feature

    def data(folder: Path, colour: int) -> Dataset:
        folder.mkdir()
        Image.new("RGB", (8, 8), (colour, 0, 0)).save(folder / "a.png")
        features = Features({"prompt": Value("string"), "image": Feature()})
        return Dataset.from_list([{"prompt": "?", "image": str(folder / "a.png")}], features=features)

    one, moved, other = (fingerprint(data(tmp_path / name, colour)) for name, colour in (("a", 1), ("b", 1), ("c", 2)))
    assert one.hashes == moved.hashes != other.hashes
