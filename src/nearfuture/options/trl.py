"""TRL's settings, read from the source of the installed TRL: their names, types and defaults, without importing it.

Importing TRL takes ten CPU seconds; reading four of its files takes a twentieth of a second. So a misspelt key is
refused at once, and there is no table of keys to maintain. A type that only an import could provide (an enumeration of
transformers) is `Any` here; TRL's own class checks such a value when a run begins. `tests/test_quick.py` compares with
the real classes.

Not here: the settings of NPO (`npo`), meaningless values (`nearfuture.run.settings.ranges`).
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib.util
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearfuture.types import UserError

GRPO = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
    ("trl", "trainer/grpo_config.py", "GRPOConfig"),
)
MODEL = (("trl", "trainer/model_config.py", "ModelConfig"),)
"""Where a class of settings is defined: package, file, class; base classes first."""


class _Names(dict[str, Any]):
    """The names that the source of a class may use; any other name is `Any`."""

    def __missing__(self, name: str) -> Any:
        return Any


def class_of(name: str, places: tuple[tuple[str, str, str], ...]) -> type:
    """Make a dataclass with the settings of the classes at these places; later ones win.

    Raises:
        UserError: a package is not installed, or its files are laid out differently.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for package, file, called in places:
        try:
            found |= _settings_of(_source(package, file), called)
        except (OSError, StopIteration):
            raise UserError(
                f"{package} has no {called} in {file}: it is not installed whole, or in a version that nearfuture does "
                "not know. Install nearfuture again, with its dependencies."
            ) from None
    return dataclasses.make_dataclass(name, [(key, hint, field) for key, (hint, field) in found.items()])


def _source(package: str, file: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(package)
    return (Path(spec.submodule_search_locations[0]) / file).read_text(encoding="utf-8")


def _settings_of(source: str, called: str) -> dict[str, tuple[Any, Any]]:
    """Return name, type and field of every setting that a class declares."""
    body = next(node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == called)
    names, found = _Names({**vars(builtins), **vars(typing)}), {}
    for node in _statements(body):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            field = _field(node.value, names)
            if field.init:
                found[node.target.id] = (_value(node.annotation, names), field)
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Return statements in order, including those under an `if`, whose condition the pinned versions fulfil."""
    for node in body:
        yield from _statements(node.body) if isinstance(node, ast.If) else (node,)


def _field(node: ast.expr, names: _Names) -> Any:
    """Return the field that `name: type = node` defines, without its help."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "field"):
        return dataclasses.field(default=_value(node, names))
    given = {word.arg: _value(word.value, names) for word in node.keywords if word.arg not in (None, "metadata")}
    return dataclasses.field(**given)


def _value(node: ast.expr, names: _Names) -> Any:
    return eval(compile(ast.Expression(node), "<settings>", "eval"), {"__builtins__": {}}, names)
