"""Laws of the collection: what is drawn, what is kept, and that a kill changes nothing."""

from __future__ import annotations

import itertools
import json
import logging
import math
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfuture.guidance import GuidanceCache, collect_guidance
from nearfuture.guidance.choose import Candidate, choose_closest, choose_uniform
from nearfuture.guidance.draws import BatchResult, Draws
from nearfuture.guidance.journal import Journal
from nearfuture.guidance.prompts import Prompt
from nearfuture.tasks.identity import hashed_seed, prompt_hash
from nearfuture.types import NoSignalError, PolicyRef, Sampling, UserError, Verdict

EOS, LIMIT = 0, 4
GUIDE = PolicyRef(segment=0, step=70, path="checkpoints/70")


class Killed(Exception):
    """Stands for the end of the process."""


@dataclass
class FakeEngine:
    """Draws tokens independently: probability `p_eos` for the stop token, the rest evenly over 1..num_tokens.

    `calls` records (prompt ids, seed) of each batch; before batch number `dies_at` the process "dies".
    """

    p_eos: float = 0.4
    num_tokens: int = 3
    runs_to: int = LIMIT
    sampling: Sampling = field(default_factory=lambda: Sampling(max_completion_length=LIMIT))
    tokenizer_hash: str = "fake"
    eos_token_ids: tuple[int, ...] = (EOS,)
    is_main: bool = True
    dies_at: int | None = None
    spoiled: frozenset[str] = frozenset()
    calls: list[tuple[list[str], int]] = field(default_factory=list)

    def logp(self, token: int) -> float:
        return math.log(self.p_eos if token == EOS else (1 - self.p_eos) / self.num_tokens)

    def generate(self, rows, seed):
        if len(self.calls) == self.dies_at:
            raise Killed
        self.calls.append(([row["prompt_id"] for row in rows], seed))
        return [self._sample(random.Random(f"{seed}/{place}")) for place in range(len(rows))]

    def _sample(self, rng: random.Random) -> list[int]:
        ids: list[int] = []
        while len(ids) < self.runs_to and (not ids or ids[-1] != EOS):
            ids.append(EOS if rng.random() < self.p_eos else rng.randint(1, self.num_tokens))
        return ids

    def score(self, rows, completion_ids):
        return [
            [math.nan if row["prompt_id"] in self.spoiled else self.logp(token) for token in ids]
            for row, ids in zip(rows, completion_ids, strict=True)
        ]

    def decode(self, rows, completion_ids):
        return [" ".join(str(token) for token in ids if token != EOS) for ids in completion_ids]

    def prompt_lengths(self, rows):
        return [len(row["prompt"]) for row in rows]

    def broadcast(self, value):
        return value

    def shared(self, work, num_rows):
        return work(range(num_rows))


def make_rows(num_rows: int, modulus: int = 3) -> list[dict]:
    return [
        {"prompt_id": f"p{number:03d}", "prompt": "x" * (1 + number % 7) + str(number), "answer": modulus}
        for number in range(num_rows)
    ]


def verify(text: str, row: dict) -> Verdict:
    """Correct where the sum of the tokens is a positive multiple of the row's answer."""
    total = sum(int(word) for word in text.split())
    return Verdict.CORRECT if total and total % row["answer"] == 0 else Verdict.WRONG


def collect(engine: FakeEngine, folder: Path, num_rows: int = 23, **settings) -> GuidanceCache:
    settings = {"guide": GUIDE, "num_samples": 4, "batch_size": 8, **settings}
    rows = settings.pop("rows", None) or make_rows(num_rows)
    return collect_guidance(engine, rows, settings.pop("verify", verify), folder, **settings)


def content(cache: GuidanceCache) -> tuple:
    """Everything in a cache but the time it took."""
    return list(cache.entries()), replace(cache.header, counts=replace(cache.header.counts, seconds=0.0))


# What is kept.


