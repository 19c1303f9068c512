"""A disk that fills up: exit code 4 and a message, and the same command goes on to the same bits.

A limit on the size of files is what every machine has and every write meets: torch, safetensors, Arrow and Python each
tell it in their own way, as they tell a full disk.
"""

from __future__ import annotations

import contextlib
import errno
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from commands import CONFIGS, MODEL, run
from run_folders import npo_run
from safetensors.torch import save_file

from nearfuture.cli.failures import as_user_error
from nearfuture.types import DiskError, NoSignalError, UserError

TINY = CONFIGS / "tiny.yaml"
SHORT = ["max_steps=4", "scout_steps=2", "guide_step=null", "rollback_to=null", "save_steps=1", "eval_every=0"]
SHORT += ["per_device_train_batch_size=64", "guide_num_samples=2", "learning_rate=1e-3"]
WEIGHTS = (MODEL / "model.safetensors").stat().st_size


def train(folder: Path, *arguments: object, file_size: int | None = None) -> tuple[int, str]:
    return run("train", TINY, f"run_dir={folder}", *SHORT, *arguments, file_size=file_size)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "run"
    code, output = train(folder)
    assert code == 0, output
    return folder


@pytest.mark.parametrize(
    ("file_size", "when"),
    [
        (600, "the start"),  # Python's own writes
        pytest.param(1000, "the first row", marks=pytest.mark.long),
        pytest.param(WEIGHTS // 2, "the weights", marks=pytest.mark.long),
        (WEIGHTS + 1000, "the optimizer"),  # torch's, inside a checkpoint; those of safetensors are below, and Arrow's
    ],
    ids=lambda value: str(value),
)
def test_a_run_ends_with_code_4_and_goes_on_to_the_same_bits(
    file_size: int, when: str, reference: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    code, output = train(folder, file_size=file_size)
    assert (code, "Traceback" in output) == (4, False), f"{when}: {output}"
    assert "the disk is full" in output and "--resume" in output
    code, output = train(folder, "--resume")
    assert code == 0, output
    assert (folder / "final/model.safetensors").read_bytes() == (reference / "final/model.safetensors").read_bytes()


def test_a_collection_ends_with_code_4_and_is_collected_by_the_same_command(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    collect = ["guide", "collect", TINY, "--guide", MODEL, "--output", cache, "guide_num_samples=1"]
    code, output = run(*collect, file_size=20_000)
    assert (code, "Traceback" in output) == (4, False), output
    assert not cache.exists()
    assert run(*collect)[0] == 0
    shutil.move(cache, tmp_path / "resumed")
    assert run(*collect)[0] == 0
    assert (cache / "guidance.parquet").read_bytes() == (tmp_path / "resumed" / "guidance.parquet").read_bytes()


def test_an_evaluation_ends_with_code_4_and_goes_on(tmp_path: Path) -> None:
    asked = ["evaluate", MODEL, "--suite", "task", "--task", "apprentice", "--limit", "40", "--num-samples", "1"]
    asked += ["--output", tmp_path / "evaluation", "max_completion_length=4"]
    code, output = run(*asked, file_size=1000)
    assert (code, "Traceback" in output) == (4, False), output
    code, output = run(*asked)
    assert code == 0, output


def test_a_page_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = npo_run(tmp_path / "run")
    for command in ("report", "explain"):
        code, output = run(command, folder, file_size=2000)
        assert (code, "Traceback" in output) == (4, False), output
        assert not list(folder.rglob("*.html"))


def test_a_stream_that_is_full(tmp_path: Path) -> None:
    """`nearfuture report RUN > /dev/full`, from nothing, so that the end of the interpreter is part of it."""
    command = [sys.executable, "-m", "nearfuture", "report", str(npo_run(tmp_path / "run"))]
    with open("/dev/full", "w") as full, open(tmp_path / "errors", "w") as errors_file:
        code = subprocess.run(command, stdout=full, stderr=errors_file, check=False).returncode
    errors = (tmp_path / "errors").read_text()
    assert (code, "Traceback" in errors, "Exception ignored" in errors) == (4, False, False), errors


def failure_of(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001 (it is what is looked at)
        return error
    raise AssertionError("it did not fail")


@contextlib.contextmanager
def limited(file_size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("save", [save_file, torch.save, lambda tensors, path: path.write_bytes(bytes(1 << 20))])
def test_libraries_tell_a_full_disk_in_their_own_ways(save: Callable[..., object], tmp_path: Path) -> None:
    with limited(100_000):
        error = failure_of(lambda: save({"a": torch.zeros(1000, 1000)}, tmp_path / "file"))
    assert isinstance(as_user_error(error), DiskError), repr(error)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_the_system_tells_it_by_number(number: int) -> None:
    assert isinstance(as_user_error(OSError(number, "no room", "x")), DiskError)


def test_what_led_to_an_error_decides() -> None:
    def wrapped() -> None:
        try:
            raise OSError(errno.ENOSPC, "no room")
        except OSError as error:
            raise UserError("the data cannot be read") from error

    assert isinstance(as_user_error(failure_of(wrapped)), DiskError)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoSignalError("nothing"), 3),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/x"), 2),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/x"), 2),
        (MemoryError(), 2),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), 2),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), 2),
        (ConnectionError("The vLLM server can't be reached"), 2),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), None),
        (OSError("no errno: somebody's own word"), None),
        (KeyError("npo/reward"), None),
        (ValueError("a bug"), None),
        (RuntimeError("shape mismatch"), None),
        (RuntimeError("[enforce fail at inline_container.cc:1] . PytorchStreamReader failed reading zip"), None),
        (AssertionError(), None),
    ],
)
def test_what_the_world_did_is_told_and_a_bug_keeps_its_traceback(error: Exception, code: int | None) -> None:
    told = as_user_error(error)
    assert (None if told is None else told.exit_code) == code
    is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    assert not is_memory or "max_prompt_length" in str(told), "a long prompt is what nobody thinks of"
