"""What a run needs, on paper: parameters and saved tensors to the byte, laws of the memory, the batch and the hours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import CONFIGS, invoke
from peft import LoraConfig, get_peft_model
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from nearfuture.lab.forecast.activations import (
    block_bytes_per_patch,
    cast_bytes_per_block,
    cast_bytes_per_layer,
    layer_bytes_per_token,
)
from nearfuture.lab.forecast.generation import Generation, cache_bytes_per_token, generation_of, sequences_at_once
from nearfuture.lab.forecast.memory import Device, Load, plan_memory
from nearfuture.lab.forecast.parts import Memory
from nearfuture.lab.forecast.planner import make_plan
from nearfuture.lab.forecast.wanted import Wanted
from nearfuture.lab.forecast.workload import Rates, Stage, stages_of
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import check
from nearfuture.run.settings.plan import segments_ahead
from nearfuture.run.settings.sizes import Batch, Lengths, Numerics, batch_of, numerics_of
from nearfuture.train.shape.shapes import ModelShape, load_shape
from nearfuture.types import UserError

PAPER = CONFIGS.parent / "paper"
EIGHT_B = "Qwen/Qwen3-VL-8B-Instruct"
RANK = 5
TEXT = {
    "vocab_size": 50,
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "tie_word_embeddings": True,
}
VISION = {
    "depth": 2,
    "hidden_size": 60,
    "num_heads": 3,
    "intermediate_size": 88,
    "patch_size": 4,
    "temporal_patch_size": 1,
    "spatial_merge_size": 2,
    "out_hidden_size": 64,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0],
}
ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 4, 4], "mrope_interleaved": True}
# Numbers of bytes, the dtype of the model, whether autocast runs, and whether adapters are trained.
FORMATS: dict[str, tuple[Numerics, torch.dtype, bool, bool]] = {
    "float32": (Numerics(4, 4, 4, 4, False), torch.float32, False, False),
    "bfloat16": (Numerics(2, 2, 2, 2, False), torch.bfloat16, False, False),
    "autocast": (Numerics(2, 4, 4, 4, True), torch.float32, True, False),
    "lora": (Numerics(4, 4, 4, 4, False), torch.float32, False, True),
    "lora, autocast": (Numerics(2, 2, 2, 4, True), torch.bfloat16, True, True),
}


def text_model(num_layers: int) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM(Qwen3Config(**{**TEXT, "num_hidden_layers": num_layers}))


def vision_model(depth: int) -> Qwen3VLForConditionalGeneration:
    config = Qwen3VLConfig(
        text_config={**TEXT, "rope_parameters": ROPE},
        vision_config={**VISION, "depth": depth},
        tie_word_embeddings=True,
    )
    return Qwen3VLForConditionalGeneration(config)


def adapted(model: Any, dtype: torch.dtype, is_lora: bool) -> tuple[Any, Any]:
    """The model as it is trained, and the base model inside."""
    model = model.to(dtype).train()
    if not is_lora:
        return model, model
    model = get_peft_model(model, LoraConfig(r=RANK, lora_dropout=0.0, target_modules="all-linear"))
    return model, model.get_base_model()


def saved_bytes(model: Any, run: Any, *, has_autocast: bool) -> int:
    """Bytes of the storages autograd keeps while `run` goes forward, weights and buffers left out."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_autocast),
    ):
        run()
    return sum(storage.nbytes() for storage in kept.values())


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with the config.json of the small models: all that a shape is read from."""
    folder = tmp_path_factory.mktemp("shapes")
    with torch.device("meta"):
        for name, model in {"text": text_model(2), "vision": vision_model(2)}.items():
            model.config.save_pretrained(folder / name)
    return {name: folder / name for name in ("text", "vision")}


def lora_settings(is_lora: bool) -> dict[str, Any]:
    return {"use_peft": True, "lora_r": RANK, "lora_target_modules": ["all-linear"]} if is_lora else {}


@pytest.mark.parametrize("name", FORMATS)
def test_a_decoder_layer_keeps_what_is_counted_to_the_byte(name: str, shapes: dict[str, Path]) -> None:
    numerics, dtype, has_autocast, is_lora = FORMATS[name]
    rows, length = 2, 31
    ids, mask = torch.randint(0, 50, (rows, length)), torch.ones(rows, length, dtype=torch.long)
    mask[0, :3] = 0  # a padded row: attention has a mask, as in training

    def kept(num_layers: int) -> int:
        model, base = adapted(text_model(num_layers), dtype, is_lora)
        return saved_bytes(
            model,
            lambda: base.model(input_ids=ids, attention_mask=mask, use_cache=False),
            has_autocast=has_autocast,
        )

    shape = load_shape(str(shapes["text"]), lora_settings(is_lora))
    rank = RANK if is_lora else 0
    planned = layer_bytes_per_token(shape.text, numerics, length, rank=rank) * rows * length
    planned += cast_bytes_per_layer(shape.parameters, numerics)
    assert kept(3) - kept(2) == planned


@pytest.mark.parametrize("name", FORMATS)
def test_a_vision_block_keeps_what_is_counted_to_the_byte(name: str, shapes: dict[str, Path]) -> None:
    numerics, dtype, has_autocast, is_lora = FORMATS[name]
    grid = torch.tensor([(1, 4, 8), (1, 8, 8)])
    num_patches = int(grid.prod(-1).sum())
    pixels = torch.randn(num_patches, 3 * 16)

    def kept(depth: int) -> int:
        model, base = adapted(vision_model(depth), dtype, is_lora)
        return saved_bytes(model, lambda: base.model.visual(pixels, grid_thw=grid), has_autocast=has_autocast)

    shape = load_shape(str(shapes["vision"]), lora_settings(is_lora))
    assert shape.vision is not None
    planned = block_bytes_per_patch(shape.vision, numerics, rank=RANK if is_lora else 0) * num_patches
    planned += cast_bytes_per_block(shape.parameters, numerics)
    assert kept(3) - kept(2) == planned


def test_parameters_are_counted_not_stated() -> None:
    count = load_shape(EIGHT_B).parameters
    assert count.total == 8_767_123_696
    attention = 4096 * 128 * (32 + 8 + 8 + 32)
    assert count.layer_linears == attention + 3 * 4096 * 12288
    assert count.layer == count.layer_linears + 2 * 4096 + 2 * 128
    assert count.head == 151936 * 4096 and not count.is_tied
    text = load_shape("Qwen/Qwen3-8B").parameters
    assert text.total == 36 * count.layer + 2 * count.head + 4096
    assert count.total == text.total + count.vision
    assert load_shape("Qwen/Qwen3-VL-2B-Instruct").parameters.is_tied


@pytest.mark.parametrize("targets", ["all-linear", ".*q_proj", ["q_proj", "linear_fc1"]])
def test_adapters_are_as_many_as_peft_makes(targets: Any, shapes: dict[str, Path]) -> None:
    listed = [targets] if isinstance(targets, str) else targets
    shape = load_shape(str(shapes["vision"]), {"use_peft": True, "lora_r": RANK, "lora_target_modules": listed})
    model = get_peft_model(vision_model(2), LoraConfig(r=RANK, target_modules=targets))
    sizes = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    assert shape.parameters.trained == sum(sizes.values())
    assert shape.parameters.trained_vision == sum(size for name, size in sizes.items() if ".visual." in name)
    assert shape.parameters.total == sum(p.numel() for p in vision_model(2).parameters())


def test_a_model_nothing_is_known_of_is_refused_with_a_remedy() -> None:
    with pytest.raises(UserError, match=r"no config.json of it is on this machine.*hf download somebody/something"):
        load_shape("somebody/something")
    with pytest.raises(UserError, match="Set lora_target_modules"):
        load_shape(EIGHT_B, {"use_peft": True})


def settings(**more: Any) -> Configuration:
    given = {"task": "apprentice", "run_dir": "runs/x", "max_steps": 40, "per_device_train_batch_size": 4, **more}
    return check({"num_generations": 8, "max_completion_length": 100, **given})


def test_the_papers_batch_is_the_same_on_any_number_of_devices() -> None:
    config = settings(per_device_train_batch_size=2, gradient_accumulation_steps=32)
    batch = batch_of(config, 32)
    assert (batch.local, batch.generated, batch.trained, batch.prompts_per_step) == (64, 2048, 2048, 256)
    node = batch_of(settings(per_device_train_batch_size=2, gradient_accumulation_steps=128), 8)
    assert (node.generated, node.trained, node.prompts_per_step) == (2048, 2048, 256)
    alone = settings(per_device_train_batch_size=4, gradient_accumulation_steps=512, steps_per_generation=32)
    one = batch_of(alone, 1)
    assert (one.local, one.generated, one.trained, one.prompts_per_step) == (128, 128, 2048, 256)
    twice = batch_of(settings(gradient_accumulation_steps=4, num_iterations=2), 1)
    assert twice.sampled_per_step == twice.trained / 2 == 8


def test_a_batch_that_would_cut_groups_is_refused() -> None:
    with pytest.raises(UserError, match=r"12 rollouts are generated at once.*not a multiple of num_generations=8"):
        batch_of(settings(), 3)
    with pytest.raises(UserError, match="generation_batch_size=64 is not a multiple"):
        batch_of(settings(generation_batch_size=64), 3)


def test_number_formats_follow_the_sharding() -> None:
    config = settings(dtype="float32")
    assert numerics_of(config, "bfloat16", "ddp") == Numerics(2, 4, 4, 4, casts=True)
    assert numerics_of(config, "bfloat16", "fsdp2") == Numerics(2, 2, 4, 4, casts=False)
    assert numerics_of(config, "bfloat16", "ddp", on_cpu=True) == Numerics(4, 4, 4, 4, casts=False)
    assert numerics_of(settings(), "bfloat16", "ddp") == Numerics(2, 4, 4, 4, casts=True), "TRL's default is float32"
    kept = settings(dtype="auto")
    assert numerics_of(kept, "bfloat16", "ddp") == Numerics(2, 2, 2, 2, casts=False)
    lora = settings(dtype="bfloat16", use_peft=True, lora_target_modules=["all-linear"])
    assert numerics_of(lora, "bfloat16", "ddp") == Numerics(2, 2, 2, 4, casts=True)


def load(shape: ModelShape, num_processes: int = 1, **more: Any) -> Load:
    given = {
        "shape": shape,
        "batch": Batch(num_processes, 2, 8, 32, 32, 1),
        "lengths": Lengths(4096, 4096, 4096),
        "numerics": Numerics(2, 2, 4, 4, casts=False),
        "generation": Generation(),
        "is_checkpointed": True,
    }
    return Load(**{**given, **more})


def size(memory: Memory, name: str) -> float:
    return sum(part.num_bytes for part in memory.parts if part.name == name)


def test_full_shards_divide_what_is_trained_and_ddp_does_not() -> None:
    shape = load_shape(EIGHT_B)
    total = shape.parameters.total
    for num_processes in (2, 32):
        shared = plan_memory(load(shape, num_processes), Device("fsdp2"))
        whole = plan_memory(load(shape, num_processes), Device("ddp"))
        for name, bytes_each in {"weights": 4, "gradients": 4, "optimizer states": 8}.items():
            assert size(whole, name) == bytes_each * total
            assert size(shared, name) == bytes_each * total / num_processes
        assert size(whole, "gradient buckets") == 4 * total and not size(shared, "gradient buckets")
    assert not size(plan_memory(load(shape, 1), Device("fsdp2")), "gathered layers")


def test_adapters_have_gradients_and_states_alone_and_a_frozen_tower_keeps_nothing() -> None:
    shape = load_shape("Qwen/Qwen3-VL-2B-Instruct", lora_settings(True))
    numerics = Numerics(2, 2, 2, 4, casts=True)
    memory = plan_memory(load(shape, rank=RANK, numerics=numerics), Device())
    count = shape.parameters
    assert size(memory, "weights") == 2 * count.total + 4 * count.trained
    assert size(memory, "optimizer states") == 2 * size(memory, "gradients") == 8 * count.trained
    frozen = plan_memory(load(shape, rank=RANK, numerics=numerics, is_tower_frozen=True), Device())
    assert size(frozen, "gradients") == 4 * (count.trained - count.trained_vision)
    assert size(memory, "vision activations") > 0 == size(frozen, "vision activations")
    assert size(memory, "pixels of the batch") == size(frozen, "pixels of the batch") == 4 * 64 * 4096 * 1536


def test_activations_grow_with_the_micro_batch_and_shrink_when_computed_again() -> None:
    shape = load_shape(EIGHT_B)
    one = plan_memory(load(shape, batch=Batch(1, 1, 8, 64, 64, 1)), Device())
    two = plan_memory(load(shape), Device())
    assert size(two, "decoder activations") == 2 * size(one, "decoder activations")
    kept = plan_memory(load(shape, is_checkpointed=False), Device())
    assert size(kept, "decoder activations") > 10 * size(two, "decoder activations")
    flash = plan_memory(load(shape, is_checkpointed=False), Device(has_flash=True))
    assert size(flash, "decoder activations") < size(kept, "decoder activations")
    # No row of logits over 151,936 words for each token: those alone would take 2.5 GB and their gradient as much.
    logits = 2 * 4096 * 151936 * 2
    head_gradient = 4 * shape.parameters.head
    assert size(two, "working set") - head_gradient < logits


def test_vllm_takes_its_share_and_gives_it_back_when_it_sleeps() -> None:
    shape, device = load_shape(EIGHT_B), Device("fsdp2", num_bytes=140 * 10**9)
    awake = Generation("colocate", 0.5)
    both = plan_memory(load(shape, 32, generation=awake), device)
    asleep = plan_memory(load(shape, 32, generation=replace(awake, sleeps=True)), device)
    assert both.at("training") - asleep.at("training") == pytest.approx(70e9)
    assert both.at("generation") == asleep.at("generation")
    served = plan_memory(load(shape, 32, generation=Generation("server")), device)
    assert served.at("generation") == pytest.approx(both.at("generation") - 70e9)
    assert cache_bytes_per_token(shape, 2) == 2 * 36 * 8 * 128 * 2
    room = sequences_at_once(awake, shape, Lengths(4096, 4096), 140 * 10**9)
    assert room == pytest.approx((70e9 - 2 * shape.parameters.total) / (147456 * 8192))
    wide = sequences_at_once(replace(awake, width=4), shape, Lengths(4096, 4096), 140 * 10**9)
    assert wide == pytest.approx((70e9 - 4 * shape.parameters.total) / (2 * 147456 * 8192))


@pytest.mark.parametrize(
    ("given", "expected"), [({}, 2), ({"bf16": False}, 4), ({"bf16": False, "vllm_dtype": "float16"}, 2)]
)
def test_vllm_is_planned_in_the_format_it_samples_in(given: dict[str, Any], expected: int) -> None:
    config = settings(use_vllm=True, dtype="float32", **given)
    numerics = numerics_of(config, "float32", "ddp")
    assert generation_of(config, numerics.compute).width == expected


RATES = Rates(generated_per_second=100, trained_per_second=400, prompt=20, completion=50)


def test_every_step_that_is_paid_for_is_in_a_stage() -> None:
    config = settings(
        scout_steps=4, guide_step=20, rollback_to=12, guide_num_samples=3, eval_every=10, eval_num_samples=2
    )
    batch = batch_of(config, 2)
    stages = stages_of(config, batch, 1000, 5)
    assert sum(stage.steps for stage in stages) == sum(end - start for start, end in segments_ahead(config)) == 52
    names = [stage.name for stage in stages]
    assert names == [
        "scout: steps 0 to 4",
        "guide of step 4 asked: 4 prompts",
        "up to the guide: steps 0 to 20",
        "guide of step 20 asked: 8 prompts",
        "to the horizon: steps 12 to 40",
        "9 evaluations on the way",
    ]
    assert [stage.rollouts for stage in stages] == [32, 12, 160, 24, 224, 90]
    assert stages_of(config, batch, 3, 0)[1].rollouts == 9  # no prompt is asked twice


def test_hours_are_tokens_over_the_stated_throughput() -> None:
    stage = Stage("training", 10, 720)
    assert stage.generated(RATES) == 36_000 and stage.trained(RATES) == 50_400
    assert stage.hours(RATES, 3) == pytest.approx((360 + 126) / 3 / 3600)
    assert Stage("collection", 0, 720).trained(RATES) == 0


def test_what_autonpo_may_add_is_bounded_and_said_to_be_a_bound() -> None:
    auto = {"autonpo.mode": "act", "autonpo.max_interventions": 3, "autonpo.max_rollback_distance": 15}
    config = settings(**auto)
    batch = batch_of(config, 2)
    bounds = {stage.name: stage for stage in stages_of(config, batch, 1000, 0) if stage.is_bound}
    assert bounds["AutoNPO, 3 probes"].rollouts == 3 * 64 * 8
    assert bounds["AutoNPO, 3 guides asked"].rollouts == 3 * 15 * 8
    assert bounds["AutoNPO, 3 replays of 15 steps"].steps == 45
    advise = stages_of(settings(**{**auto, "autonpo.mode": "advise"}), batch, 1000, 0)
    assert [stage.name for stage in advise if stage.is_bound] == ["AutoNPO, 3 probes"]


def test_the_command_prints_the_plan_and_writes_all_of_it(tmp_path: Path) -> None:
    paper, file = PAPER / "qwen3_vl_8b_npo_early.yaml", tmp_path / "plan.json"
    code, output = invoke(
        "plan", paper, "--gpus", 8, "--nodes", 4, "--gpu-memory", 140, "--sharding", "fsdp2", "--json", file
    )
    assert code == 0, output
    assert "256 prompts x 8 generations = 2048 rollouts per step" in output
    assert "122,603 rows as its card states" in output and "WARNING" not in output
    written = json.loads(file.read_text())
    parts = written["memory"]["parts"]
    assert written["memory"]["fits"] and written["model"]["parameters"]["total"] == 8_767_123_696
    in_training = sum(part["num_bytes"] for part in parts if "training" in part["moments"])
    assert in_training == pytest.approx(written["memory"]["training_bytes"])
    assert written["hours"] == pytest.approx(sum(stage["hours"] for stage in written["stages"]))
    assert written["device_hours"] == pytest.approx(32 * written["hours"])


def test_the_command_warns_of_what_does_not_fit() -> None:
    paper = PAPER / "qwen3_vl_8b_npo_early.yaml"
    code, output = invoke("plan", paper, "--gpu-memory", 24, "max_prompt_length=512")
    assert code == 0, output
    assert "WARNING: training needs" in output and "which has 24 GB; the largest part is optimizer states" in output
    assert "does not hold its weights and one sequence of 4608 tokens" in output
    assert "is 1024 tokens, more than max_prompt_length=512" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sharding", "zero3"], "'zero3' is not one of 'ddp'"),
        (["--gpus", "0"], "--gpus 0 must be over 0"),
        (["--gpu-memory", "inf"], "--gpu-memory inf must be over 0, and at most 1e+12"),
        (["--train-tokens-per-second", "-1"], "--train-tokens-per-second -1 must be over 0"),
        (["model=nobody/nothing"], "its shape is not among the known ones"),
        (["dataset_name=nobody/nothing"], "neither a file or folder on this machine"),
        (
            ["--gpus", "3", "per_device_train_batch_size=1", "gradient_accumulation_steps=1"],
            "not a multiple of num_gen",
        ),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], said: str) -> None:
    code, output = invoke("plan", PAPER / "qwen3_vl_8b_grpo.yaml", *arguments)
    assert code == 2 and said in output, output


def test_a_run_that_is_here_is_planned_from_its_own_prompts() -> None:
    plan = make_plan(check({"task": "shapes", "run_dir": "runs/x", "max_steps": 8}), Wanted(is_cpu=True))
    assert plan.rows.measured is not None
    assert plan.lengths.prompt == plan.rows.measured[0] < 100
    assert plan.lengths.patches == 4 * plan.rows.measured[1] > 0
    assert not [line for line in plan.assumptions if line.startswith("images")]
