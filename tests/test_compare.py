"""The grid in real processes: killed, interrupted, with a run that fails; nothing is lost and nothing trained twice.

Grid and runs are forks here (`warm`); `make test-long` does the same with interpreters that start from nothing.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import CONFIGS, start, warm
from safetensors.torch import load_file
from slices import keep
from warm import HANGS_AFTER, WarmProcess

from nearfuture.lab.study.processes import Children
from nearfuture.lab.study.test_split import evaluate_final
from nearfuture.record.records import RunRecords
from nearfuture.run.settings.load import load_configuration
from nearfuture.train import checkpoint

SMOKE = CONFIGS / "compare_smoke.yaml"
TINY = [
    "max_steps=6",
    "per_device_train_batch_size=64",
    "save_steps=2",
    "eval_every=3",
    "test_num_samples=2",
    "pass_at=[1, 2]",
    "reference=npo_early",
    "methods={grpo: {}, npo_early: {scout_steps: 2}, broken: {model: nothere}}",
]


def arguments(folder: Path) -> list[object]:
    return ["compare", SMOKE, f"run_dir={folder}", *TINY, "--seeds", "1", "--jobs", "2"]


class FromNothing:
    """A grid in an interpreter of its own, as are its runs; asked for what a `WarmProcess` is asked for."""

    def __init__(self, *arguments: object) -> None:
        self.process = start(*arguments)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def result(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=HANGS_AFTER)
        return self.process.returncode, output


def wait_for(has_come: Callable[[], bool], process: WarmProcess | FromNothing) -> None:
    while not has_come() and process.is_running:
        time.sleep(0.01)
    assert has_come() and process.is_running, process.result()


def compare(folder: Path, *more: object) -> tuple[int, str]:
    """Exit code and everything that was printed."""
    return warm(*arguments(folder), *more).result()


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / name / "final" / "model.safetensors")


def num_begun(folder: Path) -> int:
    """How often training has begun or gone on in the runs of a grid."""
    rows = [json.loads(line) for path in folder.glob("*/events.jsonl") for line in path.read_text().splitlines()]
    return sum(row["event"] in ("segment_started", "resumed") for row in rows)


def is_idle(folder: Path, name: str) -> bool:
    """True where no process holds the lock on a log."""
    children = Children()
    with children.log(folder / f"{name}.log") as log:
        return log is not None


@pytest.fixture(scope="module", params=["forked", pytest.param("from nothing", marks=pytest.mark.long)])
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """A grid that was interrupted, and whose parent was killed while two runs trained; what came of it then."""
    begin = {"forked": warm, "from nothing": FromNothing}[request.param]
    folder = tmp_path_factory.mktemp("grid") / "study"
    process = begin(*arguments(folder))
    wait_for((folder / "npo_early-100" / "metrics.jsonl").exists, process)
    process.interrupt()
    code, output = process.result()
    assert code == 130, output
    assert "The same command continues" in output
    assert is_idle(folder, "npo_early-100") and is_idle(folder, "grpo-100")
    assert list((folder / "npo_early-100" / "segments").rglob(checkpoint.MARKER))

    before = num_begun(folder)
    process = begin(*arguments(folder))
    wait_for(lambda: num_begun(folder) > before, process)
    process.kill()  # SIGKILL to the parent alone: its children live on, and hold their logs
    code, output = compare(folder)
    return folder, code, output


def test_a_killed_grid_goes_on_and_a_failing_run_leaves_the_others(killed: tuple[Path, int, str]) -> None:
    folder, code, output = killed
    assert code == 1, output
    assert "broken-100 failed" in output and "model=nothere" in output
    assert (folder / "grpo-100" / "test.json").exists() and (folder / "npo_early-100" / "test.json").exists()
    for name in ("grpo-100", "npo_early-100"):
        records = RunRecords.load(folder / name)
        assert records.is_finished and records.recomputed_steps == 0  # never two processes in one run
    found = json.loads((folder / "report" / "comparison.json").read_text())
    assert [method["method"] for method in found["methods"]] == ["grpo", "npo_early"]
    assert found["missing"] == {"broken-100": "no run folder, its .log says why"}
    assert found["split"] == "test" and found["base"]["mean"] > 0


def test_what_is_finished_is_not_done_again(killed: tuple[Path, int, str]) -> None:
    folder, _, _ = killed
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*-100/*.js*")}
    code, output = compare(folder, "--methods", "grpo,npo_early")
    assert code == 0, output
    assert output.count("was there") == 3  # base, grpo, npo_early
    assert {path: path.stat().st_mtime_ns for path in before} == before
    found = json.loads((folder / "report" / "comparison.json").read_text())
    assert found["missing"] == {
        "broken-100": "no run folder, its .log says why"
    }  # what was asked for once stays in the grid


def test_other_settings_are_refused(killed: tuple[Path, int, str]) -> None:
    folder, _, _ = killed
    code, output = compare(folder, "learning_rate=1e-5")
    assert code == 2 and "base.learning_rate: 0.0005 -> 1e-05" in output


@pytest.mark.parametrize("name", keep(["npo_early-100"], ["grpo-100", "npo_early-100"]))  # the one with two segments
def test_it_ends_with_the_weights_and_answers_of_a_run_that_nobody_stopped(
    name: str, killed: tuple[Path, int, str], tmp_path: Path
) -> None:
    folder, _, _ = killed
    code, output = warm("train", folder / f"{name}.yaml", f"run_dir={tmp_path / name}").result()
    assert code == 0, output
    left, right = weights(folder, name), weights(tmp_path, name)
    assert left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)
    run = load_configuration(folder / f"{name}.yaml", [f"run_dir={tmp_path / name}"])
    answers = evaluate_final(run, load_configuration(folder / "base.yaml"), 2, tmp_path / "test.json")
    assert answers["prompts"] == json.loads((folder / name / "test.json").read_text())["prompts"]
