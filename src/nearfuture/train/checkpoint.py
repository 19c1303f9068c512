"""A checkpoint counts once its marker is written: which checkpoints are whole, and which is the latest.

TRL writes a checkpoint file by file. The marker `nearfuture_state.json` is written last, after everything it lists is
on disk, so a run that was killed while saving leaves a folder without a marker, which no run ever uses. Until then an
empty file says that we began the folder; a folder with neither is plain TRL's. The marker is sealed, and holds the size
and a digest of every file. Sizes are checked whenever checkpoints are listed, digests (`verified`) before one is used:
XXH3, which is as fast as memory (measurements/checksums.py).

Not here: what is in the checkpoint (`nearfuture.train.exact`, TRL), which one a run goes back to (`nearfuture.run`).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

from nearfuture import seal
from nearfuture.json_text import loads
from nearfuture.types import UserError

logger = logging.getLogger(__name__)

MARKER = "nearfuture_state.json"
BEGUN = "nearfuture_unfinished"
TRL_LAST = "trainer_state.json"
"""The file that TRL itself writes last."""
PREFIX = "checkpoint-"
VERSION = 2
"""The marker's version; version 1 had no digests and no seal."""
BYTES_AT_ONCE = 1 << 22


class DamagedError(UserError):
    """A checkpoint that was written completely but has changed since."""


