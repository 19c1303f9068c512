"""The mistake pool: which prompts the policy has recently failed, when, and how badly.

It answers the question of a rollback: which prompts that the current policy may solve were failed between the
checkpoint and now? Only on-policy verdicts enter it, counted before any slot is replaced.

Deviations: the paper keeps prompts "of recent batches with very low accuracy" together with their step (one account).
Threshold, bound and the rule of deletion are ours (reconstruction.md 2.2; `keep_solved` switches it off), and so is
reading a slice as "failed since the checkpoint" rather than "failed at its step"; `mode` switches.

Not here: whether it is time to go back (`trigger`), how far (`rollback`), the probe that samples the prompts again
(`nearfuture.run`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Literal

import numpy as np

Mode = Literal["since", "at"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """The latest failure on one prompt.

    `step` is the optimizer step whose rollouts failed, `pass_rate` their share of correct ones (0 to 1), and
    `last_seen_step` the last step that met the prompt: later than `step` only if it was solved or nothing could be
    judged since. `solved_step` is the first step after `step` that solved it; None if none did.
    """

    prompt_id: str
    step: int
    pass_rate: float
    last_seen_step: int
    solved_step: int | None = None

    def stands_at(self, step: int) -> bool:
        """True if no batch up to `step` has solved it."""
        return self.solved_step is None or self.solved_step > step


class MistakePool:
    """The latest failure on each prompt, over the last `window` steps.

        insert x   if p(x) <= max_pass_rate        (the latest failure wins)
        delete x   if p(x) >  max_pass_rate (unless `keep_solved`), or if its failure is `window` steps old

    See reconstruction.md 2.2. A solved prompt is deleted because the gate, which has the same threshold, would throw
    guidance on it away. That is so for the present policy. The policy of a checkpoint before the failure has yet to
    solve it, which is what `keep_solved` is for; the two differ only where a prompt comes back within `window` steps.

    Args:
        max_pass_rate: highest pass rate that counts as a failure: the gate's threshold.
        window: optimizer steps a failure is remembered; as far as the longest rollback distance.
        keep_solved: remember a failure after the prompt has been solved, too.

    Example:
        >>> pool = MistakePool(max_pass_rate=0.6, window=100)
        >>> pool.observe(1, ["a", "b"], [0.0, 0.25])
        >>> pool.observe(2, ["a", "c"], [0.875, 0.5])
        >>> [(mistake.prompt_id, mistake.step) for mistake in pool.slice(0, 2)]
        [('b', 1), ('c', 2)]
    """

    def __init__(self, max_pass_rate: float, window: int, *, keep_solved: bool = False) -> None:
        assert 0.0 <= max_pass_rate < 1.0 and window >= 1
        self.max_pass_rate = max_pass_rate
        self.window = window
        self.keep_solved = keep_solved
        self._mistakes: dict[str, Mistake] = {}
        self._step = 0
        self._num_solved = 0
        self._num_expired = 0

    def __len__(self) -> int:
        return len(self._mistakes)

    def observe(self, step: int, prompt_ids: Sequence[str], pass_rates: Iterable[float]) -> None:
        """Record one batch.

        Args:
            step: the optimizer step these rollouts are for; may not go back (a rollback loads the checkpoint's state).
            prompt_ids: one per group, the same on every process.
            pass_rates: on-policy pass rate of each group; NaN if nothing could be judged, which is neither a failure
                nor a success.
        """
        assert step >= self._step, f"step {step} after step {self._step}: load the checkpoint's state first"
        self._step = step
        for prompt_id, pass_rate in zip(prompt_ids, map(float, pass_rates), strict=True):
            known = self._mistakes.get(prompt_id)
            if pass_rate <= self.max_pass_rate:
                self._mistakes[prompt_id] = Mistake(prompt_id, step, pass_rate, step)
            elif known is not None and math.isnan(pass_rate):
                self._mistakes[prompt_id] = replace(known, last_seen_step=step)
            elif known is not None:
                self._num_solved += known.solved_step is None
                if self.keep_solved:
                    since = step if known.solved_step is None else known.solved_step
                    self._mistakes[prompt_id] = replace(known, last_seen_step=step, solved_step=since)
                else:
                    del self._mistakes[prompt_id]
        kept = {name: mistake for name, mistake in self._mistakes.items() if mistake.step > step - self.window}
        self._num_expired += len(self._mistakes) - len(kept)
        self._mistakes = kept

    def slice(self, start_step: int, end_step: int, mode: Mode = "since") -> list[Mistake]:
        """Return the failures a replay from `start_step` to `end_step` would cross.

            since:  start < step(x) <= end         the steps the replay trains again
            at:     step(x) = start + 1            the first of them only

        See reconstruction.md 2.2: B_D belongs to "step t - D", which can be read both ways; `since` is ours. A
        checkpoint at step s is the policy after s updates, so the first batch after it is that of step s + 1.

        Args:
            start_step: step of the checkpoint to return to.
            end_step: step of the policy that would be the guide.
            mode: the reading.

        Returns:
            The failures by step, then prompt: the same on every process and after every resume.
        """
        last = end_step if mode == "since" else min(start_step + 1, end_step)
        found = [mistake for mistake in self._mistakes.values() if start_step < mistake.step <= last]
        return sorted(found, key=lambda mistake: (mistake.step, mistake.prompt_id))

    def standing(self, step: int, now: int) -> list[Mistake]:
        """Return the failures up to `now` that no batch up to `step` has solved, as `slice` orders them."""
        return [mistake for mistake in self.slice(0, now) if mistake.stands_at(step)]

    def sample(
        self, num: int, rng: np.random.Generator, start_steps: Iterable[int], end_step: int, mode: Mode = "since"
    ) -> list[Mistake]:
        """Draw failures of the slices of several checkpoints, spread evenly over their steps.

            x_(floor((u + i) N / n)),   i = 0 .. n - 1,   u ~ U[0, 1)        (systematic sampling)

        See reconstruction.md 2.3. The N failures are ordered by step, shuffled within
        one; each is drawn with probability n / N, and any stretch of steps gets its share, to a whole prompt.

        Args:
            num: how many; all of them if the slice has fewer.
            rng: the source of u and of the order within a step.
            start_steps: steps of the checkpoints; a failure in several of their slices counts once.
            end_step: see `slice`.
            mode: see `slice`.

        Returns:
            Different failures, by step.
        """
        slices = [self.slice(start_step, end_step, mode) for start_step in start_steps]
        found = sorted({one for each in slices for one in each}, key=lambda one: (one.step, one.prompt_id))
        shuffled = [found[i] for i in rng.permutation(len(found))]
        shuffled.sort(key=lambda mistake: mistake.step)
        num = min(num, len(found))
        offset = rng.random()
        return [shuffled[min(int((offset + i) * len(found) / num), len(found) - 1)] for i in range(num)]

    def metrics(self) -> dict[str, float]:
        """Return the pool's size, difficulty and age, and how many were solved or became too old since the start."""
        mistakes = self._mistakes.values()
        metrics = {
            "autonpo/pool/num_prompts": float(len(mistakes)),
            "autonpo/pool/num_solved": float(self._num_solved),
            "autonpo/pool/num_expired": float(self._num_expired),
        }
        if mistakes:
            metrics["autonpo/pool/pass_rate"] = sum(mistake.pass_rate for mistake in mistakes) / len(mistakes)
            metrics["autonpo/pool/age"] = sum(self._step - mistake.step for mistake in mistakes) / len(mistakes)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return the whole memory as JSON values, in order of insertion."""
        return {
            "step": self._step,
            "num_solved": self._num_solved,
            "num_expired": self._num_expired,
            "mistakes": [list(astuple(mistake)) for mistake in self._mistakes.values()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was called."""
        self._step, self._num_solved, self._num_expired = state["step"], state["num_solved"], state["num_expired"]
        self._mistakes = {row[0]: Mistake(*row) for row in state["mistakes"]}
