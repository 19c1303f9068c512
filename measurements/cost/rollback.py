"""A rollback beside a plain restart from a checkpoint.

Not here: the collection, whose time is taken off (`collection`).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost.rows import Row, divide, ratio_row
from cost.world import BATCH, REAL, World


@dataclass(frozen=True)
class Rollbacks:
    """Seconds of rollbacks and of the plain restarts beside them, in turns."""

    ours: list[float]
    theirs: list[float]

    @property
    def note(self) -> str:
        """Both medians."""
        return f"{statistics.median(self.ours):.2f} s against {statistics.median(self.theirs):.2f} s here"


def measure_rollback(world: World) -> list[Row]:
    """The row of the table."""
    found = in_turns(world, 5)
    what = "rollback / fresh trainer, one load, first step"
    return [ratio_row(what, "<= 2", "2.2", divide(found.ours, found.theirs), found.note)]


def in_turns(
    world: World,
    num_turns: int,
    settings: dict[str, Any] | None = None,
    before_restart: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Rollbacks:
    """From the end of the last step before a rollback to the end of the first step after it, without the collection.

    In it: the guide's checkpoint, written and flushed; the trainer released; a trainer built for the guide and its
    checkpoint loaded; the cache opened; that trainer released; the lineage and the logs written; a trainer built for
    the replay, the cache checked and verified again; the checkpoint restored with optimizer and random states; a step.
    Beside it: a trainer built, one checkpoint restored with everything, one step.

    Args:
        world: what is trained.
        num_turns: pairs.
        settings: in place of `REAL`'s.
        before_restart: called before each plain restart, inside its time.
        clock: what is read.
    """
    from nearfuture.run import build, guides
    from nearfuture.run.settings.load import check
    from nearfuture.run.start import train
    from nearfuture.train import callbacks

    plain = {name: value for name, value in REAL.items() if name not in ("save_strategy", "disable_tqdm")}
    plain |= {"model": world.task.model, **(settings or {})}
    steps: list[float] = []
    collections: list[float] = []
    on_log, collect_guidance = callbacks.OnLog.on_log, guides.collect_guidance

    def timed_log(self: Any, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is not None and "loss" in logs:
            steps.append(clock())
        on_log(self, args, state, control, logs=logs, **kwargs)

    def timed_collection(*args: Any, **kwargs: Any) -> Any:
        began = clock()
        cache = collect_guidance(*args, **kwargs)
        collections.append(clock() - began)
        return cache

    callbacks.OnLog.on_log, guides.collect_guidance = timed_log, timed_collection
    ours, theirs = [], []
    for _ in range(num_turns):
        folder = Path(tempfile.mkdtemp(dir=world.folder))
        run_dir = folder / "run"
        late = {"max_steps": 5, "guide_step": 4, "rollback_to": 2, "save_steps": 100, "guide_batch_size": BATCH}
        config = check({"task": "apprentice", "run_dir": str(run_dir), **plain, **late})
        del steps[:], collections[:]
        train(config, quiet=True)
        ours.append(steps[4] - steps[3] - collections[0])

        del steps[:]
        hooks = [callbacks.OnLog(lambda *_: None), callbacks.StopAt(3)]
        source = next(run_dir.rglob("checkpoint-2"))
        began = clock()
        before_restart()
        trainer = build.build_trainer(config, world.task, world.rows, folder / "load", callbacks=hooks)
        trainer.train(resume_from_checkpoint=str(source))
        theirs.append(steps[0] - began)
    callbacks.OnLog.on_log, guides.collect_guidance = on_log, collect_guidance
    return Rollbacks(ours, theirs)
