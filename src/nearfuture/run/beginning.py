"""A start either succeeds or leaves no trace: its files are removed if it ends before anything was paid for.

Paid for is whatever takes time to obtain again: a step, an evaluation, a whole checkpoint, samples of a guide. Until
then a run folder holds only what a start writes within a second, and the corrected command must find the folder as it
was before.

    refused, failed or interrupted before then    removed at once
    killed before then                            started over by the next start, as if it did not exist

Not here: what is checked before anything is written (`start`, `nearfuture.train.needs`), the lock
(`nearfuture.record.lock`).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from nearfuture.method.lineage import COPY
from nearfuture.record.lock import LOCK
from nearfuture.record.reading import read_rows
from nearfuture.run.origin import DATA
from nearfuture.train.checkpoint import MARKER
from nearfuture.types import UserError

FIRST = "env.json"
FILES = (FIRST, "config.yaml", DATA, COPY, "lineage.json", "events.jsonl")
SEGMENTS = "segments"
WRITTEN = (*FILES, *(f"{name}.tmp" for name in FILES), SEGMENTS, LOCK)
"""The names of the files that a start writes."""
PAID = ("metrics.jsonl", "samples.jsonl", "final", f"{SEGMENTS}/*/*/{MARKER}", f"{SEGMENTS}/*/guidance*")


def has_paid(run: Path) -> bool:
    """True if a run folder holds something that took time to obtain, even a collection that solved nothing."""
    rows = read_rows(run / "events.jsonl", required="event").rows
    return any(any(run.glob(pattern)) for pattern in PAID) or any(row["event"] == "collected" for row in rows)


def is_untouched(run: Path) -> bool:
    """True if the folder holds only the files of a start that was killed before anything was paid for.

    A `config.yaml` alone belongs to the user.
    """
    names = names_in(run) - {LOCK, f"{FIRST}.tmp"}
    return not names or (FIRST in names and names <= set(WRITTEN) and not has_paid(run))


def refuse_taken(run: Path, *, resume: bool) -> None:
    """Refuse a folder that is not empty: it holds a run (and there is no `--resume`), or something else.

    Raises:
        UserError: the folder is taken; the message says what to do.
    """
    if is_untouched(run):
        return
    if not resume:
        raise UserError(
            f"run_dir={run} exists. Continue with --resume, start over with --clean (this deletes it), or choose "
            "another run_dir."
        )
    if not (run / "lineage.json").exists():
        raise UserError(
            f"run_dir={run} is not empty and holds no run (no lineage.json), so that there is nothing to resume. Put "
            "its lineage.json back from a copy, or choose another run_dir."
        )


@contextlib.contextmanager
def made_in_vain(run: Path) -> Iterator[None]:
    """Remove the parent folders of `run` that are made inside the block if it raises and they are empty."""
    made = [folder for folder in (run, *run.absolute().parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # one of them is not empty
            for folder in made:
                folder.rmdir()
        raise


@contextlib.contextmanager
def beginning(run: Path, before: Collection[str]) -> Iterator[None]:
    """Remove what is written inside the block if it raises before anything was paid for.

    Args:
        run: the run folder, whose lock is held.
        before: names that were in it before; they stay.
    """
    try:
        yield
    except BaseException:
        if not has_paid(run):
            remove(run / name for name in WRITTEN if name not in before)
        raise


def names_in(folder: Path) -> set[str]:
    """The names in a folder; none if it does not exist."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def remove(paths: Iterable[Path]) -> None:
    """Delete those of the files and folders that exist."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
