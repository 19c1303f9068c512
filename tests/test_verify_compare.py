"""Comparing: pairs by kind, exactness beside large numbers, order, and what math-verify is never asked.

Judged in this process: no worker, no clock.

Not here: finding the answer (`test_verify_extraction.py`), the laws of a verdict (`test_verify.py`).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfuture.types import Verdict
from nearfuture.verify.decide import Case, Decision, decide, decide_with
from nearfuture.verify.symbolic import SymbolicJudge

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)


def read_pairs() -> dict[str, list[tuple[str, str, bool]]]:
    """Read the file of pairs: kind -> (gold, answer, whether they are the same)."""
    pairs: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    kind = ""
    for line in (Path(__file__).parent / "data" / "verifier_pairs.txt").read_text().splitlines()[1:]:
        if line.startswith("## "):
            kind = line.removeprefix("## ")
        elif line:
            is_same = " == " in line
            gold, answer = line.split(" == " if is_same else " != ")
            pairs[kind].append((gold, answer, is_same))
    return pairs


PAIRS = read_pairs()


def judge(gold: str, answer: str) -> Decision:
    case = Case(gold, (answer,), "math")
    return decide(case) or decide_with(case, SymbolicJudge(None))


def is_correct(gold: str, answer: str) -> bool:
    return judge(gold, answer).verdict is Verdict.CORRECT


@pytest.mark.parametrize("kind", PAIRS)
def test_pairs_of_a_kind(kind: str) -> None:
    wrong = [pair for pair in PAIRS[kind] if is_correct(*pair[:2]) is not pair[2]]
    assert wrong == []


@pytest.mark.parametrize("kind", PAIRS)
def test_every_answer_is_itself(kind: str) -> None:
    texts = [text for gold, answer, _ in PAIRS[kind] for text in (gold, answer)]
    assert [text for text in texts if not is_correct(text, text)] == []


@given(base=st.integers(2, 9), power=st.integers(40, 900), step=st.integers(1, 9), sign=st.sampled_from("+-"))
@SETTINGS
def test_beside_a_large_number_one_is_not_nothing(base: int, power: int, step: int, sign: str) -> None:
    value = base**power
    near = f"{base}^{{{power}}}{sign}{step}"
    assert is_correct(near, f"{base}\\cdot {base}^{{{power - 1}}}{sign}{step}")
    for wrong in (f"{base}^{{{power}}}", f"{base}^{{{power}}}{sign}{step + 1}"):
        assert not is_correct(near, wrong)
        assert not is_correct(wrong, near)
    if power < 300:
        assert is_correct(str(value), f"{base}^{{{power}}}")
        assert not is_correct(str(value + step), f"{base}^{{{power}}}")


@given(root=st.sampled_from((2, 3, 5, 7)), power=st.integers(30, 400), of=st.sampled_from(("\\sqrt{%d}", "\\ln %d")))
@SETTINGS
def test_nothing_is_small_enough_to_be_dropped(root: int, power: int, of: str) -> None:
    value = of % root
    for tiny in (f"10^{{-{power}}}", f"\\frac{{1}}{{2^{{{power}}}}}", f"e^{{-{power}}}"):
        assert not is_correct(value, f"{value}+{tiny}")
        assert not is_correct("0", tiny)
        assert is_correct(f"{value}+{tiny}", f"{tiny}+{value}")


@given(items=st.lists(st.integers(-20, 20), min_size=2, max_size=5, unique=True), data=st.data())
@SETTINGS
def test_order_counts_in_a_tuple_and_not_in_a_set(items: list[int], data: st.DataObject) -> None:
    moved = data.draw(st.permutations(items))
    joined, shuffled = (", ".join(map(str, row)) for row in (items, moved))
    assert is_correct(f"\\{{{joined}\\}}", f"\\{{{shuffled}\\}}")
    assert is_correct(joined, shuffled)
    assert is_correct(f"({joined})", f"({shuffled})") is (items == moved)
    assert not is_correct(f"\\{{{joined}\\}}", f"({joined})")
    assert not is_correct(joined, ", ".join(map(str, items[1:])))


def test_what_hides_its_sort_from_the_parser_is_not_given_to_math_verify() -> None:
    for gold, answer in (
        ("\\mathbb{Z}", "\\mathbb{N}"),
        ("\\{\\}", "0"),
        ("(0, 1)", "\\{0, 1\\}"),
        ("\\gcd(a,b)", "ab"),
    ):
        assert not is_correct(gold, answer)
