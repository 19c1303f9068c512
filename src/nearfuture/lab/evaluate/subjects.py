"""What is evaluated: a model's folder or name on the Hub, a run's final policy, one of its checkpoints, or all of them.

    Qwen/Qwen3-VL-8B-Instruct    runs/npo    runs/npo@200    runs/npo@0 (its base weights)

Not here: loading a model (`nearfuture.train.answer.policy`), the questions (`suites`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nearfuture.run import build
from nearfuture.run.checkpoints import WEIGHTS, find_checkpoints
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.types import UserError

SAMPLED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy to be evaluated.

    Attributes:
        label: its unique name in tables.
        model: a folder, or a name on the Hub.
        run: the run folder it comes from, if any.
        step: the step on the run's path; None for the final policy and for a model without a run.
    """

    label: str
    model: str
    run: Path | None = None
    step: int | None = None

    @property
    def fingerprint(self) -> str:
        """Identify weights by the sizes, beginnings and ends of their files; a model on the Hub by its name."""
        folder = Path(self.model)
        digest = hashlib.sha256()
        files = sorted(path for pattern in WEIGHTS for path in folder.glob(pattern)) if folder.is_dir() else []
        for path in files:
            digest.update(f"{path.name} {path.stat().st_size}".encode())
            with path.open("rb") as file:
                digest.update(file.read(SAMPLED_BYTES))
                file.seek(-min(SAMPLED_BYTES, path.stat().st_size), 2)
                digest.update(file.read())
        return digest.hexdigest()[:16] if files else self.model


def find_subjects(names: Sequence[str], *, lineage: bool = False) -> list[Subject]:
    """Find what the user named.

    Args:
        names: run folders, `RUN@STEP`, model folders, or names on the Hub.
        lineage: whether to find the base weights and every checkpoint on the path of the one run that is named.

    Raises:
        UserError: something is missing, or has no policy yet.
    """
    if lineage:
        if len(names) != 1:
            raise UserError(f"--lineage evaluates the checkpoints of one run; {len(names)} were named. Name one run.")
        return _on_path(Path(names[0]))
    return _told_apart([_subject(name) for name in names])


def _subject(name: str) -> Subject:
    stem, at, step = name.rpartition("@")
    if at and step.isdecimal() and Path(stem).is_dir():
        return _checkpoint(Path(stem), int(step))
    folder = Path(name)
    if not folder.exists():
        if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            return Subject(name.rpartition("/")[2], name)
        raise UserError(
            f"{name} does not exist. Name a run folder, RUN@STEP, the folder of a model in the Hugging Face layout, or "
            "its name on the Hub (owner/name)."
        )
    if is_run(folder):
        return _final(folder)
    if (folder / "config.json").exists() or (folder / "adapter_config.json").exists():
        return Subject(folder.resolve().name, str(folder))
    steps = ", ".join(map(str, find_checkpoints(folder)))
    raise UserError(f"{folder} holds checkpoints, and no model of its own. Name one of them: {folder}@STEP ({steps}).")


def is_run(folder: Path) -> bool:
    """True for a folder that `nearfuture train` wrote."""
    return (folder / "lineage.json").exists()


def _final(run: Path) -> Subject:
    if (run / "final").is_dir():
        return Subject(run.resolve().name, str(run / "final"), run)
    steps = ", ".join(map(str, find_checkpoints(run)))
    raise UserError(
        f"{run} is not finished: it has no final policy. Name one of its checkpoints, {run}@STEP"
        f"{f' ({steps})' if steps else ', once it has one'}, or finish it with --resume."
    )


def _checkpoint(run: Path, step: int) -> Subject:
    label = f"{run.resolve().name}@{step}"
    if step == 0 and is_run(run):
        return Subject(label, base_model_of(run), run, 0)
    found = find_checkpoints(run)
    if step not in found:
        steps = ", ".join(map(str, [0, *found] if is_run(run) else found))
        raise UserError(f"{run} has no checkpoint at step {step}. There are: {steps}.")
    return Subject(label, str(found[step]), run, step)


def _on_path(run: Path) -> list[Subject]:
    if not is_run(run):
        raise UserError(f"{run} has no lineage.json, so there is no path to follow. Name a run of nearfuture.")
    subjects = [_checkpoint(run, step) for step in [0, *find_checkpoints(run)]]
    horizon = configuration_of(run).max_steps
    if (run / "final").is_dir() and subjects[-1].step != horizon:
        subjects.append(replace(_final(run), label=f"{run.resolve().name}@{horizon}", step=horizon))
    return subjects


def configuration_of(run: Path) -> Configuration:
    """Return the configuration that a run started with."""
    return load_configuration(run / "config.yaml")


def base_model_of(run: Path) -> str:
    """Return the model that a run started with."""
    config = configuration_of(run)
    return config.run.model or build.base_model(config, build.load_run_task(config))


def _told_apart(subjects: list[Subject]) -> list[Subject]:
    """Prefix equal labels with the names of their parent folders; refuse the same policy twice."""
    labels = [subject.label for subject in subjects]
    if len({subject.model for subject in subjects}) < len(subjects):
        raise UserError(f"{subjects[0].model} was named twice. Name two different policies.")
    return [
        subject
        if labels.count(subject.label) == 1
        else replace(subject, label=f"{Path(subject.run or subject.model).resolve().parent.name}/{subject.label}")
        for subject in subjects
    ]
