"""Q, V and S over distance on plain GRPO runs of the apprentice's world, at an early and at a later anchor.

What it does: trains `configs/apprentice/grpo.yaml` for 200 steps with a checkpoint every 10 (unless that was done),
measures anchors 0 and 80 at distances 0 to 120 as `nearfuture signal` does, and writes the tables to a Markdown file.

What it leaves out: whether the distance at which S is highest is the one at which learning is best. That takes training
runs with guides at each distance.

    OMP_NUM_THREADS=1 python measurements/signal_study.py --seeds 0 --folder runs/signal     # about 10 minutes a seed
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearfuture.lab.measure.measurement import Scope
from nearfuture.lab.measure.run_signal import measure_signal
from nearfuture.lab.measure.signal_rows import LOG_COSTS, QUALITIES
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.start import train
from nearfuture.train.hush import hush_libraries

HERE = Path(__file__).parent
CONFIG = HERE.parent / "configs" / "apprentice" / "grpo.yaml"
SCOPE = Scope(anchors=(0, 80), distances=(10, 20, 40, 60, 80, 120), num_prompts=800, num_samples=16, num_gradients=256)
WEIGHTINGS = ("on_policy", "token", "clipped", "sequence")


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """Train if need be, measure if need be; both results stay in the folder."""
    run = folder / f"grpo-{seed}"
    if not (run / "final").exists():
        overrides = [f"run_dir={run}", "max_steps=200", "save_steps=10", "eval_every=0", f"seed={seed}"]
        train(load_configuration(CONFIG, overrides), clean=run.exists(), quiet=True)
    found = folder / f"signal-{seed}.json"
    if not found.exists():
        began = time.perf_counter()
        result = measure_signal(run, SCOPE)
        found.write_text(json.dumps({**result, "seconds": time.perf_counter() - began}, indent=1))
    return json.loads(found.read_text())


def summary(results: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Write where S = coverage / V is highest, for every run, anchor and V."""
    yield "Where S = coverage / V is highest [95 % of the resamples]; **bold**: an interior maximum."
    yield ""
    yield from _head("seed", "anchor", *LOG_COSTS)
    for seed, result in results.items():
        for anchor in result["anchors"]:
            found = [anchor["maximum"]["coverage"][cost] for cost in LOG_COSTS]
            cells = [f"{one['distance']:.0f} {_span(one['distance_ci'], 0)}" for one in found]
            bold = [f"**{cell}**" if one["is_interior"] else cell for cell, one in zip(cells, found, strict=True)]
            yield _row(seed, anchor["anchor"], *bold)
    yield ""


def tables(result: dict[str, Any], seed: int) -> Iterator[str]:
    """Write one run's tables, line by line."""
    for anchor in result["anchors"]:
        yield f"## Seed {seed}, anchor {anchor['anchor']}"
        yield ""
        share = anchor["num_prompts"] / anchor["num_tried"]
        yield (
            f"{anchor['num_prompts']} failed prompts of {anchor['num_tried']} tried ({share:.0%} failed in "
            f"{result['num_samples']} samples), {result['num_samples']} fresh samples per prompt and guide, "
            f"coverage at k = {result['k']}."
        )
        yield ""
        yield from _estimates(anchor)
        yield ""
        yield from _costs(anchor)
        yield ""
        yield from _maxima(anchor)
        yield ""
        yield from _growth(anchor)
        yield ""
        yield from _gradients(anchor)
        yield ""


def _estimates(anchor: dict[str, Any]) -> Iterator[str]:
    yield from _head("D", "Q coverage", "Q(D) - Q(0)", "Q pass rate", "V token", "S (coverage / token)", "ESS share")
    for row in anchor["distances"]:
        cover, rate = row["qualities"]["coverage"], row["qualities"]["pass_rate"]
        gain = {"value": cover["gain"], "ci": cover["gain_ci"]}
        ess = f"{row['effective_sample_frac']:.4f}"
        token, effective = row["variance_costs"]["token"], row["effective_signals"]["coverage"]["token"]
        yield _row(row["distance"], *map(_with_ci, (cover, gain, rate, token, effective)), ess)


def _costs(anchor: dict[str, Any]) -> Iterator[str]:
    yield from _head("D", *(f"V {name}" for name in LOG_COSTS), "KL k1", "KL k3")
    for row in anchor["distances"]:
        costs = [_with_ci(row["variance_costs"][name]) for name in LOG_COSTS]
        yield _row(row["distance"], *costs, f"{row['kl_k1']:.4f}", f"{row['kl_k3']:.4f}")


