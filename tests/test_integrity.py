"""A byte is flipped anywhere in a run folder: it is found and named, and the run goes on to the same bits."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from commands import invoke, run, train
from safetensors.torch import load_file
from torch import equal

from nearfuture import seal
from nearfuture.method.lineage import Lineage
from nearfuture.record.reading import read_rows
from nearfuture.record.records import RunRecords
from nearfuture.run.integrity import damages
from nearfuture.train import checkpoint

SIX_STEPS = ["guide_batch_size=64", "max_steps=6", "scout_steps=2", "guide_step=5", "rollback_to=3", "eval_every=3"]
MODEL_CARD = "README.md"  # of TRL, beside the checkpoints of a segment; no state of the run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, output = train(folder, *SIX_STEPS)
    assert code == 0, output
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def flip(path: Path, at: int | None = None, seed: int = 0) -> None:
    """Change one byte of a file, at random where it is not said which."""
    rng, data = random.Random(f"{path.name}{seed}"), bytearray(path.read_bytes())
    at = rng.randrange(len(data)) if at is None else at
    data[at] ^= rng.randrange(1, 256)
    path.write_bytes(data)


def weights(folder: Path) -> dict:
    return load_file(folder / "final" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)


def test_a_whole_run_has_no_damage(whole: Path) -> None:
    assert damages(whole) == []
    code, output = invoke("verify", whole)
    assert code == 0 and "every file is as it was written" in output


def test_every_file_is_guarded(copied: Path) -> None:
    """Each file in turn: a byte of it, outside of checkpoints the first and the last, too; no other is named."""
    paths = sorted(path for path in copied.rglob("*") if path.is_file() and path.stat().st_size)
    files = [path for path in paths if path.name != MODEL_CARD or "checkpoint" in str(path)]
    assert len(files) > 60 and {"config.yaml", "ledger.json", "samples.jsonl"} <= {path.name for path in files}
    for path in files:
        before, name = path.read_bytes(), str(path.relative_to(copied))
        for at in (None,) if "checkpoint" in name else (None, 0, len(before) - 1):
            flip(path, at)
            found = damages(copied)
            torn = read_rows(path, "none").torn if path.suffix == ".jsonl" else 0
            assert found or torn, (name, at)
            assert all(name.startswith(damage.path) for damage in found), (name, at, found)
            path.write_bytes(before)
    assert damages(copied) == []


@pytest.mark.parametrize(
    "name", ["lineage.json", "config.yaml", "env.json", "data.json", "metrics.jsonl", "events.jsonl"]
)
def test_no_byte_of_a_small_file_can_change_unseen(name: str, copied: Path) -> None:
    path = copied / name
    before = path.read_bytes()
    spread = range(0, len(before), max(1, len(before) // 50))
    for at in [*spread, *range(max(0, len(before) - 30), len(before))]:  # its seal, byte for byte
        flip(path, at)
        torn = read_rows(path, "none").torn if path.suffix == ".jsonl" else 0
        assert [damage.path for damage in damages(copied, with_weights=False)] == [name] or torn, at
        path.write_bytes(before)


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_truncated_file_is_found(cut: int, copied: Path) -> None:
    for name in ("final/config.json", "segments/002/checkpoint-6/optimizer.pt", "lineage.copy.json", "ledger.json"):
        path = copied / name
        before = path.read_bytes()
        path.write_bytes(before[:cut])
        assert [name.startswith(damage.path) for damage in damages(copied)] == [True], name
        path.write_bytes(before)


def test_damaged_rows_are_left_out_and_named_by_the_readers(copied: Path) -> None:
    path = copied / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"step": ', b'"step":0', 1)
    path.write_bytes(b"".join(lines))
    records = RunRecords.load(copied)
    assert records.damaged_lines == {"metrics.jsonl": [3]}
    code, output = invoke("report", copied)
    assert code == 0
    page = (copied / "report" / "index.html").read_text()
    assert "1 line of metrics.jsonl damaged, not as written, and left out: 3." in page
    code, output = invoke("verify", copied)
    assert code == 2 and "metrics.jsonl: not as it was written: line 3" in output, output


def test_a_glued_row_is_saved(copied: Path) -> None:
    path = copied / "events.jsonl"
    data = path.read_bytes()
    found = read_rows(path, "event", is_sealed=True)
    flip(path, data.index(b"\n"))
    glued = read_rows(path, "event", is_sealed=True)
    assert glued.damaged == [1] and glued.rows == found.rows[1:]


def test_a_killed_run_with_damage_everywhere_ends_with_the_same_bits(whole: Path, copied: Path) -> None:
    """Killed in the last segment; its checkpoints, the one it branched from, guidance, lineage and more are spoilt."""
    lineage = Lineage.read(copied / "lineage.json")
    assert [segment.end_step for segment in lineage.segments] == [2, 5, 6]
    lineage.extend_head().write(copied / "lineage.json")
    shutil.rmtree(copied / "final")
    spoilt = [
        "segments/002/checkpoint-6/optimizer.pt",
        "segments/002/checkpoint-5/scheduler.pt",
        "segments/002/checkpoint-4/rng_state.pth",
        "segments/001/checkpoint-3/model.safetensors",
        "segments/002/guidance/guidance.parquet",
        "lineage.json",
        "config.yaml",
        "data.json",
        "metrics.jsonl",
    ]
    for name in spoilt:
        flip(copied / name, at=(copied / name).stat().st_size // 2)
    code, output = train(copied, *SIX_STEPS, "--resume")
    assert code == 0, output
    assert same(whole, copied)
    events = read_rows(copied / "events.jsonl", "event").rows
    named = {event.get("path") for event in events if event["event"].endswith("damaged")}
    for name in spoilt:
        folder = name.rpartition("/")[0]
        assert (folder or name) in named and (folder or name) in output, (name, named, output)
    assert [damage.path for damage in damages(copied)] == ["metrics.jsonl"]  # a row that is lost stays lost


def test_a_damaged_final_policy_is_copied_again(whole: Path, copied: Path) -> None:
    flip(copied / "final" / "model.safetensors")
    code, output = run("evaluate", copied, "--suite", "task", "--limit", 8, "--output", copied.parent / "out")
    assert code == 2 and "model.safetensors has changed since it was written" in output, output
    code, output = train(copied, *SIX_STEPS, "--resume")
    assert code == 0 and "It is copied again" in output, output
    assert same(whole, copied) and damages(copied) == []


def test_no_whole_checkpoint_left_is_an_error_that_says_so(copied: Path) -> None:
    for folder in (copied / "segments" / "000").glob("checkpoint-*"):
        flip(folder / "model.safetensors")
    lineage = Lineage.read(copied / "lineage.json").until(0).extend_head()
    lineage.write(copied / "lineage.json")
    code, output = train(copied, *SIX_STEPS, "--resume")
    assert code == 2 and "checkpoints in" in output and "is intact (steps 2)" in output, output


def test_checkpoints_from_before_there_were_digests_are_taken_at_their_sizes(copied: Path) -> None:
    folder = copied / "segments" / "002" / "checkpoint-6"
    state = {key: value for key, value in checkpoint.read_state(folder).items() if key != "digests"}
    (folder / checkpoint.MARKER).write_text(json.dumps({**state, "version": 1}, indent=1))
    assert checkpoint.verified(folder)["step"] == 6
    (folder / checkpoint.MARKER).write_text(json.dumps({**state, "version": 2}, indent=1))
    with pytest.raises(checkpoint.DamagedError, match="its seal is broken"):
        checkpoint.verified(folder)


def test_a_run_from_before_there_were_seals_is_read_as_it_is(copied: Path) -> None:
    for path in (*copied.glob("*.jsonl"), copied / "env.json"):
        rows = (
            [seal.without(json.loads(line)) for line in path.read_text().splitlines()] if "l" in path.suffix[-1] else []
        )
        text = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text or json.dumps(seal.without(json.loads(path.read_text()))))
    (copied / "data.json").unlink()
    (copied / "lineage.copy.json").unlink()
    payload = seal.without(json.loads((copied / "lineage.json").read_text()))
    del payload["origin"]
    (copied / "lineage.json").write_text(json.dumps(payload))
    records = RunRecords.load(copied)
    assert not records.damaged_lines and not records.torn_lines and records.is_finished
    assert damages(copied) == []
    code, output = train(copied, *SIX_STEPS, "--resume")
    assert code == 0 and "was begun before runs recorded their data" in output, output
