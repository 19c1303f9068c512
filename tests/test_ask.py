"""Laws of asking a policy: which seed a batch gets, in which order samples come, and how often a verifier is asked."""

from __future__ import annotations

from itertools import count
from typing import Any

from test_collect import FakeEngine, make_rows, verify

from nearfuture.guidance.ask import ask, score_in_batches
from nearfuture.tasks.identity import hashed_seed
from nearfuture.types import Verdict
from nearfuture.verify import Decision


class Many:
    """A verifier of batches; `calls` holds their sizes."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, text: str, row: dict[str, Any]) -> Verdict:
        raise AssertionError("asked for one completion")

    def many(self, texts: list[str], rows: list[dict[str, Any]]) -> list[Decision]:
        self.calls.append(len(texts))
        return [Decision(verify(text, row), "sum") for text, row in zip(texts, rows, strict=True)]


def test_each_batch_has_its_seed_and_samples_come_in_the_order_of_the_rows() -> None:
    engine, rows = FakeEngine(), make_rows(7)
    samples = list(ask(engine, verify, rows, batch_size=3, seeds=count(40)))
    names = [row["prompt_id"] for row in rows]
    assert engine.calls == [(names[:3], 40), (names[3:6], 41), (names[6:], 42)]
    drawn = [FakeEngine().generate(rows[at : at + 3], 40 + at // 3) for at in (0, 3, 6)]
    assert [sample.completion_ids for sample in samples] == [ids for batch in drawn for ids in batch]


def test_a_verifier_of_batches_is_asked_once_per_batch_and_judges_like_one_of_completions() -> None:
    many, rows = Many(), make_rows(64)
    at_once = list(ask(FakeEngine(), many, rows, batch_size=32, seeds=count()))
    assert at_once == list(ask(FakeEngine(), verify, rows, batch_size=32, seeds=count()))
    assert {sample.outcome for sample in at_once} == {"no_eos", "correct", "wrong"}
    assert len(many.calls) == 2 and sum(many.calls) == sum(not sample.is_cut_off for sample in at_once)


def test_what_a_verifier_raises_is_a_verdict() -> None:
    def broken(text: str, row: dict[str, Any]) -> Verdict:
        raise ArithmeticError("no opinion")

    samples = ask(FakeEngine(p_eos=1.0), broken, make_rows(2), batch_size=2, seeds=count())
    assert [sample.verdict for sample in samples] == [Verdict.CRASH] * 2


def test_a_hashed_seed_is_a_function_of_its_name() -> None:
    assert hashed_seed(0, 0) == 713_683_445
    assert len({hashed_seed(*name) for name in [(0, 0), (0, 1), (1, 0), (0, "signal", 0)]}) == 4


def test_scores_come_in_the_order_of_the_rows() -> None:
    engine, rows = FakeEngine(), make_rows(5)
    completions = [[1] * (number + 1) for number in range(5)]
    assert score_in_batches(engine.score, rows, completions, 2) == engine.score(rows, completions)
