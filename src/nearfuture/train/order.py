"""The order of the prompts as a function of (seed, epoch), and nothing else.

TRL's `RepeatSampler` draws each epoch's permutation from a generator that remembers how often it was iterated, so a
process that resumes in epoch 3 walks through epoch 0's order. `ExactRepeatSampler` repositions the generator first. An
uninterrupted run sees the very same order under both.

Not here: the buffered rollouts and the counters of a checkpoint (`nearfuture.train.exact`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from trl.trainer.utils import RepeatSampler


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
        """Put the generator where it stands after `epoch` permutations."""
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
