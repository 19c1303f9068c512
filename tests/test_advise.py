"""Replaying the trigger over somebody else's log: every format says the same, and what is missing is named.

`data/events.out.tfevents.torch` was written by `torch.utils.tensorboard.SummaryWriter`: `train/reward` 0.1 0.2 0.3 and
`train/entropy` 0.75 0.5 0.25 at steps 1 to 3 (the last as a tensor, `new_style=True`), and a text beside.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import invoke, run
from run_folders import npo_run

from nearfuture.lab.measure.advise import advice_text, advise
from nearfuture.method.trigger import TriggerConfig
from nearfuture.record.event_files import read_scalars
from nearfuture.record.logs import Columns, read_log
from nearfuture.types import UserError

EVENTS = Path(__file__).parent / "data" / "events.out.tfevents.torch"
STEPS = range(1, 61)
SMALL = TriggerConfig(patience=3, cooldown=10)
OPTIONS = ["--patience", "3", "--cooldown", "10"]


def reward(step: int) -> float:
    return 0.3 + 0.005 * min(step, 20) + 0.03 * math.sin(7.0 * step)


def entropy(step: int) -> float:
    return math.exp(-step / 50)


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def verl(folder: Path) -> Path:
    rows = [{"step": s, "data": {"critic/score/mean": reward(s), "actor/entropy": entropy(s)}} for s in STEPS]
    return write_jsonl(folder / "verl.jsonl", rows)


def easy_r1(folder: Path) -> Path:
    rows = [
        {"step": s, "reward": {"accuracy": reward(s), "overall": 9.0}, "actor": {"entropy_loss": entropy(s)}}
        for s in STEPS
    ]
    return write_jsonl(folder / "experiment_log.jsonl", rows)


def trl(folder: Path) -> Path:
    for last in (20, 60):
        rows = [{"step": s, "reward": reward(s), "entropy": entropy(s), "loss": 0.0} for s in STEPS if s <= last]
        checkpoint = folder / f"checkpoint-{last}"
        checkpoint.mkdir()
        evaluation = {"step": last, "eval_reward": 0.5}
        (checkpoint / "trainer_state.json").write_text(json.dumps({"log_history": [*rows, evaluation]}))
    return folder


def ours(folder: Path) -> Path:
    rows = [
        {"segment": 0, "step": s, "npo/pass_rate": reward(s), "npo/entropy": entropy(s), "reward": 9} for s in STEPS
    ]
    return write_jsonl(folder / "metrics.jsonl", rows)


def table(folder: Path) -> Path:
    path = folder / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Step", "my reward", "my entropy", "note"])
        writer.writerows([s, reward(s), entropy(s), "warm" if s < 3 else ""] for s in STEPS)
    return path


def field(number: int, kind: int, content: bytes) -> bytes:
    return bytes([number << 3 | kind]) + content


def sized(number: int, content: bytes) -> bytes:
    return field(number, 2, bytes([len(content)]) + content)


def event_file(folder: Path) -> Path:
    records = []
    for s in STEPS:
        for tag, value in (("train/reward", reward(s)), ("train/entropy", entropy(s))):
            scalar = sized(1, tag.encode()) + field(2, 5, struct.pack("<f", value))
            records.append(field(1, 1, struct.pack("<d", 0.0)) + field(2, 0, bytes([s])) + sized(5, sized(1, scalar)))
    data = b"".join(struct.pack("<QI", len(r), 0) + r + struct.pack("<I", 0) for r in records)
    (folder / "events.out.tfevents.1.host").write_bytes(data + data[:7])
    return folder


@pytest.mark.parametrize("write", [verl, easy_r1, trl, ours, event_file], ids=lambda write: write.__name__)
def test_every_format_tells_the_same_story(write: Callable[[Path], Path], tmp_path: Path) -> None:
    log = read_log(write(tmp_path))
    assert log.steps == list(STEPS)
    assert log.rewards == pytest.approx([reward(s) for s in STEPS], abs=1e-6)
    assert log.entropies == pytest.approx([entropy(s) for s in STEPS], abs=1e-6)
    steps = [firing["step"] for firing in advise(log, SMALL)["fired"]]
    assert steps and all(step > 20 for step in steps), "the reward stands still from step 20 on"


def test_columns_that_are_not_known_are_named_by_the_user(tmp_path: Path) -> None:
    columns = Columns(reward="my reward", entropy="my entropy")
    log = read_log(table(tmp_path), columns)
    assert log.rewards == [reward(s) for s in STEPS]
    with pytest.raises(UserError) as error:
        read_log(table(tmp_path))
    for part in ("no column for the reward", "critic/score/mean", "Found: Step, my reward", "--reward COLUMN"):
        assert part in str(error.value)
    with pytest.raises(UserError, match=r"no column for the entropy\. Looked for: entropia"):
        read_log(table(tmp_path), Columns(reward="my reward", entropy="entropia"))


def test_a_log_without_a_step_or_an_entropy_says_what_it_has_and_what_to_do(tmp_path: Path) -> None:
    no_step = write_jsonl(tmp_path / "no_step.jsonl", [{"update": 1, "reward": 0.1, "entropy": 0.5}])
    code, output = invoke("advise", no_step)
    assert code == 2
    assert "no column for the step. Looked for: step, global_step" in " ".join(output.split())
    assert "Found: update, reward, entropy. Name it with --step COLUMN." in " ".join(output.split())
    ours = npo_run(tmp_path / "run")
    rows = [json.loads(line) for line in (ours / "metrics.jsonl").read_text().splitlines()]
    write_jsonl(ours / "metrics.jsonl", [{k: v for k, v in row.items() if k != "npo/entropy"} for row in rows])
    code, output = invoke("advise", ours, "--min-stretch", "6", "--patience", "3")
    assert code == 0 and "The log has no entropy, so this judges the reward alone." in output


def test_event_files_of_torch_are_read_as_torch_wrote_them() -> None:
    log = read_log(EVENTS)
    assert log.steps == [1, 2, 3] and log.entropies == [0.75, 0.5, 0.25]
    assert log.rewards == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("length", range(0, 640, 13))
def test_an_event_file_cut_off_anywhere_gives_what_is_whole(length: int, tmp_path: Path) -> None:
    path = tmp_path / EVENTS.name
    path.write_bytes(EVENTS.read_bytes()[:length])
    whole, cut = list(read_scalars([EVENTS])), list(read_scalars([path]))
    assert cut == whole[: len(cut)]


def test_a_run_of_ours_is_read_along_its_head(tmp_path: Path) -> None:
    folder = npo_run(tmp_path / "run")
    log = read_log(folder, Columns(reward="rollout_tokens", entropy="seconds"))
    assert log.steps == list(range(1, 13)), "abandoned tails are left out"
    assert read_log(folder / "metrics.jsonl", Columns(reward="rollout_tokens", entropy="seconds")).steps == log.steps


def test_a_resumed_run_is_read_along_its_head_and_gaps_are_counted(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"step": s, "reward": 0.1, "entropy": 0.5} for s in (1, 2, 3)]
    rows += [{"step": 2, "reward": 0.2, "entropy": 0.4}, {"step": 4, "reward": None, "entropy": 0.3}, {"step": 5}]
    path = write_jsonl(tmp_path / "log.jsonl", rows)
    path.write_text(path.read_text() + '{"step": 6, "rew')
    log = read_log(path)
    assert log.steps == [1, 2, 4] and log.rewards[:2] == [0.1, 0.2] and math.isnan(log.rewards[2])
    assert advise(log)["num_ignored"] == 1
    assert log.notes == [
        "Lines left out because they hold no JSON object: 1 (a kill leaves half a line).",
        "The steps restart at 2: the run was resumed there. Rows it had written beyond are left out: 2.",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.jsonl", None, "does not exist"),
        ("empty.jsonl", "", "no row with a number"),
        ("log.txt", "step 1", "no row with a number"),
        ("log.bin", "\0\1\2", "is not text"),
        ("trainer_state.json", "[]", "no row with a number"),
        ("trainer_state.json", '{"log":\n []}', "log_history"),
        ("trainer_state.json", "[1, 2]", "log_history"),
        ("folder", None, "does not exist"),
    ],
)
def test_what_cannot_be_read_says_so(name: str, content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_log(path)


def test_a_folder_without_a_log_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trainer_state\.json"):
        read_log(tmp_path)


def test_the_command_line_prints_words_and_writes_json(tmp_path: Path) -> None:
    target = tmp_path / "advice.json"
    code, output = run("advise", verl(tmp_path), "--json", target, *OPTIONS)
    advice = json.loads(target.read_text())
    assert code == 0 and advice["settings"]["cooldown"] == 10
    assert advice["fired"] and all(isinstance(firing["step"], int) for firing in advice["fired"])
    assert f"1. Step {advice['fired'][0]['step']}: reward" in output and "What a log cannot say" in output
    code, output = run("advise", table(tmp_path))
    assert code == 2 and "--reward COLUMN" in output
    code, output = run("advise", verl(tmp_path), "--patience", "0")
    assert code == 2 and "patience=0 must be at least 1 step" in output


def test_a_short_log_is_not_called_healthy(tmp_path: Path) -> None:
    text = advice_text(advise(read_log(EVENTS)))
    assert "Too short to judge" in text and "never fired" not in text


def test_no_torch_is_needed(tmp_path: Path) -> None:
    path = shutil.copy(verl(tmp_path), tmp_path / "copy.jsonl")
    code = (
        "import sys\nfor name in ['torch', 'trl', 'transformers']: sys.modules[name] = None\n"
        f"from nearfuture.cli import app\napp(['advise', {str(path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
