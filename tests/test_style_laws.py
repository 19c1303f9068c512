"""Laws of style that a reader would otherwise have to watch over."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nearfuture
from nearfuture.cli import evaluate, plan, signal
from nearfuture.lab.evaluate.evaluation import Asked
from nearfuture.lab.forecast import Wanted
from nearfuture.lab.measure.measurement import Scope

ROOT = Path(nearfuture.__file__).parent
MOST = 6
STILL = {
    "guidance/collect.py: collect_guidance",
    "train/factory.py: make_trainer",
    "train/rewards.py: _of_guided_rows",
    "train/rewards.py: of_mixed_groups",
}
"""What has more, and gives no reason yet."""
Unset = type(None) | type(dataclasses.MISSING)
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
    assert {name for name, node in many.items() if "parameters" not in (ast.get_docstring(node) or "")} <= STILL


@pytest.mark.parametrize(
    ("command", "value"), [(plan.plan, Wanted), (evaluate.evaluate, Asked), (signal.signal, Scope)], ids=str
)
def test_an_option_has_the_default_of_the_value_it_goes_into(command: Callable[..., None], value: type) -> None:
    """Commands are listed without the libraries that these values need, so their defaults stand twice."""
    options = inspect.signature(command).parameters
    fields = {field.name: field.default for field in dataclasses.fields(value)}
    shared = {name: options[name].default for name in options if not isinstance(fields.get(name), Unset)}
    given = {name: default for name, default in shared.items() if default is not None}
    assert len(given) >= 2 and given == {name: fields[name] for name in given}
