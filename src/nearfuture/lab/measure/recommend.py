"""Recommend from a log: keep what the run solves, stay and ask again, go back, look at it or leave it; and how sure.

    lost, collapsed,    something is wrong that guidance does not mend          inspect it
    falling, unsolved
    solved              the reward has no room to rise                          leave it
    rising              a step is worth its slope, going back D steps costs D   stay, and keep what is solved; go
                        times it                                                back a few steps at most
    flat                the entropy falls, or the trigger has fired on this     begin again and keep what is solved,
                        plateau: steps are worth little, the policy narrows     or go back to before it
    flat                the entropy never fell: no near future would differ     leave it

The gains of guidance are those of this repository's own studies (docs/when-it-pays.md), in pass rate, on small worlds.
No log can say what guidance would bring in another run, so a recommendation is never surer than those studies.

Not here: where the trigger fires (`advise`), the price inside a run (`nearfuture.method.price`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfuture.lab.measure.curve import CLEARLY, MANY_ROWS, Curve
from nearfuture.method.trends import MIN_ROWS, Line
from nearfuture.method.trigger import Evidence
from nearfuture.record.logs import Log

GAINED = 0.045
"""Held-out pass rate that AutoNPO gained over GRPO at equal step: apprentice, five seeds (docs/log.md)."""
SOLVED, UNSOLVED = 0.95, 0.02
BARELY = 2.0
"""Standard errors above 0 from which a slope is more than noise."""
NEAREST, FARTHEST = 10, 100
"""How many steps back AutoNPO considers."""
SURE = {
    "stay": "On one small world, where a prompt has one right answer, keeping what is solved brought +0.066 [+0.038, "
    "+0.094] of held-out pass rate over GRPO at equal steps and +0.065 [+0.037, +0.092] at equal tokens (five seeds). "
    "On two others it raised pass@8 (+0.108 [+0.049, +0.168] and +0.265 [+0.158, +0.372], three seeds each) and not "
    "pass@1. One run of three epochs was behind GRPO. Nobody has tried it at real size. Going back was not ahead at "
    "equal total steps on a curve that rises.",
    "back": "On one small world, where a prompt has one right answer, a run that kept what it solved from the start "
    "was ahead of GRPO of 1,400 steps after 800 (+0.067 [+0.039, +0.094], five seeds); on two others "
    "it raised pass@8 and not pass@1. Going back by 400 steps was ahead at 1,400 total steps (+0.048 [+0.004, "
    "+0.092]) and no longer at 1,900 (+0.008 [-0.041, +0.057]). Nobody has tried either at real size.",
    "leave": "Nothing was tried here on a run that is solved or does not move.",
    "inspect": "Nothing was tried here on a run of this kind.",
    "wait": "Not sure at all: the log is too short.",
}
LOOK_AT = "Look at the learning rate, the reward function, and responses that are cut off."
KEYS = "autonpo.mode=act autonpo.stay=true autonpo.price=slope guidance_lifetime=while_gated"


def recommend(log: Log, evidence: Evidence | None, fired: list[int], *, keeps_already: bool = False) -> dict[str, Any]:
    """Say what the end of a log suggests.

    Args:
        log: steps, rewards and entropies.
        evidence: the trigger's evidence at the end of the log; None if there are too few rows.
        fired: steps at which the trigger fired.
        keeps_already: the run keeps what it solves already.

    Returns:
        `what` (`stay`, `back`, `leave`, `inspect` or `wait`), `max_distance` in steps (None: nothing limits it), the
        reward's `slope` per step with its standard error, `before` (the step before which a checkpoint would lie, or
        None), `why` and `how_sure` in words, and `keeps_already`.
    """
    curve = Curve.of(log)
    said = _Said(keeps_already)
    num_lost = sum(step > curve.last_step for step in log.steps) if curve.rows else len(log.steps)
    if curve.rows and num_lost >= MIN_ROWS:
        why = f"The reward has been no number since step {curve.last_step} ({num_lost} rows). {LOOK_AT}"
        return said("inspect", None, why)
    if evidence is None or len(curve.rows) < MIN_ROWS:
        return said("wait", None, "There are too few rows for the trigger.")
    line = curve.line()
    if (found := _without_room(curve)) is not None:
        return said(found[0], line, found[1])
    longer = curve.line(MANY_ROWS)
    if len(curve.rows) >= MANY_ROWS and longer.slope < -CLEARLY * longer.slope_se:
        return said("inspect", longer, f"The reward falls, lately by {-longer.slope:.2g} per step. {LOOK_AT}")
    if (fell := curve.collapse()) is not None:
        why = (
            f"The reward was {fell.best:.3g} in steps {fell.first} to {fell.last} and is {fell.now:.3g} now. It fell "
            f"after step {fell.after}: go back to a checkpoint before that, and find out why first. {LOOK_AT}"
        )
        return said("inspect", line, why)
    if not evidence.is_stagnant:
        is_clear = line.slope > BARELY * line.slope_se
        farthest = int(GAINED / line.slope) if curve.is_pass_rate and is_clear else None
        farthest = None if farthest is None or farthest > FARTHEST else farthest
        return said("stay", line, _dear(line, farthest, curve.is_pass_rate), farthest=farthest)
    if log.columns["entropy"] is None:
        return said(
            "stay", line, "The reward stands still; whether the policy narrows cannot be seen without the entropy."
        )
    if any(math.isfinite(entropy) and entropy < 0 for entropy in log.entropies):
        why = (
            "The reward stands still, and the column of the entropy has negative values, so it is something else "
            "(a loss, perhaps). Name the entropy's own column with --entropy."
        )
        return said("stay", line, why)
    falls = evidence.is_declining and evidence.entropy.slope < -BARELY * evidence.entropy.slope_se
    if falls or (fired and fired[-1] >= evidence.since):
        narrow = "the entropy falls" if falls else f"the trigger fired at step {fired[-1]}"
        stands = f"The reward has stood still since about step {evidence.since}, and {narrow}"
        why = f"{stands}: steps cost little, and the policy narrows."
        return said("back", line, why, before=evidence.since)
    why = "Reward and entropy both stand still: later policies would not differ from earlier ones."
    return said("leave", line, why)


def _without_room(curve: Curve) -> tuple[str, str] | None:
    """Say what to do with a reward that cannot rise, or hardly ever does, and why; None if it can."""
    tail = curve.tail(MANY_ROWS)
    mean = float(np.mean(curve.tail(max(MIN_ROWS, MANY_ROWS // 2))))
    if curve.is_pass_rate and mean >= SOLVED:
        return "leave", f"The reward is {mean:.3g}: little is left to gain."
    if curve.is_pass_rate and float(np.mean(tail)) <= UNSOLVED and curve.best(MANY_ROWS) <= 2 * UNSOLVED:
        why = (
            f"Hardly anything is solved (reward {float(np.mean(tail)):.2g}), so groups have no signal, and there is "
            "nothing to keep and no future self to learn from. Look at a few answers and their verdicts first; then "
            "measure how hard the prompts are (`nearfuture data difficulty`) and take easier ones, or an external "
            "teacher's traces."
        )
        return "inspect", why
    if len(tail) == MANY_ROWS and len(set(tail)) == 1:
        why = (
            f"The reward has been exactly {tail[0]:.4g} for {MANY_ROWS} rows or more. If it cannot be higher, the "
            "prompts are solved. If it can, all rollouts of a group get the same reward, and nothing is learned."
        )
        return "inspect", why
    return None


def _dear(line: Line, farthest: int | None, is_pass_rate: bool) -> str:
    moves = f"lately by {line.slope:+.2g} ± {line.slope_se:.2g} per step"
    if line.slope <= BARELY * line.slope_se:
        return f"The trigger sees no halt, and the last rows alone tell little ({moves}). More steps will tell."
    rising = f"The reward rises, {moves}, so each step of going back would have to bring as much."
    if not is_pass_rate:
        return f"{rising} It is not a pass rate from 0 to 1, so it cannot be compared with what guidance has brought."
    if farthest is None:
        return rising
    return (
        f"{rising} Guidance has brought {GAINED:g} of pass rate here: more than {farthest} steps back would cost more "
        "than that."
    )


@dataclass(frozen=True)
class _Said:
    """Makes a recommendation for a run that does or does not keep what it solves."""

    keeps_already: bool

    def __call__(
        self, what: str, line: Line | None, why: str, *, farthest: int | None = None, before: int | None = None
    ) -> dict[str, Any]:
        slope, slope_se = (None, None) if line is None else (line.slope, line.slope_se)
        facts = {"what": what, "max_distance": farthest, "slope": slope, "slope_se": slope_se, "before": before}
        return {**facts, "why": why, "how_sure": SURE[what], "keeps_already": self.keeps_already}


def recommendation_text(found: dict[str, Any]) -> list[str]:
    """Put the recommendation into words."""
    farthest, kept = found["max_distance"], found["keeps_already"]
    keep = "it keeps what it solves already" if kept else "keep what the run solves if its prompts come back often"
    how = "" if kept else " (method=self_imitation)"
    limit = f"; or go back by {farthest} steps at most ({KEYS})" if farthest else ""
    again = (
        "" if kept else "If its prompts come back often, begin again and keep what the run solves, or switch that on "
    )
    back = f"go back to a checkpoint from before step {found['before']} ({KEYS})"
    told = {
        "stay": f"Go on; {keep}{how}{limit}." if kept else f"Go on, and {keep}{how}{limit}.",
        "back": f"{back[0].upper()}{back[1:]}." if kept else f"{again}now{how}; or {back}.",
        "leave": "Leave it as it is.",
        "inspect": "Look at the run before you change anything.",
        "wait": "Wait.",
    }
    return [f"Recommended: {told[found['what']]}", f"  {found['why']}", f"  {found['how_sure']}"]
