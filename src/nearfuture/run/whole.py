"""Which checkpoints and caches of a run are whole, byte for byte; one that is not is named, on screen and in an event.

The main process reads the bytes, the others learn what it found.

Not here: the digests (`nearfuture.train.checkpoint`), continuing without a checkpoint (`nearfuture.run.executor`), all
other files (`integrity`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from nearfuture.guidance import GuidanceCache
from nearfuture.method.lineage import Segment
from nearfuture.record.folder import RunFolder
from nearfuture.train import checkpoint, processes
from nearfuture.types import PolicyRef, UserError


def damage_of(cache: Path, *, with_table: bool = True) -> str:
    """What is wrong with the bytes of a guidance cache (its table is a matter of seconds); empty where nothing is."""
    try:
        with contextlib.closing(GuidanceCache.open(cache)) as opened:
            if with_table:
                opened.check_integrity()
    except UserError as error:
        return str(error)
    return ""


class WholeCheckpoints:
    """The checkpoints of a run folder.

    Args:
        folder: of the run.
        say: told what is damaged.
    """

    def __init__(self, folder: RunFolder, say: Callable[[str], None]) -> None:
        self.folder, self.say = folder, say

    def is_whole(self, policy: PolicyRef) -> bool:
        """True for a checkpoint that can be used.

        Raises:
            UserError: there is none, which is not a disk's doing.
        """
        return processes.from_main(lambda: self._is_whole(policy))

    def latest(self, segment: Segment, until: int | None = None) -> int | None:
        """The step of the last whole checkpoint of a segment (none after `until`); None where it has saved none.

        Raises:
            UserError: it has saved some, none of them is whole, and there is nothing before them but the base weights.
        """
        return processes.from_main(lambda: self._latest(segment, until))

    def _is_whole(self, policy: PolicyRef) -> bool:
        try:
            checkpoint.verified(self.folder.path / policy.path)
        except checkpoint.DamagedError as error:
            self.say(str(error))
            facts = {"segment": policy.segment, "step": policy.step, "path": policy.path}
            self.folder.event("checkpoint_damaged", **facts, reason=str(error))
            return False
        return True

    def _latest(self, segment: Segment, until: int | None) -> int | None:
        steps = checkpoint.saved_steps(self.folder.path / segment.folder)
        steps = [step for step in steps if until is None or step <= until]
        for step in reversed(steps):
            if self._is_whole(PolicyRef(segment.id, step, segment.checkpoint(step))):
                return step
        if steps and segment.parent is None:
            raise UserError(
                f"none of the {len(steps)} checkpoints in {self.folder.path / segment.folder} is intact (steps "
                f"{', '.join(map(str, steps))}), and only the base weights come before them. Put one back from a "
                "copy; or delete these checkpoints, and --resume trains again from the base weights."
            )
        return None
