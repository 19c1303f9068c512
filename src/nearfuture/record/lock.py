"""One writer at a time: a lock that the kernel holds, and frees however its process ends, SIGKILL included.

    with writing(run_dir, "run"):            the lock file is run_dir/.lock, and says who holds it
    with writing_file(output, "cache"):      of what is replaced as a whole: .<name>.lock beside it

The lock file stays as long as the thing it locks exists; a lock on a file that was deleted in the meantime does not
count, and is taken again. Several processes of one run (the ranks of a launcher) share the lock of the main one.
Readers need no lock.

On shared storage the lock is as good as the file system's: NFS (version 4, or 3 with its lock daemon), CephFS, GPFS and
Lustre mounted with `flock` pass it between machines. NFS with `local_lock` and Lustre with `localflock` keep it on one
machine, and a file system without locks is said to have none; there nothing can keep two machines from one folder.

Not here: which process is the main one (`nearfuture.train.processes`), the logs of a grid
(`nearfuture.lab.study.processes`).
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import logging
import os
import socket
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from nearfuture.json_text import loads
from nearfuture.record.formats import command_line
from nearfuture.types import UserError

logger = logging.getLogger(__name__)

LOCK = ".lock"
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_held: weakref.WeakSet[Any] = weakref.WeakSet()


@contextlib.contextmanager
def writing(folder: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Be the only process that writes `folder`, which is created if it does not exist.

    Args:
        folder: the folder whose `.lock` is held.
        what: what the folder is, for the message.
        wait: whether to wait until it is free instead of refusing; for work that takes seconds.

    Raises:
        UserError: another process writes it; the message says who, and since when.
        OSError: the lock file cannot be written.
    """
    with _locked(Path(folder) / LOCK, f"{what} {folder}", wait=wait):
        yield


@contextlib.contextmanager
def writing_file(path: Path, what: str) -> Iterator[None]:
    """Be the only process that writes `path`, a file or a folder that is replaced as a whole.

    Raises:
        UserError: another process writes it.
    """
    with _locked(path.absolute().with_name(f".{path.name}{LOCK}"), f"{what} {path}", wait=False):
        yield


def holder_of(folder: Path) -> dict[str, Any]:
    """Return who is writing a run folder: `pid`, `host`, `since`; empty if nobody is, as far as is known here."""
    try:
        with open(Path(folder) / LOCK, encoding="utf-8") as file:
            holder = _holder(file)
    except OSError:
        return {}
    is_here = holder.get("host") == socket.gethostname()
    return {} if is_here and not psutil.pid_exists(holder["pid"]) else holder


@contextlib.contextmanager
def _locked(path: Path, what: str, *, wait: bool) -> Iterator[None]:
    file, has_lock = _opened(path, what, wait=wait)
    with file:
        _warn_of_another_machine(file, what)
        _write(file, json.dumps(_this_process()) + "\n")
        try:
            yield
        finally:
            _write(file, "")
            if has_lock:
                fcntl.flock(file, fcntl.LOCK_UN)


def _opened(path: Path, what: str, *, wait: bool) -> tuple[Any, bool]:
    """Return the lock file, locked, and whether the file system has locks."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (the caller closes it; not truncated: another's)
        _held.add(file)
        has_lock = _take(file, what, wait=wait)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file, has_lock
        file.close()  # it was deleted before it was locked


def _take(file: Any, what: str, *, wait: bool) -> bool:
    """Take the lock; False if the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in NO_LOCKS:
            logger.warning("%s: this file system has no locks, so a second writer would go unnoticed.", what)
            return False
        holder = _holder(file)
        file.close()
        raise UserError(
            f"{what} is being written by {_told(holder)}. Only one process may write to it: wait until that one has "
            "ended, or end it first."
        ) from None
    return True


def _this_process() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command_line(Path(sys.argv[0]).name, *sys.argv[1:]),
    }


def _holder(file: Any) -> dict[str, Any]:
    """Return who wrote the lock file last and did not finish; empty if nobody did, or while it is being written."""
    file.seek(0)
    try:
        found = loads(file.read())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _told(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    return f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')} ({holder.get('command')})"


def _warn_of_another_machine(file: Any, what: str) -> None:
    """Warn if a process on another machine left its name: it was killed, or the lock does not reach that machine."""
    holder = _holder(file)
    if holder and holder.get("host") != socket.gethostname():
        logger.warning(
            "%s was last written by %s, which did not finish. If it is still running, this file system does not share "
            "locks between machines: end it there.",
            what,
            _told(holder),
        )


def _write(file: Any, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def _let_go_in_a_fork() -> None:
    """Close what a fork inherited, or a worker that outlives its killed parent would hold the lock on."""
    for file in list(_held):
        if not file.closed:
            file.close()


os.register_at_fork(after_in_child=_let_go_in_a_fork)
