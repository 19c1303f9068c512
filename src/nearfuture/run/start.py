"""Begin a run, or resume one that stopped: the rules for an existing run folder, and the checks before step 1.

Not here: what happens then (`nearfuture.run.executor`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfuture.method.lineage import Lineage
from nearfuture.record import flat_yaml
from nearfuture.record.folder import RunFolder, environment
from nearfuture.record.lock import LOCK, writing
from nearfuture.run import build
from nearfuture.run.beginning import beginning, is_untouched, made_in_vain, names_in, refuse_taken, remove
from nearfuture.run.disk import DiskPlan, disk_plan, require_space
from nearfuture.run.executor import Executor, Outcome
from nearfuture.run.fork import Fork
from nearfuture.run.integrity import damages
from nearfuture.run.origin import DATA, Origin, changed_configuration, digest, refuse_other_data
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import only_trains
from nearfuture.run.show import Display
from nearfuture.tasks import Task
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train import checkpoint, factory, needs, processes, sharding
from nearfuture.types import UserError

NUM_COMPARED = 1024
"""How many rows are compared between processes, spread over the data."""


def train(
    config: Configuration,
    *,
    resume: bool = False,
    clean: bool = False,
    quiet: bool = False,
    one_stage: bool = False,
    fork: Fork | None = None,
) -> Outcome:
    """Run a configuration in its run folder.

    Args:
        config: a checked configuration.
        resume: continue where the run in this folder stopped, however it stopped.
        clean: delete the contents of the folder first.
        quiet: print only the result.
        fork: the checkpoint of another run at which a new run begins.
        one_stage: stop after the current stage; a backend that needs a fresh process per stage (DeepSpeed) then
            begins the next one in a new process.

    Returns:
        `finished`, `paused` (a stage is done, more will follow), or `interrupted` (a checkpoint is saved).

    Raises:
        UserError: the run folder exists or another process writes it, the configuration differs on resume, the data
            is bad, or processes disagree.
        DiskError: there is too little space.
        NoSignalError: there is nothing to learn from.
    """
    args = factory.make_args(config.run.run_dir, config.training_settings)
    processes.join(args)
    distils = bool(config.training.distill_coef)
    sharding.check_run(args, only_trains=only_trains(config), distils=distils)
    needs.check_packages(config.trl_settings)
    needs.rehearse(args, config.training_settings)
    task = build.load_checked_task(config)
    build.check_needs(config, task)
    if processes.number() > 1:
        data = {"training prompts": _sampled(task.train), "held-out prompts": _sampled(task.evaluation)}
        processes.require_same({**config.as_dict(), "--resume": resume, "--clean": clean, **data})
    factory.check_batch(args, len(task.train))
    folder = RunFolder(config.run.run_dir, is_main=processes.is_main())
    model = build.base_model(config, task)
    needs.check_model(model, task, config.model_settings, casts_head=config.training.cast_lm_head_to_fp32)
    room = build.check_positions(config, task)
    processes.from_main(lambda: checkpoint.require_whole(Path(model)))
    plan = disk_plan(config, model, len(task.train), is_sharded=sharding.fsdp_plugin(args) is not None)
    with contextlib.ExitStack() as held:
        processes.from_main(lambda: _take_over(folder.path, held))
        start = Start(resume=resume, clean=clean, fork=fork)
        words = processes.from_main(lambda: _prepare(folder, config, task, plan, start))
        display = held.enter_context(Display(config, plan, quiet=quiet or not folder.is_main))
        display.notes([*task.notes, *build.policy_notes(config, task), *room])
        for word in words if folder.is_main else ():
            display.warning(word)
        return Executor(config, task, display).run(one_stage=one_stage)


def _take_over(run: Path, held: contextlib.ExitStack) -> None:
    """Lock the run folder; if the start fails, the folder is as before once the lock is released."""
    held.enter_context(made_in_vain(run))
    before = names_in(run)
    held.enter_context(writing(run, "run"))
    held.enter_context(beginning(run, before))


def _sampled(rows: Any) -> str:
    """Return the number of rows and a hash of prompts spread over them, enough to tell two data sets apart."""
    spread = range(0, len(rows), max(1, len(rows) // NUM_COMPARED))
    digest = hashlib.sha256("".join(prompt_hash(rows[i]) for i in spread).encode()).hexdigest()
    return f"{len(rows)} rows, {digest[:8]}"


@dataclasses.dataclass(frozen=True)
class Start:
    """How a run is started; see `train`."""

    resume: bool
    clean: bool
    fork: Fork | None


def _prepare(folder: RunFolder, config: Configuration, task: Task, plan: DiskPlan, start: Start) -> list[str]:
    """Refuse, clean or check the folder, which then holds a lineage and the configuration; returns what to report."""
    changes = start.fork.check(config) if start.fork is not None else {}
    if start.clean:
        _refuse_to_delete_other_things(folder)
        require_space(plan, folder.path, num_freed=_size(folder.path))
    if start.clean or is_untouched(folder.path):
        remove(_files_in(folder.path))
    refuse_taken(folder.path, resume=start.resume)
    require_space(plan, folder.path)
    if folder.lineage.exists():
        return _take_up(folder, config, task)
    folder.path.mkdir(parents=True, exist_ok=True)
    origin = Origin.of(config, task, build.training_rows(task))
    folder.write("env.json", json.dumps(environment(), indent=1))
    folder.write("config.yaml", flat_yaml.dump(config.as_dict()))
    folder.write(DATA, origin.hashes())
    if start.fork is None:
        Lineage.begin(origin.facts()).write(folder.lineage)
        return [f"--resume: there is no run in {folder.path} yet, so this one begins."] if start.resume else []
    start.fork.write(folder, changes)
    forked = {**origin.facts(), "forked_from": start.fork.facts()}
    dataclasses.replace(start.fork.lineage, origin=forked).write(folder.lineage)
    return []


def _take_up(folder: RunFolder, config: Configuration, task: Task) -> list[str]:
    """Check a run that is resumed, name what is damaged in it, and restore what can be restored."""
    lineage = Lineage.read(folder.lineage)
    damaged = damages(folder.path, with_weights=False)
    changes = changed_configuration(folder, config, lineage.origin)
    words = [*map(str, damaged)]
    if lineage.origin is None:
        words.append(f"{folder.path} was begun before runs recorded their data, so they cannot be compared.")
    else:
        refuse_other_data(folder, Origin.of(config, task, build.training_rows(task)), lineage.origin)
    for damage in damaged:
        folder.event("damaged", path=damage.path, what=damage.what)
    if changes:
        words += _write_down(changes, folder, config, lineage)
    else:
        lineage.write(folder.lineage)  # both copies, whichever was damaged
    return words


def _write_down(
    changes: Mapping[str, tuple[Any, Any]], folder: RunFolder, config: Configuration, lineage: Lineage
) -> list[str]:
    """Record what changes on resume; a finished run whose horizon moves no longer has a final policy."""
    step = max([lineage.head.start_step, *checkpoint.saved_steps(folder.path / lineage.head.folder)])
    folder.event("configuration_changed", segment=lineage.head.id, step=step, changes=dict(changes))
    origin = None if lineage.origin is None else {**lineage.origin, "config": digest(config)}
    dataclasses.replace(lineage, origin=origin).write(folder.lineage)
    folder.write("config.yaml", flat_yaml.dump(config.as_dict()))
    if "max_steps" in changes:
        remove([folder.final])
    words = [f"{key} is {now} from step {step} on (it was {then})" for key, (then, now) in changes.items()]
    every = config.training.save_steps
    if "max_steps" in changes and config.autonpo.mode == "act" and step % int(every):
        words.append(f"AutoNPO may go back to step {step}, which a run of this length from the start would not save")
    return words


def _files_in(folder: Path) -> list[Path]:
    """List the contents of a folder except the lock, which stays as long as the folder exists."""
    return [path for path in folder.iterdir() if path.name != LOCK] if folder.exists() else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _refuse_to_delete_other_things(folder: RunFolder) -> None:
    """Refuse to clean anything but a run: `--clean` must not delete a folder that was named by mistake."""
    if not is_untouched(folder.path) and not (folder.lineage.exists() or folder.config.exists()):
        raise UserError(
            f"run_dir={folder.path} is not empty and holds no run (no lineage.json): --clean does not delete it. "
            "Empty it by hand, or choose another run_dir."
        )
