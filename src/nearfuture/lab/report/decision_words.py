"""The sentences about a run's decisions, written from the facts by fixed rules; terminal and page share them.

A number that was not written is called unknown and never treated as 0. "Ahead" and "behind" are used only where
`comparison.judge` allows it.

Not here: the facts (`nearfuture.record.decisions`), the figures (`decision_figures`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nearfuture.lab.report.words import learned_from, verdict
from nearfuture.record.decisions import RunDecision
from nearfuture.record.formats import count, duration, percent, plural, rate, signed
from nearfuture.record.records import RunRecords
from nearfuture.record.yields import Brought, Cost, Facts, Number, Reading
from nearfuture.types import Kind

UNKNOWN = "unknown"
WHOLE, ONE, PLAIN, TWO, THREE = ("{:.0f}".format, "{:.1f}".format, "{:g}".format, "{:.2g}".format, "{:.3g}".format)
KEPT = {
    "guided": "It continued from the guided branch.",
    "abandoned": "It returned to the tail; the guided branch is abandoned instead.",
}
CANDIDATE_COLUMNS = ("distance", "to step", "prompts", "Q", "V", "S = Q / V")
WORTH_COLUMNS = ("expected gain", "price")


def opening(records: RunRecords, decisions: list[RunDecision]) -> str:
    """Say what the run was set to, and how often it decided something."""
    mode = records.config.get("autonpo.mode")
    watch = f"AutoNPO was set to {mode}" if mode else "AutoNPO was off"
    num_back = sum(decision.outcome == "went back" and decision.rollback_distance != 0 for decision in decisions)
    num_stayed = sum(decision.outcome == "stayed" for decision in decisions)
    num_other = sum(decision.outcome not in ("went back", "stayed") for decision in decisions)
    back = f"It went back {plural(num_back, 'time')}" if num_back else "It never went back"
    back += f", and stayed {plural(num_stayed, 'time')} to answer its own mistakes" if num_stayed else ""
    other = f"; {plural(num_other, 'time')} the trigger fired and it continued" if num_other else ""
    learned = f" {said}" if (said := learned_from(records)) else ""
    return f"{watch}. {back}{other}.{learned}"


def closing(records: RunRecords) -> str:
    """Say where the run stands."""
    step = records.last_step(records.head)
    verb = "ended" if records.is_finished else "has not finished (it is running or was stopped) and is"
    return f"It {verb} at step {step}, after {plural(records.total_steps_at(records.head, step), 'step')} paid for."


def heading(decision: RunDecision) -> str:
    """Name a decision by where it was made and by its outcome."""
    if decision.outcome == "stayed":
        return f"Step {decision.step}: stayed, and answered its own mistakes"
    if decision.outcome == "went back" and decision.rollback_distance == 0:
        return f"Step {decision.step}: guided by itself"
    kept = ", and returned to the tail" if decision.kept == "abandoned" else ""
    came = {
        "went back": f"back {known(decision.rollback_distance)} steps, to step {known(decision.to_step, str)}{kept}",
        "declined": "continued",
        "advised": f"would have gone back {known(decision.rollback_distance)} steps"
        if decision.rollback_distance
        else "would have stayed, and answered its own mistakes",
        "undecided": "no decision written yet",
    }
    return f"Step {decision.step}: {came[decision.outcome]}"


def told(decision: RunDecision) -> Iterator[str]:
    """Tell a decision in order: what was seen, probed, chosen, collected and compared, its cost and its result."""
    yield seen(decision)
    if decision.probe is not None:
        yield probed(decision.probe, decision.step)
    if decision.outcome != "undecided":
        yield chosen(decision)
    if decision.collection is not None:
        yield collected(decision)
    if decision.brought is not None:
        yield from brought(decision, decision.brought)
    if decision.comparison is not None:
        yield compared(decision.comparison, decision.kept)
    if decision.cost.tokens != 0:
        yield costs(decision.cost)


def seen(decision: RunDecision) -> str:
    """Say what the trigger saw, or that the configuration asked."""
    at = f"step {decision.step} (segment {decision.segment}, {plural(decision.total_steps, 'step')} paid for)"
    if decision.seen is None:
        what = "more samples" if decision.kind == Kind.RESAMPLING else f"{decision.kind} guidance"
        return f"The configuration asked for {what} by the policy of {at}."
    fact = decision.seen
    return (
        f"The trigger fired at {at}. {_stood_still(fact)}, and the entropy by "
        f"{known(fact['entropy_slope'], _five_digits)} nats per step to {known(fact['entropy_ema'], rate)} (standard "
        f"error {known(fact['entropy_slope_se'], TWO)}). Past mistakes in the pool: {known(fact['num_mistakes'])}."
    )


def _stood_still(fact: Facts) -> str:
    """Say what the trigger saw of the reward; runs of earlier releases compared two averages over a window."""
    moved = f"moved by {known(fact['reward_rise'], signed)}, and its moving average is "
    moved += f"{known(fact['reward_ema'], rate)} (standard error of the move {known(fact['reward_rise_se'], TWO)}"
    if fact["max_reward_t"] is not None:
        return (
            f"Over its window ({known(fact['window'])} steps) the moving average of the on-policy pass rate {moved}; a "
            f"rise of up to {known(fact['max_reward_t'], PLAIN)} of them counts as no rise)"
        )
    return (
        f"The evidence that its rise ended {known(fact['window'])} steps ago is {known(fact['reward_evidence'], TWO)} "
        f"nats ({known(fact['min_evidence'], PLAIN)} are required): since then the on-policy pass rate {moved})"
    )


def probed(probe: Facts, step: int) -> str:
    """Say what the probe asked and found."""
    return (
        f"The probe asked the policy of step {step} for {known(probe['num_prompts'])} of its past mistakes, "
        f"{known(probe['num_samples'])} samples: {known(probe['num_solved'])} solved now, pass rate "
        f"{known(probe['pass_rate'], rate)}."
    )


def chosen(decision: RunDecision) -> str:
    """Say what was chosen, why, and what overruled the argmax."""
    if decision.outcome == "went back" and decision.rollback_distance == 0:
        return "Nothing was trained ahead: the policy guides itself from here on."
    distance = known(decision.rollback_distance)
    went = {
        "went back": f"It went back {distance} steps, from {decision.step} to {known(decision.to_step, str)}.",
        "stayed": "It stayed: the policy guides itself from here on, and no step is trained twice.",
        "advised": f"It would have gone back {distance} steps, to {known(decision.to_step, str)}."
        if decision.rollback_distance
        else "It would have stayed, and answered its own mistakes.",
        "declined": "It continued without going back.",
    }
    said = [went[decision.outcome]]
    if decision.reason:
        said.append(decision.reason[0].upper() + decision.reason[1:])
    elif decision.kind != Kind.AUTO:
        said.append("The configuration says how far.")
    if decision.guard:
        said.append(f"A guard overruled the argmax of S: {decision.guard}.")
    return " ".join(said)


def collected(decision: RunDecision) -> str:
    """Say what the guide was asked for and gave."""
    fact = decision.collection
    assert fact is not None
    own = fact.get("num_harvested") or 0
    solved, asked = (None if (all_ := fact[name]) is None else all_ - own for name in ("num_solved", "num_prompts"))
    said = (
        f"The guide solved {known(solved)} of {known(asked)} prompts in "
        f"{known(fact['num_samples'])} samples; {known(decision.num_guidance)} have guidance."
    )
    if "num_harvested" not in fact:
        return said
    ahead = fact["harvested_distance"]
    where = (
        "" if ahead is None else f", on the average by a policy {known(ahead, ONE)} steps from where this one begins"
    )
    return (
        f"{said} {known(fact['num_harvested'])} of these the run had answered itself{where}: "
        f"{known(fact['harvested_tokens'])} tokens that were not bought again."
    )


def compared(fact: Facts, kept: str | None) -> str:
    """Say how both branches did when they were compared, and which was kept."""
    bounds = [fact["ci_low"], fact["ci_high"]]
    interval = UNKNOWN if None in bounds else f"{known(bounds[0], signed)} to {known(bounds[1], signed)}"
    return (
        f"Then both branches were asked for {known(fact['num_prompts'])} held-out prompts "
        f"({known(fact['num_samples'])} samples): {known(fact['guided_pass_rate'], rate)} on the guided branch, "
        f"{known(fact['abandoned_pass_rate'], rate)} on the tail, a difference of {known(fact['difference'], signed)} "
        f"(95 % interval {interval}). {KEPT.get(kept or '', 'Which one was kept is unknown.')}"
    )


def costs(cost: Cost) -> str:
    """Say what the decision cost."""
    parts = {
        "probe": cost.probe_tokens,
        "collection": cost.collection_tokens,
        "comparison": cost.comparison_tokens,
        "rollouts": cost.rollout_tokens,
    }
    named = ", ".join(f"{name} {known(tokens)}" for name, tokens in parts.items() if tokens != 0)
    twice = f"{plural(cost.steps_twice, 'step')} trained twice, " if cost.steps_twice else ""
    return (
        f"It cost {twice}{known(cost.tokens)} tokens ({named}), {known(cost.token_frac, percent)} of all the "
        f"run has generated, and {known(cost.seconds, duration)} of sampling and training."
    )


def brought(decision: RunDecision, found: Brought) -> Iterator[str]:
    """Say how both branches stood where the trigger fired."""
    old, new = found.abandoned, found.guided
    if found.judgement is not None:
        at = f"At step {new.eval_step}"
        at += "" if new.eval_step == decision.step else ", the last at which both branches were evaluated"
        yield (
            f"{at}, the held-out pass rate is {known(old.pass_rate, rate)} on the abandoned tail and "
            f"{known(new.pass_rate, rate)} on the guided branch: {verdict('the guided branch', found.judgement)}."
        )
    else:
        each = f"{_evaluated(old)} on the abandoned tail, {_evaluated(new)} on the guided branch"
        yield f"No step was evaluated on both branches, so their held-out pass rates are not compared: {each}."
    where = "" if new.step == decision.step else ", where the replay stands"
    yield (
        f"At step {new.step}{where}, the entropy is {known(old.entropy, rate)} on the abandoned tail and "
        f"{known(new.entropy, rate)} on the guided branch."
    )


def known(value: Number, form: Callable[[Any], str] = count) -> str:
    """Write a number, or that it is not known."""
    return UNKNOWN if value is None else form(value)


def candidate_table(decision: RunDecision) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return the columns and rows of the candidates, with gain and price if the run has computed them."""
    has_worth = any(candidate.get("expected_gain") is not None for candidate in decision.candidates)
    columns = (*CANDIDATE_COLUMNS, *(WORTH_COLUMNS if has_worth else ()), "")
    return columns, [candidate_cells(decision, candidate, has_worth=has_worth) for candidate in decision.candidates]


def candidate_cells(decision: RunDecision, candidate: Facts, *, has_worth: bool = False) -> list[str]:
    """Return the cells of a candidate in the order of `CANDIDATE_COLUMNS`, or with `WORTH_COLUMNS`."""
    steps = [known(candidate[name], WHOLE) for name in ("rollback_distance", "step", "num_prompts")]
    numbers = [known(candidate[name], THREE) for name in ("quality", "variance_cost", "effective_signal")]
    if candidate["rollback_distance"] == 0:
        steps[0] = "0 (stay)"
    worth = [known(candidate.get(name), THREE) for name in ("expected_gain", "price")] if has_worth else []
    is_chosen = decision.to_step is not None and candidate["step"] == decision.to_step
    return [*steps, *numbers, *worth, "chosen" if is_chosen else ""]


def _evaluated(reading: Reading) -> str:
    if reading.eval_step is None:
        return "not evaluated"
    return f"{known(reading.pass_rate, rate)} at step {reading.eval_step}"


def _five_digits(value: float) -> str:
    return signed(value, 5)