def _maxima(anchor: dict[str, Any]) -> Iterator[str]:
    yield from _head("Q", "V", "S highest at", "95 % of resamples", "inside", "S - S(0)", "S - S(last)", "interior")
    for quality in QUALITIES:
        for cost in LOG_COSTS:
            found = anchor["maximum"][quality][cost]
            inside = f"{found['interior_frac']:.2f}"
            where = f"{found['distance']:.0f}", _span(found["distance_ci"], 0), inside
            ends = _span(found["over_first_ci"], 3), _span(found["over_last_ci"], 3)
            yield _row(quality, cost, *where, *ends, "yes" if found["is_interior"] else "no")


def _growth(anchor: dict[str, Any]) -> Iterator[str]:
    yield from _head("log V = a D^b", "a", "b", "95 %", "points")
    for cost, fit in anchor["fits"]["variance_costs"].items():
        known = fit["exponent"] is not None
        numbers = (f"{fit['factor']:.4g}", f"{fit['exponent']:.2f}", _span(fit["exponent_ci"], 2)) if known else "---"
        yield _row(cost, *numbers, fit["num_points"])
    yield ""
    yield from _head("Q = Q0 + (Qinf - Q0)(1 - exp(-D/tau))", "Q0", "Qinf", "95 %", "tau", "95 %", "tau found")
    for quality, fit in anchor["fits"]["qualities"].items():
        level = f"{fit['start']:.3f}", f"{fit['end']:.3f}", _span(fit["end_ci"], 2)
        yield _row(
            quality, *level, f"{fit['scale']:.0f}", _span(fit["scale_ci"], 0), "yes" if fit["has_scale"] else "no"
        )


def _gradients(anchor: dict[str, Any]) -> Iterator[str]:
    for kind, meaning in (("all", "any sample of the guide"), ("guided", "correct samples only: what is injected")):
        rows = [(row["distance"], row["gradients"][kind]) for row in anchor["distances"] if kind in row["gradients"]]
        yield f"Trace of the gradient's covariance, in thousands; {meaning}:"
        yield ""
        yield from _head("D", "samples", *WEIGHTINGS)
        for distance, found in rows:
            traces = [
                {"value": found[w]["trace"] / 1e3, "ci": [x and x / 1e3 for x in found[w]["trace_ci"]]}
                for w in WEIGHTINGS
            ]
            yield _row(distance, found["on_policy"]["num_samples"], *map(_with_ci, traces))
        yield ""
        yield f"Noise to signal, the trace over the squared norm of the mean gradient; {meaning}:"
        yield ""
        yield from _head("D", *WEIGHTINGS)
        for distance, found in rows:
            ratios = [{"value": found[w]["noise_to_signal"], "ci": found[w]["noise_to_signal_ci"]} for w in WEIGHTINGS]
            yield _row(distance, *map(_with_ci, ratios))
        yield ""
        yield f"Rank correlation over D of each V with the trace; {meaning}:"
        yield ""
        yield from _head("V", *WEIGHTINGS)
        for cost in LOG_COSTS:
            yield _row(cost, *(_plain(anchor["gradient_rank_correlation"][kind][w][cost]) for w in WEIGHTINGS))
        yield ""


def _head(*columns: str) -> Iterator[str]:
    yield _row(*columns)
    yield _row(*("---" for _ in columns))


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _with_ci(estimate: dict[str, Any]) -> str:
    low, high = estimate["ci"]
    if low is None or high is None:
        return _plain(estimate["value"])
    return f"{_plain(estimate['value'])} [{_plain(low)}, {_plain(high)}]"


def _span(pair: list[float | None], digits: int) -> str:
    return "-" if None in pair else f"[{pair[0]:.{digits}f}, {pair[1]:.{digits}f}]"


def main() -> None:
    """Measure every seed and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/signal"))
    parser.add_argument("--output", type=Path, default=HERE / "results" / "signal.md")
    arguments = parser.parse_args()
    hush_libraries()
    results = {seed: measure(arguments.folder, seed) for seed in arguments.seeds}
    lines = [
        "# The signal on the apprentice's world",
        "",
        f"Written by `measurements/signal_study.py --seeds {' '.join(map(str, arguments.seeds))}`: plain GRPO, "
        "learning rate 3e-4, 64 prompts x 8 rollouts, 200 steps. Brackets are 95 % percentile intervals over "
        "prompts, paired over all of an anchor; they say nothing about another training seed. The columns: "
        "docs/methods/signal.md.",
        "",
        *summary(results),
        *(line for seed, result in results.items() for line in tables(result, seed)),
    ]
    arguments.output.write_text("\n".join(lines).rstrip() + "\n")
    print(arguments.output)


if __name__ == "__main__":
    main()
