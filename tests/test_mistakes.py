"""Laws of the mistake pool: it is a dictionary of latest failures, bounded in time, and it survives JSON."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.method.mistakes import MistakePool

Batch = list[tuple[str, float]]
batches = st.lists(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.125, 0.5, 0.6, 0.625, 1.0, math.nan])),
        max_size=6,
    ),
    max_size=12,
)


def feed(pool: MistakePool, history: list[Batch], first_step: int = 1) -> MistakePool:
    for step, batch in enumerate(history, start=first_step):
        pool.observe(step, [prompt for prompt, _ in batch], [rate for _, rate in batch])
    return pool


@given(batches, st.integers(1, 6))
def test_it_holds_the_latest_judged_verdict_of_the_window(history: list[Batch], window: int) -> None:
    pool = feed(MistakePool(0.6, window=window), history)
    latest = {
        prompt: (step, rate) for step, batch in enumerate(history, 1) for prompt, rate in batch if not math.isnan(rate)
    }
    expected = {prompt: at for prompt, at in latest.items() if at[1] <= 0.6 and at[0] > len(history) - window}
    assert {m.prompt_id: (m.step, m.pass_rate) for m in pool.slice(0, len(history))} == expected
    assert len(pool) == len(expected)


@given(batches, st.integers(1, 6))
def test_it_can_keep_what_was_solved_and_say_since_when(history: list[Batch], window: int) -> None:
    pool = feed(MistakePool(0.6, window=window, keep_solved=True), history)
    expected = {}
    for step, batch in enumerate(history, 1):
        for prompt, rate in batch:
            if rate <= 0.6:
                expected[prompt] = (step, rate, None)
            elif rate > 0.6 and prompt in expected and expected[prompt][2] is None:
                expected[prompt] = (*expected[prompt][:2], step)
        expected = {prompt: mistake for prompt, mistake in expected.items() if mistake[0] > step - window}
    found = pool.slice(0, len(history))
    assert {m.prompt_id: (m.step, m.pass_rate, m.solved_step) for m in found} == expected
    forgetful = feed(MistakePool(0.6, window=window), history)
    standing = [m.prompt_id for m in found if m.stands_at(len(history))]
    assert standing == [m.prompt_id for m in forgetful.slice(0, len(history))]
    for step in range(len(history) + 1):
        assert all(m.stands_at(step) for m in pool.slice(step, len(history)))  # who failed later had not solved it


@given(batches, st.integers(0, 12), st.integers(0, 12))
def test_a_slice_holds_the_steps_a_replay_crosses(history: list[Batch], start: int, end: int) -> None:
    pool = feed(MistakePool(0.6, window=100), history)
    since, at = pool.slice(start, end), pool.slice(start, end, "at")
    assert all(start < m.step <= end for m in since)
    assert at == [m for m in since if m.step == start + 1]
    assert [(m.step, m.prompt_id) for m in since] == sorted((m.step, m.prompt_id) for m in since)


@given(batches, batches, st.booleans())
def test_resume_equals_going_on(before: list[Batch], after: list[Batch], keep_solved: bool) -> None:
    pool = feed(MistakePool(0.6, window=5, keep_solved=keep_solved), before)
    resumed = MistakePool(0.6, window=5, keep_solved=keep_solved)
    resumed.load_state_dict(json.loads(json.dumps(pool.state_dict())))
    first = len(before) + 1
    assert feed(pool, after, first).state_dict() == feed(resumed, after, first).state_dict()
    assert pool.metrics() == resumed.metrics()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(0, 50), st.integers(0, 99))
def test_a_sample_is_spread_over_steps(steps: list[int], num: int, seed: int) -> None:
    pool = MistakePool(0.6, window=100)
    for step in range(1, 10):
        names = [f"{i}" for i, at in enumerate(steps) if at == step]
        pool.observe(step, names, [0.0] * len(names))
    drawn = pool.sample(num, np.random.default_rng(seed), [0], 9)
    assert len({m.prompt_id for m in drawn}) == len(drawn) == min(num, len(steps))
    share = len(drawn) / len(steps)
    for first in range(1, 10):
        for last in range(first, 10):
            inside = sum(first <= at <= last for at in steps)
            assert abs(sum(first <= m.step <= last for m in drawn) - share * inside) < 2.0
    assert drawn == pool.sample(num, np.random.default_rng(seed), [0], 9)


def test_every_failure_is_drawn_equally_often() -> None:
    pool = MistakePool(0.6, window=100)
    pool.observe(1, ["a"], [0.0])
    pool.observe(2, ["b", "c", "d", "e"], [0.0] * 4)
    rng = np.random.default_rng(0)
    counts = Counter(m.prompt_id for _ in range(4000) for m in pool.sample(2, rng, [0], 2))
    assert all(abs(count / 4000 - 2 / 5) < 0.04 for count in counts.values()) and len(counts) == 5


def test_what_cannot_be_judged_changes_no_failure_but_is_a_sighting() -> None:
    pool = MistakePool(0.6, window=100)
    pool.observe(3, ["a"], [0.25])
    pool.observe(5, ["a", "b"], [math.nan, math.nan])
    (mistake,) = pool.slice(0, 9)
    assert (mistake.step, mistake.pass_rate, mistake.last_seen_step) == (3, 0.25, 5)


def test_its_metrics_say_size_hardness_and_age() -> None:
    pool = MistakePool(0.6, window=2)
    assert pool.metrics()["autonpo/pool/num_prompts"] == 0.0
    pool.observe(1, ["a", "b"], [0.0, 0.5])
    pool.observe(2, ["b", "c"], [1.0, 0.25])
    metrics = pool.metrics()
    assert metrics["autonpo/pool/num_prompts"] == 2.0 and metrics["autonpo/pool/num_solved"] == 1.0
    assert metrics["autonpo/pool/pass_rate"] == 0.125 and metrics["autonpo/pool/age"] == 0.5
    pool.observe(3, [], [])
    assert pool.metrics()["autonpo/pool/num_expired"] == 1.0


def test_at_the_step_of_each_checkpoint_all_of_them_get_their_share() -> None:
    pool = MistakePool(max_pass_rate=0.6, window=100)
    for step in range(1, 101):
        pool.observe(step, [f"{step}-{i}" for i in range(8)], [0.0] * 8)
    starts = range(10, 100, 10)
    drawn = pool.sample(36, np.random.default_rng(0), starts, 100, "at")
    assert Counter(mistake.step for mistake in drawn) == {start + 1: 4 for start in starts}
    assert len(pool.sample(1000, np.random.default_rng(0), [10, 90], 100)) == 8 * 90  # slices overlap: counted once
