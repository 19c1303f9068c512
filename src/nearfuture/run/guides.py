"""The guides of a run: load a policy of the lineage, have it solve prompts, keep what was verified.

Not here: when that happens (`nearfuture.run.settings.plan`), the sampling itself (`nearfuture.guidance.collect`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset

from nearfuture.guidance import (
    CollectionCounts,
    GuidanceCache,
    LayeredCaches,
    Source,
    UniformReplay,
    WindowedCache,
    collect_guidance,
)
from nearfuture.guidance.collect import Given
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.method.lineage import Lineage
from nearfuture.record.folder import RunFolder
from nearfuture.run import build
from nearfuture.run.interop import Setting, import_for
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import window_end
from nearfuture.run.show import Display
from nearfuture.tasks import Task
from nearfuture.train import NPOTrainer, TRLEngine, checkpoint, processes, sharding
from nearfuture.train.factory import release
from nearfuture.types import Intervention, NoSignalError, PolicyRef, UserError


class Guides:
    """Loads guides into trainers of the run and collects from them."""

    def __init__(
        self, config: Configuration, task: Task, display: Display, folder: RunFolder, train_rows: Dataset
    ) -> None:
        self.config, self.task, self.display, self.folder = config, task, display, folder
        self.train_rows = train_rows
        self._seed = config.training.seed

    @property
    def injects(self) -> bool:
        """True where guidance takes a slot; a guide that only distils is not sampled."""
        return self.config.training.inject_guidance

    def weights(self, ref: PolicyRef) -> Path:
        """The folder with the weights of a policy of the lineage; step 0 is the base model.

        Raises:
            UserError: the checkpoint is not whole.
        """
        if ref.step == 0:
            return Path(build.base_model(self.config, self.task))
        checkpoint.read_state(self.folder.path / ref.path)
        return self.folder.path / ref.path

    def policy(self, ref: PolicyRef | None, output_dir: Path, **settings: Any) -> NPOTrainer:
        """A trainer that holds the policy `ref` (None: the base weights), to sample or score with.

        `settings` of training replace the run's own.
        """
        trainer = build.build_trainer(self.config.with_training(**settings), self.task, self.train_rows, output_dir)
        sharding.place(trainer)
        if ref is not None and ref.step:
            trainer._load_from_checkpoint(str(self.weights(ref)))
        return trainer

    def source(self, lineage: Lineage) -> Source | None:
        """Where the head's guidance comes from; None: nowhere.

        All guidance on the path to the head counts, the latest first. What an abandoned branch collected is left
        behind with it.
        """
        run = self.config.run
        if run.source == "experience":
            return ExperienceReplay(run.experience_frac, run.experience_start_pass_rate, self._seed)
        layers = [
            self._layer(self.folder.path / segment.folder / "guidance", segment.intervention)
            for segment, _ in lineage.path()[::-1]
            if segment.intervention is not None and self.injects
        ]
        if run.source == "traces":
            layers.append(self._layer(self._traces()))
        return LayeredCaches(tuple(layers)) if layers else None

    def _layer(self, folder: Path, intervention: Intervention | None = None) -> WindowedCache:
        """A cache, served as long as its intervention says (None: for ever), from pools where the run asks for them."""
        run, cache = self.config.run, GuidanceCache.open(folder)
        start, end = (0, None) if intervention is None else (intervention.start_step, intervention.end_step)
        draws = run.guide_num_kept > 1 or run.guide_min_correct > 1
        pool = UniformReplay(cache, self._seed, run.guide_min_correct) if draws else None
        return WindowedCache(cache, start, end, pool)

    def _traces(self) -> Path:
        """The external teacher's traces as a cache of this run, imported when they are first needed.

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

        processes.main_first(import_once)
        return folder

    def collect(
        self,
        lineage: Lineage,
        intervention: Intervention,
        segment_dir: Path,
        rows: list[dict[str, Any]] | None = None,
        given: Given | None = None,
    ) -> CollectionCounts:
        """Collect what an intervention needs into `segment_dir`/guidance.

        Args:
            lineage: before the branch.
            intervention: says who guides, and from where.
            segment_dir: folder of the segment that will be guided.
            rows: the prompts to ask; None: those of the window that is replayed.
            given: samples of the guide that were drawn before, by prompt id.
        """
        guide, run = intervention.guide, self.config.run
        sampling = {"temperature": run.guide_temperature, "top_p": run.guide_top_p}
        trainer = self.policy(guide, segment_dir, **{k: v for k, v in sampling.items() if v is not None})
        if rows is None:
            window = trainer.prompts_between(intervention.start_step, window_end(self.config, intervention))
            rows = plain_rows(self.train_rows, window)
        start = lineage.ref(intervention.start_step)
        learner = self.policy(start, segment_dir) if run.guide_select == "closest" else None
        facts = {"kind": intervention.kind, "segment": guide.segment, "step": guide.step}
        self.folder.event("collection_started", **facts)
        self.display.collecting(guide, len(rows))
        drawn: list[CollectionCounts] = []

        def progress(counts: CollectionCounts) -> None:
            drawn.append(counts)
            self.display.collected(counts)

        try:
            cache = collect_guidance(
                TRLEngine(trainer),
                rows,
                self.task.verify,
                segment_dir / "guidance",
                guide=guide,
                num_samples=run.guide_num_samples,
                num_kept=run.guide_num_kept,
                select=run.guide_select,
                batch_size=run.guide_batch_size,
                seed=trainer.args.seed,
                learner_score=None if learner is None else TRLEngine(learner).score,
                learner=None if learner is None else start,
                verifier_version=self.task.verifier_version,
                given=given,
                progress=progress,
            )
        except NoSignalError:
            for counts in drawn[-1:]:
                self._collected(lineage, guide, counts, facts)  # nothing was solved, and it was paid for
            raise
        finally:
            release(trainer)
            if learner is not None:
                release(learner)
        counts = cache.header.counts
        cache.close()
        self._collected(lineage, guide, counts, facts)
        return counts

    def _collected(self, lineage: Lineage, guide: PolicyRef, counts: CollectionCounts, facts: dict[str, Any]) -> None:
        """Write down what a collection found and cost."""
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
