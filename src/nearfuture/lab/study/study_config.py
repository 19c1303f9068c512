"""The configuration of a study: settings that every run has, and what each method changes.

    base: {task: apprentice, max_steps: 240, ...}      keys of a run, without run_dir and seed
    methods: {grpo: {}, npo_early: {scout_steps: 40}}  keys of a run, by method
    num_seeds: 5        first_seed: 100                training seeds 100 ... 104
    test_num_samples: 16    pass_at: [1, 8]            the final evaluation on the test split
    reference: npo_early                               the method that claims are made about

Every run of the grid is checked here, before the first one starts.

Not here: the keys of a run (`nearfuture.run.settings.config`), running the grid (`grid`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nearfuture.lab.study.folder import BASE
from nearfuture.record import flat_yaml
from nearfuture.record.formats import command_line
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import check, read_yaml
from nearfuture.types import UserError, did_you_mean

METHOD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")
OF_THE_GRID = ("run_dir", "seed")


@dataclass(frozen=True)
class StudyConfig:
    """A checked study.

    Attributes:
        base: settings of every run.
        methods: what each method changes, in the order of the tables.
        run_dir: folder of the study.
        num_seeds: the number of training seeds per method.
        first_seed: the first seed; the others follow it.
        test_num_samples: samples per test prompt in the final evaluation.
        pass_at: the values of k for pass@k, each at most `test_num_samples`.
        reference: the method that claims are made about, compared with each other one; None: the last method.
    """

    base: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    run_dir: Path
    num_seeds: int = 5
    first_seed: int = 100
    test_num_samples: int = 16
    pass_at: tuple[int, ...] = (1, 8)
    reference: str | None = None

    @property
    def seeds(self) -> list[int]:
        """The training seeds, in ascending order."""
        return list(range(self.first_seed, self.first_seed + self.num_seeds))


@dataclass(frozen=True)
class Cell:
    """One run of the grid: a method with a seed, and its settings as its file will have them."""

    method: str
    seed: int
    settings: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The name of its folder, its file and its log."""
        return BASE if self.method == BASE else f"{self.method}-{self.seed}"


def load_study(
    path: Path, overrides: Sequence[str] = (), *, methods: Sequence[str] = (), num_seeds: int | None = None
) -> StudyConfig:
    """Read the YAML file of a study, apply `key=value` overrides, and check every run of the grid.

    Args:
        path: the file.
        overrides: `key=value`; a key of the study replaces its value there, every other key goes to `base`.
        methods: the methods to run, in this order; empty: all.
        num_seeds: replaces the file's number.

    Raises:
        UserError: a key or method is unknown (the nearest one is named), a value has the wrong type, or
            `nearfuture train` would refuse a run.
    """
    values = read_yaml(path)
    if {"max_steps", "run_dir"} <= values.keys() and "methods" not in values:
        raise UserError(
            f"{path} is the configuration of one run, and not a study: train it with "
            f"{command_line('nearfuture', 'train', path)}. A study has base (what its runs share) and methods (what "
            "each one changes); `nearfuture init --list` shows some."
        )
    names = [field.name for field in dataclasses.fields(StudyConfig)]
    for key in values:
        if key not in names:
            raise UserError(
                f"{path}: {key} is not a key of a study.{did_you_mean(key, names)} Keys: {', '.join(names)}."
            )
    for override in overrides:
        key, value = flat_yaml.load_value(override, "run_dir=runs/study")
        target = values if key in names else values.setdefault("base", {})
        if not isinstance(target, dict):
            raise UserError(f"{path}: base={target!r} must be keys and values of a run, to which {key} could be added.")
        target[key] = value
    if num_seeds is not None:
        values["num_seeds"] = num_seeds
    study = _typed(path, values)
    return dataclasses.replace(study, methods=choose(study.methods, methods)) if methods else study


def choose(known: dict[str, dict[str, Any]], wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the requested methods, in that order.

    Raises:
        UserError: one of them is unknown.
    """
    for name in wanted:
        if name not in known:
            raise UserError(
                f"--methods {name}: no such method.{did_you_mean(name, known)} Methods: {', '.join(known)}."
            )
    return {name: known[name] for name in wanted}


def cells(study: StudyConfig) -> list[Cell]:
    """Return the grid seed by seed, so that part of it is already a comparison."""
    return [
        Cell(method, seed, {**study.base, **changes, "run_dir": str(study.run_dir / f"{method}-{seed}"), "seed": seed})
        for seed in study.seeds
        for method, changes in study.methods.items()
    ]


def check_runs(study: StudyConfig) -> dict[str, Configuration]:
    """Check one run of each method, and `base` alone, as `nearfuture train` will.

    Returns:
        The configurations by method; `base` holds the settings that all methods are evaluated with.

    Raises:
        UserError: a run would be refused; the message begins with the method's name.
    """
    where = {"run_dir": str(study.run_dir), "seed": study.first_seed}
    found = {}
    for method, changes in {BASE: {}, **study.methods}.items():
        try:
            found[method] = check({**study.base, **changes, **where})
        except UserError as error:
            raise UserError(f"{method}: {error}") from None
    return found


def _typed(path: Path, values: dict[str, Any]) -> StudyConfig:
    if missing := [key for key in ("base", "methods", "run_dir") if not values.get(key)]:
        raise UserError(
            f"{path}: {', '.join(missing)} is missing. A study needs base (settings of every run), methods (what each "
            "changes) and run_dir. `nearfuture init --list` shows some that ship."
        )
    values["methods"] = {name: changes or {} for name, changes in values["methods"].items()}
    try:
        study = TypeAdapter(StudyConfig).validate_python(values)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}.") from None
    _check(path, study)
    return dataclasses.replace(study, run_dir=study.run_dir.expanduser())


def _check(path: Path, study: StudyConfig) -> None:
    for name, changes in {BASE: study.base, **study.methods}.items():
        for key in OF_THE_GRID:
            if key in changes:
                raise UserError(f"{path}: {name} sets {key}, which the grid sets for every run. Remove it.")
    for name in study.methods:
        if name == BASE or not METHOD_NAME.fullmatch(name):
            raise UserError(
                f"{path}: method {name!r} names folders, and {BASE!r} is the untrained model. Use another name of "
                "letters, digits, _ and ."
            )
    if study.reference is not None and study.reference not in study.methods:
        hint = did_you_mean(study.reference, study.methods)
        raise UserError(f"{path}: reference {study.reference!r} is not a method.{hint} Name one, or leave it out.")
    for key in ("num_seeds", "test_num_samples"):
        if getattr(study, key) < 1:
            raise UserError(f"{path}: {key}={getattr(study, key)} must be at least 1.")
    if not study.pass_at or not all(1 <= k <= study.test_num_samples for k in study.pass_at):
        raise UserError(
            f"{path}: pass_at={list(study.pass_at)} must lie between 1 and test_num_samples={study.test_num_samples}: "
            "nothing unbiased can be said about more samples than were drawn. Raise test_num_samples."
        )
