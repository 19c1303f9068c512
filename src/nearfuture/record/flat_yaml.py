"""YAML 1.2, so that `off` is a word and `1e-4` a number; PyYAML reads 1.1, where they are false and a word.

Not here: what keys mean (`nearfuture.run.settings.config`).
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nearfuture.types import UserError

__all__ = ["YAMLError", "dump", "load", "load_value"]


def load(text: str) -> Any:
    """Read one document into plain Python values.

    Raises:
        YAMLError: it is not YAML, whatever the fault.

    Example:
        >>> load("{mode: off, learning_rate: 1e-4}")
        {'mode': 'off', 'learning_rate': 0.0001}
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (ValueError, TypeError, RecursionError, OverflowError, AttributeError) as error:
        raise YAMLError(f"{type(error).__name__}: {error}") from None  # of a tag, a date, a number, a depth


def load_value(override: str, example: str) -> tuple[str, Any]:
    """Read `key=value`, the value as YAML.

    Args:
        override: the text as it was typed.
        example: an example for the error.

    Raises:
        UserError: there is no key, or the value is not YAML.
    """
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"{override!r} is not an override. Write key=value, for example {example}.")
    try:
        return key, load(text)
    except YAMLError as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"{override!r}: the value is not YAML ({first}). Put it in quotes, '{key}=\"...\"'.") from None


def dump(values: dict[str, Any]) -> str:
    """Write keys in order, in block style."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()
