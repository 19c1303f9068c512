"""A policy never writes the token that stands for an image, however it is sampled; which shapes of images are refused
is the processor's word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_vl
import torch
from PIL import Image
from transformers import AutoTokenizer, ProcessorMixin

from nearfuture.train import placeholders
from nearfuture.train.answer.decoding import Decoding, EngineSettings
from nearfuture.train.answer.policy import TransformersPolicy
from nearfuture.train.vision.images import problem_of
from nearfuture.train.vision.processor import load_for_training
from nearfuture.types import Guidance, UserError, Verdict

IMAGE = "<|image_pad|>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vl.save_model(tmp_path_factory.mktemp("vl") / "model")


def wanting_images(model: Any) -> None:
    """Have a model want nothing as much as to write an image."""
    token = model.config.image_token_id
    logits = model.lm_head.forward

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        found = logits(hidden).clone()
        found[..., token] += 20.0
        return found

    model.lm_head.forward = forward


WAYS: dict[str, dict[str, Any]] = {
    "as TRL samples": {},
    "tokens of one's own suppressed": {"generation_kwargs": {"suppress_tokens": [9, 10]}},
    "rows together": {"fast_generation": True},
    "no choice": {"generation_kwargs": {"do_sample": False}},
}


@pytest.mark.parametrize("name", WAYS)
def test_no_way_to_sample_writes_one(tmp_path: Path, model: Path, name: str) -> None:
    trainer = tiny_vl.npo(tmp_path, model, max_steps=2, **WAYS[name])
    wanting_images(trainer.model)
    trainer.train()
    ids = torch.cat([batch["completion_ids"].flatten() for batch in trainer._buffered_inputs]).tolist()
    assert trainer.model.config.image_token_id not in ids
    suppressed = WAYS[name].get("generation_kwargs", {}).get("suppress_tokens", [])
    assert not set(suppressed) & set(ids) and set(suppressed) <= set(trainer.generation_config.suppress_tokens)


def test_the_policy_that_is_evaluated_writes_none_either(model: Path) -> None:
    policy = TransformersPolicy(str(model), EngineSettings())
    wanting_images(policy.model)
    written: list[int] = []
    generate, rows = policy.model.generate, tiny_vl.rows(4)

    def noted(input_ids: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        ids = generate(input_ids=input_ids, **kwargs)
        written.extend(ids[:, input_ids.shape[1] :].flatten().tolist())
        return ids

    policy.model.generate = noted
    for temperature in (0.0, 1.0):
        policy.sample(rows, range(4), Decoding(temperature=temperature, max_completion_length=6))
    assert len(written) > 20 and policy.model.config.image_token_id not in written


def test_vllm_is_told_so_beside_what_it_was_told(model: Path) -> None:
    processor = load_for_training(str(model))
    assert placeholders.bad_words(processor) == {"bad_words": [IMAGE]}
    assert placeholders.bad_words(processor, {"bad_words": ["no"], "seed": 3}) == {"bad_words": ["no", IMAGE]}
    assert placeholders.bad_words(processor, {"bad_words": [IMAGE]}) == {}


def test_a_model_of_text_is_left_alone(model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)  # it has the token, and reads no images
    assert placeholders.ids_of(tokenizer) == [] and placeholders.bad_words(tokenizer) == {}


def test_guidance_that_holds_one_is_refused(tmp_path: Path, model: Path) -> None:
    trainer = tiny_vl.npo(tmp_path, model)
    image, eos = trainer.model.config.image_token_id, trainer.eos_token_ids[0]
    held = Guidance("p3", "0" * 16, (8, image, eos), (-1.0,) * 3, 0, 1, Verdict.CORRECT, 1, 1)
    with pytest.raises(UserError, match=r"1 guidance entries hold '<\|image_pad\|>', .* 'p3'"):
        placeholders.refuse(trainer.processing_class, [held])
    placeholders.refuse(trainer.processing_class, [])
    placeholders.refuse(trainer._tokenizer, [held])


# ---- which shapes a processor takes


class AnyShape(ProcessorMixin):
    """A processor that says nothing about sizes: it has no rule for them."""

    def __init__(self) -> None:
        self.chat_template = None


@pytest.mark.parametrize(("size", "is_refused"), [((1024, 4), True), ((4, 1024), True), ((640, 4), False)])
def test_a_shape_is_refused_where_the_processor_refuses_it(
    model: Path, size: tuple[int, int], is_refused: bool
) -> None:
    row = {**tiny_vl.rows(1)[0], "images": [Image.new("RGB", size)]}
    problem = problem_of(row, load_for_training(str(model)))
    assert (problem is not None) == is_refused
    assert problem is None or f"its sides are {size[0]} x {size[1]}, which the model's processor refuses" in problem
    assert problem_of(row, AnyShape()) is None
