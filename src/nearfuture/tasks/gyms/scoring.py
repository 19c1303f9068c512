"""The reasoning-gym package: its families, their questions, and their scorers.

Not here: which questions are on which side, the content of a row (`reasoning`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from nearfuture.tasks.identity import hashed_seed
from nearfuture.types import UserError

PACKAGE = "reasoning-gym"
TIME_LIMIT = 60.0
"""CPU seconds per completion: for some families the first one reads a data set."""
TUPLE = "tuple"


def _library() -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of a package behind it, when it is compiled
            import reasoning_gym
    except ModuleNotFoundError as error:
        raise UserError(
            f"task=reasoning_gym/... needs the package {error.name}, which is not installed. "
            "Get it with `pip install -e '.[real]'` in the project's folder."
        ) from None
    return reasoning_gym


def version() -> str:
    """The version of the package; a scorer may change with it."""
    _library()
    return importlib.metadata.version(PACKAGE)


def families() -> list[str]:
    """Names of all families."""
    return sorted(_library().factory.DATASETS)


def parameters(name: str) -> list[str]:
    """Names of a family's parameters."""
    return [field.name for field in dataclasses.fields(_library().factory.DATASETS[name][1])]


def _dataset(name: str, config: Mapping[str, Any], seed: int, size: int) -> Any:
    """Make a family's data set.

    Raises:
        UserError: it refuses a value.
    """
    library, given = _library(), dict(config)
    try:
        if name == "composite":
            spec = library.composite.DatasetSpec
            given["datasets"] = [spec(**{"weight": 1.0, "config": {}, **one}) for one in given.get("datasets") or ()]
        with contextlib.redirect_stdout(io.StringIO()):
            return library.create_dataset(name, **given, seed=seed, size=size)
    except (AssertionError, TypeError, ValueError, AttributeError, KeyError) as error:
        said = str(error) or type(error).__name__
        raise UserError(f"reasoning_gym/{name} refuses task_args {dict(config)}: {said}. Change them.") from None


def entries(name: str, config: Mapping[str, Any], seed: int, size: int) -> Iterator[dict[str, Any]]:
    """Draw the questions of a family, one after another.

    The package makes question i of seed s from the number s + i, so that neighbouring seeds share nearly all
    questions; our seeds are therefore spread first.
    """
    dataset = _dataset(name, config, hashed_seed(seed), size)
    for index in range(size):
        with contextlib.redirect_stdout(io.StringIO()):
            entry = dataset[index]
        yield entry


def packed(name: str, config: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Everything that a scorer looks at, as JSON; tuples are marked, because some scorers compare them."""
    return json.dumps({"family": name, "config": dict(config), "entry": _marked(dict(entry))}, sort_keys=True)


def _marked(value: Any) -> Any:
    if isinstance(value, tuple):
        return {TUPLE: [_marked(item) for item in value]}
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {TUPLE}:
            return tuple(map(_unmarked, value[TUPLE]))
        return {key: _unmarked(item) for key, item in value.items()}
    return list(map(_unmarked, value)) if isinstance(value, list) else value


@functools.lru_cache(maxsize=128)
def _scorer(name: str, config: str) -> Any:
    return _dataset(name, json.loads(config), seed=0, size=1)


def answer_of(completion: str) -> str:
    """Take the text between the last <answer> and </answer>, or all of it without these tags.

    Example:
        >>> answer_of("so 7 <answer> 8 </answer>"), answer_of(" 8 ")
        ('8', '8')
    """
    _, opening, rest = completion.rpartition("<answer>")
    return rest.partition("</answer>")[0].strip() if opening else completion.strip()


def score(completion: str, row: dict[str, Any]) -> float:
    """Score a completion by the family's own scorer; 0 if it raises, as some do on a malformed answer."""
    held = json.loads(row["entry"])
    scorer = _scorer(held["family"], json.dumps(held["config"], sort_keys=True))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return float(scorer.score_answer(answer_of(completion), _unmarked(held["entry"])))
    except Exception:  # noqa: BLE001 (they raise all kinds; the gold answers have shown that they work)
        return 0.0
