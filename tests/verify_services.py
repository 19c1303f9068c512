"""Services for the tests of the worker pool: each does one thing a verifier might do wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def make(argument: str) -> Callable[[Any], Any]:
    if argument == "cannot start":
        raise ImportError("no such library")
    if argument.startswith("once"):
        once(argument.partition(" ")[2], lambda: os.kill(os.getpid(), signal.SIGKILL))
    if argument == "built-in":
        from nearfuture.verify.service import make_service

        make_service("")
    return answer


def answer(payload: Any) -> Any:
    what, value = payload
    if what == "compute":
        compute(value)
    elif what == "compute elsewhere":
        subprocess.run([sys.executable, "-c", "while True: pass"], check=True)
    elif what == "sleep":
        time.sleep(value)
    elif what == "sleep once":
        once(value, lambda: time.sleep(3600))
    elif what == "compute once":
        once(value, lambda: compute(3600))
    elif what == "be killed once":
        once(value, lambda: os.kill(os.getpid(), signal.SIGKILL))
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
    elif what == "hash":
        return hash(value)
    elif what == "start":
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]).pid
    return value


def compute(seconds: float) -> None:
    """Use so much CPU time, however long that takes."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def once(mark: str, do: Callable[[], Any]) -> None:
    """Do it the first time only: later ones find the file."""
    if not Path(mark).exists():
        Path(mark).touch()
        do()