@pytest.mark.parametrize("select", ["uniform", "closest"])
def test_what_is_kept_is_correct_whole_and_scored_by_the_guide(tmp_path, select):
    engine = FakeEngine()
    cache = collect(engine, tmp_path / "c", select=select, learner_score=engine.score)
    rows = {row["prompt_id"]: row for row in make_rows(23)}
    assert 0 < len(cache) < 23
    for guidance, text in cache.entries():
        ids = list(guidance.completion_ids)
        assert ids[-1] == EOS and EOS not in ids[:-1] and len(ids) <= LIMIT
        assert text == engine.decode([{}], [ids])[0]
        assert verify(text, rows[guidance.prompt_id]) is Verdict.CORRECT is guidance.verdict
        assert guidance.behavior_logps == pytest.approx([engine.logp(token) for token in ids])
        assert 1 <= guidance.num_correct <= guidance.num_samples <= 4
        assert (guidance.guide_segment, guidance.guide_step) == (0, 70)
    assert list(tmp_path.iterdir()) == [tmp_path / "c"]


def test_the_counts_are_those_of_the_draws(tmp_path):
    engine = FakeEngine()
    seen = []
    counts = collect(engine, tmp_path / "c", progress=seen.append).header.counts
    assert counts.num_prompts == 23
    assert counts.num_samples == sum(len(ids) for ids, _ in engine.calls)
    assert counts.num_dropped_no_eos > 0 and counts.num_dropped_too_long == 0
    assert counts.num_solved == len(GuidanceCache.open(tmp_path / "c"))
    assert [c.num_samples for c in seen] == list(itertools.accumulate(len(ids) for ids, _ in engine.calls))
    assert replace(seen[-1], seconds=0) == replace(counts, seconds=0)


def test_samples_that_do_not_end_or_are_too_long_are_dropped_also_when_correct(tmp_path):
    engine = FakeEngine(runs_to=LIMIT + 2)
    judged = []

    def always(text, row):
        judged.append(len(text.split()) + 1)
        return Verdict.CORRECT

    cache = collect(engine, tmp_path / "c", num_rows=200, num_samples=1, verify=always)
    counts = cache.header.counts
    assert counts.num_dropped_no_eos > 0 and counts.num_dropped_too_long > 0
    assert counts.num_samples == 200 == counts.num_dropped_no_eos + counts.num_dropped_too_long + len(cache)
    assert max(judged) == LIMIT


def test_verdicts_that_are_none_are_counted_apart(tmp_path):
    def unsure(text, row):
        return Verdict.TIMEOUT if row["prompt_id"] < "p010" else verify(text, row)

    cache = collect(FakeEngine(), tmp_path / "c", verify=unsure)
    assert cache.header.counts.num_unjudged > 0
    assert all(guidance.prompt_id >= "p010" for guidance in cache)


def test_what_has_no_finite_log_probs_is_dropped_and_said(tmp_path, caplog):
    whole = collect(FakeEngine(), tmp_path / "whole")
    spoiled = frozenset(guidance.prompt_id for guidance in itertools.islice(whole, 2))
    with caplog.at_level(logging.WARNING):
        cache = collect(FakeEngine(spoiled=spoiled), tmp_path / "c")
    assert cache.header.counts.num_dropped_logps == 2
    assert cache.header.counts.num_solved == len(cache) == len(whole) - 2
    assert "Dropped 2 of" in caplog.text
    with pytest.raises(UserError, match=r"none of the .* chosen trajectories has finite log-probs"):
        collect(FakeEngine(spoiled=frozenset(row["prompt_id"] for row in make_rows(23))), tmp_path / "none")


def test_an_id_that_comes_again_is_collected_once(tmp_path):
    engine = FakeEngine()
    twice = collect(engine, tmp_path / "twice", rows=make_rows(5) + make_rows(5)[::-1])
    once = collect(FakeEngine(), tmp_path / "once", rows=make_rows(5))
    assert content(twice) == content(once)


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    first = collect(FakeEngine(), tmp_path / "first", rows=make_rows(20))
    second = collect(FakeEngine(), tmp_path / "second", rows=make_rows(20)[::-1])
    assert content(first) == content(second)


