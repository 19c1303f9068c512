"""Free the disk space of a run: checkpoints that nothing in its lineage needs, and leftovers of kills.

    kept      the final policy; the head's latest checkpoint, from which it is resumed or extended;
              guides, and the steps that the run went back to, on the path to the head, with their guidance;
              what the run may still go back to: planned steps, and whatever AutoNPO may choose;
              rows, events, samples, reports: they are small, and hold the costs
    freed     every other checkpoint, abandoned tails included; folders that were never completed

Not here: deleting old checkpoints while a run trains (`nearfuture.train.checkpoint`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearfuture.method.lineage import Lineage
from nearfuture.record.folder import RunFolder
from nearfuture.record.lock import writing
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.settings.plan import stages_ahead
from nearfuture.train import checkpoint
from nearfuture.types import Intervention, UserError

DRAFTS = ("final.tmp",)


@dataclass(frozen=True)
class Piece:
    """Something in a run folder that is kept or freed.

    Attributes:
        path: its path relative to the run.
        why: the reason, in a few words.
        is_kept: whether it stays.
        num_bytes: the bytes that its deletion frees; a file that another run shares frees none.
    """

    path: str
    why: str
    is_kept: bool
    num_bytes: int


def pieces(run: Path, keep: frozenset[int] = frozenset()) -> list[Piece]:
    """List everything in a run that could be freed, with the decision about it.

    Args:
        run: the run's folder.
        keep: steps whose checkpoints all stay.

    Raises:
        UserError: it is not a run, or its configuration cannot be read.
    """
    lineage = Lineage.read(run / "lineage.json")
    needed = _needed(run, lineage, load_configuration(run / "config.yaml"))
    found = []
    for segment in lineage.segments:
        for folder in sorted((run / segment.folder).glob(f"{checkpoint.PREFIX}*"), key=_step):
            path = str(folder.relative_to(run))
            why = needed.get(path, "asked to keep" if _step(folder) in keep else "")
            is_whole = (folder / checkpoint.MARKER).exists()
            is_kept = bool(why) and is_whole
            why = why or ("on the path, needed by nothing" if path in _on_path(run, lineage) else "abandoned")
            found.append(Piece(path, why if is_whole else "not written to its end", is_kept, _size(folder)))
    drafts = [name for name in DRAFTS if (run / name).exists()]
    return [*found, *(Piece(name, "not written to its end", False, _size(run / name)) for name in drafts)]


def clean(run: Path, keep: frozenset[int] = frozenset()) -> list[Piece]:
    """Free what `pieces` lists, and record what was freed.

    Raises:
        UserError: another process is writing the run.
    """
    with writing(run, "run"):
        freed = [piece for piece in pieces(run, keep) if not piece.is_kept]
        if freed:
            num_bytes = sum(piece.num_bytes for piece in freed)
            RunFolder(run).event("cleaned", paths=[piece.path for piece in freed], num_bytes=num_bytes)
        for piece in freed:
            if (run / piece.path).name.startswith(checkpoint.PREFIX):
                checkpoint.discard(run / piece.path)
            else:
                shutil.rmtree(run / piece.path)
    return freed


def _needed(run: Path, lineage: Lineage, config: Configuration) -> dict[str, str]:
    """Say why checkpoints stay, by path."""
    why = {path: "AutoNPO may go back to it" for path in _within_reach(run, lineage, config)}
    path = _on_path(run, lineage)
    ahead = {stage.start_step for _, stage in stages_ahead(config, lineage) if isinstance(stage, Intervention)}
    why |= {one: "the run is to go back to it" for one, step in path.items() if step in ahead}
    for segment, _ in lineage.path():
        if segment.intervention is None:
            continue
        guide = segment.intervention.guide
        why[guide.path] = f"guide of segment {segment.id}"
        start = lineage.segments[segment.parent].checkpoint(segment.start_step) if segment.parent is not None else ""
        why[start] = f"segment {segment.id} begins there"
    if path:
        why[list(path)[-1]] = "the latest of the head"
    return why


def _within_reach(run: Path, lineage: Lineage, config: Configuration) -> Iterator[str]:
    path = _on_path(run, lineage)
    if config.autonpo.mode == "act" and path:
        reach = max(path.values()) - config.autonpo.max_rollback_distance
        yield from (one for one, step in path.items() if step >= reach)


def _on_path(run: Path, lineage: Lineage) -> dict[str, int]:
    """Return the checkpoints on the path to the head, by step."""
    return {
        segment.checkpoint(step): step
        for segment, last in lineage.path()
        for step in checkpoint.saved_steps(run / segment.folder)
        if segment.start_step < step and (last is None or step <= last)
    }


def _step(folder: Path) -> int:
    name = folder.name.removeprefix(checkpoint.PREFIX)
    return int(name) if name.isdecimal() else -1


def _size(folder: Path) -> int:
    files = [path.stat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(stat.st_size for stat in files if stat.st_nlink == 1)


def steps_to_keep(values: list[str]) -> frozenset[int]:
    """Read steps given as `100,200` or one by one.

    Raises:
        UserError: a value is not a step.
    """
    parts = [part.strip() for value in values for part in value.split(",")]
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise UserError(f"--keep {wrong[0]!r} is not a step. Give whole numbers, for example --keep 100,200.")
    return frozenset(map(int, parts))
