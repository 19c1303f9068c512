"""The files of a study: which runs it has, and where each keeps its files.

    grid.json                     the methods with their settings, the seeds, what was asked for
    <method>-<seed>.yaml .log     the configuration of a run, and what it printed
    <method>-<seed>/              the run folder; test.json: the final evaluation, prompt by prompt
    base/test.json                the same for the untrained model
    report/                       index.html, comparison.json, comparison.csv, comparison.txt

Not here: running it (`grid`), its numbers (`results`). No torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearfuture.record.reading import read_object
from nearfuture.record.writing import write_whole
from nearfuture.types import UserError

VERSION = 1
BASE = "base"
GRID = "grid.json"
LENGTH = "max_completion_length"


@dataclass(frozen=True)
class Grid:
    """The content of `grid.json`. It only grows: what was asked for once stays part of the study.

    Attributes:
        base: settings of every run.
        methods: what each method changes, in the order of the tables.
        cells: (method, seed) of every run that was asked for.
        test_num_samples: samples per test prompt.
        pass_at: the values of k for pass@k.
        reference: the method that claims are made about.
    """

    base: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    cells: tuple[tuple[str, int], ...]
    test_num_samples: int
    pass_at: tuple[int, ...]
    reference: str

    def seeds(self, method: str) -> list[int]:
        """The seeds that were asked for, in ascending order."""
        return sorted(seed for name, seed in self.cells if name == method)


class StudyFolder:
    """The paths of a study."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.grid = self.path / GRID
        self.report = self.path / "report"

    @property
    def is_study(self) -> bool:
        """True if a grid was started here."""
        return self.grid.exists()

    def run(self, name: str) -> Path:
        """The run folder of a cell, named `<method>-<seed>`, or of `base`."""
        return self.path / name

    def config(self, name: str) -> Path:
        """The configuration of a cell."""
        return self.path / f"{name}.yaml"

    def log(self, name: str) -> Path:
        """The output of its processes."""
        return self.path / f"{name}.log"

    def test(self, name: str) -> Path:
        """Its final evaluation."""
        return self.run(name) / "test.json"

    def is_trained(self, name: str) -> bool:
        """True if the run has reached its horizon."""
        return (self.run(name) / "final").exists()

    def is_evaluated(self, name: str, num_samples: int) -> bool:
        """True if the final evaluation was made, with the required samples at the length that the run trained with."""
        found = read_object(self.test(name))
        length = read_object(self.config(name)).get(LENGTH)
        is_whole = length is None or found.get("sampling", {}).get(LENGTH) == length
        return bool(found.get("num_samples") == num_samples and is_whole)

    def read_grid(self) -> Grid:
        """Read `grid.json`.

        Raises:
            UserError: it is missing, or another version of the tool wrote it.
        """
        if not self.grid.exists():
            raise UserError(
                f"{self.grid} does not exist: {self.path} is not a study. Name the run_dir of a comparison."
            )
        found = read_object(self.grid)
        if found.pop("version", None) != VERSION:
            raise UserError(f"{self.grid} is of another version. Use the release that wrote it, or another run_dir.")
        cells = tuple((method, seed) for method, seed in found.pop("cells"))
        return Grid(**{**found, "cells": cells, "pass_at": tuple(found["pass_at"])})

    def write_grid(self, grid: Grid) -> Grid:
        """Add to `grid.json`, and return the whole grid.

        Raises:
            UserError: settings of runs that have already started would change.
        """
        if self.is_study:
            grid = self._joined(self.read_grid(), grid)
        write_whole(self.grid, json.dumps({"version": VERSION, **asdict(grid)}, indent=1) + "\n")
        return grid

    def _joined(self, before: Grid, now: Grid) -> Grid:
        begun = {method for method, seed in before.cells if self.run(f"{method}-{seed}").exists()}
        changed = list(changes("base", before.base, now.base)) if begun else []
        for method in begun & set(now.methods):
            changed += changes(method, before.methods[method], now.methods[method])
        if changed:
            raise UserError(
                f"{self.path} was begun with other settings ({'; '.join(changed)}), and runs of both would not be "
                "comparable. Choose another run_dir, or delete this one."
            )
        methods = before.methods if begun else {}
        cells = before.cells if begun else ()
        return Grid(
            base=now.base,
            methods={**methods, **now.methods},
            cells=tuple(dict.fromkeys((*cells, *now.cells))),
            test_num_samples=now.test_num_samples,
            pass_at=now.pass_at,
            reference=now.reference,
        )


def changes(where: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Yield what differs between two settings."""
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            yield f"{where}.{key}: {before.get(key)} -> {now.get(key)}"
