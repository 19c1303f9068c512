"""Laws of training and evaluating with a real vLLM, on a CPU: `make test-vllm`.

Not here: a GPU, several processes, images. What needs no vLLM is in the suite (`tests/test_engines.py`).
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import on_cpu
import pytest
import torch
from accelerate.utils import DistributedType
from bos import with_bos
from eager import eager
from instrument import difference, num_engines
from safetensors.torch import load_file
from server_stand_in import StandIn
from vllm import _custom_ops
from wide_heads import widen

from nearfuture.run import build
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import load_task
from nearfuture.train import NPOTrainer, TRLEngine, vllm_training
from nearfuture.train.answer.decoding import Decoding, EngineSettings
from nearfuture.train.answer.policy import encode
from nearfuture.train.answer.vllm_policy import VLLMPolicy
from nearfuture.train.factory import release
from nearfuture.train.vllm_training import engine_model
from nearfuture.types import UserError

ROOT = Path(__file__).parent.parent
TINY = ROOT / "configs" / "apprentice" / "tiny.yaml"
SHIPPED = Path(str(load_task("apprentice").model))
WITH_VLLM = ("use_vllm=true", "vllm_mode=colocate", "vllm_max_model_length=64", "per_device_train_batch_size=64")
AUTO = (
    *("max_steps=18", "scout_steps=0", "guide_step=null", "rollback_to=null", "save_steps=2", "eval_every=6"),
    *("learning_rate=5e-4", "seed=2", "guide_num_samples=4", "guide_select=closest"),
    *eager(probe_num_prompts=48, cooldown=3, max_interventions=2),
    "vllm_enable_sleep_mode=true",
)

LORA = ("use_peft=true", "lora_r=4", "lora_dropout=0", "lora_target_modules=all-linear", "learning_rate=5e-3")
ONCE = ("autonpo.max_interventions=1", "autonpo.accept=if_better", "vllm_enable_sleep_mode=false")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return widen(SHIPPED, tmp_path_factory.mktemp("wide") / "model")


def make(model: Path, folder: Path, *settings: str) -> NPOTrainer:
    config = load_configuration(TINY, [f"model={model}", f"run_dir={folder}", *WITH_VLLM, *settings])
    task = build.load_checked_task(config)
    trainer = build.build_trainer(config, task, build.training_rows(task), folder)
    trainer.model.to("cpu")
    return trainer


def rows_of(trainer: NPOTrainer, number: int = 8) -> list[dict[str, Any]]:
    return plain_rows(trainer.train_dataset.select(range(number)))


def draw(trainer: NPOTrainer, number: int = 8) -> list[list[int]]:
    trainer.model.eval()
    trainer.num_generations_eval = 1
    return [list(ids) for ids in trainer._generate([row["prompt"] for row in rows_of(trainer, number)])[1]]


def states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()


# --- whole runs


class Whole:
    """A run of the command line in a process of its own, and what the instrument wrote."""

    def __init__(self, folder: Path, model: Path, *settings: str) -> None:
        self.folder, self.model, self.settings = folder, model, settings
        self.record = folder.with_suffix(".jsonl")

    def train(self, *arguments: str, kill_at: int = -1) -> tuple[int, str]:
        paths = [str(ROOT / "src"), str(Path(__file__).parent)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MASTER_PORT": str(free_port())}
        settings = (f"run_dir={self.folder}", f"model={self.model}", *WITH_VLLM, *AUTO, *self.settings, *arguments)
        script = Path(__file__).with_name("train_script.py")
        command = [sys.executable, script, self.record, str(kill_at), "train", TINY, *settings]
        found = subprocess.run(command, env=environment, capture_output=True, text=True)
        return found.returncode, found.stdout + found.stderr

    def rows(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.record.read_text().splitlines())
        return [line for line in lines if line["event"] == event]

    def rollbacks(self) -> int:
        lines = map(json.loads, (self.folder / "events.jsonl").read_text().splitlines())
        return sum(line["event"] == "rollback" for line in lines)

    def weights(self) -> dict[str, torch.Tensor]:
        (file,) = (self.folder / "final").glob("*model.safetensors")  # of a model, or of its adapters
        return load_file(file)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    run = Whole(tmp_path_factory.mktemp("whole") / "run", model)
    code, output = run.train()
    assert code == 0, output[-5000:]
    return run


@pytest.fixture(scope="module")
def adapted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    run = Whole(tmp_path_factory.mktemp("adapted") / "run", model, *LORA, *ONCE)
    code, output = run.train()
    assert code == 0, output[-5000:]
    return run


def test_every_generation_has_the_policys_weights(whole: Whole) -> None:
    """Asleep, the engine forgets all of them: what was not pushed is not a number."""
    generations = whole.rows("generation")
    assert whole.rollbacks() == 2 and len(generations) > 20
    assert {row["difference"] for row in generations} == {0.0}


def test_one_engine_lives_after_each_stage_and_no_policy(whole: Whole) -> None:
    stages = whole.rows("stage")
    assert [row["kind"] for row in stages].count("Confirm") >= 2
    assert {(row["engines"], row["policies"], row["made"]) for row in stages} == {(1, 0, 1)}


def test_guided_rows_have_a_ratio_of_one(whole: Whole) -> None:
    batches = whole.rows("batch")
    assert sum(row["num_guided"] for row in batches) > 0
    assert max(row["off"] for row in batches) == 0


def test_one_engine_serves_adapters_their_guide_and_the_comparison_of_both_branches(adapted: Whole) -> None:
    stages, generations = adapted.rows("stage"), adapted.rows("generation")
    assert adapted.rollbacks() == 1 and {"Train", "Confirm", "Compare"} <= {row["kind"] for row in stages}
    assert {(row["engines"], row["policies"], row["made"]) for row in stages} == {(1, 0, 1)}
    assert len(generations) > 20 and {row["difference"] for row in generations} == {0.0}
    assert max(row["off"] for row in adapted.rows("batch")) == 0


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_killed_and_resumed_it_ends_with_the_same_weights(share: float, whole: Whole, tmp_path: Path) -> None:
    run = Whole(tmp_path / "run", whole.model)
    code, output = run.train(kill_at=int(share * len(whole.rows("generation"))))
    assert code == -9, output[-5000:]
    code, output = run.train("--resume")
    assert code == 0, output[-5000:]
    assert {row["difference"] for row in run.rows("generation")} == {0.0}
    expected = whole.weights()
    assert all(torch.equal(weight, expected[name]) for name, weight in run.weights().items())


def test_adapters_resumed_end_where_those_that_went_on_do(model: Path, tmp_path: Path) -> None:
    settings = (*LORA, "max_steps=6", "scout_steps=0", "guide_step=null", "rollback_to=null", "save_steps=3")
    weights = []
    for name, start in {"one": None, "other": tmp_path / "one" / "checkpoint-3"}.items():
        trainer = make(model, tmp_path / name, *settings)
        trainer.train(resume_from_checkpoint=start and str(start))
        weights.append({name: weight.clone() for name, weight in trainer.model.named_parameters()})
        release(trainer)
    one, other = weights
    assert all(torch.equal(other[name], weight) for name, weight in one.items())


# --- seeds


def test_the_seed_reaches_the_engine_and_repeats(model: Path, tmp_path: Path) -> None:
    drawn = []
    for number, seed in enumerate((1, 2, 1)):
        trainer = make(model, tmp_path / str(number), f"seed={seed}")
        drawn.append(draw(trainer))
        release(trainer)
    assert drawn[0] == drawn[2] != drawn[1]


def test_making_an_engine_moves_no_random_state(model: Path, tmp_path: Path) -> None:
    release(make(model, tmp_path / "plain", "use_vllm=false"))
    before = states()
    trainer = make(model, tmp_path / "vllm", "vllm_max_model_length=60")
    assert states() == before
    num_made = len(on_cpu.MADE)
    assert trainer.vllm_generation.llm is not None and len(on_cpu.MADE) == num_made + 1
    assert states() == before
    release(trainer)


def test_who_comes_after_an_engine_still_trains_alone(model: Path, tmp_path: Path) -> None:
    trainer = make(model, tmp_path / "one", "vllm_max_model_length=56")
    before = dict(os.environ)
    assert trainer.vllm_generation.llm is not None
    assert {name: os.environ.get(name) for name in vllm_training.LAUNCH} == {
        name: before.get(name) for name in vllm_training.LAUNCH
    }
    release(trainer)
    trainer = make(model, tmp_path / "other", "vllm_max_model_length=56")
    assert trainer.accelerator.distributed_type == DistributedType.NO
    release(trainer)


def test_what_a_generation_costs_the_random_state_does_not_depend_on_it(model: Path, tmp_path: Path) -> None:
    after = []
    for number in (3, 8):
        trainer = make(model, tmp_path / str(number))
        draw(trainer, number)
        after.append(states())
        release(trainer)
    assert after[0] == after[1]


# --- one engine


def test_who_samples_has_its_own_weights_whoever_sampled_before(model: Path, tmp_path: Path) -> None:
    one, other = make(model, tmp_path / "one"), make(model, tmp_path / "other")
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.mul_(1.1)
    for trainer in (one, other, one, other):
        draw(trainer)
        assert difference(trainer.model, engine_model(trainer.vllm_generation.llm)) == 0
    assert one.vllm_generation.llm is other.vllm_generation.llm
    policies = [weakref.ref(trainer.model) for trainer in (one, other)]
    release(one), release(other)
    assert [policy() for policy in policies] == [None, None] and num_engines() == 1


def test_what_the_engine_has_read_before_changes_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(model, tmp_path)
    trainer.num_generations_eval = 1
    trainer.model.eval()
    found: list[Any] = []
    generate = on_cpu.EagerLLM.generate

    def listen(*args: Any, **kwargs: Any) -> Any:
        found.append(generate(*args, **kwargs))
        return found[-1]

    monkeypatch.setattr(on_cpu.EagerLLM, "generate", listen)
    read = [f"{'12' * 18}+{n}=" for n in range(8)]  # more than one block, and the same block
    for _ in range(2):
        torch.manual_seed(0)
        trainer._generate(read)
    first, second = found
    assert [outputs[0].num_cached_tokens for outputs in found] == [0, 0]
    assert [seen.outputs[0].token_ids for seen in first] == [seen.outputs[0].token_ids for seen in second]
    assert [seen.outputs[0].logprobs for seen in first] == [seen.outputs[0].logprobs for seen in second]
    release(trainer)


def test_pushing_adapters_does_not_move_their_base(model: Path, tmp_path: Path) -> None:
    trainer = make(model, tmp_path, *LORA)
    base = {name: weight.clone() for name, weight in trainer.model.named_parameters() if ".base_layer." in name}
    assert base
    for seed in range(3):
        learn(trainer, seed)
        trainer._last_loaded_step = -1
        draw(trainer)
        assert difference(trainer.model, engine_model(trainer.vllm_generation.llm)) == 0
    weights = dict(trainer.model.named_parameters())
    assert all(torch.equal(weights[name], weight) for name, weight in base.items())
    release(trainer)


@torch.no_grad()
def learn(trainer: NPOTrainer, seed: int) -> None:
    """Other adapters than those that were there."""
    drawn = torch.Generator().manual_seed(seed)
    for name, weight in trainer.model.named_parameters():
        if ".lora_B." in name:
            weight.copy_(torch.randn(weight.shape, generator=drawn) / 10)


def test_who_only_scores_makes_no_engine(model: Path, tmp_path: Path) -> None:
    trainer = make(model, tmp_path, "vllm_max_model_length=59")
    num_made = len(on_cpu.MADE)
    rows = rows_of(trainer, 2)
    assert all(map(all, TRLEngine(trainer).score(rows, [[3, 4, 1], [5, 1]])))
    assert len(on_cpu.MADE) == num_made
    release(trainer)


def test_another_engine_takes_the_place_of_the_first(model: Path, tmp_path: Path) -> None:
    for length in (64, 58):
        trainer = make(model, tmp_path / str(length), f"vllm_max_model_length={length}")
        draw(trainer)
        release(trainer)
    assert num_engines() == 1


# --- precision


def test_the_engine_samples_in_the_policys_precision_unless_told(model: Path, tmp_path: Path) -> None:
    off = {}
    for name, settings in {"float32": (), "bfloat16": ("vllm_dtype=bfloat16",)}.items():
        trainer = make(model, tmp_path / name, *settings)
        trainer.model.eval()
        trainer.num_generations_eval = 1
        rows = rows_of(trainer, 64)
        batch = trainer._generate([row["prompt"] for row in rows])
        weights = engine_model(trainer.vllm_generation.llm).parameters()
        assert {str(weight.dtype) for weight in weights} == {f"torch.{name}"}
        ours = TRLEngine(trainer).score(rows, batch[1])
        pairs = [pair for mine, theirs in zip(ours, batch[4], strict=True) for pair in zip(mine, theirs, strict=True)]
        off[name] = max(abs(mine - theirs) for mine, theirs in pairs)
        release(trainer)
    print(f"largest distance of log-probs, engine and trainer: {off}")
    assert off["float32"] < 1e-3 < off["bfloat16"]


def test_an_engine_that_packs_its_weights_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_custom_ops, "_supports_onednn", True)
    trainer = make(model, tmp_path, "vllm_max_model_length=57")
    with pytest.raises(UserError, match="has packed the weights of"):
        draw(trainer)
    release(trainer)


# --- a server


def test_trainers_of_one_process_share_the_servers_channel(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colocated = make(model, tmp_path / "colocated")
    server = StandIn(colocated.vllm_generation.llm)
    server.install(monkeypatch)
    port = free_port()
    settings = ("vllm_mode=server", f"vllm_group_port={port}")
    for number in (1, 2):
        trainer = make(model, tmp_path / str(number), *settings)
        with torch.no_grad():
            for weight in trainer.model.parameters():
                weight.mul_(1 + 0.1 * number)
        assert len(draw(trainer)) == 8
        assert difference(trainer.model, engine_model(server.engine)) == 0
        release(trainer)
    assert server.num_channels == 1
    with pytest.raises(OSError, match="Address already in use"):  # it is held, as a trainer's own client would find out
        server.open(SimpleNamespace(group_port=port))
    one, other = make(model, tmp_path / "one", *settings), make(model, tmp_path / "other", *settings)
    with torch.no_grad():
        next(other.model.parameters()).mul_(1.1)
    for trainer in (one, other, one):
        draw(trainer)
        assert difference(trainer.model, engine_model(server.engine)) == 0
    for number in (1, 2):
        trainer = make(model, tmp_path / f"adapted-{number}", *settings, *LORA)
        learn(trainer, number)
        draw(trainer)
        assert difference(trainer.model, engine_model(server.engine)) == 0
        release(trainer)
    vllm_training.CLIENTS.clear()


# --- evaluation


def test_evaluation_asks_what_training_asks(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instruct = with_bos(model, tmp_path / "instruct")
    policy = VLLMPolicy(str(instruct), EngineSettings(use_vllm=True, vllm_max_model_length=64))
    asked: list[list[int]] = []
    generate = on_cpu.EagerLLM.generate

    def listen(*args: Any, **kwargs: Any) -> Any:
        outputs = generate(*args, **kwargs)
        asked.extend(list(output.prompt_token_ids) for output in outputs)
        return outputs

    monkeypatch.setattr(on_cpu.EagerLLM, "generate", listen)
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in ("3+4=", "25+1=")] + [{"prompt": "3+4="}]
    decoding = Decoding(1.0, 1.0, 0, presence_penalty=0.0, max_completion_length=8)
    first = policy.sample(rows, [1, 2, 3], decoding)
    assert asked == [encode(policy.processing_class, [row])["input_ids"][0].tolist() for row in rows]
    bos = policy.processing_class.bos_token_id
    assert [ids.count(bos) for ids in asked] == [1, 1, 1]
    assert policy.sample(rows, [1, 2, 3], decoding) == first  # the same seeds, the same answers
    engine = weakref.ref(policy.llm)
    policy.release()
    assert engine() is None
