"""What is looked at while a run samples with vLLM: a line for each generation, each scored batch and each stage.

    generation   largest difference between the policy's weights and the engine's, engines made so far
    batch        rows that hold guidance, and the largest distance of their correction ratio from 1
    stage        engines and policies that are alive when a stage of the run is over

Not here: what vLLM needs on a CPU (`on_cpu`), the laws (`test_vllm`).
"""

from __future__ import annotations

import json
import os
import signal
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import on_cpu
import torch

from nearfuture.run.executor import Executor
from nearfuture.train import NPOTrainer
from nearfuture.train.vllm_training import SharedGeneration, engine_model

FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}
POLICIES: list[weakref.ref[Any]] = []


def difference(policy: torch.nn.Module, engine: torch.nn.Module) -> float:
    """Largest difference between weights of the same name; what vLLM keeps in one piece is compared in one piece."""
    wanted = weights_of(policy)
    largest = 0.0
    for name, weight in engine.named_parameters():
        layer = name.split(".")[-2]
        parts = [wanted.pop(name.replace(layer, part)) for part in FUSED.get(layer, (layer,))]
        theirs = torch.cat(parts).to(weight.dtype)
        largest = max(largest, float((weight.detach()[: len(theirs)] - theirs).abs().nan_to_num(torch.inf).max()))
    assert not wanted, f"the engine lacks {sorted(wanted)}"
    return largest


def weights_of(policy: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a policy by the names of its base; where it has adapters, merged by hand: W + scaling B A."""
    weights = {}
    for name, weight in policy.named_parameters():
        path, is_adapted, _ = name.partition(".base_layer.")
        value = weight.detach()
        if is_adapted:
            value = value + policy.get_submodule(path).get_delta_weight("default").detach()
        if ".lora_" not in name:
            weights[name.removeprefix("base_model.model.").replace(".base_layer.", ".")] = value
    return weights


def num_engines() -> int:
    """Engines made by this process whose weights are still in memory."""
    return sum(model() is not None for model in on_cpu.MADE)


def num_policies() -> int:
    """Policies that were in a trainer with vLLM and are still in memory."""
    return sum(policy() is not None for policy in POLICIES)


def watch(record: Path, kill_at: int | None = None) -> None:
    """Write `record` from now on; SIGKILL this process when it asks for generation number `kill_at`."""
    file = record.open("a", buffering=1)
    count, asking = 0, None

    def write(**row: Any) -> None:
        file.write(json.dumps(row) + "\n")

    def make(original: Callable[..., Any], self: SharedGeneration) -> None:
        POLICIES.append(weakref.ref(self.model))
        original(self)

    def ask(original: Callable[..., Any], self: SharedGeneration, *args: Any, **kwargs: Any) -> Any:
        nonlocal count, asking
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count, asking = count + 1, weakref.ref(self.model)
        return original(self, *args, **kwargs)

    def sample(original: Callable[..., Any], self: on_cpu.EagerLLM, *args: Any, **kwargs: Any) -> Any:
        off = difference(asking(), engine_model(self))
        write(event="generation", number=count, difference=off, made=len(on_cpu.MADE))
        return original(self, *args, **kwargs)

    def score(original: Callable[..., Any], self: NPOTrainer, inputs: Any) -> Any:
        output = original(self, inputs)
        ratio, guided = output.get("importance_sampling_ratio"), output.get("is_guided")
        if guided is not None and ratio is not None:
            off = (ratio[guided] - 1).abs()
            write(event="batch", num_guided=int(guided.sum()), off=float(off.max()) if off.numel() else 0.0)
        return output

    def carry_out(original: Callable[..., Any], self: Executor, stage: Any) -> None:
        original(self, stage)
        kind, made = type(stage).__name__, len(on_cpu.MADE)
        write(event="stage", kind=kind, engines=num_engines(), policies=num_policies(), made=made)

    wrap(SharedGeneration, "generate", ask)
    wrap(SharedGeneration, "_init_vllm", make)
    wrap(on_cpu.EagerLLM, "generate", sample)
    wrap(NPOTrainer, "_generate_and_score_completions", score)
    wrap(Executor, "_carry_out", carry_out)


def wrap(owner: type, name: str, around: Callable[..., Any]) -> None:
    """Call `around(original, self, ...)` instead of a method."""
    original = getattr(owner, name)
    setattr(owner, name, lambda self, *args, **kwargs: around(original, self, *args, **kwargs))
