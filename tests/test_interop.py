"""Laws of import and export: what goes out comes back token by token, and what does not is named, row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import pandas
import pytest
from commands import CONFIGS, invoke
from huggingface_hub import DatasetCard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cache import HEADER
from tiny import TASK, gold_ids, guidance_for, header_of, npo

from nearfuture.guidance import GuidanceCache
from nearfuture.guidance.interop import FORMATS, Codec, Exporter, Importer, KnownPrompts, Problem, Report
from nearfuture.guidance.interop.report import REMARKS, Reason
from nearfuture.guidance.interop.rows import read_rows, write_rows
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train import TRLEngine
from nearfuture.train.tokenizer import load_codec
from nearfuture.types import Guidance, NoSignalError, UserError, Verdict

EOS, AB = 2, 50
TINY = CONFIGS / "tiny.yaml"
POOLS = replace(HEADER, num_kept=3)


def encode(text: str) -> list[int]:
    """A letter a token, but `ab` is one; capitals do not exist, `$` ends a completion."""
    pieces = text.lower().replace("ab", "\0")
    return [AB if piece == "\0" else EOS if piece == "$" else ord(piece) for piece in pieces]


def decode(ids) -> str:
    return "".join("" if token == EOS else "ab" if token == AB else chr(token) for token in ids)


CODEC = Codec(encode, decode, HEADER.tokenizer_hash, (EOS,))


def row_of(number: int, **changes) -> dict:
    """A row of a task; every other one a conversation."""
    text = f"question {number}?"
    prompt = text if number % 2 else [{"role": "user", "content": text}]
    return {"prompt_id": f"p{number}", "prompt": prompt, "answer": str(number), **changes}


def question_of(row: dict) -> Problem:
    return Problem(row["prompt_id"], prompt_hash(row), row["prompt"], row["answer"], "sums")


def entry_of(row: dict, text: str, ids: list[int] | None = None, **changes) -> tuple[Guidance, str]:
    ids = [*encode(text), EOS] if ids is None else ids
    logps = tuple(-0.25 * place for place in range(len(ids)))
    guidance = Guidance(
        row["prompt_id"], prompt_hash(row), tuple(ids), logps, 1, 120, Verdict.CORRECT, 64, 9
    )  # fmt: skip
    return replace(guidance, **changes), text


def cache_of(folder: Path, *entries: tuple[Guidance, str]) -> GuidanceCache:
    return GuidanceCache.write(folder, POOLS, entries)


def exported(cache: GuidanceCache, name: str, path: Path, rows: list[dict]) -> Report:
    exporter = Exporter(FORMATS[name], cache, {row["prompt_id"]: question_of(row) for row in rows}, CODEC)
    write_rows(path, exporter.rows())
    return exporter.report


def importer_of(name: str, rows: list[dict], judge=lambda prompt_id, text: Verdict.CORRECT, **header) -> Importer:
    return Importer(FORMATS[name], replace(HEADER, **header), KnownPrompts.of_rows(rows), CODEC, judge)


def imported(name: str, path: Path, folder: Path, rows: list[dict]) -> tuple[GuidanceCache, Report]:
    importer = importer_of(name, rows)
    importer.take(read_rows(path))
    return importer.write(folder), importer.report


def ids_of(cache: GuidanceCache) -> dict[str, list[tuple[int, ...]]]:
    found: dict[str, list[tuple[int, ...]]] = {}
    for guidance in cache:
        found.setdefault(guidance.prompt_id, []).append(guidance.completion_ids)
    return found


# There and back.

texts = st.text(st.sampled_from("abc d\n\"'{é\u2028"), min_size=1, max_size=12).filter(str.strip)
pools = st.dictionaries(st.integers(0, 9), st.lists(texts, min_size=1, max_size=3, unique=True), min_size=1)


@pytest.mark.parametrize(
    ("name", "suffix", "max_traces"),
    [
        ("easyvideor1", ".json", 1),
        ("easyvideor1", ".jsonl", 1),
        ("luffy", ".parquet", 1),
        ("luffy", ".jsonl", 1),
        ("rlep", ".parquet", 3),
        ("rlep", ".json", 3),
        ("jsonl", ".jsonl", 3),
        ("jsonl", ".parquet", 3),
    ],
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(written=pools)
def test_what_goes_out_comes_back_token_by_token(tmp_path_factory, name, suffix, max_traces, written):
    home, rows = tmp_path_factory.mktemp("interop"), [row_of(number) for number in range(10)]
    if (name, suffix) == ("jsonl", ".parquet"):  # one table cannot hold prompts of both kinds as they stand
        rows = [row_of(number, prompt=f"question {number}?") for number in range(10)]
    entries = [entry_of(rows[number], text) for number, pool in written.items() for text in pool]
    cache = cache_of(home / "c", *entries)
    went = exported(cache, name, home / f"rows{suffix}", rows)
    came, report = imported(name, home / f"rows{suffix}", home / "back", rows)
    assert ids_of(came) == {prompt_id: pool[:max_traces] for prompt_id, pool in ids_of(cache).items()}
    assert [text for _, text in came.entries()] == [
        text for prompt in sorted(written, key=str) for text in written[prompt][:max_traces]
    ]
    num_beyond = cache.num_trajectories - came.num_trajectories
    assert went.counts() == ({Reason.DOES_NOT_FIT.value: num_beyond} if num_beyond else {})
    num_unsolved = 10 - len(written) if name == "easyvideor1" else 0
    assert report.counts() == ({Reason.NO_TRAJECTORY.value: num_unsolved} if num_unsolved else {})
    assert report.num_kept == went.num_kept == came.num_trajectories


def test_our_own_rows_lose_nothing(tmp_path):
    rows = [row_of(0), row_of(1)]
    cache = cache_of(tmp_path / "c", entry_of(rows[0], "ba"), entry_of(rows[0], "c"), entry_of(rows[1], "dd"))
    exported(cache, "jsonl", tmp_path / "rows.jsonl", [])  # the task need not be known
    came, _ = imported("jsonl", tmp_path / "rows.jsonl", tmp_path / "back", rows)
    assert list(came.entries()) == list(cache.entries())
    assert came.header.has_behavior_logps and came.header.num_kept == 2


@pytest.mark.parametrize("name", ["easyvideor1", "luffy", "rlep"])
def test_a_text_has_no_log_probs(tmp_path, name):
    rows = [row_of(0), row_of(1)]
    exported(cache_of(tmp_path / "c", entry_of(rows[0], "ba")), name, tmp_path / "rows.jsonl", rows)
    came, _ = imported(name, tmp_path / "rows.jsonl", tmp_path / "back", rows)
    assert not came.header.has_behavior_logps and came.lookup("p0").behavior_logps == ()
    assert (came.lookup("p0").num_samples, came.lookup("p0").num_correct) == (1, 1)


# The rows are those that the frameworks read. What is done with a row here is what their code does with it.


def test_luffy_reads_the_rows(tmp_path):
    rows = [row_of(0), row_of(1)]
    exported(cache_of(tmp_path / "c", entry_of(rows[1], "ba")), "luffy", tmp_path / "rows.parquet", rows)
    row = pandas.read_parquet(tmp_path / "rows.parquet").iloc[0].to_dict()
    assert [dict(message) for message in row["prompt"]] == [{"role": "user", "content": "question 1?"}]
    assert row["target"][0]["content"] == "ba"
    assert row["reward_model"] == {"style": "rule", "ground_truth": "1"}
    assert row["extra_info"].get("index", 0) == 0 and row["data_source"] == "sums"


def test_rlep_reads_the_rows(tmp_path):
    rows = [row_of(0), row_of(1)]
    pool = [entry_of(rows[1], text) for text in ("ba", "c")]
    exported(cache_of(tmp_path / "c", *pool), "rlep", tmp_path / "rows.parquet", rows)
    row = datasets.load_dataset("parquet", data_files=str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path))["train"][
        0
    ]
    assert row["prompt"] == [{"role": "user", "content": "question 1?"}]
    assert row["reward_model"]["candidates"] == ["ba", "c"]
    assert row["reward_model"]["ground_truth"] == "1"


def test_easyvideor1_reads_the_rows(tmp_path):
    rows = [row_of(0), row_of(1)]
    exported(cache_of(tmp_path / "c", entry_of(rows[1], "ba")), "easyvideor1", tmp_path / "rows.jsonl", rows)
    data = datasets.load_dataset(
        "json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=str(tmp_path)
    )
    solved, unsolved = data
    assert (solved["problem"], solved["answer"], solved["offline_output"]) == ("question 1?", "1", "ba")
    assert solved["has_offline_trajectory"] and not unsolved["has_offline_trajectory"]
    assert len(solved["images"]) == len(solved["videos"]) == 0
    assert unsolved["problem"] == "question 0?"


# What does not come back is named.


def luffy_row(number: int, content: object, **changes) -> dict:
    return {"prompt": row_of(number)["prompt"], "target": [{"role": "assistant", "content": content}], **changes}


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("luffy", luffy_row(7, "ba"), (None, Reason.NO_PROMPT, "")),
        ("luffy", luffy_row(0, "ba", prompt="twice?"), (None, Reason.SEVERAL_PROMPTS, "p4, p5")),
        ("luffy", luffy_row(0, "ba", extra_info={"prompt_id": "p1"}), ("p1", Reason.OTHER_PROMPT, "")),
        ("luffy", luffy_row(0, "ba", prompt_id="p1"), ("p1", Reason.OTHER_PROMPT, "")),
        ("luffy", luffy_row(0, "  "), ("p0", Reason.NO_TRAJECTORY, "")),
        ("luffy", luffy_row(0, "Ba"), ("p0", Reason.OTHER_TEXT, "'ba'")),
        ("luffy", luffy_row(0, "b$a"), ("p0", Reason.OTHER_TEXT, "'ba'")),
        ("luffy", luffy_row(0, "b" * 16), ("p0", Reason.TOO_LONG, "17 tokens, max_completion_length=16")),
        ("luffy", luffy_row(0, "wrong"), ("p0", Reason.NOT_CORRECT, "wrong")),
        ("luffy", luffy_row(0, "slow"), ("p0", Reason.NOT_CORRECT, "timeout")),
        ("luffy", luffy_row(0, 7), (None, Reason.DAMAGED, "content is int, not str")),
        ("luffy", luffy_row(0, "ba", target="ba"), (None, Reason.DAMAGED, "target is str, not list")),
        ("luffy", luffy_row(0, "ba", target=["ba"]), (None, Reason.DAMAGED, "target[0] is str, not a message")),
        ("luffy", luffy_row(0, "ba", target=None), (None, Reason.NO_TRAJECTORY, "")),
        ("luffy", luffy_row(0, "\ud800"), (None, Reason.DAMAGED, "content is not Unicode text")),
        ("rlep", {"prompt": "question 1?", "reward_model": {"candidates": None}}, (None, Reason.NO_TRAJECTORY, "")),
        (
            "rlep",
            {"prompt": "question 1?", "candidates": ["a", 3]},
            (None, Reason.DAMAGED, "a candidate is int, not str"),
        ),
        ("easyvideor1", {"problem_id": 9, "problem": "question 1?"}, ("9", Reason.NO_TRAJECTORY, "")),
        (
            "easyvideor1",
            {"problem": "question 1?", "has_offline_trajectory": False, "offline_output": "ba"},
            (None, Reason.NO_TRAJECTORY, ""),
        ),
        ("jsonl", {"prompt_id": "p0"}, ("p0", Reason.NO_TRAJECTORY, "")),
        ("jsonl", {"completion": "ba"}, (None, Reason.NO_PROMPT, "")),
        ("jsonl", {"prompt_id": 0.5, "completion": "ba"}, (None, Reason.DAMAGED, "prompt_id is float, not str or int")),
        (
            "jsonl",
            {"prompt_id": "p0", "completion": "ba", "completion_ids": [98, 99, EOS]},
            ("p0", Reason.OTHER_MEANING, "'bc'"),
        ),
        (
            "jsonl",
            {"prompt_id": "p0", "completion": "ba", "completion_ids": [98, EOS, 97, EOS]},
            ("p0", Reason.NOT_TRAINABLE, "it continues after a stop token"),
        ),
        (
            "jsonl",
            {"prompt_id": "p0", "completion": "ba", "completion_ids": [98, -1]},
            (None, Reason.DAMAGED, "completion_ids has a number that is not a token id"),
        ),
        (
            "jsonl",
            {"prompt_id": "p0", "completion": "ba", "completion_ids": [98, None]},
            (None, Reason.DAMAGED, "completion_ids has None in it"),
        ),
        (
            "jsonl",
            {"prompt_id": "p0", "completion": "ba", "behavior_logps": [-1.0, -1.0], "temperature": 0.7},
            ("p0", Reason.NOT_TRAINABLE, "3 tokens but 2 log-probs"),
        ),
        (
            "jsonl",
            {"prompt_id": "p0", "completion": "b", "behavior_logps": [-1.0, float("nan")], "temperature": 0.7},
            ("p0", Reason.NOT_TRAINABLE, "a log-prob is not finite"),
        ),
        (
            "jsonl",
            {"prompt_id": "p0", "completion": "b", "num_samples": -1},
            (None, Reason.DAMAGED, "num_samples=-1 is"),
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_reason(tmp_path, name, row, expected):
    """It stands in line 2 of a file whose first and last row are good."""
    rows = [row_of(0), row_of(1), row_of(4, prompt="twice?"), row_of(5, prompt="twice?")]

    def judge(prompt_id: str, text: str) -> Verdict:
        return {"wrong": Verdict.WRONG, "slow": Verdict.TIMEOUT}.get(text, Verdict.CORRECT)

    good = entry_of(rows[1], "dd")
    exported(cache_of(tmp_path / "c", good), name, tmp_path / "rows.jsonl", rows[1:2])
    line = (tmp_path / "rows.jsonl").read_text()
    (tmp_path / "rows.jsonl").write_text(line + json.dumps(row) + "\n" + line)
    importer = importer_of(name, rows, judge)
    importer.take(read_rows(tmp_path / "rows.jsonl"))
    named, twice = importer.report.findings
    prompt_id, reason, detail = expected
    assert (named.row, named.prompt_id, named.reason) == (2, prompt_id, reason)
    assert named.detail.startswith(detail) and bool(named.detail) == bool(detail)
    assert (twice.row, twice.prompt_id, twice.reason) == (3, "p1", Reason.DUPLICATE)
    cache = importer.write(tmp_path / "back")
    assert ids_of(cache) == {"p1": [good[0].completion_ids]}
    assert cache.header.counts.num_dropped_too_long == (reason is Reason.TOO_LONG)
    assert cache.header.counts.num_unjudged == (detail == "timeout")
    assert importer.report.num_rows == 3 and importer.report.num_kept == 1


def test_lines_and_lists_that_are_no_rows_are_named_and_the_others_read(tmp_path):
    good = json.dumps({"prompt_id": "p0", "completion": "ba"})
    content = [good.encode(), b"", b'{"prompt_id": "p0", "comp', b"\xff\xfe", b"[1]", b"[" * 10_000, good.encode()]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(content))
    found = [(number, str(row)) for number, row in read_rows(tmp_path / "rows.jsonl") if not isinstance(row, dict)]
    assert [number for number, _ in found] == [3, 4, 5, 6]
    assert found[2][1] == "list, not an object"
    (tmp_path / "rows.json").write_text(f"[{good}, 7]")
    assert [isinstance(row, dict) for _, row in read_rows(tmp_path / "rows.json")] == [True, False]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", b"", "does not end in .jsonl, .json, .parquet"),
        ("none/rows.jsonl", None, "does not exist"),
        ("rows.json", b"{}", "holds one dict, but a list of rows was expected"),
        ("rows.json", b"[", "is not JSON"),
        ("rows.parquet", b"PAR1" + bytes(40) + b"PAR1", "cannot be read as parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_rows(tmp_path / name))


def test_a_file_that_is_there_is_not_replaced(tmp_path):
    (tmp_path / "rows.jsonl").write_text("years of work")
    with pytest.raises(UserError, match="already exists"):
        write_rows(tmp_path / "rows.jsonl", [{}])
    with pytest.raises(ZeroDivisionError):
        write_rows(tmp_path / "half.jsonl", ({"a": 1 // number} for number in (1, 0)))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    assert (tmp_path / "rows.jsonl").read_text() == "years of work"


def test_rows_that_no_table_can_hold_are_an_error(tmp_path):
    with pytest.raises(UserError, match=r"do not fit into one parquet table .*Write them as .jsonl"):
        write_rows(tmp_path / "rows.parquet", [{"prompt": "1+1="}, {"prompt": [{"role": "user", "content": "1+1="}]}])
    assert list(tmp_path.iterdir()) == []


def test_nothing_usable_is_no_signal(tmp_path):
    importer = importer_of("luffy", [row_of(0)])
    importer.take([(1, luffy_row(7, "ba")), (2, luffy_row(0, "Ba"))])
    with pytest.raises(
        NoSignalError, match=r"none of the 2 rows .*1 x matches no prompt; 1 x the tokenizer gives back"
    ):
        importer.write(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


# A policy does not always write a text with the ids the tokenizer would choose.


def test_ids_that_mean_the_text_are_kept_and_the_difference_is_said(tmp_path):
    rows = [row_of(0)]
    sampled = entry_of(rows[0], "ab", [97, 98, EOS])
    exported(cache_of(tmp_path / "c", sampled), "jsonl", tmp_path / "rows.jsonl", rows)
    came, report = imported("jsonl", tmp_path / "rows.jsonl", tmp_path / "back", rows)
    assert came.lookup("p0") == sampled[0]
    assert [(finding.row, finding.prompt_id, finding.reason) for finding in report.findings] == [
        (1, "p0", Reason.OTHER_IDS)
    ]


@pytest.mark.parametrize("name", ["easyvideor1", "luffy", "rlep"])
def test_a_text_that_will_be_read_with_other_ids_is_named_when_it_goes_out(tmp_path, name):
    rows = [row_of(0), row_of(1)]
    cache = cache_of(tmp_path / "c", entry_of(rows[0], "ab", [97, 98, EOS]), entry_of(rows[1], "ba"))
    report = exported(cache, name, tmp_path / "rows.jsonl", rows)
    assert [(finding.row, finding.prompt_id, finding.reason) for finding in report.findings] == [
        (1, "p0", Reason.OTHER_IDS)
    ]
    came, _ = imported(name, tmp_path / "rows.jsonl", tmp_path / "back", rows)
    assert came.lookup("p0").completion_ids == (AB, EOS)
    assert came.lookup("p1").completion_ids == (98, 97, EOS)


# Which prompt is meant.


@pytest.mark.parametrize(
    "prompt", ["question 0?", [{"role": "user", "content": "question 0?"}], row_of(0)["prompt"]], ids=str
)
@pytest.mark.parametrize("ours", ["question 0?", [{"role": "user", "content": "question 0?"}]], ids=str)
def test_a_prompt_is_found_as_text_and_as_a_message(tmp_path, prompt, ours):
    importer = importer_of("luffy", [row_of(0, prompt=ours), row_of(1)])
    importer.take([(1, luffy_row(0, "ba", prompt=prompt))])
    assert ids_of(importer.write(tmp_path / "c")) == {"p0": [(98, 97, EOS)]}


def test_a_prompt_with_a_system_message_goes_out_and_comes_back(tmp_path):
    ours = [{"role": "system", "content": "Think."}, {"role": "user", "content": "1+1="}]
    rows = [row_of(0, prompt=ours)]
    report = exported(cache_of(tmp_path / "c", entry_of(rows[0], "ba")), "easyvideor1", tmp_path / "r.json", rows)
    assert [finding.reason for finding in report.findings] == [Reason.MORE_MESSAGES]
    assert ids_of(imported("easyvideor1", tmp_path / "r.json", tmp_path / "back", rows)[0]) == {"p0": [(98, 97, EOS)]}


def test_a_cache_knows_its_prompts_by_their_hash(tmp_path):
    rows = [row_of(number) for number in range(3)]
    like = cache_of(tmp_path / "like", *[entry_of(row, "ba") for row in rows[:2]])
    importer = Importer(FORMATS["rlep"], HEADER, KnownPrompts.of_cache(like), CODEC, None)
    importer.take(
        (number, {"prompt": [{"role": "user", "content": f"question {number}?"}], "candidates": ["c", "d", "c"]})
        for number in range(3)
    )
    cache = importer.write(tmp_path / "c")
    assert {prompt_id: len(pool) for prompt_id, pool in ids_of(cache).items()} == {"p0": 2, "p1": 2}
    assert importer.report.counts() == {Reason.DUPLICATE.value: 2, Reason.NO_PROMPT.value: 1}
    assert cache.num_correct() == {"p0": 3, "p1": 3}, "a text that comes again is a correct sample"
    assert cache.header.counts.num_duplicates == 2


def test_what_cannot_go_out_is_named(tmp_path):
    rows = [row_of(number) for number in range(4)]
    cache = cache_of(tmp_path / "c", *[entry_of(row, "ba") for row in rows])
    rows[1]["prompt"] = "another question?"
    questions = {row["prompt_id"]: question_of(row) for row in rows[:3]}
    questions["p2"] = replace(questions["p2"], has_images=True)
    exporter = Exporter(FORMATS["rlep"], cache, questions, CODEC)
    assert [row["extra_info"]["prompt_id"] for row in exporter.rows()] == ["p0"]
    assert [(finding.prompt_id, finding.reason) for finding in exporter.report.findings] == [
        ("p1", Reason.OTHER_PROMPT),
        ("p2", Reason.HAS_IMAGES),
        ("p3", Reason.NO_PROMPT),
    ]


def test_log_probs_count_in_all_rows_and_at_the_temperature_of_the_cache(tmp_path):
    """HEADER samples at 0.7."""
    row = {"prompt_id": "p0", "completion": "ba", "behavior_logps": [-1.0, -2.0, -3.0], "temperature": 0.7}
    cases = {(0.7,): True, (0.7, 0.7): True, (1.0,): False, (0.7, 1.0): False, (None,): False}
    for number, (temperatures, has_logps) in enumerate(cases.items()):
        importer = importer_of("jsonl", [row_of(0)])
        importer.take(
            (place, {**row, "temperature": temperature, "completion": "ba"[: 2 - place] or "c"} | shorter(place, row))
            for place, temperature in enumerate(temperatures)
        )
        cache = importer.write(tmp_path / f"c{number}")
        assert cache.header.has_behavior_logps is has_logps
        assert cache.lookup("p0").behavior_logps == ((-1.0, -2.0, -3.0) if has_logps else ())
        assert importer.report.counts() == (
            {Reason.OTHER_TEMPERATURE.value: 1} if set(temperatures) != {0.7} else {}
        )  # fmt: skip
        assert bool(importer.report.remarks) == (temperatures == (0.7, 1.0))


def shorter(place: int, row: dict) -> dict:
    """The second row of a prompt is another, shorter trajectory."""
    return {"completion": "ba"} if place == 0 else {"completion": "b", "behavior_logps": row["behavior_logps"][:2]}


def test_the_report_names_the_first_of_each_kind_and_the_file_all():
    importer = importer_of("luffy", [row_of(0)])
    importer.take((number, luffy_row(7, "ba")) for number in range(1, 6))
    importer.take([(6, luffy_row(0, "Ba"))])
    lines = list(importer.report.lines())
    assert lines[0] == "6 rows, 1 trajectories: 0 kept for 0 prompts"
    assert lines[1:6] == [
        "left out: 5 x matches no prompt", "    row 1", "    row 2", "    row 3", "    ... and 2 more"
    ]  # fmt: skip
    assert lines[6:] == ["left out: 1 x the tokenizer gives back another text", "    row 6, prompt 'p0': 'ba'"]
    found = [json.loads(line) for line in importer.report.as_jsonl().splitlines()]
    assert [finding["row"] for finding in found] == [1, 2, 3, 4, 5, 6]
    assert found[5] == {"row": 6, "trace": 1, "prompt_id": "p0", "reason": Reason.OTHER_TEXT.value, "detail": "'ba'"}
    assert not set(REMARKS) & {Reason.OTHER_TEXT, Reason.NO_PROMPT}


# With a real tokenizer, a real task, a real trainer.


def test_the_codec_is_the_trainers_tokenizer(tmp_path):
    trainer = npo(tmp_path)
    engine, codec = TRLEngine(trainer), load_codec(TASK.model)
    assert codec.tokenizer_hash == engine.tokenizer_hash
    assert set(codec.eos_token_ids) == set(engine.eos_token_ids)
    row = trainer.train_dataset[0]
    ids = gold_ids(trainer, row)
    assert tuple(codec.ended(codec.encode(row["answer"]))) == ids
    assert codec.decode(ids) == engine.decode([row], [ids])[0] == row["answer"]
    with pytest.raises(UserError, match="model=nowhere: no tokenizer can be loaded"):
        load_codec("nowhere")


def test_traces_of_others_guide_a_trainer_unless_they_are_to_be_weighted(tmp_path):
    trainer = npo(tmp_path, max_pass_rate=1.0, max_steps=1)
    rows = [dict(row) for row in trainer.train_dataset]
    codec = load_codec(TASK.model)
    importer = Importer(FORMATS["luffy"], header_of(trainer), KnownPrompts.of_rows(rows), codec, None)
    importer.take(
        (number, {"prompt": row["prompt"], "target": [{"role": "assistant", "content": row["answer"]}]})
        for number, row in enumerate(rows, start=1)
    )
    cache = importer.write(tmp_path / "c")
    assert [guidance.completion_ids for guidance in cache] == [
        gold_ids(trainer, row) for row in sorted(rows, key=lambda row: row["prompt_id"])
    ]
    trainer.set_guidance(cache)
    trainer.train()
    assert trainer.state.log_history[0]["npo/guided_frac"] == 1
    with pytest.raises(UserError, match="no behaviour log-probs"):
        npo(tmp_path, weighting="importance").set_guidance(cache)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of right answers to some training prompts of the world; its guide is the model that ships."""
    folder = tmp_path_factory.mktemp("collected")
    trainer = npo(folder, data=[dict(row) for row in TASK.train[:32]])
    cache = guidance_for(trainer, folder / "plain", num_prompts=6)
    guide = replace(cache.header.guide, path=str(TASK.model))
    GuidanceCache.write(folder / "cache", replace(cache.header, guide=guide), cache.entries())
    return folder / "cache"


