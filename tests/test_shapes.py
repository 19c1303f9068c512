"""Laws of the shapes world: what is drawn is what is asked, read again from the pixels by other means.

Not here: what every task must do (test_task.py), images in training (test_vision.py), how GRPO learns this world
(docs/shapes.md).
"""

from __future__ import annotations

import importlib
import json
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import Task, check_gold, load_task
from nearfuture.tasks.identity import prompt_hash, with_prompt_ids
from nearfuture.tasks.worlds.shapes import drawing, families, world
from nearfuture.tasks.worlds.shapes.families import FAMILIES, OUT_OF_DISTRIBUTION, TRAINED
from nearfuture.tasks.worlds.shapes.shipped import FOLDER, with_image
from nearfuture.types import Verdict

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs" / "shapes"
COUNTING = ("count-1", "count-2", "count-3", "crowded", "wide")
DIGITS = """
    ### .#. ### ### #.# ### ### ### ### ###
    #.# ##. ..# ..# #.# #.. #.. ..# #.# #.#
    #.# .#. ### ### ### ### ### ..# ### ###
    #.# .#. #.. ..# ..# ..# #.# ..# #.# ..#
    ### ### ### ### ..# ### ### ..# ### ###
"""

seeds = st.integers(0, 2**32)


def drawn(family: str, seed: int) -> dict[str, Any]:
    return with_image(families.draw(random.Random(seed), family, "train"))


def pixels(row: dict[str, Any]) -> np.ndarray:
    return np.asarray(row["images"][0]).astype(int)


