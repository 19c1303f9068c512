"""Which checkpoints and caches of a run are intact, byte for byte; damaged ones are named on screen and in an event.

The final policy is a checkpoint without the files that only training reads.

The main process reads the bytes and tells the others what it found.

Not here: the digests (`nearfuture.train.checkpoint`), continuing without a checkpoint (`nearfuture.run.executor`), all
other files (`integrity`).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from nearfuture.guidance import GuidanceCache
from nearfuture.method.lineage import Lineage, Segment
from nearfuture.record.folder import RunFolder
from nearfuture.record.records import RunRecords
from nearfuture.run import card
from nearfuture.train import checkpoint, processes
from nearfuture.train.exact import STATES, state_file
from nearfuture.types import PolicyRef, UserError

NOT_IN_FINAL = (
    "optimizer*",
    "pytorch_model_fsdp*",
    "global_step*",  # DeepSpeed's weights and optimizer, in shards
    "latest",
    "zero_to_*.py",
    "scheduler*",
    "rng_state*",
    "trainer_state*",
    "training_args*",
    "rollouts-*",
    *(state_file(Path(), name).name for name in STATES),
    "self-*.safetensors",
    card.NAME,  # TRL's, or peft's
    checkpoint.MARKER,
)


def damage_of(cache: Path, *, with_table: bool = True) -> str:
    """Say what is wrong with the bytes of a guidance cache (its table takes seconds); empty if nothing is."""
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
        folder: the run's folder.
        say: called with what is damaged.
        train_again: trains a damaged checkpoint again, to the same bits.
    """

    def __init__(self, folder: RunFolder, say: Callable[[str], None], train_again: Callable[[PolicyRef], None]) -> None:
        self.folder, self.say, self.train_again = folder, say, train_again

    def whole(self, policy: PolicyRef) -> Path:
        """Return the folder of a checkpoint that is needed; a damaged one is trained again.

        Raises:
            UserError: it does not exist, which a failing disk does not explain.
        """
        if policy.step and not processes.from_main(lambda: self._is_whole(policy)):
            self.train_again(policy)
        return self.folder.path / policy.path

    def resume_point(self, lineage: Lineage, until: int | None = None) -> tuple[int, Path] | None:
        """Return the head's latest intact checkpoint (up to `until`), or the one it branched from, or None.

        Raises:
            UserError: it has saved some but none is intact, and only the base weights come before them.
        """
        head = lineage.head
        step = processes.from_main(lambda: self._latest(head, until))
        if step is not None:
            return step, self.folder.path / head.checkpoint(step)
        branched_from = lineage.ref(head.start_step)
        return None if branched_from is None else (head.start_step, self.whole(branched_from))

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

    def is_final_whole(self) -> bool:
        """True if the final policy is there as it was written; a damaged one is named, and taken away."""
        try:
            checkpoint.require_whole(self.folder.final)
        except checkpoint.DamagedError as error:
            self.say(f"{error} It is copied again.")
            self.folder.event("final_damaged", reason=str(error))
            shutil.rmtree(self.folder.final)
        return self.folder.final.exists()

    def write_final(self, source: Path, step: int, base: str) -> None:
        """Write the final policy, whole or not at all. Its card is not held to a digest: its owner may edit it."""
        draft = self.folder.path / "final.tmp"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source, draft, ignore=shutil.ignore_patterns(*NOT_IN_FINAL))
        checkpoint.mark_complete(draft, {"step": step})
        card.write_card(RunRecords.load(self.folder.path), base, draft)
        draft.rename(self.folder.final)