@pytest.mark.parametrize(("name", "suffix"), [("easyvideor1", "json"), ("luffy", "parquet"), ("jsonl", "jsonl")])
def test_export_and_import_from_the_command_line(tmp_path, collected, name, suffix):
    rows, back = tmp_path / f"rows.{suffix}", tmp_path / "back"
    code, output = invoke("guide", "export", collected, "--format", name, "--output", rows, "--config", TINY)
    assert code == 0 and "6 kept for 6 prompts" in output, output
    code, output = invoke("guide", "import", rows, "--format", name, "--output", back, "--config", TINY)
    assert code == 0 and "6 kept for 6 prompts" in output, output
    assert ids_of(GuidanceCache.open(back)) == ids_of(GuidanceCache.open(collected))
    assert GuidanceCache.open(back).header.verifier_version == TASK.verifier_version
    code, output = invoke("guide", "verify", back, "--config", TINY)
    assert code == 0 and "6 correct again" in output, output
    assert invoke("guide", "show", back)[0] == 0


def test_a_data_set_for_the_hub_goes_out_and_comes_back(tmp_path, collected):
    published, back = tmp_path / "published", tmp_path / "back"
    code, output = invoke("guide", "export", collected, "--format", "jsonl", "--output", published, "--config", TINY)
    assert code == 0 and "6 kept for 6 prompts" in output, output
    assert sorted(path.name for path in published.iterdir()) == ["README.md", "train.parquet"]
    rows = datasets.load_dataset(str(published), split="train", cache_dir=str(tmp_path / "loaded"))
    assert (len(rows), set(rows["prompt_id"])) == (
        6,
        {entry.prompt_id for entry, _ in GuidanceCache.open(collected).entries()},
    )
    card = DatasetCard.load(published / "README.md")
    assert "guidance" in card.data.tags and "verifier version" in card.text and "6 rows" in card.text
    (published / ".cache").mkdir()
    (published / ".cache" / "seen.json").write_text("[]")  # as `hf download` leaves it
    code, output = invoke("guide", "import", published, "--format", "jsonl", "--output", back, "--config", TINY)
    assert code == 0 and ids_of(GuidanceCache.open(back)) == ids_of(GuidanceCache.open(collected)), output


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_folder_with_something_else_in_it_is_no_data_set(tmp_path, collected, command):
    (tmp_path / "full").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "full" / name).write_text("years of work")
    source, output = (collected, tmp_path / "full") if command == "export" else (tmp_path / "full", tmp_path / "out")
    code, said = invoke("guide", command, source, "--format", "jsonl", "--output", output, "--config", TINY)
    expected = "already exists and is not replaced" if command == "export" else "found a.jsonl, b.jsonl"
    assert (code, expected in said) == (2, True), said
    assert (tmp_path / "full" / "a.jsonl").read_text() == "years of work"


