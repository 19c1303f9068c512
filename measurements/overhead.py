"""What guidance costs on top of TRL: every number is a ratio of pairs that were measured in turns, inside one run.

What it does: measures, on the apprentice world at its real batch size (configs/apprentice/grpo.yaml), the bits and the
time of a step with the gate closed and open, its peak memory, the collection of guidance, a rollback, and generation;
prints a table, with what was expected before the first run.

What it leaves out: absolute times (they are the machine's), vLLM, more than one process, GPUs.

    OMP_NUM_THREADS=1 python measurements/overhead.py                # about 10 minutes
    OMP_NUM_THREADS=1 python measurements/overhead.py --write        # and write measurements/results/overhead.{md,json}
    OMP_NUM_THREADS=1 python measurements/overhead.py --only steps   # one part, 1 to 3 minutes

How steps are timed: each arm has a trainer, built once. In turns, in an order drawn anew each time, each trains four
steps on the same prompts, of which the first is not counted. The learning rate is 0, so that all arms have the same
policy and draw the same rollouts: what differs is what is measured. The policy is the base model and there is guidance
for every prompt, so that nearly every group is guided: the dearest case. A step waits for nothing and runs on one
thread, so its CPU time is its time on a machine at rest, where other jobs do not count; the wall clock is beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from cost.collection import measure_collection
from cost.generation import measure_generation, measure_threads
from cost.memory import child, measure_memory
from cost.rollback import measure_rollback
from cost.rows import Row
from cost.steps import measure_bits, measure_shares, measure_steps
from cost.world import World
from transformers.utils import logging

RESULTS = Path(__file__).parent / "results"

PARTS: dict[str, Callable[[World], list[Row]]] = {
    "bits": measure_bits,
    "steps": measure_steps,
    "shares": measure_shares,
    "memory": measure_memory,
    "collection": measure_collection,
    "rollback": measure_rollback,
    "generation": measure_generation,
    "threads": measure_threads,
}


def table(parts: dict[str, list[Row]], machine: str) -> str:
    """The table in Markdown."""
    verdicts = {True: "yes", False: "**no**", None: ""}
    rows = [row for name in PARTS for row in parts.get(name, [])]
    lines = [f"| {r.what} | {r.bar} | {r.expected} | {r.measured} | {verdicts[r.is_met]} |" for r in rows]
    return "\n".join(
        [
            "# What guidance costs",
            "",
            f"Written by `measurements/overhead.py` ({machine}). Ratios are medians of pairs measured in turns, with a",
            "95 % interval for the median and the number of pairs; `expected` was written down before the first run.",
            "",
            "| what | bar | expected | measured | met |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS), action="append", help="one part; may be given more than once")
    parser.add_argument("--write", action="store_true", help="update measurements/results/overhead.md and .json")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        parts = {name: PARTS[name](world) for name in options.only or PARTS}
    machine = f"{platform.machine()} CPU, 1 thread, Python {platform.python_version()}, torch {torch.__version__}"
    print(table(parts, machine))
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / "overhead.json"
        before = json.loads(path.read_text())["parts"] if path.exists() else {}
        merged = {name: [Row(**row) for row in rows] for name, rows in before.items()} | parts
        facts = {"machine": machine, "parts": {name: [asdict(row) for row in merged[name]] for name in sorted(merged)}}
        path.write_text(json.dumps(facts, indent=1) + "\n")
        path.with_suffix(".md").write_text(table(merged, machine))


if __name__ == "__main__":
    main()
