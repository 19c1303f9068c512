"""Imports run strictly downward, and heavy ones happen in one layer."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nearfuture

ROOT = Path(nearfuture.__file__).parent
LAYERS = {
    "types": 0,
    "seal": 0,
    "refusals": 1,
    "algo": 2,
    "tasks": 2,
    "guidance": 3,
    "train": 4,
    "run": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": 7,
}
HEAVY = {"trl", "transformers", "accelerate", "vllm", "peft", "deepspeed"}


def imports(path: Path) -> set[str]:
    """Full names of everything a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward(path: Path) -> None:
    own = layer_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "nearfuture" and len(parts) > 1:
            other = parts[1]
            assert other == own or LAYERS[other] < LAYERS[own], f"{path.name} ({own}) imports {name}"
        if own != "train":
            assert parts[0] not in HEAVY, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("nearfuture", ["torch", "trl", "transformers"]),
        ("nearfuture.algo.gate", ["trl", "transformers", "accelerate"]),
        ("nearfuture.algo.lineage", ["torch", "numpy"]),
        ("nearfuture.guidance", ["trl", "transformers", "accelerate"]),
        ("nearfuture.run.report", ["torch", "trl", "transformers"]),
        ("nearfuture.run.report.study_page", ["torch", "trl", "transformers"]),
        ("nearfuture.run.explain, nearfuture.run.report.explanation", ["torch", "trl", "transformers"]),
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
