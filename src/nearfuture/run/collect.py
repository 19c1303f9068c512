"""Collect and verify guidance outside a run.

Not here: the collection of an intervention (`nearfuture.run.executor`), the algorithm (`nearfuture.guidance.collect`).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nearfuture.guidance import GuidanceCache, collect_guidance
from nearfuture.guidance.checks import EntryRules, check_entries
from nearfuture.guidance.collect import Progress
from nearfuture.record.lock import writing, writing_file
from nearfuture.run import build
from nearfuture.run.rows import plain_rows, rows_by_id
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train import TRLEngine, checkpoint, factory, needs, processes
from nearfuture.types import PolicyRef, UserError


def collect_from(
    config: Configuration,
    guide: PolicyRef,
    folder: Path,
    *,
    num_kept: int = 1,
    progress: Progress | None = None,
) -> GuidanceCache:
    """Collect guidance for every training prompt of a task; `config.run.model` is the guide."""
    if config.run.guide_select == "closest":
        raise UserError("guide_select=closest needs the policy to be guided, which only a run has. Use uniform here.")
    task = build.load_checked_task(config)
    needs.check_model(build.base_model(config, task), task, config.model_settings)
    build.check_positions(config, task)
    rows = build.training_rows(task)
    checkpoint.require_whole(Path(build.base_model(config, task)))
    with contextlib.ExitStack() as held:
        scratch = held.enter_context(tempfile.TemporaryDirectory())
        processes.join(factory.make_args(Path(scratch), config.training_settings))
        processes.from_main(lambda: held.enter_context(writing_cache(folder)))
        trainer = build.build_trainer(config, task, rows, Path(scratch))
        trainer.model.to(trainer.args.device)
        return collect_guidance(
            TRLEngine(trainer),
            plain_rows(rows),
            task.verify,
            folder,
            guide=guide,
            num_samples=config.run.guide_num_samples,
            num_kept=num_kept,
            batch_size=config.run.guide_batch_size,
            seed=trainer.args.seed,
            verifier_version=task.verifier_version,
            allocation=config.run.guide_allocation,
            kinds=task.groups,
            progress=progress,
        )


@contextlib.contextmanager
def writing_cache(folder: Path) -> Iterator[None]:
    """Be the only process that writes a cache and the run that contains it.

    Raises:
        UserError: another process writes one of them.
    """
    run = run_of(folder)
    with writing_file(folder, "guidance"), contextlib.nullcontext() if run is None else writing(run, "run"):
        yield


def verify_cache(folder: Path, config: Path | None) -> list[str]:
    """Verify bytes, entries and verdicts of a cache, and say what was checked.

    Raises:
        UserError: what is wrong with it.
    """
    cache = GuidanceCache.open(folder)
    cache.check_integrity()
    header = cache.header
    check_entries(cache, EntryRules.of(header))
    logps = "" if header.has_behavior_logps else ", without behaviour log-probs"
    said = [
        f"bytes: sha256 as written ({header.num_bytes} bytes)",
        f"entries: {cache.num_trajectories} for {len(cache)} prompts, whole, end in EOS{logps}",
    ]
    path = config or config_of(folder)
    if path is None:
        return [*said, "verdicts: not judged again (the cache is not in a run; give --config CONFIG.yaml)"]
    task = build.load_run_task(load_configuration(path))
    rows = rows_by_id(build.training_rows(task))
    known = {prompt_id for prompt_id in rows if prompt_id in cache}
    hashes = {g.prompt_id: g.prompt_hash for g in cache if g.prompt_id in known}
    changed = [prompt_id for prompt_id, hashed in hashes.items() if hashed != prompt_hash(rows[prompt_id])]
    if changed or not known:
        raise UserError(
            f"{len(changed)} of {len(known)} prompts of the cache have different content in task {task.name!r}: "
            f"{', '.join(changed[:3]) or 'no prompt in common'}. Give the configuration it was collected with."
        )
    cache.verify_again(task.verify, {prompt_id: rows[prompt_id] for prompt_id in known})
    num_judged = sum(map(cache.pool_size, known))
    foreign = f", {len(cache) - len(known)} prompts are not in its data" if len(known) < len(cache) else ""
    return [*said, f"verdicts: {num_judged} correct again under task {task.name!r}{foreign}"]


def config_of(folder: Path) -> Path | None:
    """Return the configuration of the run that contains a cache."""
    run = run_of(folder)
    return run / "config.yaml" if run is not None and (run / "config.yaml").exists() else None


def run_of(path: Path) -> Path | None:
    """Return the run that contains a file or folder."""
    return next((parent for parent in path.absolute().parents if (parent / "lineage.json").exists()), None)
