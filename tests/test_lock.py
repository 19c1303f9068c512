"""One process writes a folder; the kernel says who, and a SIGKILL frees it. Real processes, no torch."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearfuture.record.lock import LOCK, writing, writing_file
from nearfuture.types import UserError

HOLD = """
import sys
from pathlib import Path
from nearfuture.record.lock import writing
with writing(Path(sys.argv[1]), "run"):
    print("held", flush=True)
    {body}
"""


def holder(folder: Path, body: str = "sys.stdin.read()") -> subprocess.Popen[str]:
    """A process that holds the lock of a folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(body=body), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = holder(tmp_path / "run")
    yield process
    process.kill()
    process.wait()


def test_a_second_writer_is_told_who_the_first_is(other: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as error, writing(tmp_path / "run", "run"):
        pass
    said = str(error.value)
    assert f"process {other.pid} on {socket.gethostname()} since 20" in said
    assert str(tmp_path / "run") in said and "-c" in said  # what, and the command


def test_sigkill_frees_the_lock_at_once(other: subprocess.Popen[str], tmp_path: Path) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    with writing(tmp_path / "run", "run"):
        pass


def test_a_worker_that_outlives_its_killed_parent_does_not_hold_it(tmp_path: Path) -> None:
    body = "os.write(1, b'%d\\n' % os.fork()); sys.stdin.read()"  # one write a line: two processes share the pipe
    process = holder(tmp_path / "run", body="import os; " + body)
    assert process.stdout is not None
    pids = {int(process.stdout.readline()) for _ in range(2)} - {0}  # of the child, as the parent and the child say it
    process.kill()
    process.wait()
    with writing(tmp_path / "run", "run"):
        os.kill(pids.pop(), signal.SIGKILL)  # it was alive all the time


def test_released_it_can_be_taken_again_and_names_nobody(tmp_path: Path) -> None:
    for _ in range(2):
        with writing(tmp_path, "run"):
            assert str(os.getpid()) in (tmp_path / LOCK).read_text()
        assert (tmp_path / LOCK).read_text() == ""


def test_an_error_inside_releases_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(tmp_path, "run"):
        _ = 1 / 0
    with writing(tmp_path, "run"):
        pass


def test_one_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    with (
        writing(tmp_path, "run"),
        pytest.raises(UserError, match="is being written by process"),
        writing(tmp_path, "run"),
    ):
        pass


def test_who_waits_gets_it_afterwards(other: subprocess.Popen[str], tmp_path: Path) -> None:
    order: list[str] = []
    assert other.stdin is not None
    other.stdin.close()  # it ends by itself
    with writing(tmp_path / "run", "report", wait=True):
        order.append("held")
    assert order == ["held"]


def test_what_is_replaced_as_a_whole_is_locked_beside_it(tmp_path: Path) -> None:
    with writing_file(tmp_path / "cache", "guidance"):
        assert (tmp_path / f".cache{LOCK}").exists() and not (tmp_path / "cache").exists()
        with (
            pytest.raises(UserError, match=r"guidance .*cache is being written"),
            writing_file(tmp_path / "cache", "guidance"),
        ):
            pass


def test_a_process_of_another_machine_that_did_not_end_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / LOCK).write_text('{"pid": 7, "host": "elsewhere", "since": "2026", "command": "nearfuture train"}\n')
    with writing(tmp_path, "run"):
        pass
    assert "process 7 on elsewhere" in caplog.text and "does not share locks between machines" in caplog.text


@pytest.mark.parametrize("left", ["", "{", "[]", "null", "\x00\x00"])
def test_a_lock_file_with_anything_in_it_is_a_lock_file(left: str, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(left)
    with writing(tmp_path, "run"):
        pass


def test_a_folder_that_cannot_be_made_is_the_systems_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="file"), writing(tmp_path / "file", "run"):
        pass
