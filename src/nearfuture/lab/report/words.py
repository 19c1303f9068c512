"""The sentences of a report, written from the numbers by fixed rules.

"Ahead" and "behind" are used only where `comparison.judge` allows it, costs are named beside every result, and what one
seed cannot show is said every time.

Not here: the rules themselves (`nearfuture.record.equal_clocks`) and the sums (`nearfuture.record.ledger`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfuture.lab.report.pieces import GUIDED
from nearfuture.record.equal_clocks import AtEqualClock, Judgement, first_measured, last_measured
from nearfuture.record.formats import count, percent, plural, rate, signed
from nearfuture.record.records import RunRecords
from nearfuture.types import Kind

CLOCK_NAMES = {"step": "step", "total_steps": "total steps", "tokens": "generated tokens"}
ON_POLICY, AHEAD = "npo/pass_rate", "npo/guide/steps_ahead"
NUM_LAST_STEPS = 10
HOW: dict[str, str] = {Kind.AUTO: "as AutoNPO decided", Kind.RESAMPLING: "by resampling"}
"""How a run was guided, for kinds of intervention that are not adverbs."""
FROM = {
    "own": "its own latest answers",
    "experience": "its own past answers",
    "traces": "an external teacher's traces",
}
"""What a run without a guide of its own learned from, by its `source`."""


def is_unguided(run: RunRecords) -> bool:
    """True for plain GRPO: nothing was ever put into a slot."""
    return all(segment.intervention is None for segment in run.segments) and run.config.get("source") not in FROM


def pick_baseline(runs: Sequence[RunRecords]) -> RunRecords:
    """Return the run that the others are compared with: the first one without guidance, or else the first."""
    return ([run for run in runs if is_unguided(run)] or list(runs))[0]


def title(runs: Sequence[RunRecords]) -> str:
    """Name the report after its runs."""
    names = [run.name for run in runs]
    if len(names) == 2:
        other = next(run.name for run in runs if run is not pick_baseline(runs))
        return f"{other} beside {pick_baseline(runs).name}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def outcome(run: RunRecords) -> str:
    """Say what a run has reached: on held-out prompts if it was evaluated, otherwise on its own rollouts."""
    step = run.last_step(run.head)
    ended = "ended at" if run.is_finished else "has not finished (it is running or was stopped) and is at"
    measured = last_measured(run)
    if measured is not None:
        where = "" if measured.step == step else f", measured at step {measured.step:.0f}"
        first = first_measured(run)
        began = f" It began at {rate(first.pass_rate)}." if first and first.step < measured.step else ""
        reached = f"{rate(measured.pass_rate)} held-out pass rate after {plural(step, 'step')}{where}"
        return f"{run.name} {ended} {reached}.{began}"
    curve = run.curve(ON_POLICY)
    if not len(curve):
        return f"{run.name} wrote neither a held-out nor an on-policy pass rate in {plural(step, 'step')}."
    last = curve.values[-NUM_LAST_STEPS:]
    verb = "ended" if run.is_finished else "has not finished (it is running or was stopped) and is"
    return (
        f"{run.name} was never evaluated on held-out prompts; it {verb} at {rate(float(last.mean()))} pass rate on its "
        f"own rollouts (mean of the last {plural(len(last), 'step')} of {step}), which is not a basis for comparison."
    )


def verdict(name: str, judgement: Judgement) -> str:
    """Put one judgement into words, with the number and the noise it was compared with."""
    difference = signed(judgement.difference)
    if judgement.margin is None:
        return f"{name} differs by {difference}, not judged because eval/num_prompts is missing"
    if judgement.word == "no difference visible":
        return f"no difference is visible ({difference}, sampling noise ±{rate(judgement.margin)})"
    return f"{name} is {judgement.word} by {rate(abs(judgement.difference))} (sampling noise ±{rate(judgement.margin)})"


def comparison(run: RunRecords, baseline: RunRecords, clocks: Sequence[AtEqualClock]) -> list[str]:
    """Say who is ahead at equal step, equal total steps and equal tokens, one clause each."""
    parts = []
    for reading in clocks:
        clock = f"at equal {CLOCK_NAMES[reading.clock]}"
        if reading.judgement is None or reading.run is None or reading.baseline is None or reading.at is None:
            parts.append(f"{clock}, nothing can be said: {reading.reason}")
            continue
        held = [
            f"{name} had kept {plural(side.step, 'step')}"
            for name, side in ((run.name, reading.run), (baseline.name, reading.baseline))
            if side.step != reading.at
        ]
        when = f"{count(reading.at)}{', when ' + ' and '.join(held) if held else ''}"
        parts.append(f"{clock} ({when}), {verdict(run.name, reading.judgement)}")
    return parts


def story(run: RunRecords) -> str:
    """Say what a run learned from: its source, and which of its own policies guided it where; empty for plain GRPO."""
    return " ".join(filter(None, [learned_from(run), _guided(run)]))


def learned_from(run: RunRecords) -> str:
    """Say which source other than a guide a run learned from, if any, and in how many groups something was served."""
    if (source := run.config.get("source")) not in FROM:
        return ""
    share, ahead = run.curve(GUIDED).values, run.curve(AHEAD).values
    where = f" in {percent(float(share.mean()))} of its groups" if len(share) else ""
    has_guide = any(one.intervention for one in run.segments)
    if source == "own" and len(ahead) and (ahead >= 0).all():
        rest = ", only those of its guide" if has_guide else ""
        return f"{run.name} kept its own answers, and was never served one{rest}."
    guide = ", and where it had none from a guide's," if has_guide else ""
    return f"{run.name} learned from {FROM[source]}{guide}{where}."


def _guided(run: RunRecords) -> str:
    """Say where a run was guided, and by which of its own policies."""
    guided = []
    for segment in run.segments:
        plan = segment.intervention
        if plan is None:
            continue
        is_open = plan.end_step is None or plan.end_step > run.last_step(segment.id)
        over = f"from step {plan.start_step} on" if is_open else f"over steps {plan.start_step} to {plan.end_step}"
        guided.append(f"{HOW.get(plan.kind, plan.kind)}, {over}, by its own policy of step {plan.guide.step}")
    return f"{run.name} was guided {'; and '.join(guided)}." if guided else ""


def costs(run: RunRecords, ledger: dict[str, Any]) -> str:
    """Say what a run paid: extra steps by their reason, and its guides' tokens."""
    totals = ledger["totals"]
    steps, extra, scout = totals["steps"], totals["abandoned_steps"], totals["scout_steps"]
    if extra:
        both = f"{scout} scout, {extra - scout} abandoned"
        reason = both if 0 < scout < extra else "scout" if scout else "abandoned"
        kept = totals["kept_steps"]
        text = f"{run.name} paid for {plural(steps, 'step')} to keep {kept}: {extra} extra ({reason})"
    else:
        text = f"{run.name} paid for {plural(steps, 'step')} and kept them all"
    if is_unguided(run) and not totals["guide_tokens"]:
        return f"{text}; it had no guide."
    if run.config.get("source") in FROM and not totals["guide_tokens"]:
        return f"{text}; it asked no guide."
    if totals["guide_tokens"] is None:
        return f"{text}; what its guides generated was not written."
    share = totals["guide_frac"]
    of_all = f", {percent(share)} of all tokens it generated" if share is not None else ""
    return f"{text}; its guides generated {plural(totals['guide_tokens'], 'token')}{of_all}."


