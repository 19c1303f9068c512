"""The verifier measured: against cases and generated pairs, beside other graders, under hostile input, for speed.

What it does: judges (a) the cases of `tests/data`, (b) pairs of `tests/answer_pairs.py`, equal ones and neighbours,
(c) the hostile answers of `tests/test_verify.py`; with the project's verifier and with every grader of `graders.py`
that is installed. Each grader runs in the main thread of a worker that is killed after 12 s. Then it times easy
verdicts and the start of a worker. Writes `measurements/results/verifiers.md`.

What it leaves out: responses of real models. The project's verifier was built with these cases and families in view: on
them its figures are in-sample, the other graders' are not. Options of a choice and yes/no are nothing the others claim
to judge, so that the table counts maths and numbers alone.

    OMP_NUM_THREADS=1 python measurements/verifiers.py       # about 15 minutes on two cores; --pairs 500 takes three
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
sys.path.insert(0, str(TESTS))

from answer_pairs import make_pairs  # noqa: E402
from test_verify import GIVEN_CASES, HOSTILE, OWN_CASES  # noqa: E402

from nearfuture.types import Verdict  # noqa: E402
from nearfuture.verify import Item, verify_many  # noqa: E402
from nearfuture.verify.pool import Crashed, TimedOut, WorkerPool  # noqa: E402

GRADERS = ("math_verify_raw", "math_verify_wrapped", "trl", "mathruler")
LIMIT = 12.0
SLOW = 2.5
Judge = Callable[[Sequence[tuple[str, str]]], list[bool | None]]
Sets = dict[str, tuple[list[tuple[str, str]], list[bool]]]


def ours(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Judge (response, gold) pairs with the project's verifier; None: not judged."""
    verdicts = verify_many([Item(response, gold, "math") for response, gold in pairs])
    return [verdict is Verdict.CORRECT if verdict.is_judged else None for verdict in verdicts]


def of_grader(name: str) -> Judge | None:
    """Judge with another grader, in workers; None where it is not installed."""
    pool = WorkerPool("graders:make", name, memory=0)
    try:
        pool.ask(["\\boxed{1}", "1"], limit=60)
    except Crashed as error:
        print(f"{name} left out: {str(error).strip().splitlines()[-1]}")
        return None

    def judge(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        replies = pool.ask_many(pairs, limit=LIMIT)
        return [None if reply is None or isinstance(reply, Exception) else reply >= 1.0 for reply in replies]

    return judge


def cases(rows: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], list[bool]]:
    """Take the cases of maths and numbers with a usable gold answer."""
    chosen = [
        c for c in rows if c["kind"] in ("math", "numeric") and c["expected"] is not None and not c.get("tolerance")
    ]
    return [(c["response"], c["gold"]) for c in chosen], [c["expected"] for c in chosen]


def generated(num: int, *, is_equal: bool) -> tuple[list[tuple[str, str]], list[bool]]:
    """Draw pairs of one sort."""
    pairs = list(make_pairs(1000 + is_equal, num, is_equal=is_equal))
    return [(f"So the answer is \\boxed{{{p.answer}}}.", p.gold) for p in pairs], [is_equal] * num


def score(judged: list[bool | None], expected: list[bool]) -> str:
    """Right answers, false positives and false negatives; what was not judged counts as not correct."""
    said = [bool(one) for one in judged]
    right = sum(s == e for s, e in zip(said, expected, strict=True))
    false_positives = sum(s and not e for s, e in zip(said, expected, strict=True))
    return f"{right}/{len(expected)}, {false_positives} FP, {len(expected) - right - false_positives} FN"


def comparison(num_pairs: int) -> list[str]:
    """One row a grader, one column a set."""
    sets: Sets = {
        "given cases (maths)": cases(GIVEN_CASES),
        "own cases (maths)": cases(OWN_CASES),
        "equal pairs": generated(num_pairs, is_equal=True),
        "neighbours": generated(num_pairs, is_equal=False),
    }
    lines = [f"| grader | {' | '.join(sets)} |", "|---|" + "---|" * len(sets)]
    for name, judge in {"nearfuture": ours, **{name: of_grader(name) for name in GRADERS}}.items():
        if judge is not None:
            cells = [score(judge(pairs), expected) for pairs, expected in sets.values()]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return lines


def hostile() -> list[str]:
    """Seconds that hostile answers hold each grader, one after the other."""
    lines = [
        "| grader | seconds for all | slowest | over 2.5 s | killed or crashed | called correct |",
        "|---|---|---|---|---|---|",
    ]
    pairs = [(f"\\boxed{{{text}}}", "2\\sqrt{3}") for text in HOSTILE.values()]
    for name in ("nearfuture", *GRADERS):
        pool = None if name == "nearfuture" else WorkerPool("graders:make", name, memory=0)
        times, outcomes = [], Counter[str]()
        for pair in pairs:
            begin = time.monotonic()
            try:
                found = ours([pair])[0] if pool is None else pool.ask(list(pair), limit=LIMIT)
                outcomes["correct" if found else "wrong"] += 1
            except (TimedOut, Crashed) as error:
                if "could not start" in str(error):
                    break
                outcomes["failed"] += 1
            times.append(time.monotonic() - begin)
        if len(times) == len(pairs):
            slow = sum(seconds > SLOW for seconds in times)
            cells = (f"{sum(times):.1f}", f"{max(times):.1f}", slow, outcomes["failed"], outcomes["correct"])
            lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
            print(lines[-1], flush=True)
    return lines


