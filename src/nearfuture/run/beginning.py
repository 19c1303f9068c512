"""A start is whole or leaves no trace: what it has written is taken back if it ends before anything was paid for.

Paid for is what costs time to get again: a step, an evaluation, a whole checkpoint, samples of a guide. Until then a
run folder holds what a start writes within a second, and the corrected command is to find the folder as it was.

    refused, failed or interrupted before then    taken back at once
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
"""What a start writes, by name."""
PAID = ("metrics.jsonl", "samples.jsonl", "final", f"{SEGMENTS}/*/*/{MARKER}", f"{SEGMENTS}/*/guidance*")


def has_paid(run: Path) -> bool:
    """True where a run folder holds something that cost time to get, a collection that solved nothing included."""
    rows = read_rows(run / "events.jsonl", required="event").rows
    return any(any(run.glob(pattern)) for pattern in PAID) or any(row["event"] == "collected" for row in rows)


def is_untouched(run: Path) -> bool:
    """True where there is nothing but what a start has written that was killed before it had paid for anything.

    A `config.yaml` alone belongs to the user.
    """
    names = names_in(run) - {LOCK, f"{FIRST}.tmp"}
    return not names or (FIRST in names and names <= set(WRITTEN) and not has_paid(run))


def refuse_taken(run: Path, *, resume: bool) -> None:
    """Refuse a folder that holds something: a run without `--resume`, or no run.

    Raises:
        UserError: what to do.
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
    """Remove the folders that are made inside on the way to `run`, if it ends by an exception and they are empty."""
    made = [folder for folder in (run, *run.absolute().parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # something is in one of them
            for folder in made:
                folder.rmdir()
        raise


@contextlib.contextmanager
def beginning(run: Path, before: Collection[str]) -> Iterator[None]:
    """Take back what is written inside, if it ends by an exception before anything was paid for.

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
    """The names in a folder; none where it is not there."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def remove(paths: Iterable[Path]) -> None:
    """Delete files and folders, those that are there."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
