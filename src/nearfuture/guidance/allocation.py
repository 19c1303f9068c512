"""Where the next sample of a guide is most likely to succeed, given what is known about prompts and their kinds.

    chance(x) = (c + w r) / (n + w)         c correct of n tries of the prompt, including those before the collection
    r         = (C + w m) / (N + w)         the same over all prompts of its kind
    m         = (C + 1) / (N + 2)           over all prompts

A prompt that was solved once in 8 tries is asked before one of a kind that is rarely solved, and one that failed 64
times comes last. If nothing is known all chances are equal, and every failure puts a prompt behind the others, which
gives the even order. Always taking the largest posterior mean is the greedy rule of Bayesian bandits; nothing is
explored for its own sake, since an arm that succeeds is done. See docs/methods/autonpo.md for what it saves.

Not here: the order of the draws and the budget (`draws`), the source of this knowledge (`nearfuture.run.guides`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

WEIGHT = 2.0
"""How many tries the knowledge about a kind counts for."""
MOST = 8
"""A single prompt may have this many times the mean number of samples."""


@dataclass(slots=True)
class Chances:
    """What is known so far: a function of earlier knowledge and the observed samples.

    Args:
        kinds: the kind of each prompt, any comparable value; prompts of one kind inform each other.
        known: correct and judged tries before the collection, by number of the prompt.

    Example:
        >>> chances = Chances(["easy", "easy", "hard"], {0: (1, 8)})
        >>> [round(chances.of(*prompt_and_failures), 3) for prompt_and_failures in ((0,), (1,), (1, 3))]
        [0.128, 0.14, 0.056]
    """

    kinds: Sequence[Hashable]
    known: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    _of_prompt: list[list[int]] = field(init=False)
    _of_kind: dict[Hashable, list[int]] = field(init=False)
    _of_all: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._of_prompt = [[0, 0] for _ in self.kinds]
        self._of_kind = {kind: [0, 0] for kind in self.kinds}
        self._of_all = [0, 0]
        for prompt, (correct, judged) in self.known.items():
            self._add(prompt, correct, judged)

    def observe(self, prompt: int, *, is_correct: bool) -> None:
        """Record a sample."""
        self._add(prompt, int(is_correct), 1)

    def of(self, prompt: int, num_failures: int = 0) -> float:
        """Return the chance that the next sample of a prompt is correct after this many more failures."""
        correct, tries = self._of_prompt[prompt]
        kind_correct, kind_tries = self._of_kind[self.kinds[prompt]]
        mean = (self._of_all[0] + 1) / (self._of_all[1] + 2)
        rate = (kind_correct + WEIGHT * mean) / (kind_tries + WEIGHT)
        return (correct + WEIGHT * rate) / (tries + num_failures + WEIGHT)

    def _add(self, prompt: int, correct: int, tries: int) -> None:
        for counts in (self._of_prompt[prompt], self._of_kind[self.kinds[prompt]], self._of_all):
            counts[0] += correct
            counts[1] += tries
