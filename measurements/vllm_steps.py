"""What guidance costs where vLLM samples: every number is a ratio of pairs that were measured in turns, in one process.

What it does: on the apprentice world, with vLLM's CPU build in the process (colocated, float32, eager), measures a step
with the gate closed and open over a step of TRL's own GRPO with vLLM, collection over plain generation, and a rollback
of a run, which keeps its engine, over a restart from a checkpoint, which starts one. All in CPU time, in which other
jobs of the machine do not count; the disk does not either.

What it leaves out: GPUs, where starting an engine takes minutes and sampling seconds; images; a server.

    make test-vllm                                                            # once: the environment
    .venv-engines/bin/python measurements/vllm_steps.py                       # about 6 minutes of CPU time
    .venv-engines/bin/python measurements/vllm_steps.py --only rollback       # a part
    .venv-engines/bin/python measurements/vllm_steps.py --write               # and write measurements/results/vllm.md

Expected before the first run: 1.01 for a step with the gate closed, 1.03 with it open (what is pushed into the engine
and what it samples is the same), 0.9 for collection, 0.5 for a rollback.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests_engines"))
import conftest  # noqa: F401 - sets what vLLM reads from the environment
import on_cpu
import torch
import trl.generation.vllm_generation as backend
import vllm
from cost import rollback
from cost.clock import STEPS_PER_TURN, in_turns
from cost.collection import Recorded
from cost.rows import Row, divide, ratio_row
from cost.world import World, collect
from transformers.utils import logging
from wide_heads import widen

from nearfuture.guidance import GuidanceCache
from nearfuture.run.rows import plain_rows
from nearfuture.tasks import load_task
from nearfuture.train import TRLEngine, vllm_training
from nearfuture.train.memory import collect as free

RESULTS = Path(__file__).parent / "results"
VLLM = {"use_vllm": True, "vllm_mode": "colocate", "vllm_max_model_length": 64}
SETTINGS = {**VLLM, "per_device_train_batch_size": 128}
CONSTANT = {"learning_rate": 0.0, "shuffle_dataset": False, "max_steps": STEPS_PER_TURN}


class Float32LLM(on_cpu.EagerLLM):
    """The engine of both trainers: left to itself, TRL's samples in bfloat16, slow on most CPUs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"dtype": "float32", **kwargs})


def measure_steps(world: World, num_turns: int) -> list[Row]:
    """Step time over TRL's, both with an engine of their own."""
    cache = GuidanceCache.open(world.guidance())
    arms = {
        "closed": world.npo(cache, max_pass_rate=-1.0, **CONSTANT),
        "open": world.npo(cache, **CONSTANT),
        "trl": world.trl(**CONSTANT),  # the last: its engine makes whoever is built after it train under DDP
    }
    times = in_turns(world, arms, num_turns)
    rows = []
    for name, what, bar, expected in (
        ("closed", "step time with vLLM, gate closed / TRL", "<= 1.02", "1.01"),
        ("open", "step time with vLLM, gate open / TRL", "<= 1.05", "1.03"),
    ):
        wall = statistics.median(divide(times[name].wall, times["trl"].wall))
        least = times[name].least() / times["trl"].least()
        note = f"of the minima {least:.3f}, wall clock {wall:.3f}; TRL {statistics.median(times['trl'].cpu):.2f} CPU s"
        rows.append(ratio_row(what, bar, expected, divide(times[name].cpu, times["trl"].cpu), note))
    return rows


def measure_collection(world: World, num_turns: int) -> list[Row]:
    """Samples per second of a whole collection over those of `engine.generate` alone, on the very same batches."""
    guide = world.npo()
    rows = plain_rows(world.rows)[:512]
    ratios, extra = [], []
    for turn in range(num_turns):
        recorded = Recorded(TRLEngine(guide))
        began = time.process_time()
        collect(guide, world, rows, world.folder / f"collection-{turn}", recorded)
        whole = time.process_time() - began
        began = time.process_time()
        for asked, seed in recorded.asked:
            recorded.engine.generate(asked, seed)
        plain = time.process_time() - began
        ratios.append(plain / whole)
        extra.append((whole - plain) / sum(len(asked) for asked, _ in recorded.asked) * 1e6)
    note = f"{statistics.median(extra):.0f} us of CPU more a sample"
    return [ratio_row("collection with vLLM, samples/s / plain generation", ">= 0.95", "0.9", ratios, note)]


def measure_rollback(world: World, num_turns: int) -> list[Row]:
    """A rollback, its collection taken off, over a trainer built, an engine started, a checkpoint loaded, a step."""
    started = []

    def drop_engine() -> None:
        vllm_training.ENGINES.clear()
        free()

    class Timed(Float32LLM):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            began = time.process_time()
            super().__init__(*args, **kwargs)
            started.append(time.process_time() - began)

    backend.LLM = Timed
    fresh = rollback.in_turns(world, num_turns, SETTINGS, drop_engine, time.process_time)
    num_started = len(started)
    kept = rollback.in_turns(world, num_turns, SETTINGS, clock=time.process_time)
    backend.LLM = Float32LLM
    note = f"{fresh.note}; {num_started} engines started by {num_turns} runs and {num_turns} restarts, "
    note += f"{statistics.median(started):.2f} s each"
    what = "rollback of a run with vLLM / fresh trainer, fresh engine, one load, first step"
    same = "the same / fresh trainer on the engine that is there, one load, first step"
    return [
        ratio_row(what, "<= 2", "0.5", divide(fresh.ours, fresh.theirs), note),
        ratio_row(same, "", "1.7", divide(kept.ours, kept.theirs), kept.note),
    ]


PARTS: dict[str, tuple[Callable[[World, int], list[Row]], int]] = {
    "steps": (measure_steps, 12),
    "collection": (measure_collection, 5),
    "rollback": (measure_rollback, 3),
}
"""What is measured, and in how many turns."""


def table(rows: list[Row]) -> str:
    """The rows in Markdown, with the machine and how busy it was."""
    verdicts = {True: "yes", False: "**no**", None: ""}
    machine = f"{platform.machine()} CPU, 1 thread, torch {torch.__version__}, vLLM {vllm.__version__}"
    lines = [
        f"{machine}; {os.getloadavg()[2]:.1f} processes wanted {os.cpu_count()} cores in the last quarter of an hour.",
        "",
        "| what | bar | expected | measured: median (95 % interval) | met |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(
        lines + [f"| {r.what} | {r.bar} | {r.expected} | {r.measured} | {verdicts[r.is_met]} |" for r in rows]
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS), action="append", help="one part; may be given more than once")
    parser.add_argument("--turns", type=int, help="pairs of every part")
    parser.add_argument("--write", action="store_true", help="also write measurements/results/vllm.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    vllm.LLM = backend.LLM = Float32LLM
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        model = widen(Path(str(load_task("apprentice").model)), Path(folder) / "model")
        world = World(Path(folder), settings=SETTINGS, model=model)
        for name in options.only or PARTS:
            measure, num_turns = PARTS[name]
            rows += measure(world, options.turns or num_turns)
            print(table(rows), flush=True)
    if options.write:
        (RESULTS / "vllm.md").write_text(f"{__doc__}\n{table(rows)}\n")


if __name__ == "__main__":
    main()
