"""Laws of the guidance cache: what goes in comes out, and what cannot be trusted is refused with a reason."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfuture.guidance import GuidanceCache, LayeredSources, WindowedCache
from nearfuture.guidance.header import CacheHeader, CollectionCounts, digest
from nearfuture.guidance.table import ROW_GROUP_SIZE, TableReader
from nearfuture.types import Guidance, NoSignalError, PolicyRef, Sampling, UserError, Verdict

EOS = 2
LIMIT = 16
HEADER = CacheHeader(
    tokenizer_hash="3f2a" * 16,
    eos_token_ids=(EOS,),
    verifier_version="1",
    sampling=Sampling(temperature=0.7, max_completion_length=LIMIT),
    guide=PolicyRef(0, 120, "checkpoints/120"),
    counts=CollectionCounts(num_prompts=512, num_solved=2, num_samples=4096, num_tokens=9000, seconds=1.5),
)
RUN = {
    "tokenizer_hash": HEADER.tokenizer_hash,
    "sampling": HEADER.sampling,
    "eos_token_ids": (EOS,),
    "verifier_version": "1",
}


def make_entry(number: int, **changes) -> tuple[Guidance, str]:
    ids = (10 + number % 5, 7, EOS)
    guidance = Guidance(f"p{number:03d}", f"hash{number}", ids, (-0.5, -0.25, -0.125), 0, 120, Verdict.CORRECT, 4, 1)
    return replace(guidance, **changes), f"text {number}"


def write_cache(folder: Path, num_entries: int = 3, header: CacheHeader = HEADER) -> GuidanceCache:
    return GuidanceCache.write(folder, header, [make_entry(number) for number in range(num_entries)])


def write_unchecked(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: tuple[Guidance, str]) -> GuidanceCache:
    """Write what `write` would refuse, as a foreign or older program might have."""
    monkeypatch.setattr("nearfuture.guidance.cache._checked", lambda entries, header: entries)
    return GuidanceCache.write(folder, HEADER, [entry])


def prompts_of(cache: GuidanceCache) -> dict[str, str]:
    return {guidance.prompt_id: guidance.prompt_hash for guidance in cache}


# What goes in comes out.

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
logps = st.floats(max_value=0, min_value=-(2.0**100), width=32)
bodies = st.lists(st.tuples(st.integers(3, 2**31 - 1), logps), max_size=LIMIT - 1)


@st.composite
def entries(draw) -> tuple[Guidance, str]:
    body = draw(bodies)
    ids, token_logps = [token for token, _ in body] + [EOS], [logp for _, logp in body] + [draw(logps)]
    num_samples = draw(st.integers(1, 99))
    origin = (draw(st.integers(0, 9)), draw(st.integers(0, 10**6)))
    counts = (num_samples, draw(st.integers(1, num_samples)))
    guidance = Guidance(
        draw(words), draw(words), tuple(ids), tuple(token_logps), *origin, Verdict.CORRECT, *counts
    )  # fmt: skip
    return guidance, draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(entries(), max_size=8, unique_by=lambda entry: entry[0].prompt_id))
def test_every_field_makes_the_round_trip(tmp_path_factory, written):
    cache = GuidanceCache.write(tmp_path_factory.mktemp("cache") / "c", HEADER, written)
    in_order = sorted(written, key=lambda entry: entry[0].prompt_id)
    assert list(cache.entries()) == in_order
    assert [cache.lookup(guidance.prompt_id) for guidance, _ in in_order] == list(cache)
    assert len(cache) == len(written)
    cache.check_integrity()


def test_the_header_makes_the_round_trip(tmp_path):
    cache = write_cache(tmp_path / "c")
    filled = {"num_entries": 3, "num_bytes": cache.header.num_bytes, "sha256": cache.header.sha256}
    assert cache.header == replace(HEADER, **filled)
    assert cache.header.num_bytes == (tmp_path / "c" / "guidance.parquet").stat().st_size


def test_absent_prompts_have_no_guidance(tmp_path):
    cache = write_cache(tmp_path / "c")
    assert "p001" in cache and "p999" not in cache
    assert cache.lookup("p999") is None


def test_other_tools_read_the_table(tmp_path):
    write_cache(tmp_path / "c", 130)
    path = tmp_path / "c" / "guidance.parquet"
    table = pq.read_table(path)
    assert table.column("completion_ids").to_pylist()[1] == [11, 7, EOS]
    assert table.column("completion").to_pylist()[1] == "text 1"
    assert pq.ParquetFile(path).metadata.num_row_groups == math.ceil(130 / ROW_GROUP_SIZE)
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(path)
    assert list(frame.prompt_id) == sorted(frame.prompt_id) and set(frame.verdict) == {"correct"}
    assert list(frame.behavior_logps[0]) == [-0.5, -0.25, -0.125]


def test_the_summary_counts_and_averages(tmp_path):
    summary = write_cache(tmp_path / "c", 4).summary()
    assert summary["coverage_frac"] == 4 / 512
    assert summary["mean_length"] == 3
    assert summary["mean_behavior_logp"] == pytest.approx(-0.875 / 3)
    assert summary["guide"] == {"segment": 0, "step": 120, "path": "checkpoints/120"}
    assert (summary["num_trajectories"], summary["num_kept"]) == (4, 1)
    json.dumps(summary)


# One look-up does not read everything.


def test_a_look_up_reads_one_row_group(tmp_path):
    cache = write_cache(tmp_path / "c", 5 * ROW_GROUP_SIZE)
    assert cache.num_groups_read == 0
    for number in range(ROW_GROUP_SIZE, 2 * ROW_GROUP_SIZE):
        assert cache.lookup(f"p{number:03d}") == make_entry(number)[0]
    assert cache.num_groups_read == 1


def test_a_look_up_needs_no_other_row_group(tmp_path):
    """The proof without counters: the columns of all other row groups are overwritten, keys excepted."""
    write_cache(tmp_path / "c", 4 * ROW_GROUP_SIZE)
    path = tmp_path / "c" / "guidance.parquet"
    metadata = pq.ParquetFile(path).metadata
    content = bytearray(path.read_bytes())
    for group in (0, 1, 3):
        for column in range(1, metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            content[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    path.write_bytes(content)
    cache = GuidanceCache.open(tmp_path / "c")
    assert cache.lookup(f"p{2 * ROW_GROUP_SIZE:03d}") == make_entry(2 * ROW_GROUP_SIZE)[0]
    with pytest.raises(UserError, match="is damaged"):
        cache.lookup("p000")


def test_only_the_last_row_groups_are_kept(tmp_path):
    write_cache(tmp_path / "c", 3 * ROW_GROUP_SIZE)
    reader = TableReader(tmp_path / "c" / "guidance.parquet", max_groups_kept=2)
    for row in (0, ROW_GROUP_SIZE, 0, 2 * ROW_GROUP_SIZE, 0):
        reader.entry(row)
    assert reader.num_groups_read == 3
    reader.entry(ROW_GROUP_SIZE)
    assert reader.num_groups_read == 4


# A run refuses what it cannot use.


def test_a_good_cache_is_accepted_and_its_coverage_counted(tmp_path):
    cache = write_cache(tmp_path / "c", 3)
    prompts = {"p000": "hash0", "p001": "hash1", "elsewhere": "hash9"}
    sampling = Sampling(temperature=1.0, max_completion_length=LIMIT)
    coverage = cache.check_compatible(**{**RUN, "sampling": sampling}, prompts=prompts)
    assert (coverage.num_prompts, coverage.num_covered, coverage.num_foreign) == (3, 2, 1)
    assert coverage.sampling_differences == {"temperature": (0.7, 1.0)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tokenizer_hash": "91bc" * 16},
            "tokenizer 3f2a3f2a..., the policy uses 91bc91bc.... Token ids would not mean",
        ),
        ({"verifier_version": "2"}, "verified with verifier version 1, this run uses 2"),
        ({"eos_token_ids": (5,)}, "3 of 3 guidance entries .* no stop token at its end"),
        ({"eos_token_ids": (EOS, 7)}, "3 of 3 guidance entries .* continues after a stop token"),
        ({"sampling": Sampling(max_completion_length=2)}, "3 of 3 .*3 tokens, max_completion_length=2"),
        ({"prompts": {"a": "x", "b": "y"}}, "none of the 3 prompts in the cache .* among the 2 prompts of the data"),
        ({"prompts": {"p000": "hash0", "p001": "new"}}, "1 of 2 prompts are not the ones .*'p001' .hash1 in the cache"),
        (
            {"sampling": Sampling(temperature=1.0, max_completion_length=LIMIT), "require_same_temperature": True},
            "sampled at temperature 0.7, this run samples at 1.0",
        ),
    ],
)
def test_what_differs_is_named(tmp_path, changes, message):
    cache = write_cache(tmp_path / "c", 3)
    with pytest.raises(UserError, match=message):
        cache.check_compatible(**{**RUN, "prompts": prompts_of(cache), **changes})


def test_no_verifier_version_means_verified_again(tmp_path):
    cache = write_cache(tmp_path / "c", 3)
    cache.check_compatible(**{**RUN, "verifier_version": None}, prompts=prompts_of(cache))


DEFECTS = [
    ({"verdict": Verdict.WRONG}, "its verdict is wrong, not correct"),
    ({"verdict": Verdict.TIMEOUT}, "its verdict is timeout, not correct"),
    ({"completion_ids": (10, 7, 8)}, "truncated: no stop token at its end"),
    ({"completion_ids": (), "behavior_logps": ()}, "truncated: no stop token at its end"),
    ({"completion_ids": (10, EOS, EOS)}, "continues after a stop token"),
    ({"completion_ids": (-100, 7, EOS)}, "negative token id"),
    (
        {"completion_ids": (3,) * LIMIT + (EOS,), "behavior_logps": (-1.0,) * (LIMIT + 1)},
        "17 tokens, max_completion_le",
    ),
    ({"behavior_logps": (-1.0, -1.0)}, "3 tokens but 2 log-probs"),
    ({"behavior_logps": (-1.0, math.nan, -1.0)}, "not finite"),
    ({"behavior_logps": (-1.0, -math.inf, -1.0)}, "not finite"),
    ({"behavior_logps": (-1.0, -1e39, -1.0)}, "not finite"),
    ({"prompt_hash": ""}, "no prompt hash"),
]


@pytest.mark.parametrize(("changes", "message"), DEFECTS)
def test_a_defective_entry_is_not_written(tmp_path, changes, message):
    with pytest.raises(UserError, match=f"1 of 1 guidance entries .*{message}"):
        GuidanceCache.write(tmp_path / "c", HEADER, [make_entry(0), make_entry(1, **changes)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("changes", "message"), [d for d in DEFECTS if "prompt_hash" not in d[0]])
def test_a_defective_entry_is_not_accepted(tmp_path, monkeypatch, changes, message):
    cache = write_unchecked(tmp_path / "c", monkeypatch, make_entry(1, **changes))
    with pytest.raises(UserError, match=f"1 of 1 guidance entries .*{message}"):
        cache.check_compatible(**RUN, prompts=prompts_of(cache))


def test_an_entry_without_a_prompt_hash_is_of_no_known_prompt(tmp_path, monkeypatch):
    cache = write_unchecked(tmp_path / "c", monkeypatch, make_entry(1, prompt_hash=""))
    with pytest.raises(UserError, match="1 of 1 prompts are not the ones"):
        cache.check_compatible(**RUN, prompts={"p001": ""})


def test_defects_of_prompts_that_are_never_looked_up_do_not_matter(tmp_path):
    long = make_entry(1, completion_ids=(3,) * 9 + (EOS,), behavior_logps=(-1.0,) * 10)
    cache = GuidanceCache.write(tmp_path / "c", HEADER, [make_entry(0), long])
    coverage = cache.check_compatible(
        **{**RUN, "sampling": Sampling(max_completion_length=5)}, prompts={"p000": "hash0"}
    )
    assert coverage.num_foreign == 1


def test_only_the_first_ones_are_named(tmp_path):
    cache = write_cache(tmp_path / "c", 9)
    with pytest.raises(UserError, match="9 of 9 prompts") as error:
        cache.check_compatible(**RUN, prompts=dict.fromkeys(prompts_of(cache), "other"))
    assert len(re.findall(r"'p\d+'", str(error.value))) == 3


def test_two_entries_of_one_prompt_are_refused(tmp_path):
    with pytest.raises(UserError, match="'p001' has 2 entries; this cache holds one trajectory"):
        GuidanceCache.write(tmp_path / "c", HEADER, [make_entry(1), make_entry(2), make_entry(1)])


def test_an_empty_cache_is_no_signal(tmp_path):
    cache = write_cache(tmp_path / "c", 0)
    with pytest.raises(NoSignalError) as error:
        cache.check_compatible(**RUN, prompts={"p": "h"})
    assert str(error.value) == (
        "The guide solved none of 512 prompts, so there is nothing to inject. "
        "Collect with more samples (guide_num_samples=16) or a later guide."
    )


def test_verification_again_refuses_what_is_no_longer_correct(tmp_path):
    cache = write_cache(tmp_path / "c", 3)
    rows = {f"p00{number}": {"number": number} for number in range(3)}
    heard = []
    judged = cache.verify_again(lambda *asked: heard.append(asked) or Verdict.CORRECT, rows)
    assert set(judged.values()) == {Verdict.CORRECT}
    assert heard == [("text 0", {"number": 0}), ("text 1", {"number": 1}), ("text 2", {"number": 2})]
    for verdict in (Verdict.WRONG, Verdict.TIMEOUT):
        with pytest.raises(UserError, match=rf"1 of 3 guidance entries were correct .*'p001' \({verdict.value}\)"):
            cache.verify_again(lambda text, row, v=verdict: v if row["number"] == 1 else Verdict.CORRECT, rows)
    judged = cache.verify_again(lambda text, row: Verdict.CORRECT, {"p002": {}, "else": {}})
    assert list(judged) == ["p002"]


# Bytes that are not those that were written.


def test_every_damaged_byte_is_noticed(tmp_path):
    write_cache(tmp_path / "c", 3)
    for name in ("guidance.parquet", "header.json"):
        path = tmp_path / "c" / name
        content = path.read_bytes()
        for place in range(0, len(content), 13):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(UserError):
                GuidanceCache.open(tmp_path / "c").check_integrity()
        path.write_bytes(content)
    GuidanceCache.open(tmp_path / "c").check_integrity()


def test_a_look_up_is_right_or_refused(tmp_path):
    """Each byte of the log-prob pages is flipped; a plain reader sees other numbers at some of them, a look-up none."""
    expected = list(write_cache(tmp_path / "c", 3))
    path = tmp_path / "c" / "guidance.parquet"
    names = pq.ParquetFile(path).schema_arrow.names
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(names.index("behavior_logps"))
    content = path.read_bytes()
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    num_refused = num_misread = 0
    for place in range(start, start + chunk.total_compressed_size):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        num_misread += plain_logps(path) not in (None, [list(guidance.behavior_logps) for guidance in expected])
        try:
            assert GuidanceCache.open(tmp_path / "c").lookup("p001") == expected[1]
        except UserError as error:
            assert re.search(r"guidance\.parquet is damaged: .*collect again", str(error))
            num_refused += 1
    assert num_refused > num_misread > 0


def plain_logps(path: Path) -> list | None:
    """Read the log-probs without verifying checksums; None where even that fails."""
    try:
        return pq.ParquetFile(path).read(columns=["behavior_logps"]).column(0).to_pylist()
    except (OSError, ValueError):
        return None


def test_a_shortened_table_is_noticed_at_once(tmp_path):
    write_cache(tmp_path / "c", 3)
    path = tmp_path / "c" / "guidance.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"is damaged: \d+ bytes, its header says \d+"):
        GuidanceCache.open(tmp_path / "c")


def rewrite_header(folder: Path, **changes) -> None:
    """Change fields of a header and give it a valid checksum."""
    fields = {**json.loads((folder / "header.json").read_text()), **changes}
    fields.pop("checksum")
    (folder / "header.json").write_text(json.dumps({**fields, "checksum": digest(fields)}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99}, "has format version 99, this nearfuture reads version 1"),
        ({"format": "else"}, "is not the header of a guidance cache"),
        ({"num_entries": 4}, "3 trajectories, its header says 4"),
        ({"guide": {"segment": 0}}, "a field is missing or unknown"),
        ({"surprise": 1}, "a field is missing or unknown"),
        ({"tokenizer_hash": 7}, "tokenizer_hash=7: "),
        ({"counts": {"num_prompts": "many", "num_solved": 2, "num_samples": 3}}, "counts.num_prompts='many': "),
    ],
)
def test_a_header_of_another_kind_is_refused(tmp_path, changes, message):
    write_cache(tmp_path / "c", 3)
    rewrite_header(tmp_path / "c", **changes)
    with pytest.raises(UserError, match=message):
        GuidanceCache.open(tmp_path / "c")


@pytest.mark.parametrize(("name", "value"), [("verdict", "7V"), ("verdict", None), ("completion_ids", None)])
def test_a_table_with_a_row_that_nobody_wrote_is_damaged(tmp_path, name, value):
    path = tmp_path / "c" / "guidance.parquet"
    write_cache(tmp_path / "c", 3)
    table = pq.read_table(path)
    rows = [*table.to_pylist()[:-1], {**table.to_pylist()[-1], name: value}]
    pq.write_table(table.schema.empty_table().from_pylist(rows, schema=table.schema), path)
    with pytest.raises(UserError, match=r"guidance.parquet is damaged"):
        list(TableReader(path))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"format": NaN}', "\x00", "[" * 100_000])
def test_a_header_that_is_no_header_is_refused(tmp_path, text):
    write_cache(tmp_path / "c", 3)
    (tmp_path / "c" / "header.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        GuidanceCache.open(tmp_path / "c")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(
        UserError, match=r"no guidance cache at .*nowhere: header.json is missing. Collect guidance first"
    ):
        GuidanceCache.open(tmp_path / "nowhere")
    write_cache(tmp_path / "c", 3)
    (tmp_path / "c" / "guidance.parquet").unlink()
    with pytest.raises(UserError, match=r"guidance.parquet is missing"):
        GuidanceCache.open(tmp_path / "c")


# A half-written cache is not one, and writing harms nothing.

KILLED_WRITER = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_cache import HEADER, make_entry
from nearfuture.guidance import GuidanceCache
def entries():
    for number in range(200):
        if number == {kill_at}:
            os.kill(os.getpid(), signal.SIGKILL)
        yield make_entry(number)
if {kill_at} == 200:
    def killed(path, text):
        os.kill(os.getpid(), signal.SIGKILL)
    GuidanceCache.write.__globals__["files"].write_text = killed
GuidanceCache.write({folder!r}, HEADER, entries())
"""


