"""Is going back worth its steps? The gain expected from guidance, minus what the steps would have brought.

    gain(D)  = c f 1/|P| sum_x pass@k(x) (1 - p_x(D))^G / V(D)
    price(D) = max(0, slope) D
    D*       = argmax_D gain(D) - price(D),    if that is above 0; else the run continues

f is the share of the training prompts that the guide is asked, P the probed ones, pass@k how often k samples of the
guide contain an answer (k is what a prompt is asked, at most what the probe drew), and (1 - p)^G how often G rollouts
of the guided policy contain none, so that the answer is news. Gain and price are pass rates, and the slope is that of
the on-policy pass rate over the trigger's window.

Deviations: all of it is ours; the paper takes argmax Q / V, in which a step costs nothing and staying (D = 0, where p
is the guide's own pass rate, V = 1 and the price 0) is not a candidate. `c` is fitted on runs
(`measurements/price_calibration.py`, docs/methods/autonpo.md).

Letters: P prompts.

Not here: Q, V and the guards (`rollback`), the probe (`nearfuture.run.auto.probe`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from nearfuture.method.rollback import Candidate, Choice, Guard, Limits, excluded, signal_or_none, why
from nearfuture.method.signal import Floats, Ints, pass_at_k
from nearfuture.method.trends import fit_line


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of the gain and the price of any candidate.

    Attributes:
        factor: c, the gain in pass rate per share of prompts that got an answer that was news.
        num_samples: k, the most samples per prompt when the guide is asked.
        num_generations: G, rollouts per group.
        slope: rise of the on-policy pass rate per step.
    """

    factor: float
    num_samples: int
    num_generations: int
    slope: float


def slope_of(steps: Sequence[int], pass_rates: Sequence[float]) -> float:
    """Fit a line to the on-policy pass rate of a window; 0 if it has fewer than 3 steps."""
    return fit_line(steps, pass_rates).slope if len(steps) >= 3 else 0.0


def expected_gain(
    terms: Terms, share: float, counts_P: tuple[Ints, Ints], pass_rate_P: Floats, variance_cost: float
) -> float:
    """Estimate how much pass rate the guidance of a candidate brings.

    Args:
        terms: the run's terms.
        share: f, the share of the training prompts that the guide would be asked.
        counts_P: judged and correct samples of the guide, [P] each. A prompt with fewer than k judged ones leaves the
            mean.
        pass_rate_P: p, the pass rates of the policy that would be guided, [P].
        variance_cost: V.

    Returns:
        The gain; NaN without a prompt that could be judged.

    Example:
        >>> terms = Terms(factor=0.5, num_samples=8, num_generations=1, slope=0.0)
        >>> expected_gain(terms, 0.4, (np.array([8, 8]), np.array([2, 0])), np.array([0.0, 0.0]), 1.0)
        0.1
    """
    num_judged_P, num_correct_P = counts_P
    if not num_judged_P.any():
        return float("nan")
    k = min(terms.num_samples, int(num_judged_P.max()))
    news_P = pass_at_k(num_judged_P, num_correct_P, k) * (1.0 - pass_rate_P) ** terms.num_generations
    return float(terms.factor * share * np.nanmean(news_P) / variance_cost)


def price_of(terms: Terms, distance: int) -> float:
    """What the run would have gained with the replayed steps: its slope, if positive, times the steps."""
    return max(0.0, terms.slope) * distance


def select_worth(
    candidates: Sequence[Candidate], *, min_prompts: int, min_quality: float, blocked_steps: Collection[int] = ()
) -> Choice:
    """Choose the candidate whose expected gain exceeds its price by the most.

    Args:
        candidates: one per checkpoint, in any order, with gain and price.
        min_prompts: how many probed prompts a slice needs.
        min_quality: lowest pass rate of the guide on a slice.
        blocked_steps: checkpoints that the run has returned to without progress since.

    Returns:
        The choice, with candidate None if no gain exceeds its price; `guard` is `price` where the largest S was not
        taken because of it.
    """
    limits = Limits(min_prompts, min_quality, blocked_steps)
    if not candidates:
        return Choice(None, Guard.NO_CHECKPOINT, "There is no checkpoint before this step. Save earlier (save_steps).")
    ordered = sorted(candidates, key=lambda candidate: candidate.rollback_distance)
    paper = max(ordered, key=signal_or_none)
    allowed = [one for one in ordered if excluded(one, limits) is None and not np.isnan(one.worth)]
    if not allowed:
        whys = "; ".join(f"distance {c.rollback_distance}: {why(c, limits)}" for c in ordered)
        return Choice(None, excluded(paper, limits) or Guard.GUIDE_TOO_WEAK, f"No candidate is left. {whys}.")
    best = max(allowed, key=lambda candidate: candidate.worth)
    if not best.worth > 0.0:
        return Choice(None, Guard.PRICE, f"Nothing is worth its price. {_said(best)}.")
    guard = excluded(paper, limits) or (None if best is paper else Guard.PRICE)
    return Choice(best, guard, f"{_said(best)}: no other is worth more.")


def _said(candidate: Candidate) -> str:
    gain = f"expected to bring {candidate.expected_gain:+.3g} of pass rate"
    if candidate.rollback_distance == 0:
        return f"Staying is {gain} and costs no step"
    price = f"the run would have gained {candidate.price:.3g} with these steps"
    return f"Distance {candidate.rollback_distance} is {gain}, and {price}"
