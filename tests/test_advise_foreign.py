"""Logs in the shapes that other people's trainers leave: every one tells the same story, and none is read as two."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import invoke
from test_advise import EVENTS, OPTIONS, SMALL, STEPS, entropy, event_file, reward, write_jsonl

from nearfuture.lab.measure.advise import advice_text, advise
from nearfuture.record.logs import Columns, read_log
from nearfuture.types import UserError


def verl_console(folder: Path) -> Path:
    lines = ["\x1b[36m(TaskRunner pid=4711)\x1b[0m Size of train dataloader: 60, Size of val dataloader: 1"]
    for s in STEPS:
        lines.append(f"\x1b[36m(TaskRunner pid=4711)\x1b[0m Training Progress:  {s}%|#  | {s}/900 [00:{s:02d}<1:00]")
        lines.append(
            f"\x1b[36m(TaskRunner pid=4711)\x1b[0m step:{s} - actor/entropy:{entropy(s)!r} - "
            f"critic/score/mean:np.float64({reward(s)!r}) - actor/pg_loss:-1e-05 - response/aborted:nan"
        )
    path = folder / "train.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def trl_console(folder: Path) -> Path:
    """Ten steps a row, no step in the row; bars before it, on the same line and with another total."""
    text = "Map: 100%|####| 7473/7473 [00:02<00:00, 3000 examples/s]\n"
    for s in STEPS:
        text += f"\r  1%|1   | {s}/60 [00:{s:02d}<10:00,  1.02s/it]"
        row = {"loss": 0.0, "reward": reward(s), "rewards/f/mean": "0.1", "entropy": str(entropy(s)), "epoch": s / 60}
        text += f"\r                 \r{row!r}\n"
        if s % 20 == 0:
            text += f"  50%|## | 400/800 [00:01<00:01]\r{ {'eval_reward': 9.0, 'epoch': 1.0}!r}\n"
    text += f"{ {'train_runtime': 3.5, 'train_steps_per_second': 1.0, 'train_loss': 0.1}!r}\n"
    path = folder / "nohup.out"
    path.write_text(text)
    return path


def ms_swift(folder: Path) -> Path:
    rows = [
        {"reward": reward(s), "entropy/mean": entropy(s), "global_step/max_steps": f"{s}/438", "percentage": "1.0%"}
        for s in STEPS
    ]
    return write_jsonl(folder / "logging.jsonl", rows)


def ms_swift_console(folder: Path) -> Path:
    rows = [{"reward": reward(s), "entropy/mean": entropy(s), "global_step/max_steps": f"{s}/60"} for s in STEPS]
    path = folder / "swift.txt"
    path.write_text("".join(f"Train:  2%|# | {n}/60 [00:01<00:10]{row!r}\n" for n, row in enumerate(rows, 1)))
    return path


def json_list(folder: Path) -> Path:
    path = folder / "history.json"
    path.write_text(json.dumps([{"step": s, "reward": reward(s), "entropy": entropy(s)} for s in STEPS], indent=2))
    return path


def wandb_export(folder: Path) -> Path:
    path = folder / "wandb_export.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        metrics = ["train/reward", "train/reward__MIN", "train/reward__MAX", "train/entropy"]
        writer.writerow(["Step", *(f"lively-lake-3 - {name}" for name in metrics)])
        writer.writerows([s, reward(s), -9, 9, entropy(s)] for s in STEPS)
    return path


def german_table(folder: Path) -> Path:
    def comma(value: float) -> str:
        return f"{value:.17g}".replace(".", ",")

    path = folder / "tabelle.csv"
    lines = ["step;reward;entropy", *(f"{s};{comma(reward(s))};{comma(entropy(s))}" for s in STEPS)]
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return path


def utf16(folder: Path) -> Path:
    """As PowerShell redirects."""
    path = verl_console(folder)
    path.write_bytes(path.read_text().encode("utf-16"))
    return path


def utf16_without_a_mark(folder: Path) -> Path:
    path = json_list(folder)
    path.write_bytes(path.read_text().encode("utf-16-le"))
    return path


def table_with_spaces(folder: Path) -> Path:
    path = folder / "metrics.csv"
    lines = ["step, reward , entropy", *(f"{s}, {reward(s)!r} , {entropy(s)!r}" for s in STEPS)]
    path.write_text("\n".join(lines))
    return path


def percentages(folder: Path) -> Path:
    path = folder / "metrics.csv"
    path.write_text("\n".join(["step,reward,entropy", *(f"{s},{100 * reward(s)!r} %,{entropy(s)!r}" for s in STEPS)]))
    return path


def markdown(folder: Path) -> Path:
    path = folder / "notes.md"
    rows = "".join(f"| {s} | {reward(s)!r} | {entropy(s)!r} |\n" for s in STEPS)
    path.write_text(f"# Run of 2024-05-01\n\n| step | reward | entropy |\n|---:|---|---|\n{rows}\nDone after 3 h.\n")
    return path


def named_values(folder: Path) -> Path:
    path = folder / "train.log"
    rows = "".join(f"[2024-05-01 10:00:{s:02d}] step={s} reward={reward(s)!r} entropy={entropy(s)!r}\n" for s in STEPS)
    path.write_text(f"batch_size=8 lr=1e-5\n2024-05-01 09:59:59 epoch 1/3\n{rows}")
    return path


def named_values_with_commas(folder: Path) -> Path:
    path = folder / "train.log"
    path.write_text("".join(f"step: {s}, reward: {reward(s)!r}, entropy: {entropy(s)!r}\n" for s in STEPS))
    return path


def lists_by_column(folder: Path) -> Path:
    path = folder / "history.json"
    of_training = {"reward": [reward(s) for s in STEPS], "entropy": [entropy(s) for s in STEPS]}
    path.write_text(json.dumps({"step": list(STEPS), "train": of_training, "seed": 0, "tags": []}))
    return path


def logged_objects(folder: Path) -> Path:
    """What verl writes, through a logger that writes the time and the level before it."""
    path = folder / "train.log"
    rows = [{"step": s, "data": {"critic/score/mean": reward(s), "actor/entropy": entropy(s)}} for s in STEPS]
    written = "".join(f"2024-05-01 12:00:01 INFO {json.dumps(row)}\n" for row in rows)
    path.write_text(f"2024-05-01 12:00:00 INFO begun {{}}\n{written}")
    return path


def commented_table(folder: Path) -> Path:
    path = folder / "metrics.csv"
    rows = "".join(f"{s},{reward(s)!r},{entropy(s)!r}\n" for s in STEPS)
    path.write_text(f"# GRPO, 8 GPUs, lr 1e-6\n# exported 2024-05-01\n\nStep,Reward,Entropy\n{rows}")
    return path


def commented_header(folder: Path) -> Path:
    path = folder / "metrics.csv"
    path.write_text("# step, reward, entropy\n" + "".join(f"{s}, {reward(s)!r}, {entropy(s)!r}\n" for s in STEPS))
    return path


FORMS = [
    commented_table,
    commented_header,
    table_with_spaces,
    percentages,
    markdown,
    named_values,
    named_values_with_commas,
    lists_by_column,
    logged_objects,
    verl_console,
    trl_console,
    ms_swift,
    ms_swift_console,
    json_list,
    wandb_export,
    german_table,
    utf16,
    utf16_without_a_mark,
]


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_every_form_tells_the_same_story(write: Callable[[Path], Path], tmp_path: Path) -> None:
    log = read_log(write(tmp_path))
    assert log.steps == list(STEPS)
    assert log.rewards == pytest.approx([reward(s) for s in STEPS])
    assert log.entropies == pytest.approx([entropy(s) for s in STEPS])
    assert advise(log, SMALL)["fired"]


def test_percentages_that_are_used_are_said_to_be_shares(tmp_path: Path) -> None:
    [note] = read_log(percentages(tmp_path)).notes
    assert note.startswith("Percentages were read as shares: reward ") and "% as 0." in note
    assert read_log(ms_swift(tmp_path)).notes == []  # a column that is not used holds some


def test_comments_before_a_table_are_counted(tmp_path: Path) -> None:
    [note] = read_log(commented_table(tmp_path)).notes
    assert note == "Lines left out because they come before the table: 2 ('# GRPO, 8 GPUs, lr 1e-6')."
    assert read_log(commented_header(tmp_path)).notes == []


def test_a_column_in_capitals_is_found_after_one_that_is_spelled_as_known(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,Reward,reward\n1,0.1,0.5\n2,0.2,0.6\n")
    assert read_log(path).rewards == [0.5, 0.6]
    with pytest.raises(UserError, match="no column for the reward"):  # a name that was given is taken as it is
        read_log(path, Columns(reward="REWARD"))


def test_a_column_without_a_number_is_named_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for column, rows in (("reward", "1,high,0.5\n2,low,0.4"), ("entropy", "1,0.5,high\n2,0.4,low")):
        path.write_text(f"step,reward,entropy\n{rows}\n")
        with pytest.raises(UserError, match=rf"no number in the column of the {column}: {column} holds 'high'"):
            read_log(path)


def test_numbers_in_a_form_that_is_not_known_are_not_called_an_unfinished_run(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"after {s} updates we saw {reward(s)}\n" for s in STEPS))
    with pytest.raises(UserError, match="in a form that is known") as error:
        read_log(path)
    assert "CSV with the columns step, reward and entropy" in str(error.value)
    path.write_text("nothing yet\n")
    with pytest.raises(UserError, match="finished a step"):
        read_log(path)
    columns = tmp_path / "columns.json"
    columns.write_text(json.dumps({"step": [1, 2], "reward": [0.5]}))
    with pytest.raises(UserError, match=r"different lengths \(step 2, reward 1\)"):
        read_log(columns)
    steps = tmp_path / "steps.jsonl"
    steps.write_text('{"step": 1}\n{"reward": 0.5, "entropy": 0.1}\n')
    with pytest.raises(UserError, match="no row with both a step and a reward"):
        read_log(steps)


def test_rows_without_a_step_are_counted_and_that_is_said(tmp_path: Path) -> None:
    path = trl_console(tmp_path)
    (note,) = read_log(path).notes
    assert note.startswith(
        "The log prints no step, so its 60 rows were counted, one step per row (by its progress bar)"
    )
    assert read_log(path, logging_steps=10).steps == [10 * s for s in STEPS]
    path.write_text("".join(f"{ {'loss': 0.0, 'reward': 0.5, 'entropy': 0.1}!r}\n" for _ in range(3)))
    assert "assumed" in read_log(path).notes[0]


def run_rows(first: int, last: int, offset: float = 0.0) -> list[dict[str, object]]:
    return [{"step": s, "reward": reward(s) + offset, "entropy": entropy(s)} for s in range(first, last + 1)]


def test_an_appended_run_is_named_and_never_read_as_one(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "log.jsonl", [*run_rows(1, 60), *run_rows(1, 25, offset=0.3)])
    code, output = invoke("advise", path)
    text = " ".join(output.split())
    assert code == 2 and "holds 2 runs" in text
    assert "1. log.jsonl (60 rows, steps 1 to 60)" in text and "2. log.jsonl, run 2 (25 rows, steps 1 to 25)" in text
    alone = read_log(write_jsonl(tmp_path / "alone.jsonl", run_rows(1, 60)))
    first = read_log(path, run="1")
    assert (first.steps, first.rewards) == (alone.steps, alone.rewards)
    assert read_log(path, run="log.jsonl, run 2").steps == list(range(1, 26))
    with pytest.raises(UserError, match=r"no run 3\. It holds 2"):
        read_log(path, run="3")


def test_a_resumed_run_has_no_seam(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "log.jsonl", [*run_rows(1, 40, offset=0.5), *run_rows(21, 30)])
    log = read_log(path)
    assert log.steps == list(range(1, 31)), "the tail that the resume abandoned is gone"
    assert log.rewards[20:] == [reward(s) for s in range(21, 31)]
    assert log.notes == [
        "The steps restart at 21: the run was resumed there. Rows it had written beyond are left out: 20."
    ]


def test_event_files_of_several_runs_are_not_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        event_file(tmp_path / name)
    with pytest.raises(UserError) as error:
        read_log(tmp_path)
    assert "holds 2 runs" in str(error.value)
    assert "a/events.out.tfevents.1.host (60 rows, steps 1 to 60)" in str(error.value)
    log = read_log(tmp_path, run="2")
    assert log.steps == list(STEPS) and advise(log, SMALL)["fired"] == advise(read_log(tmp_path / "b"), SMALL)["fired"]


def test_event_files_of_one_folder_that_begin_anew_are_runs_too(tmp_path: Path) -> None:
    for stamp in (1, 2, 3):
        shutil.copy(EVENTS, tmp_path / f"events.out.tfevents.{stamp}.host")
    with pytest.raises(UserError, match="holds 3 runs"):
        read_log(tmp_path)


def test_an_export_of_two_runs_names_them(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Step", "old - train/reward", "new - train/reward"])
        writer.writerows([s, reward(s), "" if s > 30 else 0.5] for s in STEPS)
    with pytest.raises(UserError, match="holds 2 runs"):
        read_log(path)
    assert read_log(path, run="old").steps == list(STEPS) and read_log(path, run="new").steps == list(range(1, 31))


def test_reward_alone_says_what_it_can(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"step": s, "reward": reward(s)} for s in STEPS]
    path = write_jsonl(tmp_path / "log.jsonl", rows)
    advice = advise(read_log(path), SMALL)
    assert advice["columns"]["entropy"] is None and advice["fired"] == []
    (first, last), *_ = advice["stagnant"]
    assert 20 < first < last <= 60, "the reward stands still from step 20 on"
    code, output = invoke("advise", path, *OPTIONS)
    text = " ".join(output.split())
    assert code == 0 and f"noise allows us to tell, it had stopped rising: steps {first} to {last}" in text
    assert "AutoNPO fires only where the entropy falls as well" in text
    rising = write_jsonl(tmp_path / "rising.jsonl", [{"step": s, "reward": 0.01 * s} for s in STEPS])
    assert "no plateau" in advice_text(advise(read_log(rising), SMALL))


def test_a_folder_of_text_logs_lists_them(tmp_path: Path) -> None:
    verl_console(tmp_path)
    with pytest.raises(UserError, match=r"Files that may be a log: train\.log"):
        read_log(tmp_path)


def test_values_that_are_no_number_are_missing_not_zero(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"step": 1, "reward": value, "entropy": 0.5} for value in ("n/a", None, True, [1])]
    log = read_log(write_jsonl(tmp_path / "log.jsonl", [*rows, {"step": 2, "reward": 0.5, "entropy": 0.5}]))
    assert math.isnan(log.rewards[0]) and log.rewards[1] == 0.5


def test_a_step_before_the_row_is_its_step(tmp_path: Path) -> None:
    lines = [
        f"(PPOActor pid=12) Global step {10 * n}: {{'loss': 0.1, 'reward': 0.{n:02d}, 'entropy': 0.5}}"
        for n in range(1, 9)
    ]
    (tmp_path / "run.log").write_text("\n".join(lines))
    log = read_log(tmp_path / "run.log")
    assert log.steps == [10 * n for n in range(1, 9)] and not any("counted" in note for note in log.notes)


@pytest.mark.parametrize("name", ["my run - v2", "r1"])
def test_an_export_whose_run_has_a_dash_or_whose_reward_is_named(name: str, tmp_path: Path) -> None:
    metric = "train/rewards/accuracy_reward/mean"
    rows = [f'"Step","{name} - {metric}","{name} - train/entropy"', *(f"{n},0.{n:02d},0.5" for n in range(1, 9))]
    (tmp_path / "export.csv").write_text("\n".join(rows))
    log = read_log(tmp_path / "export.csv", Columns(reward=metric))
    assert log.columns["reward"] == metric and log.rewards[0] == 0.01
    (tmp_path / "usual.csv").write_text("\n".join(rows).replace(metric, "train/reward"))
    assert read_log(tmp_path / "usual.csv").columns["reward"] == "train/reward"


def test_the_entropy_of_openrlhf(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(
        "\n".join(f'{{"step": {n}, "reward": 0.5, "entropy_loss": 0.7}}' for n in range(1, 9))
    )
    assert read_log(tmp_path / "log.jsonl").columns["entropy"] == "entropy_loss"
