"""The sentences of a comparison, written from the numbers by fixed rules.

A claim is called supported only if the whole interval over seeds is on its side; undecided claims are stated as often
as decided ones.

Not here: the claims (`nearfuture.lab.study.claims`), tables (`study_tables`), figures (`study_figures`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from nearfuture.lab.report.words import notes as run_notes
from nearfuture.lab.study.claims import Claim
from nearfuture.lab.study.comparison import Comparison, Reading, read_together
from nearfuture.record.clocks import Clock
from nearfuture.record.formats import count, duration, plural, rate, signed
from nearfuture.stats.seeds import Estimate

READINGS: dict[Reading, str] = {
    "adds": "adds ability",
    "sharpens": "sharpens",
    "neither": "neither",
    "blunts": "blunts",
    "loses": "loses coverage",
    "not known": "not known",
}
FEW_SEEDS = 5
ALIKE = 0.01
"""Numbers of steps that differ by no more than this share count as the same."""
MANY_MISSING = 6
AS_HIGH = ", as high as "


def title(comparison: Comparison) -> str:
    """Name the page after its methods."""
    methods = comparison.summaries
    if len(methods) == 1:
        return f"{methods[0].method} over {plural(len(methods[0].runs), 'seed')}"
    if comparison.reference is None:
        return f"{len(methods)} methods compared"
    if len(methods) == 2:
        other = next(summary for summary in methods if summary is not comparison.reference)
        return f"{comparison.reference.method} beside {other.method}"
    return f"{comparison.reference.method} beside {len(methods) - 1} other methods"


def lead(comparison: Comparison) -> list[str]:
    """Say what the reference, the highest of all, the baseline and the untrained model reached, and what it took."""
    base = comparison.study.base
    levels = {summary.method: summary.mean().value for summary in comparison.summaries}
    best = max(comparison.summaries, key=lambda summary: levels[summary.method])
    sentences, told = [], set[str]()
    named = list(dict.fromkeys(filter(None, (comparison.reference, best, comparison.baseline))))
    for summary in named:
        mean = summary.mean()
        bounds = brackets(mean, is_difference=False)
        interval = bounds if math.isnan(mean.low) else f"95 % interval {bounds}"
        place = standing(summary.method, levels, None if base is None else base.mean())
        if summary.method in told:  # the other side of a tie
            place = ""
        elif place.startswith(AS_HIGH):
            told |= set(_equals(summary.method, levels))
        sentences.append(
            f"{summary.method} reaches {rate(mean.value)}{place} ({interval}, {plural(mean.num, 'seed')})."
        )
    if base is not None:
        sentences.append(f"The untrained model reaches {rate(base.mean())}{_untrained(levels, base.mean())}.")
    return sentences + _paid({summary.method: summary.cost("steps") for summary in named})


def _paid(steps: Mapping[str, float]) -> list[str]:
    """Say how many steps the methods paid for, where these numbers differ: a higher rate may have cost more."""
    if not max(steps.values()) > (1 + ALIKE) * min(steps.values()):  # nor where a number is not known
        return []
    said = ", ".join(f"{method} {count(number)}" for method, number in steps.items())
    return [f"They paid for different numbers of steps: {said}. What is left at equal cost is said below."]


def standing(method: str, levels: Mapping[str, float], untrained: float | None) -> str:
    """Say where a method ranks among all, judged by the numbers as they are shown.

    Example:
        >>> standing("npo", {"npo": 0.5, "grpo": 0.4}, untrained=0.6)
        ', the highest of the trained methods'
        >>> standing("npo", {"npo": 0.5, "grpo": 0.5001}, untrained=None)
        ', as high as grpo'
    """
    shown = {name: rate(level) for name, level in levels.items() if not math.isnan(level)}
    if method not in shown or len(shown) < 2 or shown[method] != max(shown.values(), key=float):
        return ""
    if equals := _equals(method, levels):
        return f"{AS_HIGH}{' and '.join(equals)}"
    is_first = untrained is None or float(rate(untrained)) < float(shown[method])
    return ", the highest of all" if is_first else ", the highest of the trained methods"


def _equals(method: str, levels: Mapping[str, float]) -> list[str]:
    """The other methods that are shown with the same number."""
    return [name for name, level in levels.items() if name != method and rate(level) == rate(levels[method])]


def _untrained(levels: Mapping[str, float], untrained: float) -> str:
    """Say if training has not helped: the untrained model is as high as every method, or higher."""
    reached = [float(rate(level)) for level in levels.values() if not math.isnan(level)]
    own = float(rate(untrained))
    if not reached or own < max(reached):
        return ""
    return ", more than any method" if own > max(reached) else ", as much as the best method"


def measured(comparison: Comparison) -> str:
    """Say what the main figure is."""
    study, num_samples = comparison.study, comparison.num_samples
    num_prompts, num_families = len(study.runs[0].test.family_P), len(study.families)
    over = f"mean over {num_families} families of " if num_families > 1 else ""
    return (
        f"The figure is the {over}mean@{num_samples}, the share of correct samples, on "
        f"{plural(num_prompts, 'prompt')} of the {study.split} split, {num_samples} samples each, drawn with one seed "
        "for all methods. It was declared the main figure before any run. Intervals are 95 % by Student over training "
        "seeds."
    )


def shade(comparison: Comparison) -> str:
    """Say what the shade around a mean is: for two seeds their range, since their interval would fill the figure."""
    numbers = {len(summary.runs) for summary in comparison.summaries}
    interval, spread = "the 95 % interval over seeds", "the range of the two seeds"
    if 2 not in numbers:
        return interval
    return spread if numbers <= {1, 2} else f"{interval} (with two seeds their range)"


def claim(found: Claim) -> str:
    """State one claim, its interval, and whether the interval supports it."""
    at = "" if found.clock is None or math.isnan(found.at) else f" ({position(found.clock, found.at)})"
    return f"{found.method} minus {found.other}, {found.measure}{at}: {_difference(found)}."


def short(found: Claim) -> str:
    """State a claim without the names."""
    return f"{signed(found.difference.value)} {brackets(found.difference)}"


def together(mean: Claim, coverage: Claim) -> str:
    """Say what mean@n and pass@k show together."""
    return READINGS[read_together(mean, coverage)]


def claims(comparison: Comparison) -> list[str]:
    """State every claim about the reference, a sentence each: main figure, pass@k, and equal cost."""
    sentences = []
    for primary, found in zip(comparison.primary, comparison.against.values(), strict=True):
        if found.is_identical:
            sentences.append(_identical(primary))
            continue
        adjusted = f" (p = {primary.adjusted_p:.2g} by Holm)" if not math.isnan(primary.adjusted_p) else ""
        sentences.append(claim(primary).removesuffix(".") + f"{adjusted}.")
        sentences += [claim(part) for part in found.pass_at.values()]
        sentences += [claim(part) for clock, part in found.at_equal.items()]
    return sentences


def headlines(comparison: Comparison, clock: Clock | None = None) -> list[str]:
    """State the claims about the main figure, each with the one at equal cost if a clock is named."""
    sentences = []
    for primary, found in zip(comparison.primary, comparison.against.values(), strict=True):
        if found.is_identical:
            sentences.append(_identical(primary))
        else:
            sentences += [claim(primary), *([] if clock is None else [claim(found.at_equal[clock])])]
    return sentences


def _identical(found: Claim) -> str:
    seeds = "in the one seed" if found.difference.num == 1 else f"in any of {found.difference.num} seeds"
    return (
        f"{found.method} and {found.other}: no measure differs {seeds}, so their runs may be the same run; there is "
        "nothing to tell them apart by, and no interval."
    )


def caution(comparison: Comparison) -> str:
    """Say what this comparison cannot show."""
    seeds = min(len(summary.runs) for summary in comparison.summaries)
    parts = []
    if seeds < 2:
        parts.append("A method with one seed has no interval, and nothing can be claimed about it.")
    elif seeds < FEW_SEEDS:
        parts.append(
            f"With {seeds} seeds per method the intervals are wide, and only large differences can be detected."
        )
    if len(comparison.primary) > 1:
        parts.append(
            "Each interval holds for one claim by itself, and of many claims one in twenty is wrong by chance. The "
            "p-values by Holm account for the number of claims about the main figure; nothing accounts for the other "
            "measures."
        )
    if comparison.study.split != "test":
        parts.append("The task has no test rows: its evaluation rows were used, which every run saw during training.")
    parts.append("What holds on this task and at these settings need not hold elsewhere.")
    return " ".join(parts)


def notes(comparison: Comparison) -> list[str]:
    """Name what is missing, left out, or differs between runs."""
    return list(_notes(comparison))


def _notes(comparison: Comparison) -> Iterator[str]:
    study = comparison.study
    yield from _missing(study.missing)
    if comparison.reference is None:
        yield f"The reference {study.grid.reference} has no finished run, so nothing is claimed about it."
    if study.base is None:
        yield "The untrained model was not evaluated."
    for run in study.runs:
        name = run.records.name
        if unjudged := run.test.protocol["num_unjudged"]:
            yield f"{name}: {plural(unjudged, 'test sample')} could not be judged and left the estimates."
        for k in study.grid.pass_at:
            if short_of := run.test.num_short(k):
                yield f"{name}: {plural(short_of, 'prompt')} with fewer than {k} judged samples left pass@{k}."
    for summary in comparison.summaries:
        for figures in summary.runs:
            said = run_notes(figures.run.records, figures.ledger)
            yield from (f"{figures.run.records.name}: {note}" for note in said)
    commits = {str(run.records.env.get("git")) for run in study.runs}
    if len(commits) > 1:
        yield f"The runs were made at {len(commits)} commits: {', '.join(sorted(commits))}."


def position(clock: Clock, at: float) -> str:
    """Format a position on a clock."""
    return duration(at) if clock == "seconds" else count(at)


def _difference(found: Claim) -> str:
    difference = found.difference
    if math.isnan(difference.value):
        return "not known, because a run did not write it"
    if math.isnan(difference.low):
        why = "one seed" if difference.num < 2 else f"{plural(difference.num, 'seed')} that agree exactly"
        return f"{signed(difference.value)}, {why} and no interval: nothing is known"
    ahead = {"supported": f"{found.method} is ahead", "contradicted": f"{found.other} is ahead"}.get(found.verdict)
    said = f"{found.verdict}{f', {ahead}' if ahead else ''}"
    return f"{signed(difference.value)}, 95 % interval {brackets(difference)}, {plural(difference.num, 'seed')}: {said}"


def brackets(found: Estimate, *, is_difference: bool = True) -> str:
    """Format an interval: with signs if it is a difference, otherwise as shares."""
    if math.isnan(found.low):
        return "no interval"
    form = signed if is_difference else rate
    return f"[{form(found.low)}, {form(found.high)}]"


def _missing(missing: dict[str, str]) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - MANY_MISSING} more" if len(names) > MANY_MISSING else ""
        yield f"Missing, {reason}: {', '.join(names[:MANY_MISSING])}{more}."
