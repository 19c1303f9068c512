"""Every private name of TRL, transformers and datasets that the package uses is pinned in `train/seams.py`.

The source is read as syntax: `owner._name` counts as a host's where the package defines no such name itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import transformers
from trl import GRPOTrainer

import nearfuture
from nearfuture.train import NPOTrainer, seams
from nearfuture.train.exact import ExactResume
from nearfuture.train.weighed import WeighedLoss

ROOT = Path(nearfuture.__file__).parent
TREES = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
PROMISED = {"_asdict", "_exit", "_Latex2Sympy"}
"""Private by their look alone: of a named tuple, of `os`; and the parser of math-verify, which no trainer imports and
whose every reading `test_verify_descent` compares with ours."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def used() -> dict[str, set[str]]:
    """Private names that are read, set, deleted or imported, with the files that do."""
    found: dict[str, set[str]] = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] != "nearfuture":
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                is_lookup = path.parent.name == "train" and path.name != "seams.py"
                names = [node.value] if is_lookup else []  # getattr, vars and the like
            for name in set(filter(is_private, names)) - PROMISED:
                found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def defined() -> Iterator[str]:
    """Names the package makes itself: functions, classes, fields, module variables, attributes set on `self`."""
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and ast.unparse(node.value) in ("self", "cls")
            ):
                yield node.attr


def is_of_a_host(name: str) -> bool:
    """True for what the trainers we derive from have, or set in their code."""
    return hasattr(GRPOTrainer, name) or bool(
        re.search(rf"self\.{name}\b", Path(seams.grpo_trainer.__file__).read_text())
    )


def test_every_private_name_of_a_host_is_pinned() -> None:
    made, files_of = set(defined()), used()
    at_home = {name for name in made if not any(file.startswith("train/") for file in files_of.get(name, ()))}
    own = at_home | {name for name in made - at_home if not is_of_a_host(name)}
    foreign = {name: files for name, files in files_of.items() if name not in own}
    assert {name: files for name, files in foreign.items() if name not in seams.pinned()} == {}


def test_what_is_called_of_a_base_class_is_pinned_or_our_own() -> None:
    called = {
        node.attr
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "super()" and is_private(node.attr)
    }
    own = {name for name in vars(ExactResume) if name not in dir(GRPOTrainer)}
    assert called - own <= seams.pinned()


def test_every_pin_is_used() -> None:
    overridden = {name for kind in (NPOTrainer, WeighedLoss, ExactResume) for name in vars(kind)}
    assert seams.pinned() - set(used()) - overridden == set()


def test_what_we_override_in_the_trainer_is_pinned_or_public() -> None:
    for kind in (NPOTrainer, WeighedLoss, ExactResume):
        hidden = {name for name in vars(kind) if is_private(name) and hasattr(GRPOTrainer, name)}
        assert hidden <= seams.pinned()


@pytest.mark.parametrize("name", seams.METHODS)
def test_a_method_elsewhere_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(seams.METHODS, name, int)
    assert seams.moved() == [f"builtins.int.{name} is gone"]


@pytest.mark.parametrize("name", seams.ATTRIBUTES)
def test_an_attribute_that_nobody_sets_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(seams.ATTRIBUTES, name, transformers.utils.hub)
    with pytest.raises(ImportError, match=f"{name} is set nowhere in transformers.utils.hub"):
        seams.check()


def test_arguments_that_moved_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def stand_in(self: object, model: object, ids: object) -> None: ...

    monkeypatch.setattr(GRPOTrainer, "_get_per_token_logps_and_entropies", stand_in)
    assert any("_get_per_token_logps_and_entropies takes ['self', 'model', 'ids']" in line for line in seams.moved())