def open_for_writing(folder: Path) -> None:
    """Remove the marker: from now on the folder is not a checkpoint, until `mark_complete`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_nlink > 1:
            path.unlink()  # a fork shares it with the run it comes from
    (folder / BEGUN).touch()
    (folder / MARKER).unlink(missing_ok=True)


def mark_complete(folder: Path, state: dict[str, Any]) -> None:
    """Flush every file of `folder` to disk, then write the marker with their sizes, their digests and `state`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (MARKER, BEGUN))
    for path in files:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    digests = {str(path.relative_to(folder)): digest(path) for path in files}
    temporary = folder / f"{MARKER}.tmp"
    with open(temporary, "w") as file:
        written = {"version": VERSION, **state, "files": sizes, "digests": digests}
        file.write(seal.sealed(json.dumps(written, indent=1)))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / MARKER)
    (folder / BEGUN).unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Digest the bytes of a file; other threads continue in the meantime."""
    hashed, buffer = xxh3_128(), memoryview(bytearray(min(BYTES_AT_ONCE, path.stat().st_size + 1)))
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(buffer):
            hashed.update(buffer[:size])
    return hashed.hexdigest()


def read_state(folder: Path) -> dict[str, Any]:
    """Return the state in the marker of a checkpoint whose files all exist with the right sizes.

    Raises:
        DamagedError: the marker is not as it was written, or a file is missing or has another size.
        UserError: the folder does not exist, or has no marker.
    """
    if not folder.is_dir():
        raise UserError(
            f"checkpoint {folder} does not exist, but it is needed here. Was it deleted by hand? Put it back from a "
            "copy, or start over with --clean."
        )
    try:
        state = _marker((folder / MARKER).read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"checkpoint {folder} has no {MARKER}: it was not written completely. "
            f"Resume from an older one, or begin a new run from its weights (model={folder})."
        ) from None
    except ValueError as error:
        raise _damaged(folder, f"{MARKER} has changed since it was written ({error})") from None
    for name, size in state["files"].items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else None
        if found != size:
            raise _damaged(folder, f"{name} has {found} bytes, but {size} were written")
    return state


def _marker(data: bytes) -> dict[str, Any]:
    """Read a marker.

    Raises:
        ValueError: it cannot be what was written.
    """
    state, sealed = loads(data), seal.state(data)
    if not isinstance(state, dict) or not isinstance(state.get("files"), dict):
        raise ValueError("it lists no files")
    if sealed == "damaged" or (sealed == "unsealed" and (state.get("version") != 1 or seal.KEY in data.decode())):
        raise ValueError("its seal is broken")
    return seal.without(state)


def verified(folder: Path) -> dict[str, Any]:
    """Return the state of a checkpoint after checking every byte; for version 1 only sizes are checked.

    Raises:
        DamagedError: a file is not as it was written.
        UserError: it is not a checkpoint; see `read_state`.
    """
    state = read_state(folder)
    for name, expected in state.get("digests", {}).items():
        if digest(folder / name) != expected:
            raise _damaged(folder, f"{name} has changed since it was written")
    return state


def require_whole(folder: Path) -> None:
    """Refuse a model folder that one of our runs saved and that has changed since; other folders are accepted as they
    are.

    Raises:
        DamagedError: a file is not as it was written.
    """
    if (folder / MARKER).exists():
        verified(folder)


def _damaged(folder: Path, what: str) -> DamagedError:
    return DamagedError(f"checkpoint {folder} is damaged: {what}. Use an older one, or put it back from a copy.")


def is_complete(folder: Path) -> bool:
    """True for a checkpoint that was written completely and is intact."""
    try:
        read_state(folder)
    except UserError:
        return False
    return True


def is_plain(folder: Path) -> bool:
    """True for a checkpoint that plain TRL completed: it has the file that TRL writes last, and none of ours."""
    return (folder / TRL_LAST).is_file() and not any((folder / name).exists() for name in (MARKER, BEGUN))


def plain_step(folder: Path) -> int:
    """Return the number of optimizer steps done when plain TRL wrote a checkpoint.

    Raises:
        UserError: the file that TRL writes last cannot be read.
    """
    try:
        return int(loads((folder / TRL_LAST).read_text())["global_step"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"checkpoint {folder} is damaged: {TRL_LAST} cannot be read. Use an older one.") from None


def _steps(output_dir: Path) -> list[int]:
    if not output_dir.is_dir():
        return []
    names = [p.name.removeprefix(PREFIX) for p in output_dir.iterdir() if p.name.startswith(PREFIX)]
    return sorted(int(name) for name in names if name.isdecimal())


def saved_steps(output_dir: Path) -> list[int]:
    """Return the steps of completed checkpoints in `output_dir`, damaged or not, in ascending order."""
    return [step for step in _steps(output_dir) if (output_dir / f"{PREFIX}{step}" / MARKER).exists()]


def complete_steps(output_dir: Path) -> list[int]:
    """Return the steps of checkpoints in `output_dir` whose files all have the right sizes, in ascending order."""
    return [step for step in _steps(output_dir) if is_complete(output_dir / f"{PREFIX}{step}")]


def latest(output_dir: Path) -> Path | None:
    """Return the newest checkpoint in `output_dir` that is whole or plain TRL's; warnings name damaged ones."""
    for step in reversed(_steps(output_dir)):
        folder = output_dir / f"{PREFIX}{step}"
        if is_plain(folder):
            return folder
        try:
            verified(folder)
        except DamagedError as error:
            logger.warning("%s The one before is tried.", error)
        except UserError:
            continue  # not completed
        else:
            return folder
    return None


def rotate(
    output_dir: Path, limit: int | None, *, newest: int, pinned: Collection[int] = (), best: int | None = None
) -> None:
    """Delete the oldest whole checkpoints until `limit` are left, as transformers does; None or 0 deletes none.

    Args:
        output_dir: their folder; steps beyond `newest` are left from an earlier training, and so are older.
        limit: how many to keep; the newest and the best are always kept.
        newest: the step that was saved last.
        pinned: steps that stay and do not count (rollback points, guides).
        best: the step of the best model (`load_best_model_at_end`).
    """
    if limit is None or limit <= 0:
        return
    steps = [step for step in complete_steps(output_dir) if step not in pinned]
    kept = {newest, best} & set(steps)
    spare = sorted(set(steps) - kept, key=lambda step: (step < newest, step))
    for step in spare[: max(0, len(steps) - max(limit, len(kept)))]:
        discard(output_dir / f"{PREFIX}{step}")


def discard(folder: Path) -> None:
    """Delete a checkpoint; half deleted, it no longer counts as a checkpoint, ours or plain TRL's."""
    (folder / BEGUN).touch()
    for name in (MARKER, TRL_LAST):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder)
