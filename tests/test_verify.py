"""The verifier against cases written by hand, and the laws every verdict keeps.

Not here: pairs from a generator (`test_verify_pairs.py`), workers (`test_verify_pool.py`), verifiers of one's own
(`test_verify_external.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nearfuture.types import UserError, Verdict
from nearfuture.verify import KINDS, Item, RowVerifier, Verifier, explain, verify, verify_many
from nearfuture.verify.choices import read_options
from nearfuture.verify.decide import Decision, ask, decide
from nearfuture.verify.numbers import read_tolerance
from nearfuture.verify.pool import WorkerPool
from nearfuture.verify.service_format import pack

DATA = Path(__file__).parent / "data"
VERDICTS = {True: {Verdict.CORRECT}, False: {Verdict.WRONG, Verdict.NO_ANSWER}, None: {Verdict.INVALID_GOLD}}
GIVEN_CASES = json.loads((DATA / "verifier_cases.json").read_text())
OWN_CASES = [json.loads(line) for line in (DATA / "verifier_own_cases.jsonl").read_text().splitlines()]


def item_of(case: dict[str, Any]) -> Item:
    """A case as an item; `dos` is the given file's word for hostile maths, and its options may be a word of letters."""
    kind = "math" if case["kind"] == "dos" else case["kind"]
    options = case.get("options")
    options = list(options) if isinstance(options, str) else options
    return Item(case["response"], case["gold"], kind, options, case.get("tolerance"))


def failures(cases: list[dict[str, Any]]) -> list[str]:
    """Cases in which the verdict is not the expected one."""
    pairs = zip(cases, verify_many(list(map(item_of, cases))), strict=True)
    return [
        f"{case['gold'][:40]!r} {case['response'][-60:]!r}: {verdict}"
        for case, verdict in pairs
        if verdict not in VERDICTS[case["expected"]]
    ]


def asked_of_workers(cases: list[dict[str, Any]]) -> Iterator[tuple[Item, dict[str, Any]]]:
    """The cases that rules cannot decide, and what a worker is asked for them."""
    for item in map(item_of, cases):
        options, tolerance = read_options(item.options), read_tolerance(item.tolerance)
        question = ask(item.response, item.gold or "", item.kind, options, tolerance, strict=False)
        if not isinstance(question, Decision) and decide(question) is None:
            yield item, pack(question)


def test_the_given_cases() -> None:
    assert len(GIVEN_CASES) == 102
    assert failures(GIVEN_CASES) == []


def test_cases_of_our_own() -> None:
    assert len(OWN_CASES) > 600
    assert failures(OWN_CASES) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gold", ["", "  \n", "None", "nan", "null"])
def test_a_gold_that_says_nothing_is_invalid_whatever_was_answered(kind: str, gold: str) -> None:
    for response in ("\\boxed{1}", "", "\\boxed{None}"):
        assert verify(response, gold, kind=kind) is Verdict.INVALID_GOLD


@pytest.mark.parametrize(
    ("kind", "gold"), [("numeric", "east"), ("bool", "perhaps"), ("mcq", "Z"), ("math", "\\frac{1}{"), ("list", " ")]
)
def test_a_gold_that_its_kind_cannot_read_is_invalid(kind: str, gold: str) -> None:
    assert verify("\\boxed{1}", gold, kind=kind, options=["p", "q"]) is Verdict.INVALID_GOLD


def test_a_gold_that_nobody_can_read_is_compared_as_text() -> None:
    assert verify("\\boxed{\\lambda \\vdash n}", "\\lambda\\vdash n", kind="math") is Verdict.CORRECT
    assert verify("\\boxed{n \\vdash \\lambda}", "\\lambda\\vdash n", kind="math") is Verdict.WRONG


@pytest.mark.parametrize(
    "response", ["", " ", "<think>\\boxed{5}", "\\boxed{5", "<answer>5", "<think>5</think>", "\\boxed{}", "\\boxed{ }"]
)
def test_what_is_cut_off_or_empty_is_no_answer(response: str) -> None:
    assert verify(response, "5", kind="math") is Verdict.NO_ANSWER


def test_strict_reads_tags_and_boxes_alone() -> None:
    strict = Verifier(strict=True)
    for response in ("The answer is 5.", "5", "#### 5", "**5**"):
        assert strict.decide(Item(response, "5", "math")).verdict is Verdict.NO_ANSWER
    for response in ("\\boxed{5}", "<answer>5</answer>", "<think>4?</think><answer>\\boxed{5}</answer>"):
        assert strict.decide(Item(response, "5", "math")).verdict is Verdict.CORRECT


