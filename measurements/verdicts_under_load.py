"""Verdicts on an idle and on a busy machine: the same questions, asked alone and beside processes that compute.

What it does: judges (a) all cases of `tests/data`, (b) pairs of `tests/answer_pairs.py`, (c) the hostile answers and
one that no guard knows, (d) responses with a verifier in verl's form and with a function that each compute for a third
of their limit, now and then hang, wait or die, and (e) checks all golds of (a); with workers that have just started.
Once as the machine is, once beside `--fold` computing processes for each core. Verdicts and rules must be the same, one
by one. Writes `measurements/results/verdicts_under_load.md`.

What it leaves out: CPU time grows on a crowded machine (caches, shared cores). How near a question comes to its limit
is said by the slowest; one that needs nearly all of it on an idle machine may exceed it on a busy one.

    OMP_NUM_THREADS=1 python measurements/verdicts_under_load.py       # about half an hour on two cores
    ... --cores 1 --every 3 --pairs 50                               # on one core of them, a third of the cases
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from answer_pairs import make_pairs  # noqa: E402
from busy import busy  # noqa: E402
from test_verify import GIVEN_CASES, HANGS, HOSTILE, OWN_CASES, item_of  # noqa: E402

from nearfuture.tasks import judge  # noqa: E402
from nearfuture.verify import ExternalVerifier, Item, RowVerifier, Verifier  # noqa: E402
from nearfuture.verify.files import import_file  # noqa: E402
from nearfuture.verify.function import FunctionVerifier  # noqa: E402

OWN = """
import os, time

def compute(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def verl(data_source, solution_str, ground_truth, extra_info=None):
    if solution_str.startswith("hang"):
        compute(3600)
    if solution_str.startswith("wait"):
        time.sleep(3)
    if solution_str.startswith("die"):
        os._exit(1)
    compute(0.3)
    return float(solution_str == ground_truth)

def verify(completion, row):
    return bool(verl(None, completion, row["gold"]))
"""
RESPONSES = ["5", "6", "wait", "5", "die", "hang", "5", "6", "5", "5"] * 2

Verdicts = dict[str, list[object]]


def verdicts(own: Path, num_pairs: int, every: int, sets: list[str]) -> tuple[Verdicts, dict[str, float]]:
    """Everything that is said, by set, and the seconds of the clock that each took."""
    verifier = Verifier()
    cases = [item_of(case) for case in (GIVEN_CASES + OWN_CASES)[::every]]
    pairs = [pair for is_equal in (True, False) for pair in make_pairs(77 + is_equal, num_pairs, is_equal=is_equal)]
    hostile = [Item(f"\\boxed{{{text}}}", "2\\sqrt{3}", "math") for text in HOSTILE.values()]
    external = ExternalVerifier(f"{own}:verl", time_limit=1.0)
    function = FunctionVerifier(import_file(own, "own_of_the_benchmark").verify, time_limit=1.0)
    row = {"gold": "5", "kind": "math", "source": "sums"}
    golds = [{"gold": case.gold, "kind": case.kind, "options": case.options} for case in cases]
    asked = {
        "cases": lambda: verifier.decide_many(cases),
        "generated pairs": lambda: verifier.decide_many(
            [Item(f"\\boxed{{{p.answer}}}", p.gold, "math") for p in pairs]
        ),
        "hostile answers": lambda: verifier.decide_many([*hostile, HANGS]),
        "verl's form": lambda: external.many(RESPONSES, [row] * len(RESPONSES)),
        "a function": lambda: [judge(function, response, row) for response in RESPONSES],
        "golds": lambda: faults_of(golds),
    }
    said: Verdicts = {}
    seconds: dict[str, float] = {}
    for name, ask in ((name, asked[name]) for name in sets or asked):
        begin = time.monotonic()
        said[name] = list(ask())
        seconds[name] = time.monotonic() - begin
        print(name, f"{seconds[name]:.1f} s", flush=True)
    for pool in (verifier.pool, external.pool, function.pool):
        pool.close()
    return said, seconds


def faults_of(golds: list[dict[str, object]]) -> list[str]:
    """Of each gold its fault."""
    faults = RowVerifier().gold_faults(golds)
    return [faults.get(index, "readable") for index in range(len(golds))]


def counts(said: list[object]) -> str:
    """How often each verdict was given."""
    found = Counter(str(getattr(one, "verdict", one)) for one in said)
    return ", ".join(f"{number} {verdict}" for verdict, number in sorted(found.items()))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fold", type=int, default=8, help="computing processes for each core")
    parser.add_argument("--pairs", type=int, default=500, help="generated pairs of each sort")
    parser.add_argument("--every", type=int, default=1, help="take every n-th case")
    parser.add_argument("--sets", nargs="*", default=[], help="some of the sets alone, e.g. cases 'generated pairs'")
    parser.add_argument("--cores", type=int, help="hold everything to so many cores (Linux)")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "verdicts_under_load.md")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.cores :])
    cores = options.cores or os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.py"
        own.write_text(OWN)
        before, (idle, idle_seconds) = os.getloadavg()[0], verdicts(own, options.pairs, options.every, options.sets)
        with busy(options.fold * cores):
            loaded, loaded_seconds = verdicts(own, options.pairs, options.every, options.sets)
    lines = []
    for name in idle:
        differ = sum(a != b for a, b in zip(idle[name], loaded[name], strict=True))
        taken = f"{idle_seconds[name]:.1f} | {loaded_seconds[name]:.1f}"
        lines.append(f"| {name} | {len(idle[name])} | {counts(idle[name])} | {differ} | {taken} |")
    options.output.write_text(f"""# Verdicts under load

Written by `measurements/verdicts_under_load.py`: {cores} core(s), {options.fold} computing processes for each; the load
average before the first pass was {before:.1f}. Limits are those of the verifiers: 2 s of CPU time for the built-in one;
1 s for one's own here.

| what | asked | verdicts | differ under load | seconds alone | seconds under load |
|---|---|---|---|---|---|
{chr(10).join(lines)}
""")
    print(options.output.read_text())


if __name__ == "__main__":
    main()