@pytest.mark.parametrize("kill_at", [0, 100, 200])
def test_a_killed_write_leaves_the_old_cache_intact(tmp_path, kill_at):
    old = list(write_cache(tmp_path / "c", 3))
    path = [str(Path(__file__).parent), *sys.path]
    script = KILLED_WRITER.format(path=path, folder=str(tmp_path / "c"), kill_at=kill_at)
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    GuidanceCache.open(tmp_path / "c").check_integrity()
    assert list(GuidanceCache.open(tmp_path / "c")) == old
    with pytest.raises(UserError, match=r"header.json is missing"):
        GuidanceCache.open(tmp_path / ".c.writing")
    assert len(write_cache(tmp_path / "c", 5)) == 5
    assert [item.name for item in tmp_path.iterdir()] == ["c"]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path):
    old = list(write_cache(tmp_path / "c", 3))
    (tmp_path / "c").rename(tmp_path / ".c.previous")
    assert list(GuidanceCache.open(tmp_path / "c")) == old
    with pytest.raises(UserError, match="no stop token"):
        GuidanceCache.write(tmp_path / "c", HEADER, [make_entry(0, completion_ids=(1, 1, 1))])
    assert list(GuidanceCache.open(tmp_path / "c")) == old
    write_cache(tmp_path / "c", 5)
    assert [item.name for item in tmp_path.iterdir()] == ["c"]


