"""Are two processes twice as fast where a policy is asked? Collection, probe and evaluation, on one process and on two.

    python measurements/two_processes.py             # prints a table: a minute or two of CPU
    python measurements/two_processes.py --write     # and writes measurements/results/two_processes.md

In turns, the same work is done by one process and by two (gloo, a core each on a machine at rest). What counts is CPU
time per sample of the busier process: a process that waits spends none, so that a busy machine changes little. It is
measured with the verifier of the world that ships (rules, microseconds) and with one that takes a millisecond, as an
answer that needs sympy does. Processes are forks of one that has loaded the libraries; starting is not counted.

Not here: training on two processes (`tests/test_two_processes.py`: it trains what one trains); a GPU.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
TURNS = 3
NUM_PROMPTS = 192
PRELOADED = ("cost.world", "nearfuture.train", "nearfuture.guidance", "nearfuture.guidance.held_out")
VERIFIERS = {"rules": 0.0, "1 ms a verdict": 0.001}
Spent = dict[str, list[float]]
"""By what was done and with which verifier: CPU seconds per sample of the busier process, a value a turn."""


def work(rank: int, num_processes: int, port: str, folder: Path) -> None:
    """One of the processes: do everything, write down its CPU time and how many samples there were."""
    if num_processes > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num_processes)}
        os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    import torch
    from cost.world import World

    from nearfuture.train import TRLEngine

    torch.set_num_threads(1)
    world = World(folder / str(rank))
    engine = TRLEngine(world.npo())
    rows = world.rows.to_list()[:NUM_PROMPTS]
    engine.generate(rows[:8], seed=0)  # the first call warms up
    found = {}
    for verifier, seconds in VERIFIERS.items():
        verify = slowed(world.task.verify, seconds)
        for name, ask in {"collection": collection, "probe": probe, "evaluation": evaluation}.items():
            engine.broadcast(None)
            began = time.process_time()
            num_samples = ask(engine, rows, verify, folder / f"{name}-{seconds}")
            found[f"{name}, {verifier}"] = (time.process_time() - began) / num_samples
    (folder / f"{rank}.json").write_text(json.dumps(found))
    if num_processes > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def slowed(verify: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """The verifier, computing for so many seconds more."""

    def slow(text: str, row: dict[str, Any]) -> Any:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return verify(text, row)

    return slow if seconds else verify


def collection(engine: Any, rows: list[Any], verify: Any, folder: Path) -> int:
    """Collect guidance, and say how many samples that took."""
    from nearfuture.guidance import collect_guidance
    from nearfuture.types import PolicyRef

    return collect_guidance(engine, rows, verify, folder, guide=PolicyRef(0, 1, "checkpoint")).header.counts.num_samples


def probe(engine: Any, rows: list[Any], verify: Any, _: Path) -> int:
    """Four samples each of some prompts, as AutoNPO's probe draws them."""
    from nearfuture.guidance.ask import ask

    asked = [row for row in rows[:64] for _ in range(4)]
    return len(list(ask(engine, verify, asked, batch_size=256, seeds=count())))


def evaluation(engine: Any, rows: list[Any], verify: Any, _: Path) -> int:
    """Two samples of every prompt."""
    from nearfuture.guidance.held_out import answer

    answers = answer(engine, rows, verify, num_samples=2, batch_size=256, seed=0)
    return len(answers.num_judged) * answers.num_samples


def turn(num_processes: int, scratch: Path) -> dict[str, float]:
    """Do everything with so many processes; CPU seconds per sample of the busier one."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        port = str(taken.getsockname()[1])
    processes = [
        context.Process(target=work, args=(rank, num_processes, port, folder)) for rank in range(num_processes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0, process
    each = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(num_processes)]
    return {name: max(found[name] for found in each) for name in each[0]}


def table(one: Spent, two: Spent) -> list[str]:
    """A line for each thing that was done."""
    lines = [
        "| what | one process, CPU us a sample | two, the busier one | speed-up, median (all turns) |",
        "|---|---|---|---|",
    ]
    for name in one:
        ratios = sorted(a / b for a, b in zip(one[name], two[name], strict=True))
        medians = [f"{1e6 * statistics.median(found[name]):.0f}" for found in (one, two)]
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        lines.append(f"| {name} | {medians[0]} | {medians[1]} | {spread} |")
    return lines


def main() -> None:
    """Measure in turns, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    spent: dict[int, Spent] = {1: {}, 2: {}}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(given.turns):
            for num_processes in (1, 2) if number % 2 else (2, 1):
                for name, seconds in turn(num_processes, Path(scratch)).items():
                    spent[num_processes].setdefault(name, []).append(seconds)
            print("\n".join(table(spent[1], spent[2])), flush=True)
    if given.write:
        heading = ["# Asking a policy on two processes", "", "Written by `measurements/two_processes.py`.", ""]
        (RESULTS / "two_processes.md").write_text("\n".join([*heading, *table(spent[1], spent[2]), ""]))


if __name__ == "__main__":
    main()
