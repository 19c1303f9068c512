"""`nearfuture data difficulty` on a task: measured, filtered, resumed, refused where something changed; two processes.

Not here: the same on a data set, killed and resumed to the same bytes (test_data.py).
"""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
from commands import environment, invoke
from datasets import Dataset
from warm import WarmProcess

from nearfuture.lab.measure import difficulty
from nearfuture.lab.measure.difficulty import measure_difficulty
from nearfuture.run import build
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks.worlds.apprentice.shipped import FOLDER
from nearfuture.types import NoSignalError, UserError

TASK = f"""
from pathlib import Path
from nearfuture import Task
from nearfuture.verify.files import read_rows

def ends_alike(completion, row):  # the base solves one in 70 whole, and some in this way
    return completion[-1:] == row["answer"][-1:]

def chains(first=0, version="1"):
    rows = read_rows(Path({str(FOLDER)!r}) / "train.jsonl")
    rows = [{{name: row[name] for name in ("prompt", "answer", "family")}} for row in rows]
    return Task("chains", rows[first:first + 12], rows[20:24], ends_alike, verifier_version=version)
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration in whose folder everything lies, a model of its own included."""
    monkeypatch.setattr(difficulty, "PART", 4)
    (tmp_path / "chains.py").write_text(TASK)
    shutil.copytree(FOLDER / "model", tmp_path / "model")
    values = {
        **{"run_dir": str(tmp_path / "run"), "max_steps": 1, "task": f"{tmp_path}/chains.py:chains"},
        **{"model": str(tmp_path / "model"), "per_device_train_batch_size": 8, "num_generations": 4},
        **{"max_completion_length": 16, "guide_batch_size": 8},
    }
    path = tmp_path / "run.yaml"
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()))
    return path


def measure_until_killed(config: Path, output: Path, num_parts: int) -> None:
    """Measure some parts, and stop as a kill does."""
    parts = measure_difficulty(load_configuration(config), output, num_samples=2, say=Killed(num_parts))
    with pytest.raises(KeyboardInterrupt):
        list(parts)


class Killed:
    def __init__(self, num_parts: int) -> None:
        self.left = num_parts

    def __call__(self, line: str) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_task_is_measured_and_trained_on_what_was_never_solved(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "hard.parquet"
    code, said = invoke("data", "difficulty", config, "--output", output, "--num-samples", 4)
    assert code == 0 and f"task_difficulty={output} dataset_max_difficulty=0" in said, said
    rates = Dataset.from_parquet(str(output))["difficulty"]
    assert len(rates) == 12 and {0.0} < set(rates) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    limits = [f"task_difficulty={output}", "dataset_max_difficulty=0"]
    hard = build.load_run_task(load_configuration(config, limits))
    assert len(hard.train) == rates.count(0.0) and len(hard.evaluation) == 4
    assert hard.notes[-1] == f"task_difficulty: {rates.count(0.0)} of 12 training rows are within the limits"
    known = load_configuration(config, [limits[0], "dataset_min_difficulty=0.25"])
    assert {row["prompt"] for row in build.load_run_task(known).train}.isdisjoint(row["prompt"] for row in hard.train)
    with pytest.raises(NoSignalError, match="none of 12 training rows"):
        build.load_run_task(load_configuration(config, [limits[0], "dataset_min_difficulty=1.5"]))
    with pytest.raises(UserError, match=r"3 of 12 training rows of chains are not in it, the first is row 9"):
        build.load_run_task(load_configuration(config, [*limits, "task_args.first=3"]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([], "task_difficulty=.*takes limits"),
        (["task=null", "dataset_name=gsm8k", "dataset_max_difficulty=0"], "of a data set, name the file"),
        (["task_difficulty=null", "dataset_max_difficulty=0"], "measures a task's rows, for task_difficulty"),
    ],
)
def test_a_filter_without_limits_or_without_a_task_is_refused(config: Path, changes: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_configuration(config, ["task_difficulty=hard.parquet", *changes])


def test_what_changed_since_a_measurement_began_is_named(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "hard.parquet"
    measure_until_killed(config, output, 2)

    def refusal(*changes: str) -> str:
        code, said = invoke("data", "difficulty", config, *changes, "--output", output, "--num-samples", 2)
        assert code == 2, said
        return " ".join(said.split())

    assert "rows: 12 of 12 rows differ, the first is row 0; ids of rows; settings: task_args" in refusal(
        "task_args.first=5"
    )
    assert "(what differs: settings: temperature None -> 0.7)" in refusal("temperature=0.7")
    assert "verifier: 1 -> 2" in refusal("task_args.version='2'")
    weights = tmp_path / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert "(what differs: model)" in refusal()


def test_two_processes_continue_what_one_began_and_write_one_file(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "hard.parquet"
    measure_until_killed(config, output, 2)
    begun = output.with_name("hard.parquet.partial").read_text().splitlines()
    assert len(begun) == 3, "the measurement and two parts"
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = ["data", "difficulty", config, "--output", output, "--num-samples", "2"]
    started = []
    for rank in range(2):
        variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
        variables |= {"MASTER_ADDR": "localhost", "ACCELERATE_USE_CPU": "true"}
        env = {**environment(), **{name: str(value) for name, value in variables.items()}}
        started.append(WarmProcess([str(one) for one in command], tmp_path / f"{rank}.txt", env))
    codes, said = zip(*(process.result() for process in started), strict=True)
    assert codes == (0, 0), said
    assert "begun with 1 processes, now 2" in said[0] and "continuing after 8 of 12 rows" in said[0]
    assert "12 rows x 2 samples" in said[0] and not [
        line for line in said[1].splitlines() if "get_accelerator" not in line
    ]
    found = Dataset.from_parquet(str(output))
    kept = {uid: c / n for line in begun[1:] for uid, c, n in json.loads(line)["rows"]}
    rates = dict(zip(found["prompt_id"], found["difficulty"], strict=True))
    assert len(rates) == 12 and rates.items() >= kept.items() and set(rates.values()) <= {0.0, 0.5, 1.0}
    assert not list(tmp_path.glob("hard.parquet.*"))