def test_a_kill_after_the_second_rename_leaves_the_new_cache(tmp_path):
    write_cache(tmp_path / "c", 5)
    write_cache(tmp_path / ".c.previous", 3)
    assert len(GuidanceCache.open(tmp_path / "c")) == 5


def test_an_open_cache_outlives_its_replacement(tmp_path):
    cache = write_cache(tmp_path / "c", 3)
    GuidanceCache.write(tmp_path / "c", HEADER, [make_entry(7)])
    assert cache.lookup("p001") == make_entry(1)[0]
    cache.close()


@pytest.mark.parametrize("name", ["thesis.tex", "guidance"])
def test_a_folder_with_something_else_is_not_replaced(tmp_path, name):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / name).write_text("years of work")
    with pytest.raises(UserError, match=f"holds '{name}', which is not part of a guidance cache"):
        write_cache(tmp_path / "c")
    assert (tmp_path / "c" / name).read_text() == "years of work"
    shutil.rmtree(tmp_path / "c")
    (tmp_path / "c").write_text("a file")
    with pytest.raises(UserError, match="is a file"):
        write_cache(tmp_path / "c")


# The window.


def test_the_latest_guide_is_asked_first_and_earlier_ones_stay(tmp_path):
    early, late = write_cache(tmp_path / "early"), write_cache(tmp_path / "late")
    layers = LayeredSources((WindowedCache(late, start_step=40, end_step=60), WindowedCache(early, start_step=0)))
    assert [layers.lookup("p000", step) is not None for step in (0, 39, 50, 70)] == [True] * 4
    assert late.num_groups_read == 1, "only inside its window"
    assert layers.lookup("p999", 50) is None
    assert LayeredSources(()).lookup("p000", 0) is None


def test_the_window_is_half_open(tmp_path):
    cache = write_cache(tmp_path / "c")
    window = WindowedCache(cache, start_step=10, end_step=12)
    assert [window.lookup("p000", step) is not None for step in (9, 10, 11, 12)] == [False, True, True, False]
    assert WindowedCache(cache, start_step=10).lookup("p000", 10**9) == cache.lookup("p000")
    assert window.lookup("p999", 10) is None
    with pytest.raises(ValueError, match="the window is empty"):
        WindowedCache(cache, start_step=5, end_step=5)
