"""A function as `Task.verify`: in a worker where it can be imported, with the answers that it gives here.

Not here: the workers (`test_verify_pool.py`), what answers mean (`test_task.py`).
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nearfuture.tasks import Task, VerdictReward, judge, load_task
from nearfuture.types import Verdict
from nearfuture.verify.function import FunctionVerifier, why_not_in_worker

OWN = """
import os, sys
from nearfuture.tasks import Task
from nearfuture.types import Verdict

NUM_CALLS = 0

def verify(completion, row):
    global NUM_CALLS
    NUM_CALLS += 1
    if completion == "hang":
        while True:
            pass
    if completion == "die":
        os._exit(7)
    if completion == "slow":
        raise TimeoutError("a service of its own")
    if completion == "unsure":
        return None
    if completion == "invalid":
        return Verdict.NO_ANSWER
    if completion == "where":
        return os.getpid()
    if completion == "how often":
        return NUM_CALLS
    if completion == "row":
        return row
    print(f"judged {completion}")
    return completion == row["answer"]

def sums():
    return Task("sums", train=[{"prompt": "1+1=", "answer": "2"}], evaluation=[], verify=verify, time_limit=2.0)

def nested():
    def inside(completion, row):
        return completion == row["answer"]
    return Task("sums", train=[{"prompt": "1+1="}], evaluation=[], verify=inside)
"""
ROW = {"answer": "2"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def here(completion: str, row: dict[str, Any]) -> bool:
    return completion == row["answer"]


def test_it_runs_in_one_worker_and_answers_as_it_does_here(own: Path) -> None:
    verify = load_task(f"{own}:sums").verify
    assert isinstance(verify, FunctionVerifier)
    assert [verify(text, ROW) for text in ("2", "3", "unsure", "invalid")] == [True, False, None, Verdict.NO_ANSWER]
    assert verify("where", ROW) == verify("where", ROW) != os.getpid()
    assert verify("how often", ROW) == 7, "calls keep their order"
    assert load_task(f"{own}:sums").verify("how often", ROW) == 8, "tasks of one function share its worker"


def test_it_cannot_hang_or_kill_a_run(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = load_task(f"{own}:sums")
    rewards = VerdictReward(task)(
        prompts=["?"] * 6, completions=["hang", "die", "slow", "unsure", "2", "3"], answer=["2"] * 6
    )
    assert rewards == [None, None, None, None, 1.0, 0.0]
    assert "exit code 7" in caplog.text
    assert judge(task.verify, "slow", ROW) is judge(task.verify, "hang", ROW) is Verdict.TIMEOUT
    assert judge(task.verify, "2", {}) is Verdict.CRASH
    assert "KeyError: 'answer'" in caplog.text


def test_a_row_and_an_answer_travel_as_they_are(own: Path) -> None:
    verify = load_task(f"{own}:sums").verify
    row = {
        "a": (1, 2),
        3: np.float32(0.5),
        "image": Image.new("RGB", (2, 2), (1, 2, 3)),
        "text": "\ud800",
        "none": None,
    }
    back = verify("row", row)
    assert back.pop("image").tobytes() == row.pop("image").tobytes()
    assert back == row and type(back[3]) is np.float32


def test_what_it_prints_is_shown(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_task(f"{own}:sums").verify("3", ROW)
    assert capfd.readouterr().out == "judged 3\n"


def test_where_it_cannot_be_imported_it_stays_here_and_that_is_said(own: Path) -> None:
    class Equals:
        def __call__(self, completion: str, row: dict[str, Any]) -> bool:
            return completion == row["answer"]

    for verify, reason in (
        (lambda completion, row: True, "it is a lambda"),
        (load_task(f"{own}:nested").verify, "defined inside another function"),
        (Equals(), "not a plain function"),
        (functools.partial(here), "not a plain function"),
    ):
        task = Task("sums", train=[], evaluation=[], verify=verify)
        assert task.verify is verify
        assert len(task.notes) == 1 and "in this process, without a limit" in task.notes[0] and reason in task.notes[0]
    assert Task("sums", train=[], evaluation=[], verify=here, time_limit=None).verify is here
    assert why_not_in_worker(here) is None


def test_a_function_of_the_script_that_is_run_stays_in_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(OWN + "\nprint(sums().notes, sums().verify is verify)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert "it is defined in the running script or session" in done.stdout and "True" in done.stdout


def test_a_module_of_a_package_is_imported_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "sums_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "answers.py").write_text("RIGHT = '2'\n")
    (package / "judging.py").write_text(
        "from .answers import RIGHT\n\ndef verify(completion, row):\n    return completion == RIGHT\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from sums_of_mine.judging import verify  # type: ignore[import-not-found]

    task = Task("sums", train=[], evaluation=[], verify=verify)
    assert isinstance(task.verify, FunctionVerifier) and task.verify("2", {}) is True


def test_a_module_that_imports_once_only_stays_here(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, mark = tmp_path / "own.py", tmp_path / "mark"
    path.write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch(exist_ok=False)\n{OWN}")
    verify = load_task(f"{path}:sums").verify
    with caplog.at_level(logging.WARNING):
        assert verify("where", ROW) == os.getpid() == verify("where", ROW)
    assert caplog.text.count("runs in this process, without a limit") == 1 and "FileExistsError" in caplog.text


def test_rows_that_cannot_be_pickled_stay_here(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    verify = load_task(f"{own}:sums").verify
    assert verify("2", {"answer": "2", "reader": lambda: None}) is True
    assert "rows cannot be pickled" in caplog.text
