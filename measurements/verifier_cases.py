"""Any file of cases, judged by the project's verifier and by math-verify lightly wrapped: right, wrong, and how fast.

A file is a JSON list (or JSON lines) of `{"id", "kind", "gold", "response", "options", "expected"}`; `expected` is
true, false, or null where the gold answer is unusable. The suite of a case is its id up to the last dash. math-verify
is asked about maths alone, with the gold answer in `$...$`; a verdict that never comes counts as not correct.

Speed is CPU time of one core, the expressions read by sympy included, on the same cases with reasoning put before them
until a response has 3,000 characters: once as the cases come (the parser learns its grammar while it reads), once again
with nothing remembered but the grammar.

What it leaves out: generated pairs, hostile answers, other graders (`verifiers.py`).

    OMP_NUM_THREADS=1 python measurements/verifier_cases.py FILE.json    # without a file: the cases of tests/data
    OMP_NUM_THREADS=1 python measurements/verifier_cases.py --speed FILE.json    # our speed alone, within a minute
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graders import math_verify_wrapped

from nearfuture.types import Verdict
from nearfuture.verify import Item, Verifier
from nearfuture.verify.choices import read_options
from nearfuture.verify.decide import Decision, ask, decide, decide_with
from nearfuture.verify.numbers import read_tolerance
from nearfuture.verify.parsing import read
from nearfuture.verify.pool import Crashed, WorkerPool
from nearfuture.verify.service import make_service
from nearfuture.verify.symbolic import SymbolicJudge

OWN = [
    Path(__file__).parent.parent / "tests" / "data" / name
    for name in ("verifier_cases.json", "verifier_own_cases.jsonl")
]
RESPONSE_CHARS = 3000
THOUGHT = "We look at the next step, write it down, and check that it follows from the one before. "
ACCEPTED = {True: (Verdict.CORRECT,), False: (Verdict.WRONG, Verdict.NO_ANSWER, Verdict.INVALID_GOLD)}
Case = dict[str, Any]


def load(path: Path) -> list[Case]:
    """Read the cases of a file, hostile maths as maths."""
    text = path.read_text()
    rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    return [
        row | {"kind": "math" if row["kind"] == "dos" else row["kind"], "id": row.get("id", path.stem)} for row in rows
    ]


def ours(cases: Sequence[Case]) -> list[Verdict]:
    """Judge with the project's verifier."""
    items = [Item(c["response"], c["gold"], c["kind"], c.get("options"), c.get("tolerance")) for c in cases]
    return [decision.verdict for decision in Verifier().decide_many(items)]


def math_verifys(cases: Sequence[Case]) -> list[Verdict | None]:
    """Judge maths with math-verify in workers; None for what it is not asked."""
    pool = WorkerPool("graders:make", "math_verify_wrapped", memory=0)
    pool.ask(["\\boxed{1}", "1"], limit=60)
    asked = [c for c in cases if c["kind"] == "math" and not c.get("tolerance")]
    replies = iter(pool.ask_many([[c["response"], c["gold"]] for c in asked], limit=12))
    return [_as_verdict(next(replies)) if c["kind"] == "math" and not c.get("tolerance") else None for c in cases]


def _as_verdict(reply: Any) -> Verdict:
    return Verdict.CORRECT if not isinstance(reply, Exception) and reply is not None and reply >= 1 else Verdict.WRONG


def table(cases: Sequence[Case], judged: dict[str, Sequence[Verdict | None]]) -> list[str]:
    """One row per group of cases: all, kinds, math-verify's own suite and the others."""
    maths = [c["kind"] == "math" for c in cases]
    groups: dict[str, list[bool]] = {"all": [True] * len(cases)}
    groups |= {kind: [c["kind"] == kind for c in cases] for kind in sorted({c["kind"] for c in cases})}
    own = [c["id"].startswith("math-verify-") for c in cases]
    if any(own):
        groups["math, math-verify's suite"] = [m and o for m, o in zip(maths, own, strict=True)]
        groups["math, the other suites"] = [m and not o for m, o in zip(maths, own, strict=True)]
    lines = [f"| cases | number | {' | '.join(judged)} |", "|---|---|" + "---|" * len(judged)]
    for name, chosen in groups.items():
        cells = []
        for verdicts in judged.values():
            pairs = [(c, v) for c, v, is_in in zip(cases, verdicts, chosen, strict=True) if is_in]
            cells.append("" if any(v is None for _, v in pairs) else _score(pairs))
        lines.append(f"| {name} | {sum(chosen)} | {' | '.join(cells)} |")
    return lines


