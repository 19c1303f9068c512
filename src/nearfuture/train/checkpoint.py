"""A checkpoint counts once its marker is written: which checkpoints are whole, and which is the latest.

TRL writes a checkpoint file by file. The marker `nearfuture_state.json` is written last, after everything it lists is
on disk, so a run that was killed while saving leaves a folder without a marker, which no run ever uses. An empty file
says meanwhile that the folder was begun here: one with neither is plain TRL's.

Not here: what is in the checkpoint (`nearfuture.train.exact`, TRL), which one a run goes back to (`nearfuture.run`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nearfuture.types import UserError

MARKER = "nearfuture_state.json"
BEGUN = "nearfuture_unfinished"
TRL_LAST = "trainer_state.json"
"""What TRL itself writes last."""
PREFIX = "checkpoint-"


def open_for_writing(folder: Path) -> None:
    """Take the marker away: from now on the folder is no checkpoint, until `mark_complete`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BEGUN).touch()
    (folder / MARKER).unlink(missing_ok=True)


def mark_complete(folder: Path, state: dict[str, Any]) -> None:
    """Flush every file of `folder` to disk, then write the marker with their sizes and `state`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (MARKER, BEGUN))
    for path in files:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    temporary = folder / f"{MARKER}.tmp"
    with open(temporary, "w") as file:
        json.dump({"version": 1, **state, "files": sizes}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / MARKER)
    (folder / BEGUN).unlink(missing_ok=True)


def read_state(folder: Path) -> dict[str, Any]:
    """The state in the marker of a whole checkpoint.

    Raises:
        UserError: the folder does not exist, has no marker, or a file is missing or of another size.
    """
    if not folder.is_dir():
        raise UserError(
            f"checkpoint {folder} does not exist, and it is needed here. Was it deleted by hand? Put it back from a "
            "copy, or start over with --clean."
        )
    try:
        state = json.loads((folder / MARKER).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        raise UserError(
            f"checkpoint {folder} has no readable {MARKER}: it was not written to its end. "
            f"Resume from an older one, or begin a new run from its weights (model={folder})."
        ) from None
    for name, size in state["files"].items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else None
        if found != size:
            raise UserError(
                f"checkpoint {folder} is damaged: {name} has {found} bytes, {size} were written. Use an older one."
            )
    return state


def is_complete(folder: Path) -> bool:
    """True for a checkpoint that was written to its end and is whole."""
    try:
        read_state(folder)
    except UserError:
        return False
    return True


def is_plain(folder: Path) -> bool:
    """True for a checkpoint that plain TRL wrote to its end: there is what it writes last, and nothing of ours."""
    return (folder / TRL_LAST).is_file() and not any((folder / name).exists() for name in (MARKER, BEGUN))


def plain_step(folder: Path) -> int:
    """Optimizer steps done when plain TRL wrote a checkpoint.

    Raises:
        UserError: what it wrote last cannot be read.
    """
    try:
        return int(json.loads((folder / TRL_LAST).read_text())["global_step"])
    except (json.JSONDecodeError, KeyError):
        raise UserError(f"checkpoint {folder} is damaged: {TRL_LAST} cannot be read. Use an older one.") from None


def _steps(output_dir: Path) -> list[int]:
    if not output_dir.is_dir():
        return []
    names = [p.name.removeprefix(PREFIX) for p in output_dir.iterdir() if p.name.startswith(PREFIX)]
    return sorted(int(name) for name in names if name.isdecimal())


def complete_steps(output_dir: Path) -> list[int]:
    """The steps of the whole checkpoints in `output_dir`, ascending."""
    return [step for step in _steps(output_dir) if is_complete(output_dir / f"{PREFIX}{step}")]


def latest(output_dir: Path) -> Path | None:
    """The newest checkpoint in `output_dir` that is whole, or that plain TRL wrote to its end."""
    folders = (output_dir / f"{PREFIX}{step}" for step in reversed(_steps(output_dir)))
    return next((folder for folder in folders if is_complete(folder) or is_plain(folder)), None)


def rotate(
    output_dir: Path, limit: int | None, *, newest: int, pinned: Collection[int] = (), best: int | None = None
) -> None:
    """Delete the oldest whole checkpoints until `limit` are left, as transformers does; None or 0 deletes none.

    Args:
        output_dir: where they lie; later steps than `newest` are left from an earlier training, hence older.
        limit: so many stay; the newest and the best always do.
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
        _discard(output_dir / f"{PREFIX}{step}")


def _discard(folder: Path) -> None:
    """Delete a checkpoint; half deleted it is none, neither ours nor plain TRL's."""
    for name in (TRL_LAST, MARKER):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder)
