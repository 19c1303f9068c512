"""Services for the tests of the worker pool: each does one thing a verifier might do wrong."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any


def make(argument: str) -> Callable[[Any], Any]:
    if argument == "cannot start":
        raise ImportError("no such library")
    if argument == "built-in":
        from nearfuture.tasks.verify.service import make_service

        make_service("")
    return answer


def answer(payload: Any) -> Any:
    what, value = payload
    if what == "sleep":
        time.sleep(value)
    elif what == "exit":
        os._exit(value)
    elif what == "raise":
        raise RuntimeError(value)
    elif what == "fill memory":
        return len(bytearray(value))
    elif what == "modules":
        return [name for name in value if name in sys.modules]
    elif what == "pid":
        return os.getpid()
    return value