# What is drawn.


def test_a_solved_prompt_is_never_drawn_again(tmp_path):
    engine = FakeEngine()
    cache = collect(engine, tmp_path / "c", num_samples=6)
    drawn, solved_at = Counter(), {}
    for batch, (prompt_ids, seed) in enumerate(engine.calls):
        assert seed == hashed_seed(0, batch)
        assert not set(prompt_ids) & set(solved_at)
        for place, prompt_id in enumerate(prompt_ids):
            drawn[prompt_id] += 1
            text = engine.decode([{}], [ids := engine._sample(random.Random(f"{seed}/{place}"))])[0]
            if ids[-1] == EOS and verify(text, {"answer": 3}) is Verdict.CORRECT:
                solved_at[prompt_id] = batch
    assert set(solved_at) == {guidance.prompt_id for guidance in cache}
    assert max(drawn.values()) <= 6
    assert {g.prompt_id: g.num_samples for g in cache} == {p: drawn[p] for p in solved_at}


def test_closest_draws_all_samples(tmp_path):
    engine = FakeEngine()
    collect(engine, tmp_path / "c", select="closest", learner_score=engine.score)
    assert set(Counter(prompt_id for ids, _ in engine.calls for prompt_id in ids).values()) == {4}


@settings(deadline=None)
@given(
    num_prompts=st.integers(1, 12),
    num_samples=st.integers(1, 5),
    batch_size=st.integers(1, 9),
    wanted=st.sampled_from([1, 2, None]),
    luck=st.randoms(use_true_random=False),
)
def test_batches_are_full_ordered_and_within_budget(num_prompts, num_samples, batch_size, wanted, luck):
    draws = Draws(num_prompts, num_samples, batch_size, wanted)
    found: list[set[int]] = [set() for _ in range(num_prompts)]
    num_correct = 0

    def is_done(prompt: int) -> bool:
        return wanted is not None and len(found[prompt]) >= wanted

    while batch := draws.next_batch():
        is_open = [prompt for prompt in range(num_prompts) if not is_done(prompt)]
        budget = sum(num_samples - draws.num_drawn[prompt] for prompt in is_open)
        assert len(batch) == min(batch_size, budget)
        assert batch == sorted(batch) and set(batch) <= set(is_open)
        correct = [(prompt, luck.randint(1, 3)) for prompt in batch if luck.random() < 0.3]
        draws.observe(outcome_of(draws.num_batches, batch, correct))
        drawn = [draws.num_drawn[prompt] for prompt in is_open]
        assert max(drawn) - min(drawn) <= 1, "no second sample before the first of all"
        num_correct += len(correct)
        for prompt, token in correct:
            found[prompt].add(token)
    assert all(draws.num_drawn[p] == num_samples for p in range(num_prompts) if not is_done(p))
    assert draws.num_distinct == [len(tokens) for tokens in found]
    assert draws.counts().num_solved == sum(map(bool, found))
    assert draws.counts().num_duplicates == num_correct - sum(map(len, found))


def outcome_of(index: int, batch: list[int], correct: list[tuple[int, int]]) -> BatchResult:
    """A batch in which (prompt, token) were correct completions."""
    left = Counter(prompt for prompt, _ in correct)
    outcomes = []
    for prompt in batch:
        outcomes.append("correct" if left[prompt] > 0 else "wrong")
        left[prompt] -= 1
    return BatchResult(
        index, batch, [1] * len(batch), outcomes, [(prompt, [token, EOS]) for prompt, token in correct], 0.0
    )


# Which one is kept.


def candidates(num: int, prompt_id: str = "p") -> list[Candidate]:
    prompt = Prompt(prompt_id, "h", 3, {"prompt_id": prompt_id})
    return [Candidate(0, prompt, [number + 1] * (number + 1) + [EOS]) for number in range(num)]


