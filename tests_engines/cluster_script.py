"""`nearfuture` on a cluster that is one CPU: accelerate launch ... tests_engines/cluster_script.py ARGUMENTS

accelerate shards on accelerators only, and knows no DeepSpeed on a CPU (each process would take itself for the only
one); DeepSpeed would compile an all-reduce in shared memory, minutes of g++. All are told of gloo and another device.

Not here: what must hold (`test_distributed`).
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from accelerate.state import DistributedType, PartialState


def is_asked_for(engine: str) -> bool:
    """What the launcher made of its file."""
    return os.environ.get(f"ACCELERATE_USE_{engine}", "false").lower() == "true"


def shard_on_cpu() -> None:
    """Set up gloo on the CPU as ever, and state another kind of device."""
    begin = PartialState.__init__

    def begin_as_accelerator(self: PartialState, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_HPU

    PartialState.__init__ = begin_as_accelerator


def deepspeed_on_cpu() -> None:
    """gloo, and nothing to compile."""
    communication = importlib.import_module("deepspeed.comm.torch")  # as an attribute of deepspeed.comm it is torch
    communication.build_shm_op = lambda: None
    PartialState._prepare_backend = lambda self, *args: ("gloo", DistributedType.MULTI_GPU)


def begin() -> None:
    """Put in place what the launcher's variables ask for."""
    if is_asked_for("DEEPSPEED"):
        deepspeed_on_cpu()
        return
    os.environ["ACCELERATE_USE_CPU"] = "true"
    if is_asked_for("FSDP"):
        shard_on_cpu()


def run(arguments: list[str], output: Path, environment: dict[str, str]) -> None:
    """In a fork that has loaded the libraries already (`tests/warm.py`): one of the launched processes."""
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, sys.stdout.fileno())
    os.dup2(stream, sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    begin()
    from nearfuture.cli import main

    sys.argv = ["nearfuture", *arguments]
    main()


if __name__ == "__main__":
    begin()
    from nearfuture.cli import main

    sys.argv[0] = "nearfuture"
    main()
