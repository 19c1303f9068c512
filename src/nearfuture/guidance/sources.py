"""Where the trainer asks for guidance: one look-up per prompt and step.

Not here: how guidance is stored (`cache`) or obtained (`collect`), whether it is used (`method`: the gate).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Protocol

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.types import Guidance, NoSignalError


class Source(Protocol):
    """Anything that may hold guidance for a prompt at a step of training."""

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return the guidance for `prompt_id` at `step` (optimizer steps), or None."""
        ...


@dataclass(frozen=True, slots=True)
class WindowedCache:
    """A cache that is served only for `start_step <= step < end_step` (`end_step` None: without end).

    `pool` draws among the trajectories of a prompt; without it the first one is served.
    """

    cache: GuidanceCache
    start_step: int = 0
    end_step: int | None = None
    pool: UniformReplay | None = None

    def __post_init__(self) -> None:
        if self.end_step is not None and self.end_step <= self.start_step:
            raise ValueError(
                f"end_step={self.end_step} is not after start_step={self.start_step}: the window is empty. "
                "Set end_step above start_step, or None for no end."
            )

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return the guidance for `prompt_id` while the window is open, else None."""
        is_open = self.start_step <= step and (self.end_step is None or step < self.end_step)
        if not is_open:
            return None
        return self.cache.lookup(prompt_id) if self.pool is None else self.pool.lookup(prompt_id, step)


@dataclass(frozen=True, slots=True)
class LayeredSources:
    """Several sources; the first one that has a prompt serves it, e.g. the latest guide before earlier ones."""

    layers: tuple[Source, ...]

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return the guidance of the first layer that serves the prompt at `step`, else None."""
        found = (layer.lookup(prompt_id, step) for layer in self.layers)
        return next((guidance for guidance in found if guidance is not None), None)


def layers(source: Source | None) -> tuple[Source, ...]:
    """Return the sources that a source consists of: none, itself, or its layers."""
    if isinstance(source, LayeredSources):
        return source.layers
    return () if source is None else (source,)


@dataclass(frozen=True, slots=True)
class UniformReplay:
    """A trajectory drawn uniformly from the pool of the prompt, anew at each visit.

        lookup(p, step) ~ uniform over pool(p),    a function of (seed, p, step) alone

    So it is the same on every process and after a resume. See RLEP (arXiv:2507.07451), which replays from a pool of
    verified answers and leaves out questions with fewer than 2 valid ones of 64 samples.

    `min_correct` counts correct samples, not different texts: it measures how reliably the guide solves a prompt, and
    a prompt whose one short right answer was found ten times was solved ten times. If such a pool is smaller than what
    is replayed, the same trajectory comes again. The count stops when sampling stops, so collect with
    `num_kept >= min_correct` (or `select="closest"`, which draws all samples).

    Args:
        cache: the pools.
        seed: the seed of the draws.
        min_correct: prompts with fewer correct samples get nothing; `num_left_out` counts them.

    Raises:
        NoSignalError: no prompt has that many.
    """

    cache: GuidanceCache
    seed: int = 0
    min_correct: int = 1
    _served: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        num_correct = self.cache.num_correct()
        served = frozenset(prompt_id for prompt_id, number in num_correct.items() if number >= self.min_correct)
        if not served:
            raise NoSignalError(
                f"none of the {len(num_correct)} prompts of {self.cache.folder} has "
                f"guide_min_correct={self.min_correct} correct samples (most: {max(num_correct.values(), default=0)}). "
                "Lower it, or collect with more samples (guide_num_samples) and keep as many (guide_num_kept)."
            )
        object.__setattr__(self, "_served", served)

    @property
    def num_left_out(self) -> int:
        """The number of prompts in the cache with too few correct samples."""
        return len(self.cache) - len(self._served)

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        """Return one of the prompt's trajectories, or None if it has too few correct samples."""
        if prompt_id not in self._served:
            return None
        number = random.Random(f"{self.seed}/{prompt_id}/{step}").randrange(self.cache.pool_size(prompt_id))
        return self.cache.lookup(prompt_id, number)
