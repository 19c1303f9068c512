"""Stand-ins of the benchmarks in upstream's format, made once a process by the script that makes them for everybody."""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from nearfuture.lab.evaluate.benchmarks import BENCHMARKS
from nearfuture.lab.evaluate.benchmarks.loading import Rows, load_benchmark
from nearfuture.train.answer.decoding import Decoding, EngineSettings, Response

ROOT = Path(__file__).parent.parent
Row = dict[str, Any]


def load_script(path: str) -> ModuleType:
    """Import a script of the repository."""
    found = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@functools.cache
def fixtures() -> Path:
    """A folder that mirrors the repositories, with a tiny random model in `model`."""
    script = load_script("scripts/build_benchmark_fixtures.py")
    folder = Path(tempfile.mkdtemp())
    script.write_repositories(folder, 20)
    script.build_model(folder / "model")
    return folder


@functools.cache
def rows_of(name: str) -> Rows:
    return load_benchmark(BENCHMARKS[name], fixtures())


class Scripted:
    """A policy that answers by a rule: (row, seed) -> response. `sampled` holds what it was asked."""

    def __init__(self, rule: Callable[[Row, int], str]) -> None:
        self.rule = rule
        self.sampled: list[tuple[str, int]] = []

    def sample(self, rows: Sequence[Row], seeds: Sequence[int], decoding: Decoding) -> list[Response]:
        self.sampled += [(row.get("uid", row.get("prompt_id")), seed) for row, seed in zip(rows, seeds, strict=True)]
        texts = [self.rule(row, seed) for row, seed in zip(rows, seeds, strict=True)]
        return [Response(text, len(text.split()), is_truncated=not text) for text in texts]

    def release(self) -> None:
        pass


def loads(policy: Scripted) -> Callable[[str, EngineSettings], Scripted]:
    return lambda model, settings: policy


def right(row: Row, seed: int) -> str:
    return f"\\boxed{{{row['gold']}}}"


def sometimes(share: float) -> Callable[[Row, int], str]:
    """Right in a share of the seeds, else without an answer."""
    return lambda row, seed: right(row, seed) if seed % 1000 < 1000 * share else "I do not know."
