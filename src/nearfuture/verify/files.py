"""Files that tasks come from: the user's own functions, named `path/to/file.py:function`, and rows that ship.

Not here: how they are used (`nearfuture.tasks.task`, `external`).
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from nearfuture.json_text import loads
from nearfuture.types import UserError, did_you_mean

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
PLAIN = (*FUNCTIONS, *IMPORTS, ast.Assign, ast.AnnAssign, ast.AugAssign)
"""Statements that show, without being run, which names they define."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object per line."""
    with path.open(encoding="utf-8") as lines:
        return [loads(line) for line in lines]


def split_spec(spec: str, *, key: str, otherwise: str) -> tuple[Path, str]:
    """Split `path/to/file.py:function` into an existing file and a name.

    Args:
        spec: what the user wrote.
        key: the setting it was written for.
        otherwise: what to say if it does not have this form.

    Raises:
        UserError: it has another form, or there is no such file.
    """
    file, colon, attribute = spec.rpartition(":")
    if not colon or not attribute:
        raise UserError(otherwise)
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise UserError(
            f"{key}={spec!r}: there is no file {path}. Give the path from {Path.cwd()}, or an absolute one."
        )
    return path, attribute


def import_file(path: Path, name: str) -> ModuleType:
    """Import a Python file as a module of that name."""
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None, path
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def function_of(path: Path, attribute: str, *, key: str, spec: str) -> Callable[..., Any]:
    """Import a file and return one of its functions.

    Raises:
        UserError: it is not a Python file, or has no such function.
    """
    _require_python(path, key, spec)
    module = import_file(path, f"nearfuture_{key}_{path.stem}")
    function: Callable[..., Any] | None = getattr(module, attribute, None)
    if function is None or not callable(function):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise _no_function(path, attribute, names, f"{key}={spec!r}")
    return function


def require_function(path: Path, attribute: str, *, key: str, spec: str) -> None:
    """Refuse a file that, read without running it, cannot define a function of that name; see `function_of`.

    Raises:
        UserError: it is not a Python file, or has no such function.
    """
    _require_python(path, key, spec)
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return  # importing it will say what is wrong, and where
    if not all(map(_is_plain, body)):
        return  # what it defines is known only when it runs
    functions = [node.name for node in body if isinstance(node, FUNCTIONS)]
    others = [node.id for top in body for node in ast.walk(top) if isinstance(node, ast.Name)]
    imported = [alias.asname or alias.name for node in body if isinstance(node, IMPORTS) for alias in node.names]
    if attribute not in {*functions, *others, *imported}:
        raise _no_function(path, attribute, functions, f"{key}={spec!r}")


def _is_plain(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return all(alias.name != "*" for alias in node.names)
    return isinstance(node, PLAIN) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _require_python(path: Path, key: str, spec: str) -> None:
    if path.suffix != ".py":
        raise UserError(f"{key}={spec!r}: {path.name} is not a Python file. Its name must end in .py.")


def _no_function(path: Path, attribute: str, names: list[str], said: str) -> UserError:
    hint = did_you_mean(attribute, names, repr) or f" It has: {', '.join(names) or 'no function'}."
    return UserError(f"{said}: {path.name} has no function {attribute!r}.{hint}")
