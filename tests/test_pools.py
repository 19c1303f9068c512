"""Laws of pools: several trajectories a prompt, stored, collected, drawn; and trajectories without log-probs."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cache import EOS, HEADER, RUN, make_entry, prompts_of, rewrite_header, write_cache
from test_collect import EOS as STOP
from test_collect import FakeEngine, Killed, chi_square, collect, content, make_rows, verify

from nearfuture.guidance import GuidanceCache, UniformReplay
from nearfuture.types import NoSignalError, UserError, Verdict

POOLS = replace(HEADER, num_kept=3)
TEXT_ONLY = replace(HEADER, has_behavior_logps=False)


def entry_with(prompt: int, token: int, **changes):
    """A trajectory of prompt p00<prompt>, told from others of it by its first token."""
    guidance, text = make_entry(prompt, completion_ids=(token, 7, EOS), **changes)
    return guidance, f"{text}/{token}"


# What goes in comes out, once.


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(3, 5)), max_size=200))
def test_pools_make_the_round_trip_in_their_order_and_without_duplicates(tmp_path_factory, written):
    cache = GuidanceCache.write(tmp_path_factory.mktemp("cache") / "c", POOLS, [entry_with(*pair) for pair in written])
    pools: dict[str, list] = {}
    for prompt, token in dict.fromkeys(written):
        pools.setdefault(f"p{prompt:03d}", []).append(entry_with(prompt, token))
    assert {prompt_id: cache.pool(prompt_id) for prompt_id in pools} == {
        prompt_id: tuple(guidance for guidance, _ in pool) for prompt_id, pool in pools.items()
    }
    assert all(cache.lookup(prompt_id) == pool[0][0] for prompt_id, pool in pools.items())
    assert all(cache.lookup(prompt_id, len(pool) - 1) == pool[-1][0] for prompt_id, pool in pools.items())
    assert list(cache.entries()) == [entry for prompt_id in sorted(pools) for entry in pools[prompt_id]]
    assert len(cache) == len(pools)
    assert cache.num_trajectories == cache.header.num_entries == len(set(written))
    assert cache.header.counts.num_duplicates == len(written) - len(set(written))
    cache.check_integrity()


def test_a_pool_that_lies_in_two_row_groups_is_whole(tmp_path):
    entries = [entry_with(prompt, token) for prompt in range(50) for token in (3, 4, 5)]
    cache = GuidanceCache.write(tmp_path / "c", POOLS, entries)
    for prompt in range(50):  # 64 rows a group: rows 63, 64, 65 are prompt 21, whose first row ends a group
        assert [g.completion_ids[0] for g in cache.pool(f"p{prompt:03d}")] == [3, 4, 5]


def test_prompts_are_counted_as_prompts(tmp_path):
    cache = GuidanceCache.write(tmp_path / "c", POOLS, [entry_with(0, 3), entry_with(0, 4), entry_with(1, 3)])
    coverage = cache.check_compatible(**RUN, prompts={"p000": "hash0", "elsewhere": "hash9"})
    assert (coverage.num_prompts, coverage.num_covered, coverage.num_foreign) == (2, 1, 1)
    summary = cache.summary()
    assert (summary["num_trajectories"], summary["num_kept"], summary["mean_length"]) == (3, 3, 3)
    assert summary["coverage_frac"] == 2 / 512
    assert cache.pool("p999") == () and cache.pool_size("p999") == 0


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry_with(1, token) for token in (3, 4, 5, 6)], "'p001' has 4 entries; this cache holds at most 3"),
        ([entry_with(1, 3), entry_with(1, 4, prompt_hash="other")], "'p001' has entries for two different prompts"),
    ],
)
def test_a_pool_that_is_none_is_refused(tmp_path, entries, message):
    with pytest.raises(UserError, match=message):
        GuidanceCache.write(tmp_path / "c", POOLS, entries)


def test_a_bad_trajectory_is_found_wherever_it_stands_in_its_pool(tmp_path, monkeypatch):
    monkeypatch.setattr("nearfuture.guidance.cache._checked", lambda entries, header: entries)
    bad = entry_with(0, 4, verdict=Verdict.WRONG)
    for number, pool in enumerate([[bad, entry_with(0, 3)], [entry_with(0, 3), bad]]):
        cache = GuidanceCache.write(tmp_path / f"c{number}", POOLS, [*pool, entry_with(1, 3)])
        with pytest.raises(UserError, match=r"1 of 3 guidance entries .*'p000' \(its verdict is wrong"):
            cache.check_compatible(**RUN, prompts=prompts_of(cache))
        with pytest.raises(UserError, match=r"1 of 2 guidance entries were correct .*'p000' \(timeout\)"):
            cache.verify_again(
                lambda text, row: Verdict.TIMEOUT if text.endswith("0/4") else True, {"p000": {}, "p001": {}}
            )


def test_a_header_from_before_pools_is_read(tmp_path):
    written = list(write_cache(tmp_path / "c", 3))
    path = tmp_path / "c" / "header.json"
    fields = json.loads(path.read_text())
    for name in ("max_per_prompt", "has_behavior_logps"):
        fields.pop(name)
    fields["counts"].pop("num_duplicates")
    path.write_text(json.dumps(fields))
    rewrite_header(tmp_path / "c")
    cache = GuidanceCache.open(tmp_path / "c")
    assert list(cache) == written
    assert (cache.header.num_kept, cache.header.has_behavior_logps) == (1, True)


# Trajectories that came as text have no log-probs.


def test_missing_log_probs_are_stored_as_missing(tmp_path):
    entries = [make_entry(number, behavior_logps=()) for number in range(3)]
    cache = GuidanceCache.write(tmp_path / "c", TEXT_ONLY, entries)
    assert list(cache.entries()) == entries
    assert cache.summary()["mean_behavior_logp"] is None
    assert cache.check_compatible(**RUN, prompts=prompts_of(cache)).num_covered == 3


def test_missing_log_probs_are_no_importance_weights(tmp_path):
    cache = GuidanceCache.write(tmp_path / "c", TEXT_ONLY, [make_entry(0, behavior_logps=())])
    with pytest.raises(UserError, match=r"no behaviour log-probs.*weighting=shaped.*weighting=on_policy"):
        cache.check_compatible(**RUN, prompts=prompts_of(cache), require_same_temperature=True)


@pytest.mark.parametrize(
    ("header", "changes", "message"),
    [
        (HEADER, {"behavior_logps": ()}, "3 tokens but 0 log-probs"),
        (TEXT_ONLY, {}, "it has log-probs, its header says there are none"),
    ],
)
def test_a_cache_has_log_probs_in_all_entries_or_in_none(tmp_path, header, changes, message):
    with pytest.raises(UserError, match=message):
        GuidanceCache.write(tmp_path / "c", header, [make_entry(0, **changes)])


# Collecting them.


def draws_of(engine: FakeEngine) -> dict[str, list[tuple[int, ...]]]:
    """The correct samples of each prompt in the order they were drawn, and nothing the collection says itself."""
    rows = {row["prompt_id"]: row for row in make_rows(23)}
    found: dict[str, list[tuple[int, ...]]] = {}
    for prompt_ids, seed in engine.calls:
        for place, prompt_id in enumerate(prompt_ids):
            ids = engine._sample(random.Random(f"{seed}/{place}"))
            is_correct = ids[-1] == STOP and verify(engine.decode([{}], [ids])[0], rows[prompt_id]) is Verdict.CORRECT
            found.setdefault(prompt_id, []).extend([tuple(ids)] if is_correct else [])
    return found


@pytest.mark.parametrize("batch_size", [8, 1000])  # with 1000, all samples are drawn at once: more than are kept
def test_the_pool_is_the_first_different_correct_samples(tmp_path, batch_size):
    engine = FakeEngine()
    cache = collect(engine, tmp_path / "c", num_samples=12, num_kept=2, batch_size=batch_size)
    found = draws_of(engine)
    pools = {prompt_id: [g.completion_ids for g in cache.pool(prompt_id)] for prompt_id in found}
    assert pools == {prompt_id: list(dict.fromkeys(ids))[:2] for prompt_id, ids in found.items()}
    assert {len(pool) for pool in pools.values()} >= {1, 2}
    assert cache.num_correct() == {prompt_id: len(ids) for prompt_id, ids in found.items() if ids}
    counts = cache.header.counts
    assert counts.num_duplicates == sum(len(ids) - len(set(ids)) for ids in found.values()) > 0
    assert counts.num_solved == len(cache) < cache.num_trajectories
    assert cache.header.num_kept == 2


def test_a_prompt_is_drawn_until_its_pool_is_full_or_its_samples_are_spent(tmp_path):
    engine = FakeEngine()
    cache = collect(engine, tmp_path / "c", num_samples=12, num_kept=2, batch_size=1)
    drawn = Counter(prompt_id for prompt_ids, _ in engine.calls for prompt_id in prompt_ids)
    found = draws_of(engine)
    for prompt_id, ids in found.items():
        if len(set(ids)) < 2:
            assert drawn[prompt_id] == 12
        else:  # with one sample a batch, the last draw is the one that filled the pool
            assert len(set(ids)) == 2 and ids[-1] not in ids[:-1]
    assert {g.prompt_id: g.num_samples for g in cache} == {p: drawn[p] for p, ids in found.items() if ids}


def test_the_closest_pool_is_the_best_of_all_samples(tmp_path):
    engine, learner = FakeEngine(), FakeEngine(p_eos=0.9)
    how = {"num_samples": 12, "num_kept": 2, "select": "closest", "learner_score": learner.score}
    cache = collect(engine, tmp_path / "c", **how)

    def mean(ids: tuple[int, ...]) -> float:
        return sum(map(learner.logp, ids)) / len(ids)

    best = {p: sorted(dict.fromkeys(ids), key=mean, reverse=True)[:2] for p, ids in draws_of(engine).items() if ids}
    assert {p: [g.completion_ids for g in cache.pool(p)] for p in best} == best


def test_the_first_of_a_pool_has_the_law_of_a_correct_sample(tmp_path):
    """Stopping at the second different answer would bend any choice among all of them; not the first one drawn."""
    engine = FakeEngine(num_tokens=2, runs_to=3)
    rows = [{"prompt_id": f"p{n}", "prompt": f"{n}", "answer": 2} for n in range(800)]
    cache = collect(engine, tmp_path / "c", rows=rows, num_samples=12, num_kept=2, batch_size=50)
    law = {
        (*body, STOP): math.exp(sum(map(engine.logp, (*body, STOP))))
        for length in (0, 1, 2)
        for body in itertools.product((1, 2), repeat=length)
        if verify(" ".join(map(str, body)), {"answer": 2}) is Verdict.CORRECT
    }
    expected = {ids: len(cache) * p / sum(law.values()) for ids, p in law.items()}
    firsts = Counter(cache.lookup(prompt_id).completion_ids for prompt_id in cache.num_correct())
    assert len(expected) == 3 and len(cache) > 700
    assert chi_square(firsts, expected) < 13.8  # 2 degrees of freedom, p = 0.001


@pytest.mark.parametrize("select", ["uniform", "closest"])
def test_a_killed_collection_of_pools_ends_like_an_unkilled_one(tmp_path, select):
    how = {"num_kept": 2, "select": select, "learner_score": FakeEngine(p_eos=0.9).score}
    given = {"p000": [[1, STOP]], "p003": [[3, STOP], [3, STOP], [1, 2, STOP]]}
    straight = FakeEngine()
    expected = content(collect(straight, tmp_path / "straight", given=given, **how))
    assert len(straight.calls) > 8
    assert ("p003" in draws_of(straight)) == (select == "closest"), "its pool was given whole"
    for num_done in range(len(straight.calls)):
        folder = tmp_path / f"killed{num_done}"
        with pytest.raises(Killed):
            collect(FakeEngine(dies_at=num_done), folder, given=given, **how)
        assert content(collect(FakeEngine(), folder, given=given, **how)) == expected


def test_another_size_of_the_pool_is_another_collection(tmp_path):
    one = content(collect(FakeEngine(), tmp_path / "c"))
    two = collect(FakeEngine(), tmp_path / "c", num_kept=2)
    assert two.num_trajectories > len(two)
    assert content(collect(FakeEngine(), tmp_path / "c")) == one


def test_one_a_prompt_is_the_collection_it_was_before_pools(tmp_path):
    """The name of the collection is the one that this package gave it before `num_kept` existed."""
    cache = collect(FakeEngine(), tmp_path / "c")
    assert cache.header.fingerprint == "63fd43c2e5003e2b43e2459b3f2b16806a0adf0d65477f88f060341c4cfdbadd"
    assert cache.num_trajectories == len(cache)


@pytest.mark.parametrize(
    ("settings", "message"), [({"num_kept": 0}, "num_kept=0, at least 1"), ({"num_kept": 5}, "cannot come from")]
)
def test_a_pool_that_cannot_be_is_refused(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        collect(FakeEngine(), tmp_path / "c", **settings)


def test_spoiled_log_probs_are_counted_as_trajectories(tmp_path):
    whole = collect(FakeEngine(), tmp_path / "whole", num_samples=12, num_kept=2)
    pair = next(p for p in whole.num_correct() if whole.pool_size(p) == 2)
    counts = collect(
        FakeEngine(spoiled=frozenset([pair])), tmp_path / "c", num_samples=12, num_kept=2
    ).header.counts  # fmt: skip
    assert counts.num_dropped_logps == 2
    assert counts.num_solved == len(whole) - 1


# Drawing from them.


def pools_of(folder: Path, sizes: dict[int, int], num_correct: int = 9) -> GuidanceCache:
    entries = [
        entry_with(prompt, 10 + token, num_samples=64, num_correct=num_correct)
        for prompt, size in sizes.items()
        for token in range(size)
    ]
    return GuidanceCache.write(folder, replace(HEADER, num_kept=max(sizes.values())), entries)


def test_a_replay_is_uniform_over_the_pool(tmp_path):
    source = UniformReplay(pools_of(tmp_path / "c", {0: 4}), seed=3)
    drawn = Counter(source.lookup("p000", step).completion_ids[0] for step in range(2000))
    assert chi_square(drawn, dict.fromkeys([10, 11, 12, 13], 500)) < 16.3  # 3 degrees of freedom, p = 0.001


def test_replays_of_different_prompts_and_seeds_have_nothing_to_do_with_each_other(tmp_path):
    """Joint counts of the draws at one step: 16 cells, independent if each has a sixteenth."""
    cache = pools_of(tmp_path / "c", {0: 4, 1: 4})
    one, other = UniformReplay(cache, seed=0), UniformReplay(cache, seed=1)
    by_prompt = Counter((token(one, 0, step), token(one, 1, step)) for step in range(3200))
    by_seed = Counter((token(one, 0, step), token(other, 0, step)) for step in range(3200))
    expected = dict.fromkeys(itertools.product(range(4), repeat=2), 200)
    assert chi_square(by_prompt, expected) < 37.7  # 15 degrees of freedom, p = 0.001
    assert chi_square(by_seed, expected) < 37.7


def token(source: UniformReplay, prompt: int, step: int) -> int:
    return source.lookup(f"p{prompt:03d}", step).completion_ids[0] - 10


def test_a_replay_is_a_function_of_its_arguments(tmp_path):
    """Whatever was asked before, and whoever asks: the same answer; so no state needs saving."""
    cache = pools_of(tmp_path / "c", {0: 4, 1: 2, 2: 1})
    asked = [(f"p{prompt:03d}", step) for prompt in range(3) for step in range(20)]
    first = {question: UniformReplay(cache, seed=5).lookup(*question) for question in asked}
    again = UniformReplay(GuidanceCache.open(tmp_path / "c"), seed=5)
    assert {question: again.lookup(*question) for question in reversed(asked)} == first
    assert len({first["p000", step].completion_ids for step in range(20)}) > 1
    assert {first["p002", step] for step in range(20)} == set(cache.pool("p002"))


def test_what_counts_is_correct_samples_and_not_different_texts(tmp_path):
    often = entry_with(0, 3, num_samples=64, num_correct=2)  # one text, found twice
    once = [entry_with(1, 3, num_samples=64, num_correct=1)]
    source = UniformReplay(GuidanceCache.write(tmp_path / "c", POOLS, [often, *once]), min_correct=2)
    assert source.lookup("p000", 0) == often[0]
    assert source.lookup("p001", 0) is None and source.lookup("p999", 0) is None
    assert source.num_left_out == 1
    with pytest.raises(
        NoSignalError, match=r"none of the 2 prompts .* guide_min_correct=3 correct samples \(most: 2\)"
    ):
        UniformReplay(source.cache, min_correct=3)
