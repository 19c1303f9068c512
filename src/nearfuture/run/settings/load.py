"""Read the configuration of a run: flat YAML in TRL's dialect, strict keys, checked before a model is loaded.

Every field of `NPOConfig` (and of TRL's `ModelConfig`, for LoRA) is at the top level, beside those of `RunConfig`.

Not here: what a configuration is (`config`), single values (`ranges`), combinations of keys (`combinations`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nearfuture import seal
from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.options import shipped
from nearfuture.options.data import DataConfig
from nearfuture.options.npo import ModelOptions, TrainingOptions
from nearfuture.record import flat_yaml
from nearfuture.record.formats import command_line, plural
from nearfuture.run.settings.combinations import check_data, check_together
from nearfuture.run.settings.config import AUTO, AutoNPOConfig, Configuration, RunConfig
from nearfuture.run.settings.keys import (
    MANAGED,
    refuse_without_effect,
    unknown,
    with_flat_autonpo,
    with_present_names,
    with_task_args,
)
from nearfuture.run.settings.methods import with_method
from nearfuture.run.settings.ranges import check_plain, check_range
from nearfuture.types import UserError, did_you_mean

TRAINING_DEFAULTS: dict[str, Any] = {
    "logging_steps": 1,
    "report_to": "none",
    "lr_scheduler_type": "constant",
    "truncated_is_wrong": True,
}
"""Where a run departs from TRL, and from `NPOConfig`, which keeps TRL's values for users with their own script."""
MODEL_DEFAULTS: dict[str, Any] = {"lora_dropout": 0.0}
"""TRL's value is 0.05. TRL draws rollouts with dropout on, so they would come from a policy that is never scored or
saved, and `fast_generation` would be off. docs/configuration.md says so."""


def load_configuration(path: Path | None, overrides: Sequence[str] = ()) -> Configuration:
    """Read a YAML file, apply `key=value` overrides, and check everything.

    Raises:
        UserError: a file cannot be read, a key is unknown (the nearest one is named) or missing, a value has the wrong
            type, or interventions cannot happen.
    """
    values = with_flat_autonpo(read_yaml(path)) if path is not None else {}
    if {"base", "methods"} <= values.keys():
        raise UserError(
            f"{path} is a study, with {plural(len(values['methods'] or ()), 'method')} on one base, and not the "
            f"configuration of one run. Train and compare all of them with: "
            f"{command_line('nearfuture', 'compare', path)}"
        )
    given = dict(flat_yaml.load_value(override, "learning_rate=1e-4") for override in overrides)
    return check(values | with_present_names(with_flat_autonpo(given)))


def find_yaml(path: Path) -> Path:
    """The file of a configuration: the path itself, or the one that ships under this name (`apprentice/tiny`)."""
    ships = shipped.configurations()
    return path if path.exists() else ships.get(str(path.with_suffix("")), path)


