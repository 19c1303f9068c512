"""The tables of a comparison as rows of text.

Not here: what a table is (`nearfuture.lab.page.table`), sentences (`study_words`), the numbers
(`nearfuture.lab.study.comparison`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from nearfuture.lab.page.table import Table
from nearfuture.lab.report import study_words as words
from nearfuture.lab.study.claims import CLOCK_NAMES, SHARES, Beside, Claim
from nearfuture.lab.study.comparison import Comparison
from nearfuture.lab.study.summary import Aggregate, MethodSummary
from nearfuture.record.formats import MISSING, count, duration, p_value, rate
from nearfuture.record.held_out import CLOCKS
from nearfuture.stats.seeds import Estimate

BASE = "untrained model"


def rates_table(comparison: Comparison, k: int) -> Table:
    """Methods by families: mean@n (k = 1) or unbiased pass@k, with the half width of the interval over seeds."""
    families = comparison.study.families
    rows = [
        [
            summary.method,
            plus_minus(summary.mean(k)),
            *(plus_minus(summary.family(k, i)) for i in range(len(families))),
        ]
        for summary in comparison.summaries
    ]
    base = comparison.study.base
    if base is not None:
        rows.insert(0, [BASE, rate(base.mean(k)), *(rate(float(value)) for value in base.pass_at(k))])
    what = f"Mean at {comparison.num_samples}" if k == 1 else f"Unbiased pass at {k}"
    return Table(["method", "mean", *families], rows, f"{what} of each method on each family", "dense")


def overview_table(comparison: Comparison) -> Table:
    """What each method reached, and what one of its runs paid."""
    k = comparison.largest_k
    rows = [
        [
            summary.method,
            plus_minus(summary.mean()),
            *([plus_minus(summary.mean(k))] if k > 1 else []),
            count(summary.cost("steps")),
            count(summary.cost("generated_tokens")),
            duration(summary.seconds),
        ]
        for summary in comparison.summaries
    ]
    if comparison.study.base is not None:
        means = [rate(comparison.study.base.mean(at)) for at in ([1, k] if k > 1 else [1])]
        rows.insert(0, [BASE, *means, "", "", ""])
    names = [f"mean@{comparison.num_samples}", *([f"pass@{k}"] if k > 1 else [])]
    return Table(["method", *names, "total steps", "tokens", "time"], rows)


def reference_table(comparison: Comparison) -> Table:
    """What is claimed about the reference on the test prompts, with p-values adjusted for their number."""
    pairs = [(found.mean, found.pass_at) for found in comparison.against.values()]
    return _claims_table(
        comparison, "Claims about the reference", pairs, [p_value(claim.adjusted_p) for claim in comparison.primary]
    )


def baseline_table(comparison: Comparison) -> Table:
    """Every other method beside the baseline on the test prompts."""
    pairs = [(found.mean, found.pass_at) for found in comparison.beside_baseline.values()]
    return _claims_table(comparison, "Every method beside the baseline", pairs)


def base_table(comparison: Comparison) -> Table:
    """Every method beside the untrained model."""
    pairs = [(claims[1], claims) for claims in comparison.beyond_base.values()]
    return _claims_table(comparison, "Every method beside the untrained model", pairs)


def _claims_table(
    comparison: Comparison,
    label: str,
    pairs: Sequence[tuple[Claim, Mapping[int, Claim]]],
    p_values: Sequence[str] = (),
) -> Table:
    """Pair by pair: mean@n, pass@k, and what both show together."""
    k = comparison.largest_k
    rows = []
    for index, (mean, pass_at) in enumerate(pairs):
        row = [f"{mean.method} minus {mean.other}", *difference_cells(mean), *p_values[index : index + 1]]
        if k > 1:
            row += [*difference_cells(pass_at[k]), words.together(mean, pass_at[k])]
        rows.append(row)
    columns = ["", f"mean@{comparison.num_samples}, 95 % interval", "claim", *(["p (Holm)"] if p_values else [])]
    columns += [f"pass@{k}, 95 % interval", "claim", "together"] if k > 1 else []
    return Table(columns, rows, label, "dense", last_is_text=True)


def equal_table(found: dict[str, Beside]) -> Table:
    """Held-out pass rate at equal cost, per pair and clock: the difference, with a mark if it is decided."""
    rows = [
        [f"{pair.mean.method} minus {pair.mean.other}", *(marked(pair.at_equal[clock]) for clock in CLOCKS)]
        for pair in found.values()
    ]
    columns = ["", *(f"equal {CLOCK_NAMES[clock]}" for clock in CLOCKS)]
    return Table(columns, rows, "Every method beside the baseline at equal cost", "dense")


def efficiency_table(comparison: Comparison) -> Table:
    """How many times less each method paid to reach the baseline's levels, and its area under the curve."""
    rows = []
    for pair in comparison.beside_baseline.values():
        row = [pair.mean.method]
        for share in SHARES:
            row += [_ratio(pair, clock, share) for clock in CLOCKS[:2]]
        row += [words.short(pair.areas[clock]) for clock in CLOCKS[:2]]
        rows.append(row)
    names = [CLOCK_NAMES[clock] for clock in CLOCKS[:2]]
    baseline = comparison.baseline.method if comparison.baseline else ""
    groups = [(f"speed-up to {baseline} at {share:.0%}", 2) for share in SHARES]
    columns = ["", *(names * (len(SHARES) + 1))]
    groups = [("", 1), *groups, (f"mean on the way, minus {baseline}", 2)]
    return Table(columns, rows, "Speed-up over the baseline", "dense", groups=groups)


