"""Imports run strictly downward, room by room, and heavy ones happen in one room."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import nearfuture

ROOT = Path(nearfuture.__file__).parent
ROOMS = (
    ("types", "seal", "json_text"),
    ("refusals", "options"),
    ("method", "stats", "verify"),
    ("tasks", "record"),
    ("tasks/data", "tasks/gyms", "tasks/worlds"),
    ("guidance", "lab", "lab/evaluate/benchmarks"),
    ("guidance/interop", "train/vision", "train/shape"),
    ("train",),
    ("train/answer", "run/settings"),
    ("run/auto",),
    ("run",),
    ("lab/forecast", "lab/study", "lab/page"),
    ("lab/report",),
    ("lab/measure", "lab/evaluate"),
    ("api",),
    ("cli",),
    ("__main__", "__init__"),
)
"""From the bottom to the top: a file imports from its own room and from rooms of the lines above its own."""

HEIGHTS = {room: height for height, rooms in enumerate(ROOMS) for room in rooms}
HEAVY = {"trl", "transformers", "accelerate", "vllm", "peft", "deepspeed"}
FILES = {
    ".".join(("nearfuture", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}


@cache
def imports(path: Path) -> frozenset[str]:
    """Everything a file imports, at any depth and for types alone: files of ours, else names as they stand there."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            wholes = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {whole if whole in FILES else node.module for whole in wholes}
    return frozenset(names)


def room_of(path: Path) -> str:
    """The folder that has a height, or the file beside the folders."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return next(name for n in range(len(parts), 0, -1) if (name := "/".join(parts[:n])) in HEIGHTS)


@pytest.mark.parametrize("path", FILES.values(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward(path: Path) -> None:
    own = room_of(path)
    for name in imports(path):
        if name in FILES:
            other = room_of(FILES[name])
            assert other == own or HEIGHTS[other] < HEIGHTS[own], f"{path.name} ({own}) imports {name} ({other})"
        assert own.split("/")[0] == "train" or name.split(".")[0] not in HEAVY, f"{path.name} imports {name}"


def test_no_circle_of_files() -> None:
    graph = {name: imports(path) & FILES.keys() for name, path in FILES.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # a CycleError names the circle


def test_the_method_is_read_in_a_minute() -> None:
    tree = ast.parse((ROOT / "train/trainer.py").read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_generate"]
    assert [node.end_lineno - node.lineno + 1 <= 25 for node in found if node.end_lineno] == [True]


def test_every_folder_is_a_room_or_lies_in_one() -> None:
    folders = {str(path.parent.relative_to(ROOT)) for path in FILES.values()} - {"."}
    assert {folder for folder in folders if room_of(ROOT / folder / "x.py") not in HEIGHTS} == set()
    assert {room for room in HEIGHTS if not (ROOT / room).is_dir() and not (ROOT / f"{room}.py").is_file()} == set()


def test_every_folder_with_code_is_a_package_that_says_what_it_is() -> None:
    folders = {folder for path in FILES.values() for folder in path.parents if folder.is_relative_to(ROOT)}
    assert {str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()} == set()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("nearfuture", ["torch", "trl", "transformers"]),
        ("nearfuture.method.gate", ["trl", "transformers", "accelerate"]),
        ("nearfuture.method.lineage", ["torch", "numpy"]),
        ("nearfuture.guidance", ["trl", "transformers", "accelerate"]),
        *(
            (f"nearfuture.{module}", ["torch", "trl", "transformers"])
            for module in ("record.records", "record.ledger", "record.decisions", "record.logs", "record.yields")
        ),
        ("nearfuture.lab.report", ["torch", "trl", "transformers"]),
        ("nearfuture.lab.report.study_page", ["torch", "trl", "transformers"]),
        ("nearfuture.lab.report.explain_page", ["torch", "trl", "transformers"]),
        ("nearfuture.cli", ["torch", "trl", "transformers"]),
    ],
)
def test_light_parts_work_where_heavy_ones_are_absent(module: str, absent: list[str]) -> None:
    code = f"import sys\nfor name in {absent}: sys.modules[name] = None\nimport {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_resolve() -> None:
    for name in nearfuture.__all__:
        assert getattr(nearfuture, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'NPO'"):
        nearfuture.NPO  # noqa: B018
