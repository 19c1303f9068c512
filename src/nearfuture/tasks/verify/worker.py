"""A worker: a fresh interpreter that answers one request after the other over a socket, until its parent is gone.

    parent -> worker   {"id": 7, "limit": 2.0, "payload": ...}
    worker -> parent   {"id": 7, "result": ...}  or  {"id": 7, "error": "traceback"}

It is started with `python -c`, never by fork (torch has threads) and never through the user's main module (so that
no script needs a `__main__` guard). It dies by itself in three ways: its parent closes the socket, its parent's
process is gone, or a request outlives its limit, for which the kernel's alarm needs no Python.

Not here: who starts and kills it (`pool`), what it computes (`service`).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 1.0
"""Seconds beyond a request's limit after which the kernel ends a worker that nobody killed."""


def main(descriptor: int, parent: int, make: str, argument: str, memory: int) -> None:
    """Build the service, say so, and serve until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        serve = _build(make, argument)
    except BaseException:  # noqa: BLE001 (the parent must hear of it, whatever it was)
        _send(connection, {"id": 0, "error": traceback.format_exc()})
        return
    if memory:
        with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    _send(connection, {"id": 0, "result": os.getpid()})
    while (request := _next(connection, parent)) is not None:
        signal.setitimer(signal.ITIMER_REAL, request["limit"] + PATIENCE)
        _send(connection, _answer(serve, request))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _build(make: str, argument: str) -> Callable[[Any], Any]:
    module, _, name = make.partition(":")
    return getattr(importlib.import_module(module), name)(argument)


def _next(connection: Connection, parent: int) -> dict[str, Any] | None:
    try:
        while not connection.poll(1.0):
            if os.getppid() != parent:
                return None
        return json.loads(connection.recv_bytes())
    except (EOFError, OSError):
        return None


def _answer(serve: Callable[[Any], Any], request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"id": request["id"], "result": serve(request["payload"])}
    except BaseException:  # noqa: BLE001 (SystemExit of a user's verifier included)
        return {"id": request["id"], "error": traceback.format_exc()}


def _send(connection: Connection, message: dict[str, Any]) -> None:
    try:
        connection.send_bytes(json.dumps(message).encode())
    except (BrokenPipeError, OSError):
        sys.exit(0)