def _score(pairs: list[tuple[Case, Verdict | None]]) -> str:
    right = sum(is_right(case, verdict) for case, verdict in pairs)
    false_positives = sum(verdict is Verdict.CORRECT and case["expected"] is not True for case, verdict in pairs)
    wrong = len(pairs) - right
    return f"{right} ({right / max(1, len(pairs)):.1%}), {false_positives} FP, {wrong - false_positives} FN"


def is_right(case: Case, verdict: Verdict | None) -> bool:
    """True where the verdict is the expected one; an unusable gold answer may be called so."""
    return verdict in ACCEPTED.get(case["expected"], (Verdict.INVALID_GOLD, Verdict.WRONG))


def speed(cases: Sequence[Case], *, is_alone: bool = False) -> list[str]:
    """Verdicts per second and core on responses of 3,000 characters, each case judged in this process."""
    begin = time.process_time()
    make_service("")
    start = time.process_time() - begin
    long = [c | {"response": _lengthened(c["response"])} for c in cases]
    maths = [c for c in long if c["kind"] == "math"]
    rates: dict[str, Callable[[], float]] = {
        "nearfuture, every kind, as they come": lambda: _rate(_judge, long),
        "nearfuture, every kind, again": lambda: _rate(_judge, long),
        "nearfuture, maths, again": lambda: _rate(_judge, maths),
        "math-verify wrapped, maths, as they come": lambda: _rate(_ask_math_verify, maths),
        "math-verify wrapped, maths, again": lambda: _rate(_ask_math_verify, maths),
    }
    lines = [f"| on responses of {RESPONSE_CHARS:,} characters | verdicts per second and core |", "|---|---|"]
    for name, rate in rates.items():
        if is_alone and name.startswith("math-verify"):
            continue
        read.cache_clear()
        lines.append(f"| {name} | {rate():,.0f} |")
    return [*lines, "", f"Start of a worker before that: {start:.2f} s of a core."]


def _lengthened(response: str) -> str:
    missing = max(0, RESPONSE_CHARS - len(response))
    return (THOUGHT * (missing // len(THOUGHT) + 1))[:missing] + "\n\n" + response


def _rate(judge: Callable[[Case], object], cases: Sequence[Case]) -> float:
    begin = time.process_time()
    for case in cases:
        judge(case)
    return len(cases) / (time.process_time() - begin)


def _judge(case: Case) -> Decision:
    options, tolerance = read_options(case.get("options")), read_tolerance(case.get("tolerance"))
    question = ask(case["response"], case["gold"], case["kind"], options, tolerance, strict=False)
    if isinstance(question, Decision):
        return question
    return decide(question) or decide_with(question, SymbolicJudge(question.tolerance))


def _ask_math_verify(case: Case) -> float:
    return math_verify_wrapped(case["response"], case["gold"])


def measure(cases: Sequence[Case], title: str) -> str:
    """Write the tables of one set of cases."""
    judged: dict[str, Sequence[Verdict | None]] = {"nearfuture": ours(cases)}
    try:
        judged["math-verify wrapped"] = math_verifys(cases)
    except Crashed as error:
        print(f"math-verify left out: {error}")
    wrong = [c["id"] for c, v in zip(cases, judged["nearfuture"], strict=True) if not is_right(c, v)]
    lines = [
        f"## {title}",
        "",
        *table(cases, judged),
        "",
        *speed(cases),
        "",
        f"Wrong here: {', '.join(wrong) or 'none'}.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure every file given, or the cases committed here."""
    is_alone = "--speed" in sys.argv
    for path in [Path(name) for name in sys.argv[1:] if name != "--speed"] or OWN:
        cases = load(path)
        print("\n".join(speed(cases, is_alone=True)) if is_alone else measure(cases, path.name), flush=True)


if __name__ == "__main__":
    main()
