"""`task: verifiers/NAME`: an environment of the verifiers package as a task, judged by its own rubric.

    task: verifiers/marble-v1               an installed environment: the name of its module, or `owner/name` of the hub
    task_args:
      pieces: 1                             arguments of its `load_environment`, or fields of its `Taskset`
      num_train: 256                        and of `Questions`: how many, for which side, in which form

Only environments that answer a prompt once are accepted, because guidance is one answer to one prompt. Those with
several turns, tools, a judge model or a machine to work on are refused when they are loaded, and so is a rubric that
uses the network.

Not here: the two forms of an environment (`classic`, `tasksets`), which side a question is on (`sides`).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from pydantic import ValidationError

from nearfuture.tasks.gyms.classic import ClassicEnvironment
from nearfuture.tasks.gyms.offline import offline, own_signals, quiet
from nearfuture.tasks.gyms.sides import MAX_DRAWS, Side, Sizes, draw
from nearfuture.tasks.gyms.tasksets import TasksetEnvironment
from nearfuture.tasks.task import Task
from nearfuture.types import NoSignalError, UserError, did_you_mean

PACKAGE = "verifiers"
TIME_LIMIT = 120.0
"""CPU seconds per completion: the first one loads the environment."""


class Environment(Protocol):
    """What both forms of an environment can do."""

    def train(self) -> Iterator[dict[str, Any]]: ...  # noqa: D102
    def held_out(self) -> list[dict[str, Any]]: ...  # noqa: D102
    def family(self, row: Mapping[str, Any]) -> str | None: ...  # noqa: D102
    def score(self, row: dict[str, Any], completion: str) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Questions(Sizes):
    """What `task_args` may contain in addition to the environment's own arguments.

    Attributes:
        family: where a row names its family, for the rows of a report: `info.form`; empty: the environment's name, or
            the member of a group of environments.
    """

    family: str = ""


def environment_task(name: str, args: Mapping[str, Any]) -> Task:
    """Load an environment as a task.

    Args:
        name: the name of its module, with hyphens or underscores, or its name on the hub (`owner/name`).
        args: the fields of `Questions`, and arguments of the environment.

    Raises:
        UserError: it is not installed, refuses an argument, or cannot judge one answer at a time.
        NoSignalError: no question is left to train on.
    """
    own = Questions.names()
    sizes = Questions(**{key: value for key, value in args.items() if key in own})
    config = json.loads(json.dumps({key: value for key, value in args.items() if key not in own}, default=str))
    called = f"verifiers/{name}"
    module = module_of(name)
    with _told(module.__name__, config):
        check_arguments(called, module, config, own)
    environment = opened(module.__name__, json.dumps(config, sort_keys=True))
    sides, notes = _sides(called, environment, sizes)
    rows = {side: [_row(row, module.__name__, config, environment, sizes) for row in sides[side]] for side in sides}
    if not rows["train"]:
        raise NoSignalError(f"task={called}: no question is left to train on. Ask for fewer held-out ones (task_args).")
    return Task(
        name=called,
        train=rows["train"],
        evaluation=rows["evaluation"],
        test=rows["test"],
        verify=score,
        verifier_version=f"{PACKAGE} {importlib.metadata.version(PACKAGE)}, {module.__name__} {_version(module)}",
        time_limit=TIME_LIMIT,
        correct_threshold=sizes.correct_threshold,
        notes=(*notes, *_trial(called, environment, sides["train"][0])),
    )


def module_of(name: str) -> ModuleType:
    """Import the module of an environment.

    Raises:
        UserError: verifiers, the module, or something that it needs is not installed.
    """
    module = name.rsplit("/", 1)[-1].partition("@")[0].replace("-", "_")
    try:
        with quiet(PACKAGE):
            importlib.import_module("verifiers.v1")
            return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"task=verifiers/{name} cannot be imported: {error}. {_remedy(error, module)}") from None
    except Exception as error:  # noqa: BLE001 (a module does whatever it likes)
        raise UserError(f"task=verifiers/{name} cannot be imported: {error!r}. Give it what it asks for.") from None


def _remedy(error: ImportError, module: str) -> str:
    missing = error.name or module
    if missing == PACKAGE:
        return "Get it with `pip install -e '.[verifiers]'` in the project's folder."
    if missing.startswith(f"{PACKAGE}."):
        version = importlib.metadata.version(PACKAGE)
        return f"It is written for another version of {PACKAGE} than {version}; 0.3 has both forms."
    return f"Install the package of the environment, so that `import {module}` works."


def _form(module: ModuleType) -> type[ClassicEnvironment] | type[TasksetEnvironment]:
    from verifiers.v1 import Taskset

    exported = (getattr(module, name, None) for name in getattr(module, "__all__", ()))
    if any(isinstance(one, type) and issubclass(one, Taskset) for one in exported):
        return TasksetEnvironment
    if callable(getattr(module, "load_environment", None)):
        return ClassicEnvironment
    raise UserError(
        f"task=verifiers/{module.__name__}: this module is not an environment of verifiers. One has a function "
        "load_environment, or exports a Taskset in __all__."
    )


def check_arguments(called: str, module: ModuleType, config: Mapping[str, Any], own: set[str]) -> None:
    """Refuse an argument that the environment does not take, with the nearest one that it does.

    Raises:
        UserError: see above.
    """
    known = _form(module).parameters(module)
    for key in config:
        if known is not None and key not in known:
            hint = did_you_mean(key, [*known, *own], repr)
            raise UserError(
                f"task_args.{key}: {called} takes no such argument.{hint} It takes {', '.join(known) or 'none'}; for "
                f"every environment there are {', '.join(sorted(own))}."
            )


@functools.lru_cache(maxsize=8)
def opened(module: str, config: str) -> Environment:
    """Load an environment, once in this process.

    Raises:
        UserError: it cannot be loaded with these arguments, or cannot judge one answer at a time.
    """
    found, args = module_of(module), json.loads(config)
    with _told(module, args), quiet(PACKAGE), own_signals():
        return _form(found)(found, args)


@contextlib.contextmanager
def _told(module: str, args: Mapping[str, Any]) -> Iterator[None]:
    """Turn whatever an environment raises into a message."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 (other people's code raises whatever it likes)
        raise UserError(
            f"task=verifiers/{module} cannot be loaded with task_args {args}: {_said(error.__cause__ or error)}. "
            "Change them, or give the environment what it asks for."
        ) from None