def test_a_decision_names_the_answer_and_the_rule() -> None:
    decision = explain("so \\boxed{0.5}", "1/2", kind="math")
    assert (decision.verdict, decision.rule, decision.answer) == (Verdict.CORRECT, "number", "0.5")
    assert explain("\\boxed{\\sqrt{12}}", "2\\sqrt{3}", kind="math").rule == "symbolic"
    assert explain("\\boxed{9^{9^{9}}}", "2\\sqrt{3}", kind="math").rule == "guard"


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        ({"absolute": 1}, "'absolute'"),
        ({"abs": -1}, "not a bound"),
        ({"rel": "x"}, "not a bound"),
        ({"decimals": 1.5}, "not a bound"),
    ],
)
def test_a_tolerance_that_is_none_is_refused(tolerance: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        verify("\\boxed{1}", "1", kind="numeric", tolerance=tolerance)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match=r"kind='maths'.*math, numeric"):
        verify("\\boxed{1}", "1", kind="maths")


HOSTILE = {
    "power tower": "9^{9^{9^{9}}}",
    "tower of braces": "{{9999^{9999}}^{9999}}^{9999}",
    "python's tower": "9**9**9**9",
    "factorial": "100000000!",
    "factorial of a factorial": "((9!)!)!",
    "power of factorials": "9!^{9!^{9!}}",
    "binomial": "\\binom{1000000000}{500000000}",
    "sum": "\\sum_{n=1}^{10^{9}} n^n",
    "huge exponent": "1e999999999",
    "open parentheses": "(" * 5000,
    "parentheses": "(" * 5000 + "2" + ")" * 5000,
    "braces": "{" * 3000 + "2" + "}" * 3000,
    "roots": "\\sqrt{" * 200 + "2" + "}" * 200,
    "fractions": "\\frac{1}{1+" * 200 + "2" + "}" * 200,
    "100,000 digits": "9" * 100_000,
    "100,000 characters": "x+" * 50_000,
    "commas": "1," * 50_000,
    "percents": "%" * 600,
    "signs": "-" * 599 + "1",
    "carets": "^(" * 300,
    "spaces": "1 " * 300,
    "words": " or ".join(["1"] * 100),
    "colons": ":".join("1" * 300),
    "backslashes": "\\" * 3001,
    "texts": "\\text{" * 500,
    "null bytes": "\x00" * 50 + "7",
    "lone surrogates": "\ud800" * 20,
    "combining marks": "5" + "\u0301" * 500,
    "code": "__import__('os').abort()",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_wrong_without_a_time_out(name: str) -> None:
    begin = time.process_time()
    for response in (f"\\boxed{{{HOSTILE[name]}}}", f"<answer>{HOSTILE[name]}</answer>", HOSTILE[name]):
        for gold in ("1", "x^2+\\sqrt{2}"):
            assert verify(response, gold, kind="math") in (Verdict.WRONG, Verdict.NO_ANSWER)
    assert time.process_time() - begin < 5.0, "in this process; a worker that takes 2 s would be a time-out"


@pytest.mark.parametrize(
    "response",
    [
        *(
            "\\boxed{" * 20_000,
            "$" * 50_000,
            "\\( " * 20_000,
            "answer is " * 20_000,
            "1 1 " * 30_000,
            "<answer>" * 20_000,
        ),
        *("<think>" * 20_000, "\\boxed{1}" * 10_000, "**A** " * 20_000, "{" * 100_000, "\\text{" * 20_000),
    ],
)
def test_hostile_responses_are_read_in_linear_time(response: str) -> None:
    begin = time.process_time()
    for kind in KINDS:
        gold = {"mcq": "A", "bool": "yes"}.get(kind, "7")
        assert verify(response, gold, kind=kind) is not Verdict.CRASH
    assert time.process_time() - begin < 15.0, "quadratic in 100,000 characters would be minutes"


HANGS = Item("\\boxed{\\exp(\\exp(\\exp(100)))}", "2\\sqrt{3}", "math")
SLOW = Item("\\boxed{\\frac{\\ln 2}{3}+\\frac{\\pi}{3\\sqrt{3}}}", "\\int_0^1 \\frac{1}{1+x^3} dx", "math")


def test_what_no_guard_knows_is_ended_by_the_time_limit() -> None:
    verifier = Verifier(time_limit=0.5, size=1)
    assert verifier.decide(HANGS).verdict is Verdict.TIMEOUT
    assert verifier.decide(Item("\\boxed{\\sqrt{12}}", "2\\sqrt{3}", "math")).verdict is Verdict.CORRECT


def test_a_failure_is_no_verdict_to_remember() -> None:
    """It says what became of a worker: the same question is asked again, and then gets its answer."""
    verifier = Verifier(time_limit=0.002, size=1)
    assert verifier.decide(SLOW).verdict is Verdict.TIMEOUT
    verifier.pool, works = WorkerPool("verify_services:make", "cannot start"), verifier.pool
    assert verifier.decide(SLOW).verdict is Verdict.CRASH
    verifier.pool, verifier.time_limit = works, 60.0
    assert verifier.decide(SLOW).verdict is Verdict.CORRECT


def test_of_equal_questions_one_is_asked() -> None:
    asked: list[Any] = []

    class Listening(WorkerPool):
        def ask_many(self, payloads: Any, *, limit: float) -> list[Any]:
            asked.extend(payloads)
            return super().ask_many(payloads, limit=limit)

    verify = RowVerifier(size=1)
    verify.verifier.pool = Listening("nearfuture.verify.service:make_service", size=1)
    golds = [{"gold": gold, "kind": "math"} for gold in ("\\sqrt{x}", "\\sqrt{x}", "$\\sqrt{x}$", "\\star{x}{y}")] * 50
    for _ in range(2):
        assert list(verify.gold_faults(golds)) == list(range(3, 200, 4))
    read = [payload["read"] for payload in asked]
    assert "\\sqrt{x}" in read and len(read) == len(set(read))
    asked.clear()
    for _ in range(2):
        verify.many(["\\boxed{x^{1/2}}"] * 200, golds[:1] * 200)
    assert len(asked) == 1


def test_golds_are_not_condemned_for_want_of_a_worker() -> None:
    verify = RowVerifier(size=1)
    verify.verifier.pool = WorkerPool("verify_services:make", "cannot start")
    with pytest.raises(UserError, match=r"gold answers cannot be checked.*no such library"):
        verify.gold_faults([{"gold": "\\sqrt{x}", "kind": "math"}])


def test_a_worker_that_has_started_has_loaded_everything() -> None:
    """No question pays for an import out of its own time; the order in which they come changes nothing."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from test_verify import GIVEN_CASES, OWN_CASES, asked_of_workers
from nearfuture.verify.service import make_service
cases = [payload for _, payload in asked_of_workers(GIVEN_CASES + OWN_CASES)]
serve = make_service("")
loaded = set(sys.modules)
for payload in cases:
    serve(payload)
print(*sorted(set(sys.modules) - loaded))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [], "add a question to WARM_UP (service.py) that loads it"


def test_easy_verdicts_cost_a_comparison() -> None:
    verifier = Verifier()
    items = [Item(f"So it is \\boxed{{{i % 100}}}.", str(i % 7), "numeric") for i in range(2000)]
    verifier.decide_many(items[:200])
    begin = time.process_time()
    verdicts = [decision.verdict for decision in verifier.decide_many(items)]
    assert time.process_time() - begin < 0.5, "a tenth of the speed that measurements/verifiers.py measures alone"
    assert verdicts.count(Verdict.CORRECT) == sum(i % 100 == i % 7 for i in range(2000))


def test_a_deeply_nested_object_is_no_answer() -> None:
    nested = '{"a": ' + "[" * 1900 + "]" * 1900 + "}"
    assert verify(nested, "5", kind="math") is Verdict.NO_ANSWER


@pytest.mark.parametrize(
    ("gold", "response", "kind"),
    [
        ("5", r"\boxed{101_2}", "math"),
        ("(0, 1)", r"\boxed{]0, 1[}", "math"),
        (r"\ln|x|", r"\boxed{\ln x}", "math"),
        ("1/15", r"\boxed{0.066667}", "math"),
        ("5.76999998480013", r"\boxed{299792458 \bmod 9.81}", "math"),
        ("16", "Since 4 squared is 16, there are 16 tiles.", "numeric"),
        ("12", "In the year 1998 the club had 12 members and 3 coaches.", "numeric"),
    ],
)
def test_known_misses_are_those_of_the_documentation(gold: str, response: str, kind: str) -> None:
    """One that is mended leaves "Known misses" in docs/verifiers.md."""
    (decision,) = Verifier().decide_many([Item(response, gold, kind)])
    assert decision.verdict is Verdict.WRONG
