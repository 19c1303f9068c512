"""A machine with something else to do: processes that compute, for as long as a test or a measurement lasts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def busy(num: int) -> Iterator[None]:
    """Processes that compute."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(num)]
    try:
        yield
    finally:  # whatever happens inside, none of them goes on
        for process in processes:
            process.kill()
            process.wait()
