"""The child processes of a grid: each has a log, each log has one process at a time, and all end together.

A child holds a lock on its log (`flock`) for as long as it lives, even if the grid that started it was killed. A second
grid on the same folder waits for it, so two grids share the work instead of training one run twice.

Not here: which processes to start, and what their exit means (`grid`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

INTERRUPTED = 130
SECONDS_BETWEEN_TRIES = 0.5
BYTES_OF_A_TAIL = 8192


class Children:
    """The processes of a grid. `stop` ends them all; none is started after that."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def log(self, path: Path) -> Iterator[IO[bytes] | None]:
        """Open a log for appending, once no other process writes it; None if `stop` was called meanwhile."""
        with path.open("ab") as file:
            while not self.is_stopping:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    time.sleep(SECONDS_BETWEEN_TRIES)
                else:
                    yield file
                    return
            yield None

    def run(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> int:
        """Run a command to its end and return its exit code; `INTERRUPTED` if `stop` ended it or was called before."""
        with self._lock:
            if self.is_stopping:
                return INTERRUPTED
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            # Its own session: Ctrl-C in a terminal reaches this process alone, and `stop` asks each child once.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
            self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.remove(process)
            return INTERRUPTED if self.is_stopping and code else code

    def stop(self) -> None:
        """Ask every child to save and end, by SIGTERM; one that has not begun to train ends at once."""
        with self._lock:
            self.is_stopping = True
            for process in self._running:
                process.send_signal(signal.SIGTERM)


def last_lines(path: Path, num: int) -> str:
    """Return the last lines of a log."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - BYTES_OF_A_TAIL))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join([line for line in lines if line.strip()][-num:])