def _absent(path: Path) -> UserError:
    near = [str(found) for found in path.parent.glob("*.y*ml")]
    hint = did_you_mean(str(path), near) or did_you_mean(str(path.with_suffix("")), shipped.configurations())
    return UserError(
        f"{path} does not exist.{hint} Give the path of a YAML configuration, or the name of one that ships "
        "(`nearfuture init --list`); `nearfuture init` writes a first one."
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read keys and values. The `config.yaml` of a run means the run it lies in, wherever that was moved or copied to.

    Raises:
        UserError: the file does not exist, or holds something else.
    """
    path = find_yaml(path)
    is_of_a_run = (path.parent / "lineage.json").exists()
    try:
        data = path.read_bytes()
        if is_of_a_run and seal.state(data) == "damaged":
            raise UserError(
                f"{path} has changed since the run began: its last line is a checksum of the others. Restore it from a "
                "copy. If it was edited on purpose, take that line out; better, give train a configuration of your own."
            )
        values = flat_yaml.load(data.decode())
    except FileNotFoundError:
        raise _absent(path) from None
    except (flat_yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(
            f"{path} holds {type(values).__name__}, not keys and values. `nearfuture init` writes a first one."
        )
    if is_of_a_run and Path(str(values.get("run_dir"))).resolve() != path.parent.resolve():
        values["run_dir"] = str(path.parent)
    return with_present_names(values, is_told=not is_of_a_run)


def check(values: dict[str, Any]) -> Configuration:
    """Check flat keys and values; see `load_configuration`."""
    values = with_method(with_task_args(with_present_names(with_flat_autonpo(values))))
    prefixed = {key: value for key, value in values.items() if key.startswith(AUTO)}
    auto = _typed(prefixed, (AutoNPOConfig, TriggerConfig), prefix=AUTO)
    flat = {key: value for key, value in values.items() if key not in prefixed}
    given = _typed(flat, (RunConfig, DataConfig, TrainingOptions, ModelOptions))
    if missing := [name for name in ("run_dir", "max_steps") if name not in values]:
        raise UserError(f"{', '.join(missing)} is missing. A run needs a task, a run_dir and max_steps (its horizon).")
    data = DataConfig(**given[DataConfig])
    check_data(values.get("task"), data, values.get("task_difficulty"))
    config = Configuration(
        RunConfig(**given[RunConfig]),
        _training_settings(given[TrainingOptions]),
        _model_settings(given[ModelOptions]),
        AutoNPOConfig(**auto[AutoNPOConfig], trigger=TriggerConfig(**auto[TriggerConfig])),
        data,
    )
    check_together(config)
    return config


def _training_settings(given: dict[str, Any]) -> dict[str, Any]:
    settings = {**TRAINING_DEFAULTS, **given}
    if settings["logging_steps"] != 1:
        raise UserError(
            f"logging_steps={settings['logging_steps']}: metrics.jsonl has one row per step. Leave it at 1."
        )
    return settings


def _model_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Add our defaults if adapters are trained, so that `config.yaml` shows them."""
    adapters = [name for name in given if name.startswith("lora_") or name in ("use_rslora", "use_dora")]
    if adapters and "use_peft" not in given:
        raise UserError(f"{', '.join(adapters)}: without use_peft: true every weight is trained. Set use_peft.")
    return {**MODEL_DEFAULTS, **given} if given.get("use_peft") else given


def _typed(values: dict[str, Any], kinds: tuple[type, ...], *, prefix: str = "") -> dict[type, dict[str, Any]]:
    """Convert every value to the type of its field, and sort the values by the class that has the field.

    Raises:
        UserError: a key is unknown or not accepted by a run, or a value has another type or is out of range.
    """
    hints = {kind: get_type_hints(kind) for kind in kinds}
    known = {kind: {f.name: f.default for f in dataclasses.fields(kind) if f.name != "trigger"} for kind in kinds}
    found: dict[type, dict[str, Any]] = {kind: {} for kind in kinds}
    for key, value in values.items():
        name = key.removeprefix(prefix)
        kind = next((kind for kind in kinds if name in known[kind]), None)
        if kind is None or key in MANAGED:
            raise unknown(key, {prefix + name for names in known.values() for name in names} - set(MANAGED))
        refuse_without_effect(key)
        found[kind][name] = _as(hints[kind][name], key, value)
        check_range(key, found[kind][name], known[kind][name])
    return found


def _as(hint: Any, key: str, value: Any) -> Any:
    """Convert a value to the type of its key. In a file no shell expands `~/`, so it is done here, once for all keys:
    libraries expand it in some places and not in others.
    """
    check_plain(key, value)
    if isinstance(value, str) and value.startswith("~/"):
        value = os.path.expanduser(value)
    adapter = TypeAdapter(hint)
    try:
        found = adapter.validate_python(value)
        check_plain(key, found)  # a text may have become a number: inf
        return found
    except ValidationError as error:
        if isinstance(value, str):  # a list of names also accepts a single name: lora_target_modules: all-linear
            with contextlib.suppress(ValidationError):
                return adapter.validate_python([value])
        problem = error.errors()[0]["msg"]
        raise UserError(f"{key}={value!r}: {problem}. Its type is {getattr(hint, '__name__', hint)}.") from None
