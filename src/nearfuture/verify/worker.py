"""A worker: a fresh interpreter that answers one request after another over a socket, until its parent is gone.

    parent -> worker   {"id": 7, "limit": 2.0, "payload": ...}
    worker -> parent   {"id": 7, "result": ...}  or  {"id": 7, "error": "traceback"}

It is started with `python -c`, never by fork (torch has threads) and never through the user's main module (so that no
script needs a `__main__` guard). It dies by itself in three cases: its parent closes the socket, its parent's process
is gone, or a request uses up its CPU time, which the kernel's timer enforces without Python. That timer is not the one
of `signal.alarm`, which verifiers use themselves.

Not here: starting, awaiting and ending it (`process`), what it computes (`service`).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

START_LIMIT = 60.0
"""Seconds of CPU time within which a service must be built."""


def main() -> None:
    """Build the service, report that, and serve until the parent is gone."""
    descriptor, parent, make, argument, memory = sys.argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # a parent's choice would be inherited
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    connection = Connection(int(descriptor))
    try:
        with _limited(START_LIMIT):
            serve = _build(make, argument)
    except BaseException:  # noqa: BLE001 (the parent must hear of it, whatever it was)
        _send(connection, {"id": 0, "error": traceback.format_exc()})
        return
    if int(memory):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
            resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    _send(connection, {"id": 0, "result": os.getpid()})
    while (request := _next(connection)) is not None:
        with _limited(request["limit"]):
            reply = _answer(serve, request)
        _send(connection, reply)


@contextlib.contextmanager
def _limited(seconds: float) -> Any:
    """Let the kernel end this process after this much CPU time."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _end_with(parent: int) -> None:
    """End this process and those it started once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(1.0)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _build(make: str, argument: str) -> Callable[[Any], Any]:
    module, _, name = make.partition(":")
    return getattr(importlib.import_module(module), name)(argument)


def _next(connection: Connection) -> dict[str, Any] | None:
    try:
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
