"""Recommend from a log: keep what the run solves, stay and ask again, go back (how far), or leave it; and how sure.

    solved      the reward has no room to rise                                  leave it
    rising      a step is worth its slope, going back D steps costs D times it  stay, and keep what is solved; go back
                                                                                a few steps at most
    flat        the entropy falls, or the trigger has fired before: steps are worth little, the policy has narrowed
                                                                                begin again and keep what is solved, or
                                                                                go back
    flat        the entropy never fell: no near future would differ             leave it
    falling     something is wrong that guidance does not mend                  inspect it

The gains of guidance are those of this repository's own studies (docs/when-it-pays.md), in pass rate, on small worlds.
No log can say what guidance would bring in another run, so a recommendation is never surer than those studies.

Not here: where the trigger fires (`advise`), the price inside a run (`nearfuture.method.price`).
"""

from __future__ import annotations

import math
from typing import Any

from nearfuture.method.trends import MIN_ROWS, Line, fit_line
from nearfuture.method.trigger import Evidence
from nearfuture.method.trigger_config import SLOPE_STEPS
from nearfuture.record.logs import Log

GAINED = 0.045
"""Held-out pass rate that AutoNPO gained over GRPO at equal step: apprentice, five seeds (docs/log.md)."""
SOLVED = 0.95
CLEARLY, MANY_ROWS = 4.0, 20
"""Standard errors by which a slope is clearly negative, over this many rows at least."""
NEAREST, FARTHEST = 10, 100
"""How many steps back AutoNPO considers."""
SURE = {
    "stay": "On one small world, where a prompt has one right answer, keeping what is solved brought +0.066 [+0.038, "
    "+0.094] of held-out pass rate over GRPO at equal steps and +0.065 [+0.037, +0.092] at equal tokens (five seeds). "
    "On another, with many right answers, it raised pass@8 (+0.108 [+0.049, +0.168], three seeds) and not pass@1. "
    "Three epochs were too few, on one seed. Nobody has tried it at real size. Going back was not ahead at equal total "
    "steps on a curve that rises.",
    "back": "On one small world, where a prompt has one right answer, a run that kept what it solved from the start "
    "was ahead of GRPO of 1,400 steps after 800 (+0.067 [+0.039, +0.094], five seeds); on another, with many right "
    "answers, it raised pass@8 and not pass@1. Going back by 400 steps was ahead at 1,400 total steps (+0.048 [+0.004, "
    "+0.092]) and no longer at 1,900 (+0.008 [-0.041, +0.057]). Nobody has tried either at real size.",
    "leave": "As sure as the curve: nothing was tried here on a run that is solved or does not move.",
    "inspect": "As sure as the curve: nothing was tried here on a run whose reward falls.",
    "wait": "Not at all: the log is too short.",
}


def recommend(log: Log, evidence: Evidence | None, fired: list[int]) -> dict[str, Any]:
    """Say what the end of a log suggests.

    Args:
        log: steps, rewards and entropies.
        evidence: the trigger's evidence at the end of the log; None if there are too few rows.
        fired: steps at which the trigger fired.

    Returns:
        `what` (`stay`, `back`, `leave`, `inspect` or `wait`), `max_distance` in steps (None: nothing limits it), the
        reward's `slope` per step with its standard error, `why` and `how_sure` in words.
    """
    rows = [(s, r) for s, r in zip(log.steps, log.rewards, strict=True) if math.isfinite(r)]
    num_recent = sum(row[0] > rows[-1][0] - SLOPE_STEPS for row in rows)
    if evidence is None or len(rows) < MIN_ROWS:
        return _said("wait", None, None, None, "There are too few rows for the trigger.")
    line, longer = (_line(rows[-max(num_recent, least) :]) for least in (MIN_ROWS, MANY_ROWS))
    is_pass_rate = all(0 <= reward <= 1 for _, reward in rows[-max(num_recent, MIN_ROWS) :])
    if is_pass_rate and line.mean >= SOLVED:
        return _said(
            "leave", None, line.slope, line.slope_se, f"The reward is {line.mean:.3g}: little is left to gain."
        )
    if len(rows) >= MANY_ROWS and longer.slope < -CLEARLY * longer.slope_se:
        why = (
            f"The reward falls, lately by {-longer.slope:.2g} per step. Find out why first: the learning rate, the "
            "reward function, responses that are cut off."
        )
        return _said("inspect", None, longer.slope, longer.slope_se, why)
    if not evidence.is_stagnant:
        farthest = int(GAINED / line.slope) if is_pass_rate and line.slope > 0 else None
        return _said("stay", farthest, line.slope, line.slope_se, _dear(line.slope, farthest, is_pass_rate))
    if log.columns["entropy"] is None:
        why = "The reward stands still; whether the policy narrows cannot be seen without the entropy."
        return _said("stay", None, line.slope, line.slope_se, why)
    if evidence.is_declining or fired:
        narrow = "the entropy falls" if evidence.is_declining else f"the trigger fired at step {fired[-1]}"
        why = (
            f"The reward stands still and {narrow}: steps cost little, and the policy narrows. Begin "
            f"again, or go back to a checkpoint between step {max(0, rows[-1][0] - FARTHEST)} and step "
            f"{max(0, rows[-1][0] - NEAREST)}; Q and V decide how far."
        )
        return _said("back", FARTHEST, line.slope, line.slope_se, why)
    why = "Reward and entropy both stand still: later policies would not differ from earlier ones."
    return _said("leave", None, line.slope, line.slope_se, why)


def _line(rows: list[tuple[int, float]]) -> Line:
    return fit_line([step for step, _ in rows], [reward for _, reward in rows])


def _dear(slope: float, farthest: int | None, is_pass_rate: bool) -> str:
    if slope <= 0:
        return (
            "The last rows do not rise, but they are too few for the trigger to call it a halt. More steps will tell."
        )
    rising = f"The reward rises by {slope:.2g} per step, so each step of going back would have to bring as much."
    if not is_pass_rate:
        return f"{rising} It is not a pass rate, so it cannot be compared with what guidance has brought."
    return (
        f"{rising} Guidance has brought {GAINED:g} of pass rate here: more than {farthest} steps back would cost more "
        "than that."
    )


def _said(what: str, farthest: int | None, slope: float | None, slope_se: float | None, why: str) -> dict[str, Any]:
    facts = {"what": what, "max_distance": farthest, "slope": slope, "slope_se": slope_se}
    return {**facts, "why": why, "how_sure": SURE[what]}


def recommendation_text(found: dict[str, Any]) -> list[str]:
    """Put the recommendation into words."""
    farthest = found["max_distance"]
    limit = f"; or go back by {farthest} steps at most (autonpo.stay, autonpo.price=slope)" if farthest else ""
    told = {
        "stay": f"Go on, and keep what the run solves if its prompts come back often (method=self_imitation){limit}.",
        "back": "If its prompts come back often, begin again and keep what the run solves (method=self_imitation); or "
        f"go back by {NEAREST} to {FARTHEST} steps (autonpo.stay, autonpo.price=slope).",
        "leave": "Leave it as it is.",
        "inspect": "Look at the run before you change anything.",
        "wait": "Wait.",
    }
    return [f"Recommended: {told[found['what']]}", f"  {found['why']}", f"  {found['how_sure']}"]