def _said(error: BaseException) -> str:
    """Return an error in one line; for pydantic, the first of its errors."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error) or type(error).__name__


def _sides(called: str, environment: Environment, sizes: Questions) -> tuple[dict[Side, list[Any]], list[str]]:
    """Return the rows of every side. The environment's own evaluation set is held out; without one, a hash decides."""
    held_out = environment.held_out()
    wanted = sizes.wanted
    bounded = (row for row, _ in zip(environment.train(), range(MAX_DRAWS * sum(wanted.values())), strict=False))
    if not held_out:
        drawn = draw(bounded, _key, wanted)
        return drawn.sides, [*drawn.notes(called, wanted)]
    kept: dict[Side, int] = {**wanted, "train": 0}
    reserved = draw(held_out, _key, kept) if sum(kept.values()) else None
    drawn = draw(bounded, _key, {"train": sizes.num_train, "evaluation": 0, "test": 0}, map(_key, held_out))
    both: dict[Side, list[Any]] = {**(reserved.sides if reserved else drawn.sides), "train": drawn.sides["train"]}
    counts = ", ".join(f"{len(rows)} {side}" for side, rows in both.items())
    again = f"{drawn.num_again} were drawn before or are held out"
    return both, [f"{called}: {counts} questions; of {drawn.num_drawn} of its training set {again}"]


def _key(row: Mapping[str, Any]) -> str:
    return json.dumps(row["prompt"], sort_keys=True)


def _row(
    row: dict[str, Any], module: str, config: Mapping[str, Any], environment: Environment, sizes: Questions
) -> dict[str, Any]:
    """Make a row: the prompt, the family, and everything that the rubric looks at."""
    found = _at(row, sizes.family) if sizes.family else environment.family(row)
    try:
        held = json.dumps({"module": module, "config": dict(config), "row": row}, sort_keys=True)
    except TypeError as error:
        raise UserError(
            f"task=verifiers/{module}: a row holds values that are not JSON ({error}), and text is needed."
        ) from None
    return {
        "prompt": sizes.put(_plain(row["prompt"], module)),
        "family": module if found is None else str(found),
        "held": held,
    }


def _at(row: Any, path: str) -> Any:
    """Look up `info.form` in a row.

    Raises:
        UserError: the row has nothing there.
    """
    for name in path.split("."):
        if not isinstance(row, Mapping) or name not in row:
            there = ", ".join(row) if isinstance(row, Mapping) else "no names"
            raise UserError(f"task_args.family={path}: a row has no {name!r} there. It has {there}.")
        row = row[name]
    return row


def _plain(prompt: Any, module: str) -> str | list[dict[str, Any]]:
    """Return the prompt as text, or as messages with text.

    Raises:
        UserError: it has images or other parts.
    """
    if isinstance(prompt, str):
        return prompt
    messages = []
    for message in prompt:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        if any(part.get("type") != "text" for part in parts):
            raise UserError(f"task=verifiers/{module}: its prompts hold more than text, which is not read here.")
        messages.append({"role": message["role"], "content": "".join(part["text"] for part in parts)})
    return messages


def _version(module: ModuleType) -> str:
    top = module.__name__.partition(".")[0]
    packages = importlib.metadata.packages_distributions().get(top)
    return importlib.metadata.version(packages[0]) if packages else "without a version"


def _trial(called: str, environment: Environment, row: dict[str, Any]) -> Iterator[str]:
    """Score an empty answer once, so that an environment that cannot judge here is refused before a model is loaded.

    Raises:
        UserError: the rubric used the network.
    """
    failed = None
    with offline() as asked, quiet(PACKAGE) as errors:
        try:
            environment.score(row, "")
        except Exception as error:  # noqa: BLE001 (what a rubric raises on an empty answer says little)
            failed = error
    if asked:
        raise UserError(
            f"task={called}: its rubric asks the network ({asked[0]}), a judge model perhaps. Rewards here ask none: "
            "choose another environment, or another rubric of this one."
        )
    for said in dict.fromkeys([*errors, *([] if failed is None else [f"{type(failed).__name__}: {failed}"])]):
        yield f"{called}, on an empty answer: {said}"
    yield f"{called} has no gold answers that could be tried: its rubric is taken at its word"


def score(completion: str, row: dict[str, Any]) -> float:
    """Score a completion by the environment's own rubric."""
    held = json.loads(row["held"])
    environment = opened(held["module"], json.dumps(held["config"], sort_keys=True))
    with quiet(PACKAGE), offline() as asked:
        found = environment.score(held["row"], completion)
    if asked:
        raise RuntimeError(f"the rubric of {held['module']} asked the network: {asked[0]}")
    return found
