"""Runs cases of the fuzzer in forks of a process that has imported everything, and says what went wrong.

    traceback   an exception left the command
    code        an exit code that is not documented
    lost        a command that was refused changed, added or removed a file
    hung, died  no answer in `LIMIT` seconds; the process is gone (a signal, no memory)

A case is a kind and a number: `fuzz_kinds.KINDS[kind](Random(f"{kind}:{number}"), folder)` makes its commands again.

Not here: what the cases are (`fuzz_kinds`).
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from fuzz_kinds import KINDS, Command
from typer.testing import CliRunner

from nearfuture.cli import app
from nearfuture.record.lock import LOCK
from nearfuture.types import UserError

IMPORTED = (
    *("nearfuture.run.executor", "nearfuture.run.start", "nearfuture.lab.forecast.dry", "nearfuture.lab.report"),
    *(
        "nearfuture.lab.measure.advise",
        "nearfuture.lab.report.explain_page",
        "nearfuture.lab.measure.run_signal",
        "nearfuture.lab.forecast.data_check",
    ),
    *("nearfuture.lab.evaluate.evaluation", "nearfuture.lab.study.grid", "nearfuture.run.interop"),
)
"""What the commands import, for who forks."""
CODES = (0, 2, 3, 4)
LIMIT = 300.0
MEMORY = 12 << 30
SAID_ON_REFUSAL = ".left_out.jsonl"
"""What `guide import` writes where every row is left out: which, and why."""
EACH_ALONE = ("starts",)
"""Kinds whose commands may leave something behind in their process (devices, threads, settings of libraries)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong with one command of a case."""

    kind: str
    number: int
    what: str
    command: str
    said: str = ""

    @property
    def place(self) -> str:
        """The last line of the traceback with where it was raised: equal for faults that are one."""
        lines = [line.strip() for line in self.said.strip().splitlines() if line.strip()]
        files = [line for line in lines if line.startswith("File ")]
        return f"{self.what}: {files[-1] if files else ''} {lines[-1][:160] if lines else ''}"


def run(kind: str, numbers: Sequence[int], *, at_once: int = 25) -> Iterator[tuple[int, list[Fault], list[int]]]:
    """Run cases; yields the number of each, its faults, and the exit codes of its commands."""
    step = 1 if kind in EACH_ALONE else at_once
    for start in range(0, len(numbers), step):
        left = list(numbers[start : start + step])
        while left:
            done = yield from _in_a_fork(kind, left)
            left = left[done:]


def _in_a_fork(kind: str, numbers: list[int]) -> Iterator[tuple[int, list[Fault], list[int]]]:
    """Run cases until one of them takes the process with it; returns how many were run."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _serve(kind, numbers, writing)
    os.close(writing)
    done, buffer, what = 0, b"", "died"
    while True:
        ready, _, _ = select.select([reading], [], [], LIMIT)
        chunk = os.read(reading, 1 << 16) if ready else b""
        if not chunk:
            what = what if ready else "hung"
            break
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            faults, codes = json.loads(line)
            yield numbers[done], [Fault(kind, numbers[done], *fault) for fault in faults], codes
            done += 1
    os.close(reading)
    if what == "hung":
        os.killpg(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if done < len(numbers):
        yield numbers[done], [Fault(kind, numbers[done], what, "", f"status {status}")], []
        done += 1
    return done


def _serve(kind: str, numbers: list[int], writing: int) -> None:
    """In the fork: run the cases, write a line about each, leave."""
    os.setsid()
    limit = psutil.Process().memory_info().vms + MEMORY  # what a library has reserved (V8: a terabyte) is not used
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    try:
        for number in numbers:
            os.write(writing, json.dumps(_case(kind, number)).encode() + b"\n")
    except BaseException:  # noqa: BLE001 (of the fuzzer itself; told where it can be read)
        fault = ("fuzzer", f"{kind} {number}", traceback.format_exc())
        os.write(writing, json.dumps(([fault], [])).encode() + b"\n")
    finally:
        os._exit(0)


def _case(kind: str, number: int) -> tuple[list[tuple[str, str, str]], list[int]]:
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{kind}-{number}-"))
    home = os.getcwd()
    try:
        os.chdir(folder)
        commands = KINDS[kind](random.Random(f"{kind}:{number}"), folder)
        faults, codes = [], []
        for command in commands:
            found, code = _command(command, folder)
            faults += found
            codes.append(code)
        return faults, codes
    finally:
        os.chdir(home)
        shutil.rmtree(folder, ignore_errors=True)


def _command(command: Command, folder: Path) -> tuple[list[tuple[str, str, str]], int]:
    if callable(command):
        return _call(command)
    before = snapshot(folder)
    shown = " ".join(command)[:2000]
    result = CliRunner().invoke(app, command)
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        said = "".join(traceback.format_exception(error))[-6000:]
        return [("traceback", shown, said)], 1
    if result.exit_code not in CODES:
        return [("code", shown, f"{result.exit_code} {result.output[-2000:]}")], result.exit_code
    after = snapshot(folder)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    changed = [name for name in changed if not name.endswith(SAID_ON_REFUSAL)]
    if result.exit_code and changed and not _was_paid(folder / "run"):
        return [("lost", shown, f"{changed[:8]} {result.output[-1500:]}")], result.exit_code
    return [], result.exit_code


def _call(function: Callable[[], object]) -> tuple[list[tuple[str, str, str]], int]:
    try:
        function()
    except UserError as error:
        return [], error.exit_code
    except Exception:  # noqa: BLE001 (it is what is looked for)
        return [("traceback", "", traceback.format_exc()[-6000:])], 1
    return [], 0


def _was_paid(run: Path) -> bool:
    """True for a run that made a step or asked a guide, in vain too: what is there then is worth keeping."""
    events = run / "events.jsonl"
    has_asked = events.exists() and '"collected"' in events.read_text()
    return has_asked or (run / "metrics.jsonl").exists() or any(run.glob("segments/*/*/journal.jsonl"))


def snapshot(folder: Path) -> dict[str, int | None]:
    """Every file and folder below, with a hash of its bytes; locks stay where what they lock does."""
    return {
        str(path.relative_to(folder)): hash(path.read_bytes()) if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith(LOCK)
    }


if __name__ == "__main__":  # one case again: python tests/fuzz_runner.py KIND NUMBER
    for _, found, exit_codes in run(sys.argv[1], [int(sys.argv[2])]):
        print(exit_codes)
        for fault in found:
            print(fault.what, fault.command, fault.said, sep="\n")
