"""`nearfuture` under FSDP2 on a CPU: accelerate shards on accelerators only, so the processes call theirs one.

    torchrun --nproc-per-node 2 tests/fsdp2_script.py train CONFIG.yaml ...     with accelerate's FSDP_* variables set

Not here: what must hold (`test_two_process_run`).
"""

from __future__ import annotations

import sys
from typing import Any

from accelerate.state import PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor

from nearfuture.cli import app
from nearfuture.train import TRLEngine

begin = PartialState.__init__
generate = TRLEngine.generate


def begin_as_accelerator(self: PartialState, *args: Any, **kwargs: Any) -> None:
    """Set up gloo on the CPU as ever, and state another kind of device."""
    begin(self, *args, **kwargs)
    if self.distributed_type == DistributedType.MULTI_CPU:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_HPU


def generate_from_shards(self: TRLEngine, *args: Any) -> list[list[int]]:
    """TRL hands weights to vLLM as `DTensor.full_tensor()`: what is not sharded could not be sampled there."""
    assert all(isinstance(p, DTensor) for p in self.trainer.model.parameters())
    return generate(self, *args)


if __name__ == "__main__":
    PartialState.__init__ = begin_as_accelerator
    TRLEngine.generate = generate_from_shards
    app(sys.argv[1:])