def chi_square(observed: Counter, expected: dict) -> float:
    assert set(observed) <= set(expected)
    return sum((observed[key] - count) ** 2 / count for key, count in expected.items())


def test_the_choice_is_uniform():
    picked = Counter(
        choose_uniform(candidates(4, f"p{prompt}"), seed=0).completion_ids[0] for prompt in range(2000)
    )  # fmt: skip
    assert chi_square(picked, dict.fromkeys([1, 2, 3, 4], 500)) < 16.3  # 3 degrees of freedom, p = 0.001


@pytest.mark.parametrize("batch_size", [50, 5000])
def test_the_kept_trajectory_has_the_law_of_a_correct_sample(tmp_path, batch_size):
    """pi(o | correct) is enumerated; stopping early, or several samples in one batch, must not bend it."""
    engine = FakeEngine(num_tokens=2, runs_to=3)
    rows = [{"prompt_id": f"p{n}", "prompt": f"{n}", "answer": 2} for n in range(800)]
    cache = collect(engine, tmp_path / "c", rows=rows, num_samples=6, batch_size=batch_size)
    law = {
        (*body, EOS): math.exp(sum(map(engine.logp, (*body, EOS))))
        for length in (0, 1, 2)
        for body in itertools.product((1, 2), repeat=length)
        if verify(" ".join(map(str, body)), {"answer": 2}) is Verdict.CORRECT
    }
    expected = {ids: len(cache) * p / sum(law.values()) for ids, p in law.items()}
    assert len(expected) == 3 and len(cache) > 550
    assert chi_square(Counter(guidance.completion_ids for guidance in cache), expected) < 13.8  # 2 dof, p = 0.001


def test_closest_keeps_the_one_the_learner_likes_best(tmp_path):
    engine, learner = FakeEngine(), FakeEngine(p_eos=0.9)
    cache = collect(engine, tmp_path / "c", select="closest", learner_score=learner.score)
    best: dict[str, float] = {}
    for prompt_ids, seed in engine.calls:
        for place, prompt_id in enumerate(prompt_ids):
            ids = engine._sample(random.Random(f"{seed}/{place}"))
            if ids[-1] == EOS and verify(engine.decode([{}], [ids])[0], {"answer": 3}) is Verdict.CORRECT:
                mean = sum(map(learner.logp, ids)) / len(ids)
                best[prompt_id] = max(mean, best.get(prompt_id, -math.inf))
    assert any(guidance.num_correct > 1 for guidance in cache)
    kept = {g.prompt_id: sum(map(learner.logp, g.completion_ids)) / len(g.completion_ids) for g in cache}
    assert kept == pytest.approx(best)


def test_closest_compares_means_and_skips_what_is_not_finite(caplog):
    three = candidates(3)
    assert choose_closest(three, [[-1.0, -1.0], [-0.9] * 3, [-2.0] * 4]) == [three[1]]
    assert choose_closest(three, [[-1.0, -1.0], [-1.0] * 3, [-2.0] * 4]) == [three[0]]
    assert choose_closest(three, [[-1.0, -1.0], [-1.0] * 3, [-0.5] * 4], 2) == [three[2], three[0]]
    with caplog.at_level(logging.WARNING):
        assert choose_closest(three, [[-1.0, math.nan], [0.0, -math.inf, 0.0], [-2.0] * 4]) == [three[2]]
    assert "2 of 3 candidates of prompt 'p' have no finite score" in caplog.text
    assert choose_closest(three[:1], [[math.nan, -1.0]]) == []


# A kill changes nothing.


@pytest.mark.parametrize("select", ["uniform", "closest"])
def test_killed_at_any_batch_and_resumed_is_uninterrupted(tmp_path, select):
    learner = FakeEngine(p_eos=0.9)
    how = {"select": select, "learner_score": learner.score}
    straight = FakeEngine()
    expected = content(collect(straight, tmp_path / "straight", **how))
    assert len(straight.calls) > 5
    for num_done in range(len(straight.calls)):
        folder = tmp_path / f"killed{num_done}"
        first, second = FakeEngine(dies_at=num_done), FakeEngine()
        with pytest.raises(Killed):
            collect(first, folder, **how)
        assert not folder.exists()
        with pytest.raises(UserError, match="Run the collection again: it resumes"):
            GuidanceCache.open(folder)
        assert content(collect(second, folder, **how)) == expected
        assert first.calls + second.calls == straight.calls
        assert not Path(f"{folder}.partial").exists()


