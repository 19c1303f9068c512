"""The guides of a run: load a policy of the lineage, let it solve prompts, keep what is verified.

Not here: when that happens (`nearfuture.run.settings.plan`), the sampling itself (`nearfuture.guidance.collect`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nearfuture.guidance import (
    CollectionCounts,
    GuidanceCache,
    LayeredSources,
    Source,
    UniformReplay,
    WindowedCache,
    collect_guidance,
)
from nearfuture.guidance.collect import Given
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.guidance.harvest import Harvest, Known
from nearfuture.method.lineage import Lineage
from nearfuture.run import build
from nearfuture.run.build import RunContext
from nearfuture.run.interop import Setting, import_for
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.plan import window_end
from nearfuture.run.whole import WholeCheckpoints, damage_of
from nearfuture.train import NPOTrainer, TRLEngine, processes, sharding
from nearfuture.train.exact import HARVEST, state_file
from nearfuture.train.factory import release
from nearfuture.types import Guidance, Intervention, Kind, NoSignalError, PolicyRef, UserError


class Guides:
    """Loads guides into trainers of the run and collects from them."""

    def __init__(self, context: RunContext, checkpoints: WholeCheckpoints) -> None:
        self.context, self.config, self.task, self.folder = context, context.config, context.task, context.folder
        self.checkpoints = checkpoints

    @property
    def injects(self) -> bool:
        """True if guidance takes a slot; a guide that only distils is not sampled."""
        return self.config.training.inject_guidance

    def weights(self, ref: PolicyRef) -> Path:
        """Return the folder with the intact weights of a policy of the lineage; step 0 is the base model."""
        if ref.step == 0:
            return Path(build.base_model(self.config, self.task))
        return self.checkpoints.whole(ref)

    @contextlib.contextmanager
    def policy(self, ref: PolicyRef | None, output_dir: Path, **settings: Any) -> Iterator[NPOTrainer]:
        """A trainer that holds the policy `ref` (None: the base weights), to sample or score with.

        `settings` of training replace the run's own.
        """
        weights = self.weights(ref) if ref is not None and ref.step else None
        trainer = self.context.trainer(output_dir, self.config.with_training(**settings))
        sharding.place(trainer)
        if weights is not None:
            trainer._load_from_checkpoint(str(weights))
        try:
            yield trainer
        finally:
            release(trainer)

    def source(self, lineage: Lineage) -> Source | None:
        """Return the source of the head's guidance; None if it has none.

        All guidance on the path to the head counts, the latest first, after the policy's own answers if the run keeps
        them. What an abandoned branch collected stays behind with it.
        """
        run = self.config.run
        if run.source == "experience":
            return ExperienceReplay(run.experience_frac, run.experience_start_pass_rate, self.config.training.seed)
        layers: list[Source] = [Harvest(partial(_segment_of, lineage))] if run.source == "own" else []
        layers += [
            self._layer(self.folder.path / segment.folder / "guidance", segment.intervention)
            for segment, _ in lineage.path()[::-1]
            if segment.intervention is not None and self.injects
        ]
        if run.source == "traces":
            layers.append(self._layer(self._traces()))
        return LayeredSources(tuple(layers)) if layers else None

    def _layer(self, folder: Path, intervention: Intervention | None = None) -> WindowedCache:
        """Open a cache, served as long as its intervention says (None: for ever), from pools if the run wants them."""
        run, cache = self.config.run, GuidanceCache.open(folder)
        start, end = (0, None) if intervention is None else (intervention.start_step, intervention.end_step)
        draws = run.guide_num_kept > 1 or run.guide_min_correct > 1
        pool = UniformReplay(cache, self.config.training.seed, run.guide_min_correct) if draws else None
        return WindowedCache(cache, start, end, pool)

    def _traces(self) -> Path:
        """Return the external teacher's traces as a cache of this run, imported when they are first needed.

        Raises:
            UserError: there are none.
        """
        folder, run = self.folder.path / "traces", self.config.run
        path = run.traces or (Path(self.task.traces) if self.task.traces else None)
        if path is None:
            raise UserError(
                f"source=traces, but task {self.task.name!r} ships none and traces is not set. Set it to a file in one "
                "of the formats of `nearfuture guide import`."
            )

        def import_once() -> None:
            if not folder.exists():
                cache, report = import_for(Setting(self.config, self.task), path, run.traces_format, folder)
                left_out = {str(reason): count for reason, count in report.counts().items()}
                self.folder.event("imported", path=str(path), num_prompts=len(cache), left_out=left_out)
                cache.close()

        processes.from_main(import_once)
        return folder

    def collect_damaged_again(self, lineage: Lineage) -> None:
        """Collect damaged guidance on the path to the head again: the same guide writes the same answers.

        Raises:
            UserError: AutoNPO's questions to its guide came from a probe that no longer exists.
        """
        for segment, _ in lineage.path() if self.injects else ():
            intervention, folder = segment.intervention, self.folder.path / segment.folder
            damage = intervention and processes.from_main(partial(damage_of, folder / "guidance"))
            if intervention is None or not damage:
                continue
            if intervention.kind == Kind.AUTO:
                raise UserError(f"{damage} A probe chose its prompts, so it cannot be collected again here.")
            self.context.display.warning(f"{damage} Collecting it again.")
            self.folder.event("guidance_damaged", path=f"{segment.folder}/guidance", reason=damage)
            self.collect(lineage.until(segment.id - 1), intervention, folder)

    def collect(
        self,
        lineage: Lineage,
        intervention: Intervention,
        segment_dir: Path,
        rows: list[dict[str, Any]] | None = None,
        given: Given | None = None,
        known: Known | None = None,
    ) -> CollectionCounts:
        """Collect what an intervention needs into `segment_dir`/guidance.

        Args:
            lineage: the lineage before the branch.
            intervention: says who guides, and from where.
            segment_dir: the folder of the segment that will be guided.
            rows: the prompts to ask; None: those of the replayed window.
            given: samples that the guide has drawn already, by prompt id.
            known: how often prompts were solved and tried before.
        """
        guide, start = intervention.guide, lineage.ref(intervention.start_step)
        facts = {"kind": intervention.kind, "segment": guide.segment, "step": guide.step}
        drawn = CollectionCounts(0, 0, 0)

        def progress(counts: CollectionCounts) -> None:
            nonlocal drawn
            drawn = counts
            self.context.display.collected(counts)

        with contextlib.ExitStack() as held:
            trainer = held.enter_context(self.policy(guide, segment_dir, **self._sampling()))
            rows = self._window(trainer, intervention) if rows is None else rows
            settings = self._settings()
            harvested, tried = self._harvest(lineage, intervention, [row["prompt_id"] for row in rows])
            settings |= {"harvested": harvested, "known": {**(known or {}), **tried}}
            if settings["select"] == "closest":
                learner = held.enter_context(self.policy(start, segment_dir))
                settings |= {"learner": start, "learner_score": TRLEngine(learner).score}
            self.folder.event("collection_started", **facts)
            self.context.display.collecting(guide, len(rows) - len(harvested))
            asked = (TRLEngine(trainer), rows, self.task.verify, segment_dir / "guidance")
            try:
                cache = collect_guidance(*asked, guide=guide, given=given, progress=progress, **settings)
            except NoSignalError:
                if drawn.num_samples:  # nothing was solved, but it was paid for
                    self._write_down(drawn, lineage, guide, facts)
                raise
        with contextlib.closing(cache):
            if self.config.run.guidance_harvest:
                facts |= _reused(cache.header.counts, harvested, intervention.start_step)
            self._write_down(cache.header.counts, lineage, guide, facts)
            return cache.header.counts

    def _harvest(
        self, lineage: Lineage, intervention: Intervention, prompt_ids: list[str]
    ) -> tuple[dict[str, Guidance], Known]:
        """Return answers that the run wrote itself or bought before, and how often it tried prompts."""
        guide, start = intervention.guide, intervention.start_step
        if not self.config.run.guidance_harvest:
            return {}, {}
        found: dict[str, Guidance] = {}
        for segment, _ in lineage.branch(intervention).path()[:-1]:
            if segment.intervention is None or segment.intervention.end_step is not None:
                continue  # it has no guidance, or none that is still served
            with contextlib.closing(GuidanceCache.open(self.folder.path / segment.folder / "guidance")) as cache:
                bought = {prompt_id: cache.lookup(prompt_id) for prompt_id in prompt_ids}
            found |= {prompt_id: guidance for prompt_id, guidance in bought.items() if guidance is not None}
        if guide.step == 0:
            return found, {}
        harvest = Harvest.read(state_file(self.weights(guide), HARVEST), partial(_segment_of, lineage))
        after = 0 if start == guide.step else start
        return found | harvest.answers(prompt_ids, after), harvest.known(prompt_ids)

    def _settings(self) -> dict[str, Any]:
        """Return the settings of every collection of the run, as arguments of `collect_guidance`."""
        run = self.config.run
        return {
            "num_samples": run.guide_num_samples,
            "num_kept": run.guide_num_kept,
            "select": run.guide_select,
            "batch_size": run.guide_batch_size,
            "seed": self.config.training.seed,
            "verifier_version": self.task.verifier_version,
            "allocation": run.guide_allocation,
            "kinds": self.task.groups,
        }

    def _sampling(self) -> dict[str, float]:
        """Return settings of training that replace the run's own when a guide samples."""
        run = self.config.run
        sampling = {"temperature": run.guide_temperature, "top_p": run.guide_top_p}
        return {name: value for name, value in sampling.items() if value is not None}

    def _window(self, trainer: NPOTrainer, intervention: Intervention) -> list[dict[str, Any]]:
        """Return the prompts of the replayed window."""
        prompts = trainer.prompts_between(intervention.start_step, window_end(self.config, intervention))
        return plain_rows(self.context.train_rows, prompts)

    def _write_down(self, counts: CollectionCounts, lineage: Lineage, guide: PolicyRef, facts: dict[str, Any]) -> None:
        """Record what a collection found and cost."""
        self.folder.event(
            "collected",
            **facts,
            total_steps=lineage.total_steps(guide.step),
            guide_segment=guide.segment,
            guide_step=guide.step,
            num_prompts=counts.num_prompts,
            num_solved=counts.num_solved,
            num_samples=counts.num_samples,
            num_dropped_no_eos=counts.num_dropped_no_eos,
            num_dropped_too_long=counts.num_dropped_too_long,
            guide_tokens=counts.num_tokens,
            seconds=counts.seconds,
        )


def _segment_of(lineage: Lineage, step: int) -> int:
    """Return the segment on the path to the head in which a step was trained."""
    return next(segment.id for segment, last in lineage.path() if last is None or step <= last)


def _reused(counts: CollectionCounts, harvested: dict[str, Guidance], start: int) -> dict[str, Any]:
    """Return how much was not bought again, and its mean distance in steps from the start of the replay."""
    distances = [guidance.guide_step - start for guidance in harvested.values()]
    mean = sum(distances) / len(distances) if distances else None
    return {
        "num_harvested": counts.num_harvested,
        "harvested_tokens": counts.harvested_tokens,
        "harvested_distance": mean,
    }