def aggregates_table(comparison: Comparison) -> Table:
    """Interquartile mean, optimality gap and probability of improvement, as in rliable."""
    rows = []
    for summary in comparison.summaries:
        middle, gap = summary.interquartile_mean, summary.optimality_gap
        pair = comparison.against.get(summary.method)
        improvement = _aggregate(pair.probability_of_improvement) if pair else MISSING
        rows.append([summary.method, _aggregate(middle), _pair(middle.by_run), _aggregate(gap), improvement])
    reference = comparison.reference.method if comparison.reference else "reference"
    columns = ["method", "interquartile mean", "the same, drawn as rliable does", "optimality gap"]
    label = "Interquartile mean, optimality gap, probability of improvement"
    return Table([*columns, f"P({reference} is better)"], rows, label)


def ledger_table(comparison: Comparison) -> Table:
    """What a run of each method paid, mean over seeds."""
    rows = [_ledger_row(summary) for summary in comparison.summaries]
    groups = [("", 2), ("optimizer steps", 4), ("tokens", 3), ("time", 3), ("at the end", 2)]
    columns = ["method", "seeds", "kept", "scout", "abandoned", "total", "guides", "generated", "trained"]
    columns += ["training", "guides", "evaluating", "interventions", "entropy"]
    return Table(columns, rows, "What a run of each method paid", "ledger", groups=groups)


def ablations_table(comparison: Comparison) -> Table:
    """Pairs of methods that differ in one setting."""
    k = comparison.largest_k
    rows = []
    for found in comparison.ablations:
        pair = found.beside
        change = f"{found.key}: {_setting(found.plain_value)} → {_setting(found.value)}"
        claims = [pair.mean, *([pair.pass_at[k]] if k > 1 else []), pair.at_equal["total_steps"]]
        rows.append([f"{pair.mean.method} minus {pair.mean.other}", change, *map(marked, claims)])
    names = [f"mean@{comparison.num_samples}", *([f"pass@{k}"] if k > 1 else []), "held-out, equal total steps"]
    return Table(["", "what changes", *names], rows, "Pairs of methods that differ in one setting", "dense")


def runs_table(comparison: Comparison) -> Table:
    """One row per run."""
    k = comparison.largest_k
    rows = []
    for summary in comparison.summaries:
        for figures in summary.runs:
            test = figures.run.test
            curve = figures.curve.rates
            rows.append(
                [
                    f"{summary.method}-{figures.run.seed}",
                    rate(test.mean()),
                    rate(test.mean(k)),
                    rate(float(curve[-1])),
                    count(figures.step),
                    count(figures.costs["steps"]),
                    count(figures.costs["generated_tokens"]),
                    duration(figures.seconds),
                    str(figures.num_interventions),
                    rate(figures.final_entropy),
                ]
            )
    columns = ["run", f"mean@{comparison.num_samples}", f"pass@{k}", "last held-out", "steps", "total steps", "tokens"]
    return Table([*columns, "time", "interventions", "entropy"], rows, "Every run")


def plus_minus(found: Estimate) -> str:
    """Format a share with the half width of its interval."""
    if math.isnan(found.low):
        return rate(found.value)
    return Markup('{} <span class="margin">±{}</span>').format(rate(found.value), rate(found.high - found.value))


def difference_cells(claim: Claim) -> list[str]:
    """Format a claim in two cells: the difference with its interval, and the verdict."""
    if math.isnan(claim.difference.value):
        return [MISSING, claim.verdict]
    marked = {"supported": "good", "contradicted": "bad"}.get(claim.verdict, "open")
    return [words.short(claim), Markup('<span class="{}">{}</span>').format(marked, claim.verdict)]


def marked(claim: Claim) -> str:
    """Format a claim in one cell: a triangle points up where it is supported, down where it is contradicted."""
    if math.isnan(claim.difference.value):
        return MISSING
    class_, mark = {"supported": ("good", "▲"), "contradicted": ("bad", "▼")}.get(claim.verdict, ("open", "○"))
    if claim.verdict == "not known":
        return words.short(claim)
    return Markup('{} <span class="{}">{}</span>').format(words.short(claim), class_, mark)


def _ledger_row(summary: MethodSummary) -> list[str]:
    steps = ("kept_steps", "scout_steps", "abandoned_steps", "steps")
    paid = {key: summary.cost(key) for key in steps}
    paid["abandoned_steps"] -= paid["scout_steps"]
    tokens = ("guide_tokens", "generated_tokens", "trained_tokens")
    times = ("train_seconds", "collect_seconds", "eval_seconds")
    return [
        summary.method,
        str(len(summary.runs)),
        *(count(paid[key]) for key in steps),
        *(count(summary.cost(key)) for key in tokens),
        *(duration(summary.cost(key)) for key in times),
        f"{summary.num_interventions:.1f}",
        plus_minus(summary.final_entropy),
    ]


def _ratio(pair: Beside, clock: str, share: float) -> str:
    ratio, num_reached = next(found for key, found in pair.speed_ups.items() if key == (clock, share))
    if math.isnan(ratio.value):
        return f"known for {num_reached} of {ratio.num}" if ratio.num else MISSING
    interval = "" if math.isnan(ratio.low) else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{ratio.value:.2f}{interval}"


def _aggregate(found: Aggregate) -> str:
    bounds = _pair(found.by_seed)
    return rate(found.value) + ("" if bounds == MISSING else f" {bounds}")


def _pair(bounds: Sequence[float] | None) -> str:
    if bounds is None or any(map(math.isnan, bounds)):
        return MISSING
    return f"[{rate(bounds[0])}, {rate(bounds[1])}]"


def _setting(value: object) -> str:
    return "default" if value is None else str(value)
