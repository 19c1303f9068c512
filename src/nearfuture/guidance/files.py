"""Files and folders that either are complete or do not exist.

A folder is built beside its destination, as `.<name>.writing`, and swapped in by renames. A kill between the two
renames leaves the older folder as `.<name>.previous`, where `settled` finds it. One process writes at a time.

Not here: what the files mean (`header`, `table`, `journal`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearfuture.types import UserError

HEADER_NAME = "header.json"
TABLE_NAME = "guidance.parquet"


def settled(folder: Path) -> Path:
    """Return where the last complete version of `folder` is, even after a kill in the middle of a swap."""
    previous = _hidden(folder, "previous")
    return previous if previous.exists() and not folder.exists() else folder


def check_replaceable(folder: Path) -> None:
    """Refuse to write over anything that is not a guidance cache.

    Raises:
        UserError: `folder` is a file, or holds files that a cache does not have.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; a guidance cache is a folder. Choose another name.")
    others = sorted(path.name for path in folder.iterdir() if path.name not in (HEADER_NAME, TABLE_NAME))
    if others:
        raise UserError(
            f"{folder} holds {others[0]!r}{' and others' if len(others) > 1 else ''}, which is not part of a guidance "
            "cache, and writing a cache replaces the folder. Choose a separate folder."
        )


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty sibling to write into; swap it in as `folder` if the block succeeds, drop it if it fails."""
    check_replaceable(folder)
    draft, previous = _hidden(folder, "writing"), _hidden(folder, "previous")
    _recover(folder, previous)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        fsync_folder(draft)
        if folder.exists():
            folder.rename(previous)
        draft.rename(folder)
        fsync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        _recover(folder, previous)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def partial(folder: Path) -> Path:
    """Return where an unfinished collection for `folder` keeps its journal."""
    return folder.with_name(folder.name + ".partial")


def write_text(path: Path, text: str) -> None:
    """Write a small file so that it either is complete or does not exist."""
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make the system write a folder's names to the disk: only then does a rename last."""
    fileno = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fileno)
    finally:
        os.close(fileno)


def sha256_of(path: Path) -> str:
    """Hash a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hidden(folder: Path, role: str) -> Path:
    return folder.with_name(f".{folder.name}.{role}")


def _recover(folder: Path, previous: Path) -> None:
    if previous.exists() and not folder.exists():
        previous.rename(folder)
    shutil.rmtree(previous, ignore_errors=True)
