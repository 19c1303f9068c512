"""YAML 1.2, so that `off` is a word and `1e-4` a number; PyYAML reads 1.1, where they are false and a word.

Not here: what keys mean (`nearfuture.run.config`).
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

__all__ = ["YAMLError", "dump", "load"]


def load(text: str) -> Any:
    """Read one document into plain Python values.

    Example:
        >>> load("{mode: off, learning_rate: 1e-4}")
        {'mode': 'off', 'learning_rate': 0.0001}
    """
    return YAML(typ="safe", pure=True).load(text)


def dump(values: dict[str, Any]) -> str:
    """Write keys in their order, in block style."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()
