"""Does the expected gain hold, and the price? Both beside what the runs of a comparison gave, on seeds apart.

What it does: reads a `nearfuture compare configs/apprentice/price.yaml`, as far as it is finished. For every run in
which AutoNPO acted: what the chosen candidate was expected to bring, and what the run gained over GRPO of its seed on
held-out prompts, on the average over the evaluations after the trigger. The factor c of the expected gain is fitted on
the first seed (least squares through 0) and judged on the others. For the price: at every step of the GRPO runs, the
slope of the last 20 steps times D, and what the next D steps brought. And every run beside GRPO at equal step, total
steps and tokens, with the means over seeds.

What it leaves out: other worlds; the gain of going back further than the guide's own run.

    python measurements/price_calibration.py runs/apprentice/price
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from printed import print_lines

from nearfuture.method.price import slope_of
from nearfuture.record.equal_clocks import at_equal_clocks
from nearfuture.record.records import EVALUATION, RunRecords
from nearfuture.stats.seeds import mean_over_seeds

OUTPUT = Path(__file__).parent / "results" / "price" / "calibration.md"
WINDOW, DISTANCES = 20, (5, 10, 20)
PASS_RATE, PLAIN = "npo/pass_rate", "grpo"
UNSAID = 0.2
"""`autonpo.gain_factor` of the runs that do not say it: its default before this calibration."""


@dataclass(frozen=True)
class Row:
    """An intervention: what was expected with c = 1, the price that was charged, and what came of it."""

    method: str
    seed: int
    step: int
    distance: int
    factor: float
    news: float
    gain: float


@dataclass(frozen=True)
class Beside:
    """A run beside GRPO of its seed, whether or not it acted: what it is ahead by on every clock."""

    method: str
    seed: int
    differences: tuple[float, ...]


def curve(records: RunRecords, key: str) -> dict[int, float]:
    """A metric along the head's path."""
    found = records.curve(key)
    return dict(zip(found.steps.tolist(), found.values.tolist(), strict=True))


def runs_of(folder: Path, plain: Mapping[int, RunRecords]) -> Iterator[tuple[str, int, RunRecords]]:
    """The finished runs that have a GRPO run beside them: method, seed, records."""
    for path in sorted(folder.glob("*-*/lineage.json")):
        method, _, seed = path.parent.name.rpartition("-")
        records = RunRecords.load(path.parent)
        if method != PLAIN and int(seed) in plain and records.is_finished:
            yield method, int(seed), records


def row_of(method: str, seed: int, records: RunRecords, plain: RunRecords) -> Row | None:
    """What a run expected and gained; None if it did not act."""
    events = [event for event in records.events if event["event"] == "rollback"]
    if not events:
        return None
    event, evaluated, beside = events[0], curve(records, EVALUATION), curve(plain, EVALUATION)
    chosen = next(c for c in event["candidates"] if c["rollback_distance"] == event["rollback_distance"])
    later = [step for step in evaluated if step > event["from_step"] and step in beside]
    factor = records.config.get("autonpo.gain_factor", UNSAID)
    return Row(
        method=method,
        seed=seed,
        step=event["from_step"],
        distance=event["rollback_distance"],
        factor=factor,
        news=chosen["expected_gain"] / factor,
        gain=float(np.mean([evaluated[step] - beside[step] for step in later])),
    )


def beside(method: str, seed: int, records: RunRecords, plain: RunRecords) -> Beside:
    """A run beside GRPO of its seed."""
    judgements = [found.judgement for found in at_equal_clocks(records, plain)]
    return Beside(method, seed, tuple(float("nan") if one is None else one.difference for one in judgements))


