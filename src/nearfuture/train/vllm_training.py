"""vLLM while a policy trains: TRL's backend, with one engine per process.

    engine       TRL makes one with every trainer, and a run builds a trainer for every stage. Here the first generation
                 makes it, later trainers with the same settings take it over, and whoever samples first pushes its
                 weights. A trainer that only scores makes none, and features that vLLM allows once per process (sleep
                 mode) exist once.
    seed         Making an engine seeds the process with its rank. Here it changes no random state, and each generation
                 draws from one number of the trainer's random state, however many tokens it takes.
    precision    TRL names none, and vLLM turns float32 into bfloat16. Here it is what the policy computes with:
                 bfloat16 or float16 under mixed precision, otherwise that of its weights. `vllm_dtype` overrides it.
    adapters     Pushing a LoRA policy does not change its base (`merging`); a sharded or quantized one does, as in TRL.
    memory       What vLLM remembers of prompts lasts for one generation, since a resumed run has not read them.
    launch       TRL tells an engine through the environment which process this is. If that stayed, the next trainer
                 would believe it is one of several: DDP, with a second copy of the gradients. Here it is undone.
    server       One client per process, because its channel for weights holds a port until the process ends.

Not here: vLLM outside training (`answer.vllm_policy`), calling it to generate (TRL's `_generate_single_turn`).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import weakref
from collections.abc import Iterator
from typing import Any

import torch
import trl.generation.vllm_generation as backend
import trl.trainer.grpo_trainer as grpo
from accelerate.utils import is_peft_model
from trl.generation.vllm_client import VLLMClient

from nearfuture.train import merging
from nearfuture.train.memory import collect
from nearfuture.train.needs import check_packages
from nearfuture.train.randomness import isolated_rng
from nearfuture.types import UserError

LAUNCH = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
MIXED = {"bf16": "bfloat16", "fp16": "float16"}
ENGINES: dict[str, Any] = {}
"""The process's engine, by its settings; there is at most one."""
CLIENTS: dict[tuple[Any, ...], SharedClient] = {}
"""The process's clients, by the server they talk to."""
_latest: weakref.ref[SharedGeneration] | None = None
"""The policy that pushed its weights last."""


class SharedClient(VLLMClient):
    """TRL's client, joining the server's channel for weights only once."""

    def init_communicator(self, device: Any = 0) -> None:
        """Join the channel, unless it is open."""
        if self.communicator is None:
            super().init_communicator(device)


class SharedGeneration(backend.VLLMGeneration):
    """TRL's `VLLMGeneration` on the process's engine; its weights are those of its policy at every generation.

    Attributes:
        dtype: precision of the engine; None: the policy's.
    """

    dtype: str | None = None
    _llm: Any = None

    def _init_vllm(self) -> None:
        check_packages({"use_vllm": True})
        if self.mode != "colocate":
            with _replaced(backend, "VLLMClient", _client):
                super()._init_vllm()

    @property
    def llm(self) -> Any:
        """The engine, which is made if there is none yet."""
        if self._llm is None:
            make = functools.partial(self._engine, backend.LLM)
            with _replaced(backend, "LLM", make), isolated_rng(0), _launched_as_before():
                super()._init_vllm()
        return self._llm

    @llm.setter
    def llm(self, engine: Any) -> None:
        self._llm = engine

    def _engine(self, make: Any, **settings: Any) -> Any:
        """Return the process's engine if it has these settings, otherwise a new one in its place."""
        settings["dtype"] = self.dtype or dtype_of(self.model, self.accelerator.mixed_precision)
        key = repr(sorted((name, value) for name, value in settings.items() if name != "seed"))
        if key not in ENGINES:
            ENGINES.clear()
            collect()
            engine = make(**settings)
            gc.unfreeze()  # making it froze the heap, including the policy
            _require_open(engine, settings["dtype"])
            ENGINES[key] = engine
        return ENGINES[key]

    def _iter_named_params(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The policy's weights as vLLM names them, adapters merged in."""
        if is_peft_model(self.model) and merging.is_whole(self.model):
            return merging.merged_weights(self.model)
        weights: Iterator[tuple[str, torch.Tensor]] = super()._iter_named_params()
        return weights

    def sync_weights(self) -> None:
        """Push the policy's weights into the engine, which keeps nothing that was computed with other weights."""
        global _latest
        super().sync_weights()
        if self.mode == "colocate":
            self._forget()
        _latest = weakref.ref(self)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Sample with this policy's weights, whoever used the engine before."""
        if _latest is None or _latest() is not self:
            self.sync_weights()
        if self.mode != "colocate":
            return super().generate(*args, **kwargs)
        self._forget()
        with isolated_rng(self._draw_seed()):
            return super().generate(*args, **kwargs)

    def _forget(self) -> None:
        """Make the engine forget the prompts it has read: their keys and values, and their images."""
        self.llm.reset_prefix_cache()
        self.llm.llm_engine.reset_encoder_cache()

    def _draw_seed(self) -> int:
        """Draw a number from the trainer's random state, the same on all processes that share a copy of the weights."""
        seed = [int(torch.randint(2**31, ()))]
        if self.tensor_parallel_size > 1:
            torch.distributed.broadcast_object_list(seed, group=self.tp_group, group_src=0)
        return seed[0]


def _require_open(engine: Any, dtype: str) -> None:
    """Refuse an engine that has repacked its weights, as vLLM does on many CPUs, because none can be pushed into it.

    Raises:
        UserError: it has; the message says what to change.
    """
    names = [name for name, weight in engine_model(engine).named_parameters() if not weight.numel()]
    if names:
        raise UserError(
            f"vLLM has packed the weights of {len(names)} layers for this machine's CPU (dtype {dtype}), for example "
            f"{names[0]}, so that the policy's cannot be pushed into it. Set another vllm_dtype (bfloat16, float32), "
            "or leave use_vllm out."
        )


def engine_model(engine: Any) -> torch.nn.Module:
    """The model in an engine of this process."""
    model: torch.nn.Module = engine.llm_engine.model_executor.driver_worker.model_runner.model
    return model


def dtype_of(model: Any, mixed_precision: str) -> str:
    """The precision that a policy computes with, by its name in torch."""
    return MIXED.get(mixed_precision) or str(model.dtype).removeprefix("torch.")


@contextlib.contextmanager
def shared_engine() -> Iterator[None]:
    """Let a `GRPOTrainer` built inside the block sample through `SharedGeneration`."""
    with _replaced(grpo, "VLLMGeneration", SharedGeneration):
        yield


def _client(**settings: Any) -> SharedClient:
    server = (settings["base_url"], settings["group_port"])
    if server not in CLIENTS:
        CLIENTS[server] = SharedClient(**settings)
    return CLIENTS[server]


@contextlib.contextmanager
def _launched_as_before() -> Iterator[None]:
    """Restore afterwards what a launcher has set in the environment."""
    before = {name: os.environ.get(name) for name in LAUNCH}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Replace a module's name while TRL looks it up."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
