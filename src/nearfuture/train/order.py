"""The order of the prompts as a function of (seed, epoch), and nothing else.

TRL's `RepeatSampler` draws each epoch's permutation from a generator that remembers how often it was iterated, so a
process that resumes in epoch 3 goes through epoch 0's order. `ExactRepeatSampler` repositions the generator first. An
uninterrupted run sees the same order under both.

`Schedule` says which prompts belong to which steps: an epoch is a number of generation batches (leftover prompts are
dropped), a generation batch lasts for a cycle of micro-batches, and an optimizer step takes some of these.

Not here: the buffered rollouts and the counters of a checkpoint (`nearfuture.train.exact`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from trl.trainer.utils import RepeatSampler

PRIME = 1_000_003


@dataclass(frozen=True, slots=True)
class Schedule:
    """How prompts, micro-batches and optimizer steps follow one another.

    Attributes:
        num_prompts: of the data.
        prompts_per_batch: prompts of one generation batch.
        micro_per_batch: micro-batches trained on one generation batch: a generation cycle.
        micro_per_step: micro-batches of one optimizer step.

    Example:
        >>> schedule = Schedule(num_prompts=10, prompts_per_batch=4, micro_per_batch=3, micro_per_step=2)
        >>> schedule.micro_per_epoch, schedule.steps_per_epoch, schedule.micro_step(4)
        (6, 3, 8)
        >>> list(schedule.batches(2, 4))
        [(0, 1, 2), (1, 0, 1)]
    """

    num_prompts: int
    prompts_per_batch: int
    micro_per_batch: int
    micro_per_step: int

    @property
    def micro_per_epoch(self) -> int:
        """Micro-batches in one pass over the prompts."""
        return self.num_prompts // self.prompts_per_batch * self.micro_per_batch

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the prompts."""
        return max(1, -(-self.micro_per_epoch // self.micro_per_step))

    def micro_step(self, step: int) -> int:
        """Micro-batches consumed when optimizer step `step` is done."""
        epochs, rest = divmod(step, self.steps_per_epoch)
        return epochs * self.micro_per_epoch + rest * self.micro_per_step

    def batches(self, start_step: int, end_step: int) -> Iterator[tuple[int, int, int]]:
        """Generation batches trained on in steps `start_step` + 1 to `end_step`: epoch, first batch, end."""
        per_epoch = self.steps_per_epoch
        for epoch in range(start_step // per_epoch, -(-end_step // per_epoch)):
            first = max(0, start_step - epoch * per_epoch) * self.micro_per_step
            last = min(per_epoch, end_step - epoch * per_epoch) * self.micro_per_step
            yield epoch, first // self.micro_per_batch, -(-last // self.micro_per_batch)


class ExactRepeatSampler(RepeatSampler):
    """`RepeatSampler` whose order depends on the seed and the current epoch alone.

    Args:
        epoch: called when an iteration begins; returns the epoch that is about to be walked through.
    """

    def __init__(self, *args: object, epoch: Callable[[], int], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            self._seek(self.epoch())
        yield from super().__iter__()

    def _seek(self, epoch: int) -> None:
        """Put the generator in its state after `epoch` permutations."""
        assert self.seed is not None, "an unseeded order cannot be repeated"
        self.generator.manual_seed(self.seed)
        for _ in range(epoch):
            torch.randperm(self.num_samples, generator=self.generator)

    def prompts(self, epoch: int) -> list[list[int]]:
        """The dataset indices of `epoch`, one list of unique prompts per generation batch."""
        if self.shuffle:
            self._seek(epoch)
            indices = torch.randperm(self.num_samples, generator=self.generator).tolist()
        else:
            indices = list(range(self.num_samples))
        whole = self.num_samples - self.num_samples % self.batch_size
        return [indices[i : i + self.batch_size] for i in range(0, whole, self.batch_size)]


class PartedSampler(ExactRepeatSampler):
    """An order in which every generation batch comes from one part of the data, which `part_of_batch` chooses.

    A part is gone through like separate data: a permutation by (seed, part, pass), with leftover prompts dropped.

    Args:
        parts: of every row, its part.
        part_of_batch: the part that a generation batch asks, counted from the first of the run.
    """

    def __init__(
        self,
        *args: object,
        epoch: Callable[[], int],
        parts: Sequence[int],
        part_of_batch: Callable[[int], int],
        **kwargs: object,
    ) -> None:
        super().__init__(*args, epoch=epoch, **kwargs)
        self.part_of_batch = part_of_batch
        self.rows_of = [[i for i, part in enumerate(parts) if part == number] for number in range(max(parts) + 1)]

    def __iter__(self) -> Iterator[int]:
        for batch in self.prompts(self.epoch()):
            for _ in range(self.repeat_count):
                for index in batch:
                    yield from [index] * self.mini_repeat_count

    def prompts(self, epoch: int) -> list[list[int]]:
        """The dataset indices of `epoch`, one list of unique prompts of one part per generation batch."""
        per_epoch = self.num_samples // self.batch_size
        counts = [0] * len(self.rows_of)
        batches = []
        for number in range((epoch + 1) * per_epoch):
            part = self.part_of_batch(number)
            if number >= epoch * per_epoch:
                batches.append(self._batch(part, counts[part]))
            counts[part] += 1
        return batches

    def _batch(self, part: int, number: int) -> list[int]:
        rows = self.rows_of[part]
        epoch, at = divmod(number, len(rows) // self.batch_size)
        order = list(range(len(rows)))
        if self.shuffle:
            assert self.seed is not None, "an unseeded order cannot be repeated"
            self.generator.manual_seed(((self.seed * PRIME + part) * PRIME + epoch) % 2**63)
            order = torch.randperm(len(rows), generator=self.generator).tolist()
        return [rows[i] for i in order[at * self.batch_size : (at + 1) * self.batch_size]]