def test_killed_again_and_again_still_ends(tmp_path):
    expected = content(collect(FakeEngine(), tmp_path / "straight"))
    for _ in range(99):
        try:
            cache = collect(FakeEngine(dies_at=1), tmp_path / "c")
            break
        except Killed:
            continue
    assert content(cache) == expected


@pytest.mark.parametrize("num_lost", [1, 7, 60])
def test_a_torn_last_line_is_drawn_again(tmp_path, num_lost):
    straight = FakeEngine()
    expected = content(collect(straight, tmp_path / "straight"))
    with pytest.raises(Killed):
        collect(FakeEngine(dies_at=3), tmp_path / "c")
    journal = tmp_path / "c.partial" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-num_lost])
    with pytest.raises(Killed):
        collect(FakeEngine(dies_at=1), tmp_path / "c")
    last = FakeEngine()
    assert content(collect(last, tmp_path / "c")) == expected
    assert last.calls == straight.calls[3:]


def test_a_damaged_line_is_drawn_again_with_all_after_it(tmp_path):
    straight = FakeEngine()
    expected = content(collect(straight, tmp_path / "straight"))
    with pytest.raises(Killed):
        collect(FakeEngine(dies_at=4), tmp_path / "c")
    journal = tmp_path / "c.partial" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    lines[2] = lines[2].replace(b'"num_tokens":[', b'"num_tokens":[1', 1)
    journal.write_bytes(b"".join(lines))
    second = FakeEngine()
    assert content(collect(second, tmp_path / "c")) == expected
    assert second.calls == straight.calls[1:]


def test_other_settings_start_over_and_say_so(tmp_path, caplog):
    with pytest.raises(Killed):
        collect(FakeEngine(dies_at=3), tmp_path / "c")
    with caplog.at_level(logging.WARNING):
        cache = collect(FakeEngine(), tmp_path / "c", seed=1)
    assert "holds 3 batches collected with other settings (seed): starting over" in caplog.text
    assert content(cache) == content(collect(FakeEngine(), tmp_path / "straight", seed=1))


KILLED_COLLECTOR = """
import os, signal, sys
sys.path[:0] = {path!r}
import test_collect as t
class Doomed(t.FakeEngine):
    def generate(self, rows, seed):
        if len(self.calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().generate(rows, seed)
t.collect(Doomed(), {folder!r})
"""


def test_a_real_kill_costs_the_batch_at_work(tmp_path):
    path = [str(Path(__file__).parent), *sys.path]
    script = KILLED_COLLECTOR.format(path=path, folder=str(tmp_path / "c"))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    straight, second = FakeEngine(), FakeEngine()
    expected = content(collect(straight, tmp_path / "straight"))
    assert content(collect(second, tmp_path / "c")) == expected
    assert second.calls == straight.calls[2:]


def test_the_journal_keeps_what_was_appended(tmp_path):
    journal = Journal(tmp_path / "j", {"seed": 0})
    journal.append({"index": 0, "text": "a\u2028b\r\nc"})
    journal.append({"index": 1, "value": 0.1})
    assert Journal(tmp_path / "j", {"seed": 0}).records == [
        {"index": 0, "text": "a\u2028b\r\nc"},
        {"index": 1, "value": 0.1},
    ]
    assert all(json.loads(line) for line in (tmp_path / "j" / "journal.jsonl").read_text().split("\n")[:-1])
    assert Journal(tmp_path / "j", {"seed": 1}).records == []


# A complete collection is not repeated.


