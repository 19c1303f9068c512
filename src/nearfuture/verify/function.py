"""A Python function as a task's verifier, run in a worker that can be killed if a worker can import it.

A worker imports the function's module, by its name or from its file, and is given the completion and the row unchanged.
Each function has one worker, which judges one completion at a time, so calls keep the order they would have in this
process. A function that no worker can import stays in this process, without a limit: a lambda, a function defined
inside another function or in the running script, an object with `__call__`. So does a function whose module cannot be
imported a second time, or whose rows cannot be pickled; that is noticed at the first completion, and logged.

Not here: verifiers in verl's or EasyR1's form (`external`), what an answer means (`nearfuture.tasks.judging`).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import inspect
import json
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nearfuture.verify.pool import CannotStart, WorkerPool, last_line

logger = logging.getLogger(__name__)

TIME_LIMIT = 10.0
"""Seconds of CPU time that a function may use per completion."""


def why_not_in_worker(function: Any) -> str | None:
    """Say why a worker cannot import a function; None if it can.

    Example:
        >>> why_not_in_worker(lambda completion, row: True)
        'it is a lambda, or defined inside another function'
        >>> why_not_in_worker(base64.b64encode) is None
        True
    """
    if not inspect.isfunction(function):
        return "it is not a plain function"
    if "<" in function.__qualname__:
        return "it is a lambda, or defined inside another function"
    module = sys.modules.get(function.__module__)
    if function.__module__ == "__main__" or not getattr(module, "__file__", None):
        return "it is defined in the running script or session"
    try:
        is_found = functools.reduce(getattr, function.__qualname__.split("."), module) is function
    except AttributeError:
        is_found = False
    return None if is_found else f"its module has another {function.__qualname__}"


class FunctionVerifier:
    """A function in a worker, called like the function itself: the same arguments, the same result.

    Args:
        function: one that a worker can import.
        time_limit: seconds of CPU time for one completion.
    """

    def __init__(self, function: Callable[[str, dict[str, Any]], Any], *, time_limit: float = TIME_LIMIT) -> None:
        functools.update_wrapper(self, function)
        self.function, self.time_limit = function, time_limit
        file = Path(sys.modules[function.__module__].__file__ or "").resolve()
        source = hashlib.sha256(file.read_bytes()).hexdigest()
        self.pool = _pool(json.dumps([function.__module__, str(file), function.__qualname__, source]))
        self._has_answered = self._is_here = False

    def __call__(self, completion: str, row: dict[str, Any]) -> Any:
        """Return what the function returns.

        Raises:
            TimedOut: it used up its CPU time, or stood still.
            Crashed: it raised, or its worker died.
            TimeoutError: the function raised one itself.
        """
        if self._is_here:
            return self.function(completion, row)
        try:
            payload = base64.b64encode(pickle.dumps((completion, row))).decode()
        except Exception as error:  # noqa: BLE001 (whatever a row's values raise)
            return self._stay(f"its rows cannot be pickled ({last_line(error)})", completion, row)
        try:
            reply = self.pool.ask(payload, limit=self.time_limit)
        except CannotStart as error:
            if self._has_answered:
                raise
            return self._stay(last_line(error), completion, row)
        self._has_answered = True
        if "timeout" in reply:
            raise TimeoutError(reply["timeout"])
        return pickle.loads(base64.b64decode(reply["answer"]))

    def _stay(self, reason: str, completion: str, row: dict[str, Any]) -> Any:
        """Judge in this process from now on, and say so."""
        self._is_here = True
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        logger.warning("the verifier %s runs in this process, without a limit: %s", name, reason)
        return self.function(completion, row)


@functools.cache
def _pool(argument: str) -> WorkerPool:
    """Return the one worker of a function, however many tasks use it."""
    return WorkerPool("nearfuture.verify.function_service:make_service", argument, size=1, memory=0, is_quiet=False)