def caution(runs: Sequence[RunRecords]) -> str:
    """Say what this report cannot show."""
    seeds = sorted({str(run.config["seed"]) for run in runs if "seed" in run.config})
    named = f" (seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)})" if seeds else ""
    if len(runs) == 1:
        once = f"This is one run with one seed{named}; one seed proves nothing."
        return f"{once} Repeat it with other seeds, and beside a baseline."
    return (
        f"Every curve is one run with one seed{named}, and one seed proves nothing. The sampling noise is that of the "
        "evaluation alone; runs with another seed usually differ by more. Repeat with other seeds before believing a "
        "difference."
    )


def notes(run: RunRecords, ledger: dict[str, Any]) -> list[str]:
    """Name what is torn, repeated or missing in a run folder."""
    totals = ledger["totals"]
    found = [f"{plural(num, 'torn line')} in {name} (a kill) skipped." for name, num in run.torn_lines.items()]
    found += [
        f"{plural(len(lines), 'line')} of {name} damaged, not as written, and left out: {', '.join(map(str, lines))}."
        for name, lines in run.damaged_lines.items()
    ]
    if run.recomputed_steps:
        found.append(
            f"{plural(run.recomputed_steps, 'step')} computed twice after a resume "
            f"({count(totals['recomputed_tokens'])} rollout tokens), in no sum above; the later values are shown."
        )
    if run.num_stray_rows:
        found.append(f"{plural(run.num_stray_rows, 'metrics row')} of no known segment left out.")
    if totals["unlogged_steps"]:
        found.append(f"{plural(totals['unlogged_steps'], 'step')} without a metrics row; their costs are in no sum.")
    for key, num in ledger["missing"].items():
        found.append(f"{key} missing in {plural(num, 'step')}; the sums hold only what was written.")
    missing = [key for key in (ON_POLICY, "npo/entropy", GUIDED, "eval/pass_rate") if not run.has(key)]
    if missing:
        found.append(f"Never written: {', '.join(missing)}.")
    measured = last_measured(run)
    if measured is not None and measured.num_samples is None:
        found.append("eval/num_prompts missing, so the held-out pass rates have no sampling error and are not judged.")
    found += [
        f"Segment {entry.id} is marked abandoned after step {entry.abandoned_from}, the head's path leaves it at "
        f"{run.kept_until(entry.id)}; the path was used."
        for entry in run.segments
        if entry.id in run.head_path and entry.abandoned_from not in (None, run.kept_until(entry.id))
    ]
    return found
