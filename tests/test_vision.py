"""Image prompts through the same trainer: every law of text prompts holds, and a row keeps its own image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_vl
import torch
from datasets import Dataset
from peft import LoraConfig
from PIL import Image
from slices import keep, leave
from transformers import GenerationMixin
from trl.trainer.utils import split_pixel_values_by_grid

from nearfuture.guidance import GuidanceCache, collect_guidance
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train import TRLEngine, scoring
from nearfuture.train.callbacks import StopAt
from nearfuture.train.distill import Distiller
from nearfuture.train.proofs import first_difference, metrics_of
from nearfuture.train.vision.images import check_images
from nearfuture.train.vision.once import SharedRows, each_image_once
from nearfuture.train.vision.processor import load_for_training
from nearfuture.types import PolicyRef, UserError, Verdict

CYCLE = {"steps_per_generation": 4, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 8}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vl.save_model(tmp_path_factory.mktemp("vl") / "model")


def guided(folder: Path, model: Path, behavior: tiny.BehaviorLogps = tiny.as_scored, **more: Any) -> Any:
    """A trainer with guidance for every prompt."""
    trainer = tiny_vl.npo(folder, model, **more)
    trainer.set_guidance(trainer.guidance or tiny.guidance_for(trainer, folder / "guidance", behavior=behavior))
    return trainer


LIKE_GRPO = {
    "no guidance, fast, cycle": (False, CYCLE),
    "closed gate, cycle": (True, CYCLE),
    "no guidance, fast, KL": (False, {"loss_type": "dr_grpo", "beta": 0.1}),
    "closed gate, KL": (True, {"loss_type": "dr_grpo", "beta": 0.1}),
}


@pytest.mark.parametrize("name", leave(["closed gate, cycle", "no guidance, fast, KL"], LIKE_GRPO))
def test_it_is_grpo_bit_for_bit(name: str, model: Path, tmp_path: Path) -> None:
    has_guidance, settings = LIKE_GRPO[name]
    ours = tiny_vl.npo(tmp_path / "a", model, max_pass_rate=-1.0, fast_generation=not has_guidance, **settings)
    if has_guidance:
        ours.set_guidance(tiny.guidance_for(ours, tmp_path / "guidance"))
    ours.train()
    theirs = tiny_vl.grpo(tmp_path / "b", model, **settings)
    theirs.train()
    tiny.assert_same_run(ours, theirs)


ENCODES_BEFORE = hasattr(GenerationMixin, "_supports_mm_encoder_outputs")
"""Older releases of transformers look at the images inside their loop, and fast generation leaves it to them."""


def test_an_image_is_read_prepared_and_seen_once_a_batch_and_no_token_differs(model: Path, tmp_path: Path) -> None:
    held = [tiny_vl.without_image(row) if i % 3 == 0 else row for i, row in enumerate(tiny_vl.rows(12, num_images=2))]
    trainer = tiny_vl.npo(tmp_path, model, data=held)
    indices = [5, 0, 5, 3, 1, 5, 1, 0, 11, 1]
    shared = SharedRows(trainer.train_dataset).__getitems__(indices)
    assert [prompt_hash(row) for row in shared] == [prompt_hash(held[i]) for i in indices]
    assert shared[0]["images"][0] is shared[2]["images"][0]
    asked = scoring.prompts(shared)
    plain = trainer._tokenize_prompts(asked)
    with each_image_once(trainer.processing_class):
        ids, images, fields = trainer._tokenize_prompts(asked)
    assert ids == plain[0] and fields.keys() == plain[2].keys()
    assert all(np.array_equal(fields[name], plain[2][name]) for name in ("pixel_values", "image_grid_thw"))
    seen: list[int] = []
    trainer.model.model.visual.register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    drawn = {}
    for fast in (False, True):
        trainer.args.fast_generation = fast
        torch.manual_seed(0)
        drawn[fast] = (trainer._generate_single_turn(ids, images, fields, 1)[0], torch.rand(1))
    assert drawn[True] == drawn[False]
    once = sum(4 * n for n in (4 + 6, 4 + 6, 4 + 6))
    assert seen == [len(fields["pixel_values"]), once if ENCODES_BEFORE else len(fields["pixel_values"])]


@pytest.mark.parametrize("num_images", [1, 2])
def test_scored_log_probs_are_those_of_the_training_forward(num_images: int, model: Path, tmp_path: Path) -> None:
    """The learner guides itself: on its own guidance the ratio is 1, image by image, in batches of mixed sizes."""
    trainer = guided(tmp_path, model, data=tiny_vl.rows(8, num_images), max_pass_rate=1.0, max_steps=1)
    trainer.train()
    row = trainer.state.log_history[0]
    assert row["npo/guided_frac"] == 1
    assert row["npo/guide/kl_k3"] == pytest.approx(0, abs=1e-9)
    assert row["npo/guide/ratio_max"] == pytest.approx(1, abs=1e-4)


def test_a_score_depends_on_the_image_and_not_on_the_company(model: Path, tmp_path: Path) -> None:
    trainer = tiny_vl.npo(tmp_path, model)
    engine, data = TRLEngine(trainer), tiny_vl.rows(6)
    ids = [tiny.gold_ids(trainer, row) for row in data]
    together = torch.tensor(engine.score(data, ids))
    alone = torch.tensor([engine.score([row], [tokens])[0] for row, tokens in zip(data, ids, strict=True)])
    assert torch.allclose(together, alone, atol=1e-4)  # float32, another order of sums
    swapped = [{**row, "images": data[(i + 1) % 6]["images"]} for i, row in enumerate(data)]
    assert not torch.isclose(torch.tensor(engine.score(swapped, ids)), together, atol=1e-3).all()
    assert engine.prompt_lengths(data) == [9, 11, 9, 11, 9, 11]  # start, 4 or 6 patches of 16 x 16, end, `0?>`


def test_rows_with_and_without_images_share_a_batch(model: Path, tmp_path: Path) -> None:
    """Micro-batches of two rows: some have images, some none, and the vision tower is called for the former alone."""
    data = [tiny_vl.without_image(row) if i % 2 else row for i, row in enumerate(tiny_vl.rows(16))]
    settings = {**CYCLE, "per_device_train_batch_size": 2, "steps_per_generation": 8, "beta": 0.1, "max_steps": 4}
    settings["top_k"] = 1  # a completion is a function of its prompt
    trainer = guided(tmp_path, model, data=data, max_pass_rate=1.0, save_steps=100, **settings)
    trainer.add_callback(StopAt(4, save_at={2}))
    recorder, engine = tiny.record(trainer), TRLEngine(trainer)
    ids = [tiny.gold_ids(trainer, row) for row in data]
    alone = [engine.score([row], [tokens])[0] for row, tokens in zip(data, ids, strict=True)]
    assert torch.allclose(torch.tensor(engine.score(data, ids)), torch.tensor(alone), atol=1e-4)
    text = [row for row in data if not row["images"]]
    assert engine.generate(text, seed=1) == [engine.generate([*text, data[0]], seed=1)[i] for i in range(len(text))]
    trainer.train()
    assert {sum(batch["num_images"]) for batch in recorder.generations[0]} == {0, 1, 2}
    weights, metrics = tiny.weights(trainer), metrics_of(trainer)
    assert metrics[0]["npo/guided_frac"] == 1
    trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    assert first_difference(metrics_of(trainer)[2:], tiny.weights(trainer), metrics[2:], weights) is None


@pytest.mark.parametrize(
    "weighting", keep(["importance"], ["on_policy", "importance", "shaped"])
)  # it has most columns
def test_a_row_keeps_its_own_image_through_shuffle_and_split(weighting: str, model: Path, tmp_path: Path) -> None:
    data = tiny_vl.rows(10)  # at most ten, so that the text of a prompt tells which it is
    trainer = guided(tmp_path, model, tiny.apart, data=data, max_pass_rate=1.0, weighting=weighting, **CYCLE)
    recorder = tiny.record(trainer)
    trainer.train()
    token = trainer._tokenizer.convert_tokens_to_ids
    by_text = {token(str(i)): row for i, row in enumerate(data)}
    num_guided = 0
    for batch in recorder.generations[0]:
        patches = split_pixel_values_by_grid(batch)["pixel_values"]
        for i, pixels in enumerate(patches):
            row = by_text[int(batch["prompt_ids"][i][-3])]
            expected = trainer.processing_class.image_processor(row["images"], return_tensors="pt")["pixel_values"]
            assert torch.equal(pixels, expected)
            if batch["is_guided"][i]:
                num_guided += 1
                answer = tiny.gold_ids(trainer, row)
                assert tuple(batch["completion_ids"][i][: len(answer)].tolist()) == answer
    assert num_guided == 8  # one slot in four of 32 rows


@pytest.mark.parametrize("k", keep([3], [2, 3]))  # at a boundary; inside a generation cycle, which needs the buffer too
def test_resume_equals_continue_and_rollback_replays_the_tail(k: int, model: Path, tmp_path: Path) -> None:
    settings = {**CYCLE, "max_steps": 6, "max_pass_rate": 1.0, "save_steps": 100}
    whole = guided(tmp_path / "whole", model, **settings)
    whole.add_callback(StopAt(6, save_at={k}))
    whole.train()
    weights, metrics = tiny.weights(whole), metrics_of(whole)
    cache = GuidanceCache.open(tmp_path / "whole" / "guidance")
    checkpoint = str(tmp_path / "whole" / "out" / f"checkpoint-{k}")
    resumed = guided(tmp_path / "resumed", model, guidance=cache, **settings)
    for trainer in (resumed, whole):  # a fresh trainer, and going back on the one that trained
        trainer.train(resume_from_checkpoint=checkpoint)
        assert first_difference(metrics_of(trainer)[k:], tiny.weights(trainer), metrics[k:], weights) is None


def test_the_tower_learns_unless_it_is_frozen_and_adapters_learn_alone(model: Path, tmp_path: Path) -> None:
    trainer = guided(tmp_path / "whole", model, max_pass_rate=1.0)
    before = tiny.weights(trainer)
    trainer.train()
    moved = {name for name, value in tiny.weights(trainer).items() if not torch.equal(value, before[name])}
    assert any(".visual." in name for name in moved) and any(".language_model." in name for name in moved)

    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    adapted = guided(tmp_path / "lora", model, max_pass_rate=1.0, peft_config=lora)
    adapted.train()
    assert all("lora_" in name for name in tiny.weights(adapted))
    assert adapted.state.log_history[0]["grad_norm"] > 0

    every_layer = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    for name, peft_config in {"frozen": None, "adapted": every_layer}.items():
        settings = {"freeze_vision_tower": True, "peft_config": peft_config, "max_steps": 1}
        frozen = guided(tmp_path / name, model, max_pass_rate=1.0, **settings)
        before = {name: value.clone() for name, value in frozen.model.named_parameters()}
        frozen.train()
        moved = {name for name, value in frozen.model.named_parameters() if not torch.equal(value, before[name])}
        assert moved and not any(".visual." in name for name in moved)
    with pytest.raises(UserError, match="Qwen3ForCausalLM has no vision tower"):
        tiny.npo(tmp_path / "text", freeze_vision_tower=True)


@pytest.mark.parametrize("select", keep(["closest"], ["uniform", "closest"]))  # the one that asks the learner as well
def test_guidance_is_collected_for_image_prompts(select: Any, model: Path, tmp_path: Path) -> None:
    trainer = tiny_vl.npo(tmp_path, model, max_pass_rate=1.0)
    engine, data = TRLEngine(trainer), [dict(row) for row in trainer.train_dataset]

    def is_odd(text: str, row: dict[str, Any]) -> Verdict:
        return Verdict.CORRECT if len(text) % 2 else Verdict.WRONG

    cache = collect_guidance(
        engine,
        data,
        is_odd,
        tmp_path / "cache",
        guide=PolicyRef(0, 0, "base"),
        select=select,
        learner_score=engine.score if select == "closest" else None,
        batch_size=16,
    )
    hashes = {row["prompt_id"]: prompt_hash(row) for row in data}
    for entry in cache:
        assert entry.prompt_hash == hashes[entry.prompt_id]
        row = next(row for row in data if row["prompt_id"] == entry.prompt_id)
        scored = engine.score([row], [entry.completion_ids])[0]
        assert entry.behavior_logps == pytest.approx(scored, abs=1e-4)
    trainer.set_guidance(cache)
    trainer.train()
    assert trainer.state.log_history[0]["npo/guided_frac"] > 0


def test_a_guide_distils_on_image_prompts(model: Path, tmp_path: Path) -> None:
    """A guide that is the learner adds nothing; another one does, and sees the images."""
    plain = tiny_vl.npo(tmp_path / "a", model)
    plain.train()
    for name, folder in {"itself": model, "another": tiny_vl.save_model(tmp_path / "other", seed=1)}.items():
        distiller = Distiller.load(folder)
        settings = {"distill_coef": 1.0, "inject_guidance": False, "max_pass_rate": 1.0, "max_steps": 1}
        trainer = tiny_vl.npo(tmp_path / name, model, distiller=distiller, **settings)
        recorder = tiny.record(trainer)
        trainer.train()
        batch = recorder.generations[0][0]
        ids, mask = batch["completion_ids"], batch["completion_mask"].bool()
        data = {row["prompt_id"]: row for row in tiny_vl.rows()}
        assert batch["is_distilled"].all() and len(data) == 16
        fresh = tiny_vl.npo(tmp_path / f"{name}-guide", folder)
        rows = [_row_of(batch, i, fresh) for i in range(len(ids))]
        scored = TRLEngine(fresh).score(rows, [row[m].tolist() for row, m in zip(ids, mask, strict=True)])
        for i, expected in enumerate(scored):
            assert batch["guide_logps"][i][mask[i]].tolist() == pytest.approx(expected, abs=1e-4)


def _row_of(batch: dict[str, Any], i: int, trainer: Any) -> dict[str, Any]:
    """The row whose patches and text these are."""
    pixels = split_pixel_values_by_grid(batch)["pixel_values"][i]
    for row in tiny_vl.rows():
        text = trainer._tokenizer.convert_tokens_to_ids(row["prompt"][0]["content"][-1]["text"][0])
        found = trainer.processing_class.image_processor(row["images"], return_tensors="pt")["pixel_values"]
        if int(batch["prompt_ids"][i][-3]) == text and found.shape == pixels.shape and torch.equal(found, pixels):
            return row
    raise AssertionError("no such row")


def test_experience_asks_image_prompts_again(model: Path, tmp_path: Path) -> None:
    source = ExperienceReplay(frac=0.5, start_pass_rate=0.0, seed=0)
    trainer = tiny_vl.npo(
        tmp_path, model, guidance=source, data=tiny_vl.rows(8), weighting="shaped", max_steps=8, max_pass_rate=1.0
    )
    trainer.train()
    assert max(row.get("npo/guided_frac", 0) for row in trainer.state.log_history) == 0.5


def _broken(**changes: Any) -> list[dict[str, Any]]:
    data = tiny_vl.rows(4)
    data[2] = {**data[2], **changes}
    return data


TWO = [{"type": "image", "text": None}, {"type": "image", "text": None}, {"type": "text", "text": "1?>"}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": [{"role": "user", "content": TWO}]}, r"row 2 \(p2\).*1\).*placeholders \(2\)"),
        ({"prompt": [{"role": "user", "content": [TWO[0], {"type": "text", "text": "<|image_pad|>"}]}]}, "image token"),
        ({"images": [Image.new("RGB", (1024, 4))]}, "1024 x 4, which the model's processor refuses .*200"),
    ],
)
def test_a_row_that_cannot_be_trained_on_is_named_before_step_1(
    changes: dict[str, Any], message: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        tiny_vl.npo(tmp_path, model, data=_broken(**changes))


def test_an_image_that_does_not_open_and_a_template_that_drops_images(model: Path) -> None:
    processor = load_for_training(str(model))
    data = Dataset.from_list(tiny_vl.rows(4))
    broken = data.map(lambda row, i: row, with_indices=True)
    files = [{"images": [{"bytes": b"no image", "path": None}]} if i == 3 else {} for i in range(4)]
    raw = [{**row, **change} for row, change in zip(tiny_vl.rows(4), files, strict=True)]
    features = broken.features
    with pytest.raises(UserError, match=r"row 3 \(p3\).*does not open"):
        check_images(Dataset.from_list(raw, features=features), processor)
    processor.chat_template = "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}"
    with pytest.raises(UserError, match=r"0 image tokens for 4 image features|the processor refuses it"):
        check_images(Dataset.from_list(tiny_vl.rows(5)), processor)
    with pytest.raises(UserError, match="no processor to read them"):
        check_images(Dataset.from_list(tiny_vl.rows(6)), processor.tokenizer)
