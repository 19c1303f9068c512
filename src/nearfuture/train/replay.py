"""Use `ExperienceReplay` in a trainer: ask questions again, replay an answer, record new successes.

    mix       the last floor(frac P) questions of a batch become questions of the buffer; each is served one answer
    observe   correct rollouts of questions solved sometimes wait for their log-probs (`awaiting`)
    flush     every process stores what all of them found, in one order

See ExGRPO (arXiv:2510.02245), docs/methods/exgrpo.md. Deviations: a question of the data that gives way to one of the
buffer does not occur in this epoch (`replay/num_served` counts them); the fresh rollout in the replayed slot is
generated and discarded, as in every other method here.

Letters: P prompts, G generations per prompt, B local rows.

Not here: which question, which answer (`nearfuture.guidance.experience`), its weight (`nearfuture.method.weighting`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from accelerate.utils import gather_object
from trl import GRPOTrainer

from nearfuture.guidance.experience import ExperienceReplay, Success
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train.awaiting import Awaiting
from nearfuture.train.step import Row, Step

Entropies = Callable[[list[Row], list[tuple[int, ...]]], list[float]]
"""Mean token entropy (nats) of the current policy along completions; called on all processes with the same rows."""


class Replayer(Awaiting):
    """One trainer's use of an `ExperienceReplay`."""

    key = "success"

    def __init__(self, trainer: GRPOTrainer, source: ExperienceReplay, entropies: Entropies) -> None:
        super().__init__()
        self.trainer, self.source, self.entropies = trainer, source, entropies
        self._index = {prompt_id: i for i, prompt_id in enumerate(trainer.train_dataset["prompt_id"])}

    def mix(self, inputs: list[Row]) -> list[Row]:
        """Return this process's rows with the questions that are asked again in the last places."""
        size = self.trainer.num_generations
        ids_P = gather_object([row["prompt_id"] for row in inputs])[::size]
        drawn = self.source.draw(self.trainer._step, len(ids_P), size, set(ids_P))
        self.source.serve(self._choose(drawn))
        first = len(ids_P) - len(drawn)
        offset = self.trainer.accelerator.process_index * len(inputs)
        prompts = [(offset + i) // size - first for i in range(len(inputs))]
        return [row if p < 0 else self._row(drawn[p]) for row, p in zip(inputs, prompts, strict=True)]

    def _row(self, prompt_id: str) -> Row:
        return dict(self.trainer.train_dataset[self._index[prompt_id]])

    def _choose(self, prompt_ids: Sequence[str]) -> dict[str, Success]:
        """Choose among each question's answers the one with the lowest mean entropy; a single answer is not scored."""
        several = [success for p in prompt_ids if len(self.source.stored(p)) > 1 for success in self.source.stored(p)]
        entropies: dict[tuple[str, tuple[int, ...]], float] = {}
        if several:
            values = self.entropies([self._row(s.prompt_id) for s in several], [s.completion_ids for s in several])
            entropies = {(s.prompt_id, s.completion_ids): v for s, v in zip(several, values, strict=True)}
        return {
            p: min(self.source.stored(p), key=lambda s: entropies.get((s.prompt_id, s.completion_ids), 0.0))
            for p in prompt_ids
        }

    def observe(self, step: Step) -> None:
        """Record a step: the buckets, and the correct rows of this process, which wait for their log-probs."""
        for name, value in self.source.metrics().items():
            self.trainer._metrics["train"][name].append(value)
        is_correct_P_G = step.correct_P_G & step.is_judged_P_G
        num_correct_P, num_judged_P = is_correct_P_G.sum(1), step.is_judged_P_G.sum(1)
        self.source.observe(step.prompt_ids, num_correct_P.tolist(), num_judged_P.tolist())
        is_kept_B = step.local((is_correct_P_G & (num_correct_P < num_judged_P)[:, None]).view(-1))
        self.wait(step, is_kept_B, self.trainer.eos_token_ids)

    def flush(self) -> None:
        """Store what all processes found; called on all of them."""
        step = self.trainer.state.global_step
        found = [
            Success(one.row["prompt_id"], prompt_hash(one.row), one.completion_ids, one.logps or (), step)
            for one in self.drain()
        ]
        self.source.store(gather_object(found))
