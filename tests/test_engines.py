"""What is promised of vLLM and DeepSpeed, as far as neither is needed to check it.

Not here: the engines themselves (`make test-vllm`, `make test-distributed`), FSDP2 (`test_two_process_run`).
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import gc
import random
import re
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import trl.generation.vllm_generation as backend
import trl.trainer.grpo_trainer as grpo
from accelerate import DeepSpeedPlugin
from bos import tokenizer_with_bos
from commands import CONFIGS
from peft import IA3Config, LoraConfig, PeftConfig, get_peft_model
from PIL import Image
from tiny import TASK, npo
from tiny_vl import build_processor
from transformers import AutoModelForCausalLM
from transformers.integrations import deepspeed as hf_deepspeed

from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.options.data import DataConfig
from nearfuture.options.npo import ModelOptions, TrainingOptions
from nearfuture.run.settings.config import AutoNPOConfig, RunConfig
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.settings.plan import only_trains
from nearfuture.train import NPOConfig, merging, scoring, sharding
from nearfuture.train.answer.policy import encode
from nearfuture.train.answer.vllm_policy import request_of
from nearfuture.train.memory import collect
from nearfuture.train.randomness import isolated_rng
from nearfuture.train.shape.shapes import load_shape
from nearfuture.train.vllm_training import dtype_of
from nearfuture.types import UserError

TEXTS = ("3+4=", "12+1=")
MESSAGES = tuple([{"role": "user", "content": text}] for text in TEXTS)

# --- settings

ROOT = Path(__file__).parent.parent
KEYS = {
    f"{prefix}{field.name}"
    for prefix, kinds in (
        ("", (RunConfig, DataConfig, TrainingOptions, ModelOptions)),
        ("autonpo.", (AutoNPOConfig, TriggerConfig)),
    )
    for kind in kinds
    for field in dataclasses.fields(kind)
}
OTHERS = {"key", "addopts", "batch_size", "torch", "learning_rat"}
"""A word in a message, an option of pytest, one of `evaluate`, a requirement, a slip that is meant to be refused."""
SETTING = re.compile(r"[a-z_\d]+(?:\.[a-z_\d]+)?=\S*")
DRIVERS = [path for folder in ("tests_engines", "measurements", "scripts") for path in (ROOT / folder).glob("*.py")]


def settings_in(path: Path) -> Iterator[str]:
    """Strings of a file that look like settings of a run, their values as far as they are constant."""
    for node in ast.walk(ast.parse(path.read_text())):
        parts = node.values[:1] if isinstance(node, ast.JoinedStr) else [node]
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and SETTING.fullmatch(part.value):
                yield part.value


@pytest.mark.parametrize("path", DRIVERS, ids=lambda path: path.stem)
def test_what_the_suite_does_not_run_uses_settings_that_there_are(path: Path) -> None:
    for setting in settings_in(path):
        key = setting.partition("=")[0]
        assert key in KEYS | OTHERS or key.startswith("task_args."), f"{path.name} sets {key}, which no run has"


# --- one BOS


@pytest.mark.parametrize("prompts", [TEXTS, MESSAGES], ids=["texts", "messages"])
def test_training_and_both_evaluations_ask_the_same_ids(prompts: Any, tmp_path: Path) -> None:
    assert TASK.model is not None
    rows = [{"prompt": prompt} for prompt in prompts]
    tokenizer = tokenizer_with_bos(Path(TASK.model))
    asked = [request_of(tokenizer, prompt)["prompt_token_ids"] for prompt in prompts]
    trainer = npo(tmp_path, processing_class=tokenizer, data=[{**row, "answer": "1"} for row in rows])
    assert asked == scoring.tokenize(trainer, rows).ids
    assert asked == [encode(tokenizer, [row])["input_ids"][0].tolist() for row in rows]
    assert [ids.count(tokenizer.bos_token_id) for ids in asked] == [1, 1]


def test_an_image_is_one_placeholder_which_vllm_fills() -> None:
    processor, images = build_processor(), [Image.new("RGB", size) for size in ((64, 96), (96, 64))]
    row = {"prompt": [{"role": "user", "content": [*({"type": "image"} for _ in images), TEXT]}], "images": images}
    (prompt,) = scoring.prompts([row])
    request = request_of(processor, prompt)
    placeholder = processor.image_token_id
    filled = encode(processor, [row])["input_ids"][0].tolist()
    shrunk = [ids for ids, before in zip(filled, [None, *filled], strict=False) if not ids == before == placeholder]
    assert request["prompt_token_ids"] == shrunk and shrunk.count(placeholder) == 2
    assert request["multi_modal_data"]["image"] == images


TEXT = {"type": "text", "text": "Which is larger?"}

# --- memory and random states


def test_what_vllm_froze_is_freed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

    frozen = weakref.ref(Cycle())
    gc.freeze()
    gc.collect()
    assert frozen() is not None
    collect()
    assert frozen() is not None, "without vLLM, what is frozen was meant to be"
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    collect()
    assert frozen() is None
    gc.freeze()  # as it was (conftest.py)


def test_what_is_drawn_on_the_side_leaves_no_trace_even_where_it_fails() -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist())
    drawn = []
    for _ in range(2):
        with pytest.raises(RuntimeError), isolated_rng(7):
            drawn.append((random.random(), np.random.random(), float(torch.rand(()))))
            raise RuntimeError
    assert drawn[0] == drawn[1]
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist())


# --- vLLM while a policy trains


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_an_engine_samples_as_the_policy_computes(weights: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(TASK.model, dtype=weights)
    assert dtype_of(model, "no") == weights
    assert (dtype_of(model, "bf16"), dtype_of(model, "fp16")) == ("bfloat16", "float16")
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj"]))
    assert dtype_of(adapted, "no") == weights


SHAPES = {
    "lora": LoraConfig(r=2, target_modules="all-linear"),
    "dora": LoraConfig(r=2, target_modules=["q_proj", "down_proj"], use_dora=True),
    "whole modules": LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["k_proj"]),
}


def adapted(config: PeftConfig) -> Any:
    """The tiny policy with adapters that have learned something."""
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(TASK.model), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))) / 10)
    return model


@pytest.mark.parametrize("shape", SHAPES)
def test_vllm_is_pushed_one_model_and_the_base_stays_as_it_is_to_the_bit(shape: str) -> None:
    model = adapted(SHAPES[shape])
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    pushed = dict(merging.merged_weights(model))
    assert merging.is_whole(model)
    after = model.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    whole = dict(copy.deepcopy(model).merge_and_unload().named_parameters())
    assert pushed.keys() == whole.keys() and all(torch.equal(pushed[name], whole[name]) for name in whole)
    base = dict(AutoModelForCausalLM.from_pretrained(TASK.model).named_parameters())
    assert any(not torch.equal(pushed[name], base[name]) for name in base)


def test_what_is_no_lora_on_plain_weights_is_left_to_trl() -> None:
    scales = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    assert not merging.is_whole(adapted(scales))
    sharded = adapted(SHAPES["lora"])
    next(sharded.parameters()).ds_id = 0  # the embedding, which has no adapter
    assert merging.is_whole(sharded)
    sharded.get_submodule("base_model.model.model.layers.0.mlp.up_proj.base_layer").weight.ds_id = 1
    assert not merging.is_whole(sharded)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="vllm_dtype='half' is not known"):
        NPOConfig(str(tmp_path), vllm_dtype="half")


def test_without_vllm_a_trainer_says_so_and_trl_is_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="use_vllm=True needs vLLM, which is not installed"):
        npo(tmp_path, use_vllm=True, vllm_mode="colocate")
    assert grpo.VLLMGeneration is backend.VLLMGeneration


# --- DeepSpeed


def deepspeed(folder: Path, stage: int, *, gathers: bool) -> NPOConfig:
    args = NPOConfig(str(folder))
    args.deepspeed_plugin = DeepSpeedPlugin(zero_stage=stage, zero3_save_16bit_model=gathers)
    return args


def test_zero_3_is_refused_where_a_policy_does_not_train(tmp_path: Path) -> None:
    for stage in (1, 2):
        sharding.check_run(deepspeed(tmp_path, stage, gathers=False), only_trains=False, distils=False)
    sharding.check_run(deepspeed(tmp_path, 3, gathers=True), only_trains=True, distils=False)
    sharding.check_run(NPOConfig(str(tmp_path)), only_trains=False, distils=True)
    with pytest.raises(UserError, match=r"Set zero_optimization\.stage to 2"):
        sharding.check_run(deepspeed(tmp_path, 3, gathers=True), only_trains=False, distils=False)
    with pytest.raises(UserError, match="stage3_gather_16bit_weights_on_model_save"):
        sharding.check_run(deepspeed(tmp_path, 3, gathers=False), only_trains=True, distils=False)
    with pytest.raises(UserError, match="distill_coef needs the guide whole"):
        sharding.check_run(deepspeed(tmp_path, 2, gathers=False), only_trains=True, distils=True)


@pytest.mark.parametrize("named", ["use_cpu", "environment"])
def test_deepspeed_that_accelerate_would_leave_out_is_refused(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = deepspeed(tmp_path, 2, gathers=False)
    args.deepspeed = "zero2.json"
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    sharding.check_run(args, only_trains=True, distils=False)
    if named == "use_cpu":
        args.use_cpu = True
    else:
        monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    with pytest.raises(UserError, match=r"deepspeed=zero2\.json and a CPU .* trains with plain DDP"):
        sharding.check_run(args, only_trains=True, distils=False)


def test_fsdp_is_checked_before_a_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FSDP_STATE_DICT_TYPE", "SHARDED_STATE_DICT")
    with pytest.raises(UserError, match="from which no guide can be loaded"):
        sharding.check_run(NPOConfig(str(tmp_path)), only_trains=True, distils=False)
    monkeypatch.setenv("FSDP_STATE_DICT_TYPE", "FULL_STATE_DICT")
    monkeypatch.setenv("FSDP_VERSION", "1")
    monkeypatch.setenv("FSDP_SYNC_MODULE_STATES", "true")  # as the launcher says
    with pytest.raises(UserError, match=r"accelerate refuses what is set for FSDP here: .*no available devices"):
        sharding.check_run(NPOConfig(str(tmp_path)), only_trains=True, distils=False)
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(UserError, match=r"FSDP on a CPU .*leaves FSDP out without a word"):
        sharding.check_run(NPOConfig(str(tmp_path)), only_trains=True, distils=False)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((), True),
        (("scout_steps=3",), False),
        (("guide_step=8", "rollback_to=5"), False),
        (("resample_steps=4",), False),
        (("autonpo.mode=advise",), False),
    ],
)
def test_who_only_trains(settings: tuple[str, ...], expected: bool) -> None:
    plain = ("scout_steps=0", "guide_step=null", "rollback_to=null")
    assert only_trains(load_configuration(CONFIGS / "tiny.yaml", [*plain, *settings])) is expected


def test_a_models_shape_is_read_whole_while_zero_3_shards_every_model() -> None:
    class Zero3:
        def is_zero3(self) -> bool:
            return True

    config = Zero3()
    hf_deepspeed.set_hf_deepspeed_config(config)
    try:
        assert TASK.model is not None
        assert load_shape(TASK.model).parameters.total > 0
        assert hf_deepspeed.is_deepspeed_zero3_enabled()
    finally:
        hf_deepspeed.unset_hf_deepspeed_config()
