"""How long the report of a comparison of 40 runs takes, from nothing to the page on disk, and how big the page is.

What it does: trains one short run of the apprentice, spreads its rows over 8 methods x 5 seeds of 240 steps each (no
value matters here, only how much there is to read and to draw), and times `nearfuture report` as a process of its own.

What it leaves out: real comparisons (measurements/results/compare), whose pages have the same size.

    OMP_NUM_THREADS=1 python measurements/report_time.py --output runs/report_time
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nearfuture import seal

METHODS = ("grpo", "luffy", "exgrpo", "rlep", "npo_early", "npo_late", "npo_early_late", "autonpo")
SEEDS = range(100, 105)
NUM_STEPS, EVAL_EVERY, NUM_SAMPLES = 240, 20, 16
CONFIG = Path(__file__).parent.parent / "configs" / "apprentice" / "tiny.yaml"

Row = dict[str, Any]


def nearfuture(*arguments: object) -> None:
    """Call the command line in a process of its own."""
    subprocess.run([sys.executable, "-m", "nearfuture", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def read(path: Path) -> list[Row]:
    """Read rows of JSON, without their seals: they are written again with other steps."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != seal.KEY} for row in rows]


def write(path: Path, rows: list[Row]) -> None:
    """Write rows of JSON."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def stretch(rows: list[Row]) -> list[Row]:
    """As many rows as a run of `NUM_STEPS` writes: the training rows again and again, evaluations in between."""
    trained = [row for row in rows if "loss" in row]
    evaluated = next(row for row in rows if "eval/pass_rate" in row)
    at = {"segment": 0}
    found = [{**evaluated, **at, "step": 0, "total_steps": 0}]
    for step in range(1, NUM_STEPS + 1):
        place = {**at, "step": step, "total_steps": step}
        found.append({**trained[step % len(trained)], **place})
        if step % EVAL_EVERY == 0:
            found.append({**evaluated, **place})
    return found


def spread(seed_run: Path, folder: Path) -> None:
    """Lay out the folder of a comparison that holds the run once for every method and seed."""
    rows = stretch(read(seed_run / "metrics.jsonl"))
    lineage = json.loads((seed_run / "lineage.json").read_text())
    for name in (seal.KEY, "origin"):  # of a run that was begun before there were seals
        lineage.pop(name, None)
    first = lineage["segments"][0] | {"end_step": NUM_STEPS, "reason": "horizon", "abandoned_from": None}
    lineage["segments"] = [first]
    lineage |= {name: 0 for name in ("head",) if name in lineage}
    families = [f"family-{number}" for number in range(8)]
    prompts = [
        {"prompt_id": f"{family}-{i}", "family": family, "num_correct": i % NUM_SAMPLES, "num_judged": NUM_SAMPLES}
        for family in families
        for i in range(64)
    ]
    test = {"version": 1, "task": "apprentice", "split": "test", "num_samples": NUM_SAMPLES, "seed": 1}
    test |= {"num_unjudged": 0, "verifier_version": "1", "prompts": prompts}
    grid = {"version": 1, "base": {"task": "apprentice", "max_steps": NUM_STEPS}, "reference": METHODS[-1]}
    grid |= {"methods": {name: {} for name in METHODS}, "cells": [[name, seed] for name in METHODS for seed in SEEDS]}
    grid |= {"test_num_samples": NUM_SAMPLES, "pass_at": [1, 8]}
    folder.mkdir(parents=True)
    (folder / "grid.json").write_text(json.dumps(grid))
    for name in ("base", *(f"{method}-{seed}" for method, seed in grid["cells"])):
        run = folder / name
        run.mkdir()
        (run / "test.json").write_text(json.dumps(test))
        if name == "base":
            continue
        (run / "final").mkdir()
        (run / "lineage.json").write_text(json.dumps(lineage))
        for file in ("config.yaml", "env.json", "samples.jsonl"):
            shutil.copy(seed_run / file, run / file)
        write(run / "events.jsonl", [])
        write(run / "metrics.jsonl", rows)


def main() -> None:
    """Make the folder, report on it, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the runs; a study in it is made anew")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    seed_run, study = options.output / "seed", options.output / "study"
    if not (seed_run / "final").exists():
        nearfuture("train", CONFIG, f"run_dir={seed_run}", "--clean")
    shutil.rmtree(study, ignore_errors=True)
    spread(seed_run, study)
    for _ in range(options.repeats):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        nearfuture("report", study)
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = (study / "report" / "index.html").stat().st_size
        print(
            f"{len(METHODS) * len(SEEDS)} runs: {wall:.2f} s, {cpu:.2f} s of CPU, page {size / 1e6:.2f} MB", flush=True
        )


if __name__ == "__main__":
    main()
