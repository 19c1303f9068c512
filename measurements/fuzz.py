"""Thousands of configurations, rows, traces, caches, lineages, logs and paths that nobody should write, and what the
commands make of them: every one must end with a documented exit code, without a traceback, and one that is refused
must leave the files as they were.

    python measurements/fuzz.py --num 10000 --output fuzz.jsonl      hours on one core; --kind data for one kind

A case is a kind and a number and is made again by `python tests/fuzz_runner.py KIND NUMBER`.

Not here: the cases (`tests/fuzz_kinds.py`), the slice that the suite runs (`tests/test_fuzz.py`).
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import fuzz_runner
from fuzz_kinds import KINDS

for name in fuzz_runner.IMPORTED:  # once, before the forks
    importlib.import_module(name)

SHARES = {"configurations": 0.3, "responses": 0.2, "starts": 0.03, "lineages": 0.06, "paths": 0.08}
"""Of all cases; the other kinds share what is left. A start takes seconds, a dry run milliseconds."""


def main() -> None:
    """Run the cases of every kind, write a line a fault, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case of every kind")
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    kinds = given.kind or list(KINDS)
    rest = (1 - sum(SHARES.values())) / (len(KINDS) - len(SHARES))
    for kind in kinds:
        number = given.num if given.kind else round(given.num * SHARES.get(kind, rest))
        one_kind(kind, range(given.first, given.first + number), given.output)


def one_kind(kind: str, numbers: range, output: Path) -> None:
    """Run the cases of a kind and print its line."""
    began, codes, places = time.monotonic(), collections.Counter[int](), collections.Counter[str]()
    for _, faults, seen in fuzz_runner.run(kind, numbers):
        codes.update(seen)
        with output.open("a") as file:
            for fault in faults:
                places[fault.place] += 1
                file.write(json.dumps({**asdict(fault), "place": fault.place}) + "\n")
    ends = ", ".join(f"{count} with {code}" for code, count in sorted(codes.items()))
    print(f"{kind}: {len(numbers)} cases, commands ended {ends}; {sum(places.values())} faults", flush=True)
    for place, count in places.most_common(30):
        print(f"    {count} x {place}", flush=True)
    print(f"    {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
