"""Laws of style that a reader would otherwise have to watch over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import typer

import nearfuture
from nearfuture import cli

ROOT = Path(nearfuture.__file__).parent
MOST = 6
COMMANDS = "|".join(typer.main.get_command(cli.app).commands)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}: {node.name}", node


def num_parameters(function: Function) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def is_command(function: Function) -> bool:
    """True for a command of typer, whose parameters are its options (`nearfuture.cli` says so)."""
    calls = [decorator.func for decorator in function.decorator_list if isinstance(decorator, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr == "command" for call in calls)


def test_more_than_six_parameters_have_a_reason_in_the_docstring() -> None:
    many = {name: node for name, node in functions() if num_parameters(node) > MOST and not is_command(node)}
    assert [name for name, node in many.items() if "parameters" not in (ast.get_docstring(node) or "")] == []


def test_values_in_a_printed_command_are_quoted_for_the_shell() -> None:
    """`nearfuture train my task.yaml` cannot be pasted: `record.formats.command_line` writes commands with values."""
    begun = re.compile(rf"\bnearfuture ({COMMANDS})\b[^`.;\n]*$")
    written = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
        for before, value in pairwise(node.values)
        if isinstance(value, ast.FormattedValue) and isinstance(before, ast.Constant) and begun.search(before.value)
    ]
    assert written == []