def test_import_like_a_cache_leaves_verdicts_to_others_and_says_so(tmp_path, collected):
    rows, back = tmp_path / "rows.jsonl", tmp_path / "back"
    assert invoke("guide", "export", collected, "--format", "jsonl", "--output", rows)[0] == 0
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    lines[0] = {"prompt_id": lines[0]["prompt_id"], "completion": lines[0]["completion"] + "0"}  # a wrong answer
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{torn")
    code, output = invoke("guide", "import", rows, "--format", "jsonl", "--output", back, "--like", collected)
    assert code == 0 and "verdicts: not checked" in output and "1 x damaged row" in output, output
    assert "5 of 6 trajectories have log-probs" in output, output
    left_out = [json.loads(line) for line in (tmp_path / "back.left_out.jsonl").read_text().splitlines()]
    assert [(finding["row"], finding["reason"]) for finding in left_out] == [(7, "damaged row")]
    assert GuidanceCache.open(back).header.verifier_version == "unverified"
    code, output = invoke("guide", "verify", back, "--config", TINY)
    assert code == 2 and f"'{lines[0]['prompt_id']}' (wrong)" in output, output
    code, output = invoke("guide", "import", rows, "--format", "jsonl", "--output", back, "--config", TINY)
    assert code == 0 and "5 kept for 5 prompts" in output and "1 x the verifier does not find it correct" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "none.jsonl", "--format", "jsonl"], "Give --like CACHE or --config CONFIG"),
        (["import", "none.jsonl", "--format", "jsonl", "--config", TINY], "none.jsonl does not exist"),
        (["import", "none.jsonl", "--format", "cvs", "--config", TINY], "--format 'cvs' is not known. One of: easyvid"),
        (["export", "CACHE", "--format", "rlep"], "needs the text of the prompts"),
    ],
)
def test_what_the_commands_cannot_do_is_said(tmp_path, collected, arguments, message):
    arguments = [collected if argument == "CACHE" else argument for argument in arguments]
    code, output = invoke("guide", *arguments, "--output", tmp_path / "out.jsonl")
    assert (code, message in output) == (2, True), output


def test_a_cache_of_another_tokenizer_is_refused(tmp_path, collected):
    cache = GuidanceCache.open(collected)
    GuidanceCache.write(tmp_path / "c", replace(cache.header, tokenizer_hash="91bc" * 16), cache.entries())
    for more in ([], ["--config", TINY]):
        arguments = ["--format", "jsonl", "--output", tmp_path / "o", "--like", tmp_path / "c", *more]
        code, output = invoke("guide", "import", "rows.jsonl", *arguments)
        assert code == 2 and "was made with tokenizer 91bc91bc" in output, output
