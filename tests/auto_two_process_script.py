"""One process of `test_autonpo_two_processes`: run AutoNPO on this process's share, and write down what it decided.

    ACCELERATE_USE_CPU=true torchrun --nproc-per-node 2 tests/auto_two_process_script.py FOLDER

    FOLDER/acted      a run from its first step to its end
    FOLDER/resumed    the same run, put back to where the trigger fired and resumed
    FOLDER/greedy     a run that draws no random numbers, so that one process decides what two decide

Writes FOLDER/<rank>.json: the lineage that each process holds in memory, and the errors of runs that cannot begin.

Not here: what must hold (`test_autonpo_two_processes`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tiny
import torch
from auto_runs import configuration, fired, run
from torchrun import leave

from nearfuture.run import build
from nearfuture.run.disk import disk_plan
from nearfuture.run.executor import Executor
from nearfuture.run.show import Display
from nearfuture.train import processes
from nearfuture.train.callbacks import StopWhen
from nearfuture.types import UserError

HALF = "per_device_train_batch_size=32"
GREEDY = [
    *("top_k=1", "source=traces", "optim=sgd", "learning_rate=0.02", "seed=7", "max_steps=14"),
    *("autonpo.probe_min_solved=0", "autonpo.probe_min_pass_rate=0", "autonpo.probe_num_prompts=16"),
]


def held(folder: Path, *settings: str) -> str:
    """Run a folder that holds a lineage already, and return the lineage that this process has at the end."""
    config = configuration(folder, *settings)
    task = build.load_checked_task(config)
    plan = disk_plan(config, build.base_model(config, task), len(task.train))
    executor = Executor(config, task, Display(config, plan, quiet=True))
    assert executor.run() == "finished"
    return repr(executor.lineage)


def refused(begin: Callable[[], Any]) -> str:
    """The error this process ends with."""
    try:
        begin()
    except UserError as error:
        return str(error)
    return "none"


def stop_one(folder: Path, rank: int) -> None:
    """Train with a decision that only the second process makes."""
    trainer = tiny.npo(folder, max_steps=4, callbacks=[StopWhen(lambda step, logs: rank == 1 and step == 2)])
    trainer.train()


def fail_on_second(rank: int, part: Sequence[int]) -> list[int]:
    """Do a part of the work, but for one process."""
    if rank == 1:
        raise UserError(f"row {part[0]} cannot be read")
    return list(part)


def main() -> None:
    folder = Path(sys.argv[1])
    run(folder / "acted", HALF)
    rank = torch.distributed.get_rank()
    if rank == 0:
        fired(folder / "acted", folder / "resumed")
    torch.distributed.barrier()
    seen = {
        "lineage": held(folder / "resumed", HALF),
        "configuration": refused(lambda: run(folder / "bad", HALF, f"autonpo.min_stretch={6 + rank}")),
        "data": refused(lambda: run(folder / "bad", HALF, f"task={folder}/task.py:by_rank")),
        "decision": refused(lambda: stop_one(folder / "stopped", rank)),
        "shared": processes.shared(lambda part: [[rank, i] for i in part], 3),
        "shared, one fails": refused(lambda: processes.shared(lambda part: fail_on_second(rank, part), 3)),
    }
    run(folder / "greedy", HALF, *GREEDY)
    (folder / f"{rank}.json").write_text(json.dumps(seen))
    leave()


if __name__ == "__main__":
    main()
