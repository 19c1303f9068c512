"""Runs a case of the matrix as a user would: train, SIGKILL, resume, report, explain, advise.

A case ends well where every command ends with 0, the final policy is there and every step of the path has its row; or,
where it is to be refused, with the exit code and the words of the refusal. A traceback is a failure whatever the code.

Not here: which cases there are (`matrix_cases`).
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import commands
from matrix_cases import Case

from nearfuture.record import flat_yaml

TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Result:
    """How a case ended: `ended`, `refused` (as it should), or `FAILED` and why."""

    case: str
    digest: str
    outcome: str
    why: str = ""
    was_killed: bool = False
    seconds: float = 0.0
    output: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class FailedError(Exception):
    """A command that did not end as it must, with what it printed."""

    def __init__(self, why: str, output: str) -> None:
        super().__init__(why)
        self.output = output


class NoSignalEndError(FailedError):
    """A run that ended with exit code 3 and its reason: its guide solved nothing. It cannot be killed and resumed."""


def drive(case: Case, folder: Path, places: dict[str, str]) -> Result:
    """Run a case in `folder`, which is deleted where it ended well."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = write(case, folder, places)
    began = time.monotonic()
    was_killed = False
    try:
        if case.refusals:
            _refused(case, config)
        else:
            was_killed = _train(case, config, folder / "run")
    except FailedError as error:
        seconds = time.monotonic() - began
        outcome = "no signal" if isinstance(error, NoSignalEndError) else "FAILED"
        return Result(case.name, case.digest, outcome, str(error), was_killed, seconds, error.output)
    shutil.rmtree(folder)
    outcome = "refused" if case.refusals else "ended"
    return Result(case.name, case.digest, outcome, "", was_killed, time.monotonic() - began)


def write(case: Case, folder: Path, places: dict[str, str]) -> Path:
    """Write the configuration of a case, whose run is `folder/run`."""
    config = folder / "config.yaml"
    config.write_text(flat_yaml.dump({**_filled(case.settings, places), "run_dir": str(folder / "run")}))
    return config


def _train(case: Case, config: Path, run: Path) -> bool:
    """Train, kill, resume, read; True where the kill came before the end."""
    _must("plan", "train", config, "--dry-run")
    was_killed = _killed(case, config, run)
    code, output = _run("train", config, "--resume")
    if code == 3:
        raise NoSignalEndError(output.strip().rpartition("error: ")[2], output)
    if code != 0:
        raise FailedError(f"resume ended with {code}", output)
    if not (run / "final").is_dir():
        raise FailedError("no final policy", "")
    for command in ("report", "explain", "advise"):
        _must(command, command, run)
    _rows_are_whole(run)
    return was_killed


def _refused(case: Case, config: Path) -> None:
    code, output = _run("train", config)
    if not any(code == refusal.exit_code and refusal.says in output for refusal in case.refusals):
        wanted = [(refusal.exit_code, refusal.says) for refusal in case.refusals]
        raise FailedError(f"exit code {code}, wanted one of {wanted}", output)


def _killed(case: Case, config: Path, run: Path) -> bool:
    """Train until the moment of the case, and SIGKILL; False where the run ended before."""
    moment = run / case.kill.format(save_steps=case.settings["save_steps"])
    process = commands.warm("train", config, until=moment)
    while process.is_running and not moment.exists():
        time.sleep(0.01)
    was_running = process.is_running
    process.kill()
    output = process.output.read_text()
    code = process.process.exitcode
    if TRACEBACK not in output and not was_running and code == 3:
        raise NoSignalEndError(output.strip().rpartition("error: ")[2], output)
    if TRACEBACK in output or (not was_running and code != 0):
        raise FailedError(f"train ended with {code}", output)
    return was_running


def _must(what: str, *arguments: object) -> None:
    code, output = _run(*arguments)
    if code != 0:
        raise FailedError(f"{what} ended with {code}", output)


def _run(*arguments: object) -> tuple[int, str]:
    code, output = commands.warm(*arguments).result()
    if TRACEBACK in output:
        raise FailedError(f"{arguments[0]} printed a traceback, exit code {code}", output)
    return code, output


def _rows_are_whole(run: Path) -> None:
    """Every step of the head's path has a row with a loss and its costs."""
    from nearfuture.record.clocks import head_positions
    from nearfuture.record.records import RunRecords

    records = RunRecords.load(run)
    for at in head_positions(records)[1:]:
        row = records.rows.get(at, {})
        missing = [key for key in ("loss", "grad_norm", "seconds", "rollout_tokens", "npo/entropy") if key not in row]
        if missing:
            raise FailedError(f"step {at} lacks {', '.join(missing)}", json.dumps(row))
    if not records.is_finished:
        raise FailedError("the run is not finished", "")


def _filled(value: Any, places: dict[str, str]) -> Any:
    """Put paths in the place of `{name}`."""
    if isinstance(value, str):
        for name, path in places.items():
            value = value.replace(f"{{{name}}}", path)
        return value
    if isinstance(value, dict):
        return {key: _filled(item, places) for key, item in value.items()}
    return value
