"""After a replay both branches exist at one step: which one should the run go on from?

    difference = mean over held-out prompts of (pass rate, guided) - (pass rate, abandoned)

Same prompts, same seeds, so that prompts that are merely hard cancel. Beyond the paper, which always goes on from the
guided branch; the lineage makes the comparison cheap. The prompts are the task's `evaluation` split, so that what is
chosen here must be judged on another one (`Task.test`).

Not here: when branches are compared (`nearfuture.run.settings.plan`), going back (`nearfuture.method.lineage`).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from nearfuture.guidance.held_out import Answers
from nearfuture.types import UserError

Z_95 = NormalDist().inv_cdf(0.975)


def compare(guided: Answers, abandoned: Answers) -> dict[str, Any]:
    """Keep the better branch; the guided one where they are equal.

    Args:
        guided: answers of the policy that was trained again with guidance.
        abandoned: answers of the policy that guided it, to the same prompts with the same seeds.

    Returns:
        The facts of the `accepted` event: which branch is `kept`, and by how much, with a normal 95 % interval over
        prompts (None for a single prompt).

    Raises:
        UserError: no prompt could be judged for both.
    """
    differences = np.subtract(guided.rates, abandoned.rates)
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        raise UserError(
            f"none of {len(guided.rates)} held-out prompts could be judged for both branches. Look at the verifier's "
            "time-outs and crashes, or set autonpo.accept=always."
        )
    difference = float(differences.mean())
    half = Z_95 * float(differences.std(ddof=1)) / len(differences) ** 0.5 if len(differences) > 1 else None
    return {
        "kept": "guided" if difference >= 0 else "abandoned",
        "difference": difference,
        "ci_low": None if half is None else difference - half,
        "ci_high": None if half is None else difference + half,
        "num_prompts": len(differences),
        "num_samples": sum(guided.num_judged) + sum(abandoned.num_judged),
        "guided_pass_rate": float(np.nanmean(guided.rates)),
        "abandoned_pass_rate": float(np.nanmean(abandoned.rates)),
        "guide_tokens": guided.num_tokens + abandoned.num_tokens,
        "seconds": guided.seconds + abandoned.seconds,
    }
