"""What a plan is made for: how many devices of which kind, and how fast; readable without torch.

Not here: the plan for them (`planner`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfuture.types import UserError

if TYPE_CHECKING:
    from nearfuture.run.settings.sizes import Sharding

GB = 10**9
LARGEST = 10**12
"""No machine has more devices, memory or speed."""
DEFAULT_PIXELS = 1 << 20
"""Pixels of an image if no limit is set."""
OVERHEAD_GB = 2.0
"""GB of an accelerator that are taken before any tensor exists, or that the allocator cannot reuse."""


@dataclass(frozen=True)
class Wanted:
    """What a plan is made for; a value of None is worked out or assumed, and the plan says which.

    Attributes:
        gpus: devices per node.
        nodes: the number of nodes.
        gpu_memory: GB of one device.
        sharding: `ddp`, or `fsdp2` (full shard).
        tokens_per_second: tokens that one device generates per second.
        train_tokens_per_second: tokens that one device trains on per second.
        teraflops: the sustained speed of one device while training, if `train_tokens_per_second` is None.
        prompt_tokens: mean length of a prompt, images included.
        completion_tokens: mean length of a completion.
        images: images per prompt.
        is_measured: the rates and mean lengths were measured on this machine.
        is_cpu: no accelerator: torch's kernels, float32 by default, nothing taken by CUDA.
    """

    gpus: int = 1
    nodes: int = 1
    gpu_memory: float = 80.0
    sharding: Sharding = "ddp"
    tokens_per_second: float = 2000.0
    train_tokens_per_second: float | None = None
    teraflops: float = 250.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    images: int = 1
    is_measured: bool = False
    is_cpu: bool = False

    @property
    def num_devices(self) -> int:
        """The number of devices on all nodes."""
        return self.gpus * self.nodes

    def __post_init__(self) -> None:
        for name in ("gpus", "nodes", "gpu_memory", "tokens_per_second", "train_tokens_per_second", "teraflops"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LARGEST:
                raise UserError(f"--{name.replace('_', '-')} {value:g} must be over 0, and at most {LARGEST:.0e}.")
