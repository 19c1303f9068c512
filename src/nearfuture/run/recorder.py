"""Record a segment while it is trained: one row per step, evaluations, a few groups beside their guidance.

Not here: training it (`nearfuture.run.executor`), reading it back (`nearfuture.record.records`), files
(`nearfuture.record.folder`).
"""

from __future__ import annotations

import math
import time
from typing import Any

from nearfuture.guidance.held_out import answer, metrics_of
from nearfuture.guidance.shown import ShownSamples, cut
from nearfuture.method.lineage import Lineage
from nearfuture.record.records import HELD_OUT
from nearfuture.record.thumbnails import thumbnails
from nearfuture.run.build import RunContext
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.plan import Train, is_evaluated
from nearfuture.tasks import shown
from nearfuture.train import NPOTrainer, TRLEngine, reporters
from nearfuture.train.examples import Example

NUM_GROUPS = 200
"""How many groups of training and prompts of evaluations are kept, spread over the run."""
FIRST_GUIDED = 6
NUM_LOOKED_AT = 32
"""How many prompts, spread over the data, the base policy is asked before a run pays for a guide."""
VERDICTS = {1.0: "correct", 0.0: "wrong"}


class Recorder:
    """The records of the head of `lineage`, on both clocks."""

    def __init__(self, context: RunContext, lineage: Lineage) -> None:
        self.context, self.config, self.task, self.lineage = context, context.config, context.task, lineage
        self.folder, self.display = context.folder, context.display
        self.eval_rows = plain_rows(self.task.evaluation)
        self._num_guided, self._last_kept = 0, 0
        self._began = time.perf_counter()

    @property
    def evaluates(self) -> bool:
        """True if there is something to evaluate."""
        return bool(self.config.run.eval_every and self.eval_rows)

    def is_due(self, stage: Train, step: int) -> bool:
        """True if a step of a stage is evaluated."""
        return self.evaluates and is_evaluated(self.config, self.lineage.head, stage, step)

    def start(self) -> None:
        """Start measuring the time of the next step."""
        self._began = time.perf_counter()

    def clock(self, step: int) -> dict[str, int]:
        """The position of a step: segment, step on the path, steps paid for."""
        return {"segment": self.lineage.head.id, "step": step, "total_steps": self.lineage.total_steps(step)}

    def step(self, step: int, logs: dict[str, Any]) -> None:
        """Write the row of an optimizer step."""
        now = time.perf_counter()
        row = {**self.clock(step), "seconds": now - self._began, **logs}
        self._began = now
        self.folder.append("metrics", row)
        self.display.step(row)

    def evaluate(self, trainer: NPOTrainer, step: int) -> None:
        """Evaluate the held-out prompts and write their row; this time does not count as a step's.

        A step is evaluated before its row is written, so the step's clock must continue where it stood.
        """
        run, paused = self.config.run, time.perf_counter()
        engine = TRLEngine(trainer)
        num_evaluations = 1 + self.config.max_steps // run.eval_every
        kept = ShownSamples(engine, self.task, self.eval_rows, max(2, NUM_GROUPS // num_evaluations))
        with trainer.as_saved():
            answers = answer(
                engine,
                self.eval_rows,
                self.task.verify,
                num_samples=run.eval_num_samples,
                batch_size=run.guide_batch_size,
                seed=trainer.args.seed,
                on_sample=kept.see,
            )
        metrics = metrics_of(answers, self.eval_rows, self.task.groups)
        self.folder.append("metrics", {**self.clock(step), **metrics})
        reporters.tell(trainer, metrics)
        for row in kept.rows(answers.rates):
            self.folder.append("samples", {**self.clock(step), "source": HELD_OUT, **row})
        self.display.evaluated(step, metrics)
        self._began += time.perf_counter() - paused

    def look(self, trainer: NPOTrainer) -> None:
        """Ask the base policy a few prompts, so that a run shows what can be learned before it pays for a guide."""
        paused, train_rows = time.perf_counter(), self.context.train_rows
        spread = range(0, len(train_rows), max(1, len(train_rows) // NUM_LOOKED_AT))[:NUM_LOOKED_AT]
        rows = plain_rows(train_rows, spread)
        answers = answer(
            TRLEngine(trainer),
            rows,
            self.task.verify,
            num_samples=1,
            batch_size=self.config.run.guide_batch_size,
            seed=trainer.args.seed,
        )
        facts = {"num_samples": len(rows), "num_correct": sum(answers.num_correct), "num_cut_off": answers.num_cut_off}
        self.folder.event("base_sampled", **facts)
        self.display.base(**facts)
        self._began += time.perf_counter() - paused

    def shows(self, step: int) -> bool:
        """True for the steps, spread over the run, from which a group is kept."""
        return step == 1 or step % math.ceil(self.config.max_steps / NUM_GROUPS) == 0

    def sample(self, example: Example) -> None:
        """Keep a group for the report: the first few that guidance entered, and one of each step that `shows` names."""
        self._num_guided += example.guidance_text is not None
        is_early = example.guidance_text is not None and self._num_guided <= FIRST_GUIDED
        if not is_early and (example.step == self._last_kept or not self.shows(example.step)):
            return
        self._last_kept = example.step
        texts = [text for text, _ in example.rollouts]
        read = shown.read(self.task, texts, [example.row] * len(texts))
        rollouts = [
            {"text": cut(text), "verdict": VERDICTS.get(verdict, "not judged"), "read": found}
            for (text, verdict), found in zip(example.rollouts, read, strict=True)
        ]
        facts: dict[str, Any] = {"prompt_id": example.prompt_id, "prompt": example.prompt}
        facts |= {"family": example.row.get("family"), "expected": shown.expected(self.task, example.row)}
        facts |= {"pass_rate": example.pass_rate}
        if example.images:
            facts |= {"images": thumbnails(example.images), "num_images": len(example.images)}
        facts |= {"rollouts": rollouts, "guidance": _guidance(example)}
        self.folder.append("samples", {**self.clock(example.step), **facts})


def _guidance(example: Example) -> dict[str, Any] | None:
    if example.guidance_text is None:
        return None
    where = {"guide_segment": example.guide_segment, "guide_step": example.guide_step}
    return {"text": cut(example.guidance_text), **where}