def test_a_complete_collection_is_opened_as_it_is(tmp_path):
    first = content(collect(FakeEngine(), tmp_path / "c"))
    idle = FakeEngine(dies_at=0)
    assert content(collect(idle, tmp_path / "c")) == first


def test_a_kill_before_the_journal_is_removed_leaves_no_litter(tmp_path):
    collect(FakeEngine(), tmp_path / "c")
    Journal(tmp_path / "c.partial", {"seed": 0})
    collect(FakeEngine(dies_at=0), tmp_path / "c")
    assert list(tmp_path.iterdir()) == [tmp_path / "c"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"num_samples": 5},
        {"batch_size": 9},
        {"verifier_version": "2"},
        {"guide": PolicyRef(0, 90, "checkpoints/90")},
        {"rows": make_rows(22)},
        {"rows": make_rows(23, modulus=4)},
    ],
)
def test_another_collection_replaces_it_when_complete(tmp_path, changes):
    first = content(collect(FakeEngine(), tmp_path / "c"))
    with pytest.raises(Killed):
        collect(FakeEngine(dies_at=1), tmp_path / "c", **changes)
    assert content(GuidanceCache.open(tmp_path / "c")) == first
    second = collect(FakeEngine(), tmp_path / "c", **changes)
    assert content(second) == content(collect(FakeEngine(), tmp_path / "straight", **changes))


def test_a_damaged_cache_is_collected_again(tmp_path, caplog):
    first = content(collect(FakeEngine(), tmp_path / "c"))
    path = tmp_path / "c" / "guidance.parquet"
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))
    with caplog.at_level(logging.WARNING):
        assert content(collect(FakeEngine(), tmp_path / "c")) == first
    assert "Collecting guidance again" in caplog.text


# What cannot be collected is said.


def test_a_guide_that_solves_nothing_leaves_no_cache(tmp_path):
    with pytest.raises(NoSignalError) as error:
        collect(FakeEngine(p_eos=0.99), tmp_path / "c", num_rows=5, verify=lambda text, row: Verdict.WRONG)
    assert str(error.value).startswith(
        "The guide solved none of 5 prompts, so there is nothing to inject. "
        "Collect with more samples (guide_num_samples=8) or a later guide."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_guide_that_never_ends_is_told_apart(tmp_path):
    message = r"None of the 20 samples of the guide ended.*Raise max_completion_length.*guide does not help"
    with pytest.raises(NoSignalError, match=message):
        collect(FakeEngine(p_eos=1e-9), tmp_path / "c", num_rows=5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 0}, "num_samples=0, at least 1"),
        ({"batch_size": 0}, "batch_size=0, at least 1"),
        ({"select": "best"}, "select='best' is not a way to choose"),
        ({"select": "closest"}, "needs learner_score"),
        ({"rows": [{"prompt_id": "p", "prompt": "x"}, {"prompt_id": "p", "prompt": "y"}]}, "'p' names two different"),
    ],
)
def test_nonsense_dies_before_anything_is_drawn(tmp_path, settings, message):
    engine = FakeEngine()
    with pytest.raises(UserError, match=message):
        collect(engine, tmp_path / "c", **settings)
    assert engine.calls == [] and list(tmp_path.iterdir()) == []


def test_a_prompt_without_an_id_has_the_one_that_the_trainer_gives_it(tmp_path):
    rows = [{name: value for name, value in row.items() if name != "prompt_id"} for row in make_rows(9)]
    cache = collect(FakeEngine(), tmp_path / "c", rows=rows)
    assert len(cache) > 0 and {guidance.prompt_id for guidance in cache} <= set(map(prompt_hash, rows))


def test_no_rows_is_no_signal(tmp_path):
    with pytest.raises(NoSignalError, match="0 rows"):
        collect_guidance(FakeEngine(), [], verify, tmp_path / "c", guide=GUIDE)


