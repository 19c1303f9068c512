"""What a configuration says about memory and time, for a number of devices: the batch, the lengths, the number formats.

    local        rollouts one device generates at once      per_device_train_batch_size x steps_per_generation
    micro        rollouts in one forward pass               per_device_train_batch_size
    step         rollouts of one optimizer step             micro x processes x gradient_accumulation_steps

Not here: bytes and hours (`nearfuture.lab.forecast`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nearfuture.run.settings.config import Configuration
from nearfuture.types import UserError

Sharding = Literal["ddp", "fsdp2"]
STATES_PER_PARAMETER = {
    "adamw_torch_fused": 2.0,
    "adamw_torch": 2.0,
    "adamw_8bit": 0.5,
    "adamw_bnb_8bit": 0.5,
    "paged_adamw_8bit": 0.5,
    "paged_adamw_32bit": 2.0,
    "adafactor": 0.0,
    "sgd": 0.0,
}
"""How many numbers an optimizer keeps per trained parameter, in units of that parameter's own format (8-bit optimizers
keep two, each a quarter of a float32)."""


def states_per_parameter(config: Configuration) -> float:
    """How many numbers a run's optimizer keeps per trained parameter; two, as for AdamW, if it is unknown."""
    return STATES_PER_PARAMETER.get(str(config.training.optim), 2.0)


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
        """Rollouts that one device generates at once."""
        return self.micro * self.steps_per_generation

    @property
    def generated(self) -> int:
        """Rollouts that all devices generate at once."""
        return self.local * self.num_processes

    @property
    def trained(self) -> int:
        """Rollouts that one optimizer step trains on."""
        return self.micro * self.num_processes * self.accumulation

    @property
    def sampled_per_step(self) -> float:
        """Rollouts generated for one optimizer step, on average."""
        return self.trained / self.num_iterations

    @property
    def prompts_per_step(self) -> float:
        """Prompts asked for one optimizer step."""
        return self.sampled_per_step / self.num_generations

    def __str__(self) -> str:
        return (
            f"{self.prompts_per_step:g} prompts x {self.num_generations} generations = {self.sampled_per_step:g} "
            f"rollouts per step, {self.generated} generated at once; one update of {self.trained} rollouts "
            f"({self.micro} per device x {self.accumulation} accumulation x {self.num_processes} process(es))"
        )


def batch_of(config: Configuration, num_processes: int) -> Batch:
    """Return the batch of a configuration on this many devices, as TRL computes it.

    Raises:
        UserError: groups would be split; the message has the numbers.
    """
    micro = config.training.per_device_train_batch_size
    accumulation, num_generations = config.training.gradient_accumulation_steps, config.training.num_generations
    at_once = config.training.generation_batch_size
    if at_once is not None and at_once % (micro * num_processes):
        raise UserError(
            f"generation_batch_size={at_once} is not a multiple of per_device_train_batch_size={micro} x "
            f"{num_processes} processes. Change one of them."
        )
    steps = config.training.steps_per_generation or (at_once and at_once // (micro * num_processes)) or accumulation
    batch = Batch(num_processes, micro, num_generations, accumulation, int(steps), config.training.num_iterations)
    if batch.generated % batch.num_generations:
        raise UserError(
            f"{batch.generated} rollouts are generated at once ({batch.micro} per device x {steps} micro-batches x "
            f"{num_processes} processes), which is not a multiple of num_generations={batch.num_generations}. Raise "
            "per_device_train_batch_size or gradient_accumulation_steps."
        )
    return batch


@dataclass(frozen=True)
class Numerics:
    """Number formats of a forward pass, in bytes.

    Attributes:
        compute: for matrix products and their results.
        stream: for the hidden states between layers.
        weight: for the stored weights.
        trained: for the weights that are trained, their gradients and optimizer states.
        casts: autocast copies weights and inputs into the compute format, and the backward pass keeps the copies.
    """

    compute: int
    stream: int
    weight: int
    trained: int
    casts: bool


BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def weights_dtype(config: Configuration, stored: str) -> str:
    """Return the format in which TRL loads the weights: `dtype`, where "auto" means that of the files."""
    dtype = config.model.dtype
    return stored if dtype in (None, "auto") else str(dtype)


def numerics_of(config: Configuration, stored: str, sharding: Sharding, *, on_cpu: bool = False) -> Numerics:
    """Return the number formats of a run.

    Args:
        config: the configuration, of which `dtype`, `bf16`, `fp16` and `use_peft` matter.
        stored: the format of the weights in the model's files.
        sharding: accelerate keeps what FSDP2 trains in float32, and computes with copies of one unit at a time.
        on_cpu: `bf16` is then off unless it is set, as in `NPOConfig`.
    """
    weight = BYTES[weights_dtype(config, stored)]
    is_mixed = bool(_bf16(config, on_cpu) or config.training.fp16)
    compute = 2 if is_mixed else weight
    if config.model.use_peft:  # peft keeps adapters in float32
        return Numerics(compute, min(weight, 4), weight, 4, casts=is_mixed)
    if sharding == "fsdp2" and is_mixed:
        return Numerics(compute, compute, 4, 4, casts=False)
    return Numerics(compute, weight, weight, weight, casts=is_mixed and weight != compute)


def _bf16(config: Configuration, on_cpu: bool) -> bool:
    bf16 = config.training.bf16
    return not on_cpu if bf16 is None else bool(bf16)


@dataclass(frozen=True)
class Lengths:
    """Tokens and images of one rollout.

    Attributes:
        prompt: tokens of the longest prompt, images included.
        completion: tokens of the longest completion.
        patches: patches of all images of a prompt.
    """

    prompt: int
    completion: int
    patches: int = 0

    @property
    def total(self) -> int:
        """Tokens of the longest sequence."""
        return self.prompt + self.completion