def masks(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Where the picture is red, green and blue: one channel well above the two others."""
    return {
        colour: np.all([picture[..., i] > picture[..., j] + 60 for j in range(3) if j != i], 0)
        for i, colour in enumerate("rgb")
    }


def shape_of(patch: np.ndarray) -> str:
    """What fills its box is a square, what fills half of it a triangle, and a circle is between the two."""
    filled = patch.mean()
    return "s" if filled == 1 else "t" if filled < 0.66 else "o"


def seen_kinds(picture: np.ndarray) -> Counter[str]:
    """Count the kinds of objects in a picture: connected pixels of one colour."""
    found: Counter[str] = Counter()
    for colour, mask in masks(picture).items():
        labels, _ = ndimage.label(mask, np.ones((3, 3)))
        boxes = ndimage.find_objects(labels)
        found.update(colour + shape_of(labels[box] == number) for number, box in enumerate(boxes, start=1))
    return found


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("shapes")


def all_rows(task: Task) -> list[dict[str, Any]]:
    return [*task.train, *task.evaluation, *task.test]


@pytest.mark.parametrize("family", COUNTING)
@given(seed=seeds)
def test_counting_the_pixels_gives_the_gold(family: str, seed: int) -> None:
    row = drawn(family, seed)
    kinds = seen_kinds(pixels(row))
    names = {**kinds, **{c: sum(n for kind, n in kinds.items() if kind[0] == c) for c in "rgb"}}
    counted = re.sub("[a-z]+", lambda name: str(names[name[0]]), row["question"])
    assert row["answer"] == f"{counted}={eval(counted)}"


@given(seeds)
def test_measuring_the_bars_gives_the_gold(seed: int) -> None:
    row = drawn("bars", seed)
    heights = {colour: mask.any(1).sum() // drawing.UNIT for colour, mask in masks(pixels(row)).items()}
    names = {**heights, "M": max(heights.values()), "m": min(heights.values())}
    measured = re.sub("[a-zA-Z]", lambda name: str(names[name[0]]), row["question"])
    assert row["answer"] == f"{measured}={eval(measured)}"
    assert all(0 <= mask.any(1).sum() - heights[colour] * 4 < 1 for colour, mask in masks(pixels(row)).items())


def read_digits(picture: np.ndarray) -> list[tuple[int, int, int]]:
    """The digits in a picture with their places: dots of 2 x 2 pixels with paper around."""
    ink = np.pad(picture.sum(-1) < 300, 2)
    found = []
    for digit in range(10):
        art = [line.split()[digit] for line in DIGITS.strip().splitlines()]
        dots = np.kron([[dot == "#" for dot in line] for line in art], np.ones((2, 2))).astype(bool)
        framed = np.pad(dots, 1)
        windows = np.lib.stride_tricks.sliding_window_view(ink, framed.shape)
        found += [(digit, x, y) for y, x in np.argwhere((windows == framed).all((2, 3)))]
    return found


@given(seeds)
def test_the_digits_that_are_drawn_and_the_missing_angle_make_a_half_turn(seed: int) -> None:
    row = drawn("angles", seed)
    read = sorted(digit for digit, _, _ in read_digits(pixels(row)))
    assert len(read) == 2
    assert row["answer"].startswith("18-") and int(row["answer"].partition("=")[2]) == 18 - sum(read)
    assert sorted(map(int, re.findall(r"-([0-9])", row["answer"]))) == read


@given(seeds)
def test_a_triangle_has_the_angles_it_is_labelled_with_and_lies_in_the_image(seed: int) -> None:
    scene = world.parse(drawn("angles", seed)["scene"])
    points = drawing.corners(scene)
    for number, angle in enumerate(scene.angles):
        (x, y), *others = points[number], *points[:number], *points[number + 1 :]
        directions = [math.atan2(other_y - y, other_x - x) for other_x, other_y in others]
        turn = abs(math.degrees(directions[0] - directions[1])) % 360
        assert min(turn, 360 - turn) == pytest.approx(10 * angle)
    assert all(0 <= x <= 63 and 12 <= y <= 47 for x, y in points)


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=seeds)
def test_one_scene_one_picture_and_one_answer(family: str, seed: int) -> None:
    row, again = drawn(family, seed), drawn(family, seed)
    assert prompt_hash(row) == prompt_hash(again) and row["images"][0].tobytes() == again["images"][0].tobytes()
    scene = world.parse(row["scene"])
    assert world.write(scene) == row["scene"] and scene.size == row["images"][0].size
    assert world.solve(scene, row["question"]) == row["answer"]
    assert families.split_of(row["scene"]) == "train"


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=seeds, number=st.integers(-99, 999))
def test_the_number_after_the_sign_decides(family: str, seed: int, number: int) -> None:
    row = families.draw(random.Random(seed), family, "train")
    written, _, result = row["answer"].partition("=")
    assert world.verify(row["answer"], row) is Verdict.CORRECT
    verdict = Verdict.CORRECT if number == int(result) else Verdict.WRONG
    assert world.verify(f"{written}={number}", row) is verdict
    assert world.verify(f"1+1={number}", row) is verdict


@pytest.mark.parametrize(
    ("question", "answer", "verdict"),
    [
        ("r", "2=2", "correct"),
        ("ro+bs", "1+1=2", "correct"),  # one red circle, one blue square
        ("r*3+bs", "2*3+1=7", "correct"),
        ("r*3+bs", "2*3+1=8", "wrong"),
        ("r*3+bs", "3*3-2=7", "correct"),  # only the number after the sign is judged
        ("r", "2", "no_answer"),
        ("r", "=2", "no_answer"),
        ("r", "2=02", "no_answer"),
        ("r", "2=2=2", "no_answer"),
        ("r", "2=-0", "no_answer"),
        ("r", " 2=2", "no_answer"),
        ("r", "2=2\n", "no_answer"),
        ("r", "2=\uff12", "no_answer"),
        ("r", "+2=2", "no_answer"),
        ("r", "2+=2", "no_answer"),
        ("r", "", "no_answer"),
        ("M", "2=2", "invalid_gold"),  # there are no bars here
    ],
)
def test_verdicts_worked_out_by_hand(question: str, answer: str, verdict: str) -> None:
    row = {"scene": "objects 48x48 ro:1,1 bs:14,2 rt:25,3 go:2,38", "question": question}
    assert world.verify(answer, row) == verdict


@pytest.mark.parametrize("scene", [None, "", "cubes 48x48", "objects 48 ro:1,1", "bars 64x48", "triangle 64x48 5,7 c"])
def test_a_row_without_a_scene_cannot_be_judged(scene: str | None) -> None:
    assert world.verify("1=1", {"scene": scene, "question": "M"}) is Verdict.INVALID_GOLD


def test_every_shipped_gold_verifies_and_every_family_is_there(task: Task) -> None:
    check_gold(task)
    assert Counter(row["family"] for row in task.train) == dict.fromkeys(TRAINED, 410)
    assert Counter(row["family"] for row in task.evaluation) == dict.fromkeys(TRAINED, 32)
    assert Counter(row["family"] for row in task.test) == dict.fromkeys(FAMILIES, 32)
    assert {*TRAINED, *OUT_OF_DISTRIBUTION} == {*FAMILIES}
    assert {row["images"][0].size for row in task.train} == {(48, 48), (64, 48)}


def test_no_scene_comes_twice_and_ids_are_unique_whatever_holds_the_rows(task: Task) -> None:
    datasets = pytest.importorskip("datasets")
    rows = all_rows(task)
    assert len({row["scene"] for row in rows}) == len({row["prompt_id"] for row in rows}) == len(rows)
    for split in ("train", "evaluation", "test"):
        assert {families.split_of(row["scene"]) for row in getattr(task, split)} == {split}
    few = rows[:: len(rows) // 50]
    table = with_prompt_ids(datasets.Dataset.from_list(few))
    assert [row["prompt_id"] for row in table] == [row["prompt_id"] for row in few]
    assert [prompt_hash(row) for row in table] == [prompt_hash(row) for row in few]


def test_the_scenes_are_drawn_again_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("build_shapes")
    for split, rows in script.build_prompts().items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        assert text.encode() == (FOLDER / f"{split}.jsonl").read_bytes(), split


def test_the_checkpoint_is_small_and_its_image_tokens_match_its_features(task: Task) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    from nearfuture.train.answer.policy import encode
    from nearfuture.train.vision.processor import load_for_training

    assert task.model is not None
    assert sum(path.stat().st_size for path in Path(task.model).iterdir()) < 6_000_000
    model = transformers.AutoModelForImageTextToText.from_pretrained(task.model)
    processor = load_for_training(task.model)
    tokenizer = processor.tokenizer
    assert json.loads(processor.video_settings)["patch_size"] == processor.image_processor.patch_size == 8
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert model.config.text_config.vocab_size == len(tokenizer)
    assert (model.generation_config.pad_token_id, model.generation_config.eos_token_id) == (
        tokenizer.pad_token_id,
        tokenizer.eos_token_id,
    )
    rows = [next(row for row in task.test if row["family"] == family) for family in FAMILIES]
    inputs = encode(processor, rows)
    tokens = (inputs["input_ids"] == processor.image_token_id).sum(1)
    assert tokens.tolist() == (inputs["image_grid_thw"].prod(1) // 4).tolist() == [9, 9, 9, 12, 12, 9, 16]
    with torch.no_grad():
        features = model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
        logits = model(**inputs).logits
    assert sum(map(len, features)) == tokens.sum() and bool(logits.isfinite().all())


def test_every_question_and_answer_is_one_token_a_character(task: Task) -> None:
    from nearfuture.train.vision.processor import load_for_training

    tokenizer = load_for_training(task.model).tokenizer
    for row in all_rows(task)[::20]:
        text = row["prompt"][0]["content"][1]["text"] + row["answer"]
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == len(text) and tokenizer.unk_token_id not in ids
        assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == text


@pytest.mark.parametrize("name", ["grpo", "npo_early", "autonpo", "tiny"])
def test_every_answer_and_its_end_fit_into_the_horizon_of_the_configurations(name: str, task: Task) -> None:
    configuration = load_configuration(CONFIGS / f"{name}.yaml")
    assert configuration.run.task == "shapes"
    longest = max(len(row["answer"]) for row in all_rows(task))
    assert longest + 1 <= configuration.training.max_completion_length


def test_the_smallest_configuration_passes_its_dry_run(tmp_path: Path) -> None:
    code, output = invoke("train", CONFIGS / "tiny.yaml", f"run_dir={tmp_path / 'run'}", "--dry-run")
    assert code == 0, output
    assert "2050 training prompts, 160 held-out prompts" in output