def test_a_folder_with_something_else_is_refused_before_anything_is_drawn(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("years of work")
    engine = FakeEngine()
    with pytest.raises(UserError, match=r"thesis\.tex"):
        collect(engine, tmp_path / "c")
    assert engine.calls == []


# Several processes decide the same.


@dataclass
class Meeting:
    """Where the threads that stand for processes meet."""

    barrier: threading.Barrier
    value: object = None
    parts: list = field(default_factory=lambda: [None, None])


@dataclass
class OneOfMany(FakeEngine):
    meeting: Meeting | None = None

    def broadcast(self, value):
        assert self.meeting is not None
        if self.is_main:
            self.meeting.value = value
        self.meeting.barrier.wait()
        result = self.meeting.value
        self.meeting.barrier.wait()
        return result

    def shared(self, work, num_rows):
        half = -(-num_rows // 2)
        part = range(half) if self.is_main else range(half, num_rows)
        self.meeting.parts[not self.is_main] = list(work(part))
        self.meeting.barrier.wait()
        result = self.meeting.parts[0] + self.meeting.parts[1]
        self.meeting.barrier.wait()
        return result


def run_as_two(folder: Path, dies_at: int | None = None, judged: list | None = None) -> list:
    meeting = Meeting(threading.Barrier(2))
    results: list = [None, None]

    def work(number: int) -> None:
        def judge(text: str, row: dict) -> Verdict:
            if judged is not None:
                judged.append(number)
            return verify(text, row)

        try:
            engine = OneOfMany(is_main=number == 0, meeting=meeting, dies_at=dies_at)
            results[number] = content(collect(engine, folder, verify=judge))
        except Killed as error:  # both are, at the same moment
            results[number] = error
        except (AssertionError, ValueError, threading.BrokenBarrierError) as error:
            results[number] = error
            meeting.barrier.abort()  # the other waits for nobody

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_processes_collect_what_one_does(tmp_path):
    judged: list = []
    expected = content(collect(FakeEngine(), tmp_path / "one"))
    assert run_as_two(tmp_path / "two", judged=judged) == [expected, expected]
    counts = expected[1].counts
    assert len(judged) == counts.num_samples - counts.num_dropped_no_eos - counts.num_dropped_too_long, "each once"
    assert 0.3 < sum(judged) / len(judged) < 0.7, "both judge"
    assert run_as_two(tmp_path / "two", dies_at=0) == [expected, expected]
    killed = run_as_two(tmp_path / "killed", dies_at=3)
    assert all(isinstance(result, Killed) for result in killed)
    assert run_as_two(tmp_path / "killed") == [expected, expected]


# What was drawn before.


def test_samples_drawn_before_are_judged_first_and_not_drawn_again(tmp_path):
    right, wrong, cut = [3, EOS], [1, EOS], [3, 3]
    given = {"p000": [wrong, right], "p001": [wrong, wrong, wrong], "p002": [cut] * 9, "elsewhere": [right]}
    engine = FakeEngine()
    cache = collect(engine, tmp_path / "c", given=given)
    drawn = [prompt_id for ids, _ in engine.calls for prompt_id in ids]
    assert "p000" not in drawn, "it was solved before"
    assert drawn.count("p001") <= 1, "three of its four samples were given"
    assert "p002" not in drawn, "all of its samples were given, and none can be kept"
    assert list(cache.lookup("p000").completion_ids) == right
    assert "p002" not in cache
    tokens_generated = cache.header.counts.num_tokens
    assert cache.header.counts.num_samples == len(drawn) + 2 + 3 + 4
    assert 0 < tokens_generated <= len(drawn) * LIMIT


@pytest.mark.parametrize("dies_at", range(4))
def test_a_killed_collection_with_given_samples_ends_like_an_unkilled_one(tmp_path, dies_at):
    given = {"p000": [[1, EOS]], "p003": [[3, EOS]]}
    whole = content(collect(FakeEngine(), tmp_path / "whole", given=given))
    with pytest.raises(Killed):
        collect(FakeEngine(dies_at=dies_at), tmp_path / "c", given=given)
    assert content(collect(FakeEngine(), tmp_path / "c", given=given)) == whole