EASY = """
import resource, sys, time
begin = time.process_time(); wall = time.perf_counter()
from nearfuture.verify import Item, Verifier
imported = time.perf_counter() - wall
verifier = Verifier(size=1)
n = 20000
kinds = ["numeric", "math", "mcq", "text", "bool"]
golds = {"numeric": "1,234", "math": "\\\\frac{3}{7}", "mcq": "B", "text": "isosceles triangle", "bool": "yes"}
answers = {"numeric": "%d", "math": "\\\\frac{%d}{7}", "mcq": "%s", "text": "triangle %d", "bool": "%s"}
def item(i):
    kind = kinds[i % 5]
    value = "ABCD"[i % 4] if kind == "mcq" else ("yes", "no")[i % 2] if kind == "bool" else i
    return Item("Some reasoning. " * 20 + "So it is \\\\boxed{" + answers[kind] % value + "}.", golds[kind], kind)
items = [item(i) for i in range(n)]
begin = time.process_time(); verifier.decide_many(items); fresh = n / (time.process_time() - begin)
begin = time.process_time(); verifier.decide_many(items); cached = n / (time.process_time() - begin)
first = Item("\\\\boxed{\\\\sqrt{12}}", "2\\\\sqrt{3}", "math")
wall = time.perf_counter(); verifier.decide(first); start = time.perf_counter() - wall
verifier.pool.close(); used = resource.getrusage(resource.RUSAGE_CHILDREN); cpu = used.ru_utime + used.ru_stime
verifier.decide(first)
wall = time.perf_counter()
for i in range(200): verifier.decide(Item("\\\\boxed{%d\\\\sqrt{3}}" % (i + 3), "2\\\\sqrt{3}", "math"))
sympy_rate = 200 / (time.perf_counter() - wall)
print(imported, fresh, cached, start, sympy_rate, cpu)
"""


def speed() -> list[str]:
    """Times in a process of its own: the best of three, as other load only adds."""
    runs = [
        list(
            map(
                float,
                subprocess.run([sys.executable, "-c", EASY], capture_output=True, text=True, check=True).stdout.split(),
            )
        )
        for _ in range(3)
    ]
    imported, start, cpu = (min(run[index] for run in runs) for index in (0, 3, 5))
    fresh, cached, with_sympy = (max(run[index] for run in runs) for index in (1, 2, 4))
    return [
        "| what | value |",
        "|---|---|",
        f"| import | {imported:.2f} s |",
        f"| first verdict that needs sympy (start of a worker) | {start:.2f} s, with {cpu:.2f} s of CPU time |",
        f"| easy verdicts per second, every answer new, one core | {fresh:,.0f} |",
        f"| the same, every answer seen before | {cached:,.0f} |",
        f"| verdicts per second that need sympy, one worker | {with_sympy:,.0f} |",
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000, help="generated pairs of each sort for our verifier")
    parser.add_argument("--compared", type=int, default=2000, help="generated pairs of each sort for the comparison")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "verifiers.md")
    options = parser.parse_args()
    fast = speed()
    print("\n".join(fast), flush=True)
    equal, unequal = (generated(options.pairs, is_equal=is_equal) for is_equal in (True, False))
    own = [score(ours(pairs), expected) for pairs, expected in (equal, unequal)]
    print(own, flush=True)
    table, bombs = comparison(options.compared), hostile()
    given = sum(_is_right(case) for case in GIVEN_CASES)
    text = f"""# Verifiers

Written by `measurements/verifiers.py`. FP: called correct and wrong; FN: called wrong (or not judged) and correct.

* All {len(GIVEN_CASES)} given cases, every kind: {given} right.
* {options.pairs:,} equal pairs: {own[0]}. {options.pairs:,} pairs of neighbours: {own[1]}.

## Beside other graders

Boxed answers; `math_verify_raw` and `trl` get the gold answer as data sets have it. The verifier was built with these
cases and families in view: its figures are in-sample, the others' are not.

{chr(10).join(table)}

## Hostile answers ({len(HOSTILE)}, in the main thread, killed after {LIMIT:g} s)

{chr(10).join(bombs)}

## Speed

{chr(10).join(fast)}
"""
    options.output.write_text(text)
    print(json.dumps({"written": str(options.output)}))


def _is_right(case: dict[str, Any]) -> bool:
    kind = "math" if case["kind"] == "dos" else case["kind"]
    verdict = verify_many([Item(case["response"], case["gold"], kind, case["options"])])[0]
    expected = {True: (Verdict.CORRECT,), False: (Verdict.WRONG, Verdict.NO_ANSWER), None: (Verdict.INVALID_GOLD,)}
    return verdict in expected[case["expected"]]


if __name__ == "__main__":
    main()
