"""Turn the command line into an evaluation: policies and `key=value` settings, suites, folders.

    runs/npo runs/grpo temperature=1 use_vllm=true

Not here: carrying it out (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nearfuture.lab.evaluate.subjects import configuration_of, is_run
from nearfuture.lab.evaluate.suites import AS_TRAINED, sampled_in_training
from nearfuture.options.data import DataConfig
from nearfuture.record import flat_yaml
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.ranges import check_plain
from nearfuture.train.answer.decoding import Decoding, EngineSettings
from nearfuture.types import UserError, did_you_mean

FOLDER = "evaluation"
ELSEWHERE = (
    *("dataset_name", "dataset_config", "dataset_train_split", "dataset_test_split", "dataset_num_held_out"),
    *("max_prompt_length", "verifier"),
)
"""Settings of training data that do not apply to a file that is evaluated."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of the command line, parsed.

    Attributes:
        names: the policies.
        decoding: the sampling settings that were given.
        engine: what runs the models.
        rows: how files of rows are read.
    """

    names: list[str]
    decoding: dict[str, Any]
    engine: EngineSettings
    rows: DataConfig


def read_arguments(arguments: Sequence[str]) -> Arguments:
    """Separate policies from settings.

    Args:
        arguments: one or two policies, and `key=value` in any order.

    Raises:
        UserError: there is no policy or too many, a key is unknown, or a value has the wrong type.
    """
    names = [argument for argument in arguments if "=" not in argument]
    if not 1 <= len(names) <= 2:
        raise UserError(f"{len(names)} policies were named. Name one to evaluate, or two to compare.")
    hints = {kind: get_type_hints(kind) for kind in (Decoding, EngineSettings, DataConfig)}
    parts: dict[type, dict[str, Any]] = {kind: {} for kind in hints}
    for argument in arguments:
        if "=" in argument:
            key, value = flat_yaml.load_value(argument, "temperature=0.7")
            kind = next((kind for kind, known in hints.items() if key in known and key not in ELSEWHERE), None)
            if kind is None:
                raise _unknown(key)
            parts[kind][key] = _typed(key, value, hints[kind][key])
    Decoding(**parts[Decoding])  # reports values out of range before anything is loaded
    return Arguments(names, parts[Decoding], EngineSettings(**parts[EngineSettings]), DataConfig(**parts[DataConfig]))


def _typed(key: str, value: Any, hint: Any) -> Any:
    check_plain(key, value)
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise UserError(f"{key}={value!r}: {error.errors()[0]['msg']}. Its type is {hint}.") from None


def _unknown(key: str) -> UserError:
    known = [field.name for kind in (Decoding, EngineSettings, DataConfig) for field in fields(kind)]
    known = [name for name in dict.fromkeys(known) if name not in ELSEWHERE]
    hint = did_you_mean(key, known)
    return UserError(f"{key} is not a setting of an evaluation.{hint} There are: {', '.join(known)}.")


def run_of(name: str) -> Path | None:
    """Return the run folder that contains the named policy, if any."""
    stem, at, step = name.rpartition("@")
    folder = Path(stem if at and step.isdecimal() and not Path(name).exists() else name)
    return folder if is_run(folder) else None


def task_of(names: Sequence[str], task: str | None) -> tuple[str | Configuration | None, Decoding]:
    """Return the task of `--suite task`, by default the first run's, and how its policy samples in training."""
    run = next((run for name in names if (run := run_of(name)) is not None), None)
    if run is None:
        return task, AS_TRAINED
    config = configuration_of(run)
    return task or config, sampled_in_training(config.training)


def as_trained(engine: EngineSettings, names: Sequence[str]) -> EngineSettings:
    """Return the image limit that the first run was trained with, unless another is asked for."""
    run = next((run for name in names if (run := run_of(name)) is not None), None)
    if run is None or engine.max_image_pixels is not None:
        return engine
    return replace(engine, max_image_pixels=configuration_of(run).data.max_image_pixels)


def output_of(name: str) -> Path:
    """Return the default folder of an evaluation: inside the run, or in `evaluations/` here."""
    run = run_of(name)
    return run / FOLDER if run is not None else Path("evaluations") / Path(name).name
