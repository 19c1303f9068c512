"""The matrix: every pair of documented settings, trained, killed, resumed and read, by the real command.

    make test-matrix                              all of it, two cases at once; goes on where it was stopped
    python tests/matrix.py --only 'pairs-01'      the cases whose name contains this
    python tests/matrix.py --kinds singles        each option alone, to find out which of them a failure is about
    python tests/matrix.py --again                also what has ended well before, as after a change of the code

Results are lines of `results.jsonl` in the folder; a case that ended well, unchanged, is not run twice. What
failed stays in the folder with its configuration, and is named with the command that repeats it.

Not here: the table (`matrix_table`), a case (`matrix_drive`), the slice that runs with the other tests (`test_matrix`).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matrix_cases
import matrix_worlds
from matrix_cases import Case
from matrix_drive import Result, drive

CASES = {"singles": matrix_cases.singles, "refusals": matrix_cases.refusals, "pairs": matrix_cases.pairs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/matrix"), help="where cases run")
    parser.add_argument("--kinds", default="refusals,pairs", help="which cases, of " + ", ".join(CASES))
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--again", action="store_true", help="run what has ended well, too")
    parser.add_argument("--jobs", type=int, default=2, help="cases at once")
    options = parser.parse_args()
    cases = [case for kind in options.kinds.split(",") for case in CASES[kind]() if options.only in case.name]
    folder = options.folder.resolve()
    places = matrix_worlds.prepare(folder / "worlds")
    results = {} if options.again else read(folder / "results.jsonl")
    waiting = [case for case in cases if results.get(case.name, ("", ""))[0] != case.digest or failed(results, case)]
    print(f"{len(cases)} cases, {len(cases) - len(waiting)} have ended well before", flush=True)
    began, done = time.monotonic(), []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda case: drive(case, folder / slug(case), places), waiting):
            done.append(result)
            with (folder / "results.jsonl").open("a") as file:
                file.write(json.dumps(result.as_dict()) + "\n")
            tell(result, len(done), len(waiting), folder)
    return summary(cases, done, time.monotonic() - began)


def slug(case: Case) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", case.name)[:80].strip("-") + "-" + case.digest


def read(path: Path) -> dict[str, tuple[str, str]]:
    """The latest digest and outcome of every case."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["case"]: (row["digest"], row["outcome"]) for row in map(json.loads, lines)}


def failed(results: dict[str, tuple[str, str]], case: Case) -> bool:
    return results[case.name][1] == "FAILED"


def tell(result: Result, number: int, of: int, folder: Path) -> None:
    """A line for a case; for a failure what it printed last, and how to repeat it."""
    print(f"{number}/{of} {result.outcome:9} {result.seconds:5.0f} s  {result.case}", flush=True)
    if result.outcome == "no signal":
        print(f"    {result.why}", flush=True)
    if result.outcome == "FAILED":
        print(f"    {result.why}")
        print("".join(f"    | {line}\n" for line in result.output.splitlines()[-8:]), end="")
        print(f"    python tests/matrix.py --folder {folder} --only {result.case!r}", flush=True)


def summary(cases: list[Case], done: list[Result], seconds: float) -> int:
    bad = [result for result in done if result.outcome == "FAILED"]
    silent = sum(result.outcome == "no signal" for result in done)
    tracebacks = sum("Traceback (most" in result.output for result in bad)
    killed = sum(result.was_killed for result in done)
    print(
        f"{len(cases)} cases; run now {len(done)} in {seconds / 60:.1f} min, of which {killed} were killed on the way: "
        f"{len(bad)} failed, {tracebacks} with a traceback; {silent} ended with exit code 3: no guidance"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
