"""What a configuration says about memory and time, for a number of devices: the batch, the lengths, the number formats.

    local        rollouts one device generates at once      per_device_train_batch_size x steps_per_generation
    micro        rollouts in one forward pass               per_device_train_batch_size
    step         rollouts of one optimizer step             micro x processes x gradient_accumulation_steps

Not here: bytes (`memory`), hours (`workload`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nearfuture.run.config import Configuration
from nearfuture.types import UserError

Sharding = Literal["ddp", "fsdp2"]
GIB = 1 << 30

# TRL 1.16's own defaults, where a configuration is silent.
DEFAULTS: Mapping[str, Any] = {
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_generations": 8,
    "num_iterations": 1,
    "max_completion_length": 256,
    "optim": "adamw_torch_fused",
    "vllm_gpu_memory_utilization": 0.3,
    "vllm_tensor_parallel_size": 1,
    "vllm_mode": "colocate",
}


@dataclass(frozen=True)
class Batch:
    """Which batch size is which, on `num_processes` devices."""

    num_processes: int
    micro: int
    num_generations: int
    accumulation: int
    steps_per_generation: int
    num_iterations: int

    @property
    def local(self) -> int:
        """Rollouts one device generates at once."""
        return self.micro * self.steps_per_generation

    @property
    def generated(self) -> int:
        """Rollouts all devices generate at once."""
        return self.local * self.num_processes

    @property
    def trained(self) -> int:
        """Rollouts one optimizer step trains on."""
        return self.micro * self.num_processes * self.accumulation

    @property
    def sampled_per_step(self) -> float:
        """Rollouts generated for one optimizer step, on the average."""
        return self.trained / self.num_iterations

    @property
    def prompts_per_step(self) -> float:
        """Prompts asked for one optimizer step."""
        return self.sampled_per_step / self.num_generations

    def __str__(self) -> str:
        return (
            f"{self.prompts_per_step:g} prompts x {self.num_generations} generations = {self.sampled_per_step:g} "
            f"rollouts a step, {self.generated} generated at once; one update of {self.trained} rollouts "
            f"({self.micro} per device x {self.accumulation} accumulation x {self.num_processes} process(es))"
        )


def batch_of(config: Configuration, num_processes: int) -> Batch:
    """The batch of a configuration on so many devices, as TRL works it out.

    Raises:
        UserError: groups would be cut, with the numbers.
    """
    given = {**DEFAULTS, **config.training}
    micro, accumulation = int(given["per_device_train_batch_size"]), int(given["gradient_accumulation_steps"])
    at_once = given.get("generation_batch_size")
    if at_once is not None and at_once % (micro * num_processes):
        raise UserError(
            f"generation_batch_size={at_once} is no multiple of per_device_train_batch_size={micro} x {num_processes} "
            "processes. Change one of them."
        )
    steps = given.get("steps_per_generation") or (at_once and at_once // (micro * num_processes)) or accumulation
    batch = Batch(
        num_processes, micro, int(given["num_generations"]), accumulation, int(steps), int(given["num_iterations"])
    )
    if batch.generated % batch.num_generations:
        raise UserError(
            f"{batch.generated} rollouts are generated at once ({batch.micro} per device x {steps} micro-batches x "
            f"{num_processes} processes), which is no multiple of num_generations={batch.num_generations}. Raise "
            "per_device_train_batch_size or gradient_accumulation_steps."
        )
    return batch


@dataclass(frozen=True)
class Numerics:
    """Number formats of a forward pass, in bytes.

    Attributes:
        compute: of matrix products and their results.
        stream: of the hidden states between layers.
        weight: of the weights that are kept.
        trained: of the weights that are trained, and of their gradients and optimizer states.
        casts: autocast copies weights and inputs into the compute format, and the backward pass keeps the copies.
    """

    compute: int
    stream: int
    weight: int
    trained: int
    casts: bool


BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def numerics_of(config: Configuration, stored: str, sharding: Sharding, *, on_cpu: bool = False) -> Numerics:
    """The number formats of a run.

    Args:
        config: its `dtype`, `bf16`, `fp16`, `use_peft`.
        stored: in which the model's files hold the weights; TRL keeps it where `dtype` is not set.
        sharding: accelerate keeps what FSDP2 trains in float32, and computes with copies of one unit at a time.
        on_cpu: `bf16` is then off where it is not set, as in `NPOConfig`.
    """
    dtype = str(config.model.get("dtype") or stored)
    weight = BYTES[stored if dtype in ("auto", "None") else dtype]
    is_mixed = bool(config.training.get("bf16", not on_cpu) or config.training.get("fp16"))
    compute = 2 if is_mixed else weight
    if config.model.get("use_peft"):  # peft keeps adapters in float32
        return Numerics(compute, min(weight, 4), weight, 4, casts=is_mixed)
    if sharding == "fsdp2" and is_mixed:
        return Numerics(compute, compute, 4, 4, casts=False)
    return Numerics(compute, weight, weight, weight, casts=is_mixed and weight != compute)


@dataclass(frozen=True)
class Lengths:
    """Tokens and images of one rollout.

    Attributes:
        prompt: longest, tokens of images included.
        completion: longest.
        patches: of all images of a prompt.
    """

    prompt: int
    completion: int
    patches: int = 0

    @property
    def total(self) -> int:
        """Tokens of the longest sequence."""
        return self.prompt + self.completion