def table(rows: list[Row], all_beside: list[Beside], plain: Mapping[int, RunRecords]) -> Iterator[str]:
    """Write the tables, line by line."""
    first = min(row.seed for row in rows)
    fitted = [row for row in rows if row.seed == first]
    factor = _fit([row.news for row in fitted], [row.gain for row in fitted])
    as_run = {row.factor for row in rows}
    yield "# Expected gain and price, beside what the runs gave"
    yield ""
    yield (
        "Written by `measurements/price_calibration.py`. News: the expected gain at c = 1. Gain: held-out pass rate "
        "minus GRPO's of the same seed at equal step, mean over the evaluations after the trigger. c fitted on seed "
        f"{first}: {factor:.2f}; the runs had {', '.join(f'{one:g}' for one in sorted(as_run))}."
    )
    yield ""
    yield "| method | seed | trigger | distance | news | expected (as run) | expected (fitted) | gain |"
    yield "|" + " --- |" * 8
    for row in rows:
        place = f"{row.method} | {row.seed} | {row.step} | {row.distance}"
        expected = f"{row.factor * row.news:+.4f} | {factor * row.news:+.4f}"
        yield f"| {place} | {row.news:.4f} | {expected} | {row.gain:+.4f} |"
    yield ""
    given = {f"c = {one:g}, as run": one for one in sorted(as_run)}
    yield from _judged(rows, first, {**given, f"c fitted on seed {first}": factor, "no gain at all": 0.0})
    yield ""
    yield from _beside(all_beside)
    yield ""
    yield "The price: slope of the last 20 steps x D beside what D more steps of GRPO brought (on-policy pass rate)."
    yield ""
    yield "| D | price, mean | brought, mean | brought / price | correlation | steps |"
    yield "|" + " --- |" * 6
    for distance in DISTANCES:
        pairs = np.array([pair for records in plain.values() for pair in _prices(records, distance)])
        if len(pairs) > 2:
            ratio, correlation = pairs[:, 1].mean() / pairs[:, 0].mean(), np.corrcoef(pairs.T)[0, 1]
            means = f"{pairs[:, 0].mean():+.4f} | {pairs[:, 1].mean():+.4f}"
            yield f"| {distance} | {means} | {ratio:.2f} | {correlation:+.2f} | {len(pairs)} |"


def _beside(runs: list[Beside]) -> Iterator[str]:
    """Held-out pass rate minus GRPO's on every clock, a row a run and a mean a method."""
    yield "Held-out pass rate minus GRPO's of the same seed, where both had been evaluated last. Idle runs count:"
    yield ""
    yield "| method | seed | equal step | equal total steps | equal tokens |"
    yield "|" + " --- |" * 5
    for method in dict.fromkeys(run.method for run in runs):
        mine = [run.differences for run in runs if run.method == method]
        for run in runs:
            if run.method == method:
                yield f"| {method} | {run.seed} | {' | '.join(f'{value:+.3f}' for value in run.differences)} |"
        if len(mine) > 1:
            means = [mean_over_seeds(np.array(values)) for values in zip(*mine, strict=True)]
            told = [f"{mean.value:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}]" for mean in means]
            yield f"| *{method}, {len(mine)} seeds* | | {' | '.join(told)} |"


def _judged(rows: list[Row], first: int, factors: Mapping[str, float]) -> Iterator[str]:
    """How far expectation and gain lie apart on the seeds that nothing was fitted on."""
    apart = [row for row in rows if row.seed != first]
    if not apart:
        yield "No other seed has finished, so that nothing can be said of seeds apart."
        return
    yield f"On the {len(apart)} interventions of other seeds, root mean square of gain minus expectation:"
    yield ""
    for name, factor in factors.items():
        errors = [row.gain - factor * row.news for row in apart]
        yield f"* {name}: {np.sqrt(np.mean(np.square(errors))):.4f}"
    own = _fit([row.news for row in apart], [row.gain for row in apart])
    yield f"* their own best c: {own:.2f}"


def _prices(records: RunRecords, distance: int) -> Iterator[tuple[float, float]]:
    """At every step: what `distance` steps are expected to bring, and what they brought, averaged over 10 steps."""
    values = curve(records, PASS_RATE)
    for step in range(WINDOW + 1, max(values) - distance - 4):
        window = list(range(step - WINDOW + 1, step + 1))
        here, there = (np.mean([values[s] for s in range(at - 4, at + 5)]) for at in (step, step + distance))
        yield max(0.0, slope_of(window, [values[s] for s in window])) * distance, float(there - here)


def _fit(x: list[float], y: list[float]) -> float:
    """Least squares through 0."""
    return float(np.dot(x, y) / np.dot(x, x))


def main() -> None:
    """Read the runs and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the comparison")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    seeds = {int(path.name.removeprefix("grpo-")): path for path in options.folder.glob("grpo-*/") if path.is_dir()}
    loaded = {seed: RunRecords.load(path) for seed, path in sorted(seeds.items())}
    plain = {seed: records for seed, records in loaded.items() if records.is_finished}
    runs = list(runs_of(options.folder, plain))
    found = [row_of(method, seed, records, plain[seed]) for method, seed, records in runs]
    rows = sorted(filter(None, found), key=lambda row: (row.seed, row.distance, row.method))
    print_lines(table(rows, [beside(*run, plain[run[1]]) for run in runs], plain), options.output)


if __name__ == "__main__":
    main()
