"""What a worker runs for a Python function: import the function, and call it with each request.

Not here: the parent's side, and the question which functions a worker can import (`function`).
"""

from __future__ import annotations

import base64
import functools
import importlib
import importlib.util
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from nearfuture.verify.files import import_file


def make_service(argument: str) -> Callable[[str], dict[str, str]]:
    """Import the function."""
    module, file, name, _ = json.loads(argument)
    function: Any = functools.reduce(getattr, name.split("."), _module(module, Path(file)))

    def serve(payload: str) -> dict[str, str]:
        completion, row = pickle.loads(base64.b64decode(payload))
        try:
            answer = function(completion, row)
        except TimeoutError as error:
            return {"timeout": str(error)}
        return {"answer": base64.b64encode(pickle.dumps(answer)).decode()}

    return serve


def _module(name: str, file: Path) -> ModuleType:
    """Import a module by its name if that finds the file, as in a package; otherwise from the file."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is not None and found.origin is not None and Path(found.origin).resolve() == file:
        return importlib.import_module(name)
    return import_file(file, name)
