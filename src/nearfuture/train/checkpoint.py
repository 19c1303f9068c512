"""A checkpoint counts once its marker is written: which checkpoints are whole, and which is the latest.

TRL writes a checkpoint file by file. The marker `nearfuture_state.json` is written last, after everything it lists is
on disk, so a run that was killed while saving leaves a folder without a marker, which nothing here ever uses.

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
PREFIX = "checkpoint-"


def open_for_writing(folder: Path) -> None:
    """Take the marker away: from now on the folder is no checkpoint, until `mark_complete`."""
    (folder / MARKER).unlink(missing_ok=True)


def mark_complete(folder: Path, state: dict[str, Any]) -> None:
    """Flush every file of `folder` to disk, then write the marker with their sizes and `state`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
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
            f"checkpoint {folder} has no readable {MARKER}: it was not written to its end, or plain TRL wrote it. "
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


def complete_steps(output_dir: Path) -> list[int]:
    """The steps of the whole checkpoints in `output_dir`, ascending."""
    if not output_dir.is_dir():
        return []
    names = [p.name.removeprefix(PREFIX) for p in output_dir.iterdir() if p.name.startswith(PREFIX)]
    steps = sorted(int(name) for name in names if name.isdecimal())
    return [step for step in steps if is_complete(output_dir / f"{PREFIX}{step}")]


def rotate(output_dir: Path, limit: int | None, pinned: Collection[int] = ()) -> None:
    """Keep the `limit` newest whole checkpoints and the pinned ones (rollback points, guides); delete the others."""
    if limit is None:
        return
    for step in complete_steps(output_dir)[: -max(limit, 1)]:
        if step not in pinned:
            folder = output_dir / f"{PREFIX}{step}"
            open_for_writing(folder)
            shutil.rmtree(folder)
