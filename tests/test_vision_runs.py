"""Whole runs on image prompts, and what is seen of them: AutoNPO goes back, the report shows the images.

Not here: a single step (`test_vision`).
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_vl
from commands import invoke
from datasets import Dataset
from eager import EAGER
from PIL import Image, ImageChops

from nearfuture.lab.report import write_report
from nearfuture.lab.report.samples import shown_samples
from nearfuture.record.records import RunRecords
from nearfuture.record.thumbnails import MAX_IMAGES, data_uri, thumbnails
from nearfuture.run.rows import ImageRow, plain_rows
from nearfuture.tasks import load_task
from nearfuture.tasks.identity import prompt_hash
from nearfuture.tasks.judging import judge_many
from nearfuture.train import scoring
from nearfuture.types import Verdict

FEW = {"probe_num_prompts": 16, "probe_num_samples": 4, "min_prompts": 1}
SETTINGS = {
    "max_steps": 9,
    "save_steps": 2,
    "eval_every": 4,
    "eval_num_samples": 1,
    "per_device_train_batch_size": 32,
    "num_generations": 4,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "guide_num_samples": 4,
    "guide_select": "closest",
    "max_pass_rate": 0.9,
    "seed": 2,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AutoNPO run on image prompts, from the command line."""
    folder = tmp_path_factory.mktemp("auto")
    settings = SETTINGS | {f"autonpo.{name}": value for name, value in (EAGER | FEW).items()}
    settings |= {"task": f"{tiny_vl.__file__}:task", "model": tiny_vl.save_model(folder / "model")}
    config = folder / "config.yaml"
    config.write_text("".join(f"{name}: {value}\n" for name, value in {**settings, "run_dir": folder / "run"}.items()))
    code, output = invoke("train", config)
    assert code == 0, output
    return folder / "run"


def events(run: Path, name: str) -> list[dict[str, Any]]:
    return [row for row in map(json.loads, (run / "events.jsonl").read_text().splitlines()) if row["event"] == name]


def test_autonpo_goes_back_on_image_prompts(run: Path) -> None:
    (probe,), (rollback,) = events(run, "probe"), events(run, "rollback")
    assert probe["num_solved"] > 0 and rollback["num_guidance"] > 0
    guided = [row for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if row["segment"] == 1]
    assert max(row.get("npo/guided_frac", 0) for row in guided) > 0
    assert all(row["npo/guide/ratio_max"] < 100 for row in guided if "npo/guide/ratio_max" in row)
    code, output = invoke("guide", "verify", run / "segments" / "001" / "guidance")
    assert code == 0 and "correct again" in output


def test_the_report_shows_the_images_of_a_prompt(run: Path, tmp_path: Path) -> None:
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    rows = {prompt_hash(row): row for row in tiny_vl.rows(32)}
    for sample in samples:
        (image,) = sample["images"]
        assert sample["num_images"] == 1 and len(image["data"]) < 1000
        pictures = [row["images"] for row in rows.values() if row["prompt_id"] == sample["prompt_id"]]
        assert any(_same(_decoded(image["data"]), held[0]) for held in pictures)
        assert (image["width"], image["height"]) in tiny_vl.SIZES
    page = write_report([run], tmp_path).read_text()
    assert page.count('<img src="data:image/') == len(shown_samples(RunRecords.load(run))) > 0
    assert "[image] " in page and "{&#39;role&#39;" not in page


def _decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def _same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one.convert("RGB"), other).getbbox() is None


def test_a_model_of_text_is_refused_for_the_images_and_not_for_its_template(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"task: shapes\nrun_dir: {tmp_path / 'run'}\nmodel: {load_task('apprentice').model}\nmax_steps: 1\n"
    )
    code, output = invoke("train", config)
    assert code == 2 and "it has images, but the model has only a tokenizer" in output and "template" not in output


def test_an_image_from_elsewhere_is_not_loaded(run: Path, tmp_path: Path) -> None:
    records = RunRecords.load(run)
    sample = next(sample for sample in records.samples if "source" not in sample)
    images = [{"data": "https://example.org/a.png", "width": 8, "height": 8}]
    object.__setattr__(records, "samples", ({**sample, "images": images, "num_images": 1},))
    where, pictures, *_ = shown_samples(records)[0].blocks
    assert where and not pictures


def test_a_thumbnail_is_small_and_a_drawing_keeps_its_pixels() -> None:
    drawing = tiny_vl.picture("r", (64, 48), 3)
    assert _same(_decoded(data_uri(drawing)), drawing)
    noise = Image.effect_noise((1600, 1200), 80).convert("RGB")
    (shown, *more) = thumbnails([noise] * (MAX_IMAGES + 2))
    assert len(more) == MAX_IMAGES - 1 and (shown["width"], shown["height"]) == (1600, 1200)
    assert _decoded(shown["data"]).size == (384, 288) and len(shown["data"]) < 100_000
    assert _decoded(data_uri(drawing.convert("P"))).size == (64, 48)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert _decoded(data_uri(clear)).getpixel((0, 0))[3] == 0


def test_rows_decode_their_images_when_they_are_read() -> None:
    held = tiny_vl.rows(4)
    held[1] = tiny_vl.without_image(held[1])
    data = Dataset.from_list(held)
    for rows in (plain_rows(data), plain_rows(data, [0, 1, 2, 3])):
        assert [prompt_hash(row) for row in rows] == [prompt_hash(row) for row in held]
        assert [dict(row)["answer"] for row in rows] == [row["answer"] for row in held]
        assert rows[0]["images"][0] is not rows[0]["images"][0]
    assert [row["prompt_id"] for row in plain_rows(data, [3, 0])] == ["p3", "p0"]
    assert plain_rows(held, [2])[0] == held[2]


def test_a_row_is_decoded_once_for_all_its_samples_and_judged_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting and evaluating ask a row several times: once a sample is what its images were decoded."""
    rows = plain_rows(Dataset.from_list(tiny_vl.rows(3)))
    asked = [rows[i] for i in (0, 1, 0, 2, 0, 1)]
    texts = [asked[0]["answer"], "no", "no", asked[3]["answer"], asked[4]["answer"], asked[5]["answer"]]
    decoded: list[int] = []
    read = ImageRow.__getitem__

    def counted(row: ImageRow, name: str) -> Any:
        decoded.extend([row._index] * (name == "images"))
        return read(row, name)

    monkeypatch.setattr(ImageRow, "__getitem__", counted)
    decisions = judge_many(lambda completion, row: completion == row["answer"], texts, asked)
    assert [one.verdict is Verdict.CORRECT for one in decisions] == [True, False, False, True, True, True]
    assert sorted(decoded) == [0, 1, 2]
    decoded.clear()
    prompts = scoring.prompts(asked)
    assert sorted(decoded) == [0, 1, 2]
    assert prompts[0] == prompts[2] != prompts[1]
