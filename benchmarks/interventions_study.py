"""GRPO, NPO early, late, early + late and AutoNPO on the apprentice, several seeds each: what does going back buy?

    python benchmarks/interventions_study.py --runs runs/study --seeds 5 --write

Trains every method with the shipped configurations (240 steps; GRPO 340, so that it can be read at equal *total*
steps), two at a time with one thread each, resumable: a finished run is not trained again, a killed one goes on.
Writes a row per method: held-out pass rate at step 240 and entropy there, and the paired difference to GRPO of the same
seed at equal step, equal total steps and equal generated tokens, mean and 95 % t-interval over seeds.

Left out: other worlds, other learning rates, importance weighting, tuning of any kind. Seeds are 100, 101, ...; the
configurations were looked at on seeds 0 and 1 only.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nearfuture.run.clocks import paid_at
from nearfuture.run.ledger import build_ledger
from nearfuture.run.records import RunRecords

ROOT = Path(__file__).parent.parent
METHODS = {
    "grpo": ("grpo", ["max_steps=340"]),
    "npo_early": ("npo_early", []),
    "npo_late": ("npo_late", []),
    "npo_early_late": ("npo_early_late", []),
    "npo_early_late, kept while gated": ("npo_early_late", ["guidance_lifetime=while_gated"]),
    "autonpo": ("autonpo", []),
}
HORIZON = 240
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def train(folder: Path, method: str, seed: int) -> None:
    """Train one run unless it is finished."""
    config, extra = METHODS[method]
    if (folder / "final").exists():
        return
    command = [sys.executable, "-m", "nearfuture", "train", str(ROOT / "configs" / "apprentice" / f"{config}.yaml")]
    command += [f"run_dir={folder}", f"seed={seed}", *extra, "--quiet"]
    command += ["--resume"] if (folder / "lineage.json").exists() else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"{method} seed {seed}: {'done' if done.returncode == 0 else done.stderr[-500:]}", flush=True)


def held_out(records: RunRecords, clock: str, at: float) -> float:
    """Held-out pass rate of the kept path at a position of a clock, linear between evaluations; NaN beyond the end."""
    curve = records.curve("eval/pass_rate", "head")
    positions = [(int(s), int(step)) for s, step in zip(curve.segments, curve.steps, strict=True)]
    paid = np.asarray(paid_at(records, clock, positions), dtype=float)
    return float(np.interp(at, paid, curve.values, left=math.nan)) if at <= paid[-1] + 1e-9 else math.nan


def end_of(records: RunRecords, clock: str) -> float:
    """Where the run stands on a clock at its end."""
    last = records.lineage.head
    return float(paid_at(records, clock, [(last.id, int(last.end_step or 0))])[0])


def interval(values: list[float]) -> str:
    """Mean and 95 % t-interval over seeds."""
    kept = [v for v in values if not math.isnan(v)]
    if len(kept) < 2:
        return "unknown"
    half = T_95[len(kept)] * float(np.std(kept, ddof=1)) / math.sqrt(len(kept))
    return f"{np.mean(kept):+.3f} ± {half:.3f}"


def summarise(runs: Path, seeds: list[int]) -> tuple[str, list[dict]]:
    """The table, and a row a run."""
    rows = []
    for method in METHODS:
        for seed in seeds:
            folder = runs / f"{method.replace(', ', '_').replace(' ', '_')}-{seed}"
            if not (folder / "final").exists():
                continue
            records, grpo = RunRecords.load(folder), RunRecords.load(runs / f"grpo-{seed}")
            ledger = build_ledger(records)["totals"]
            row = {"method": method, "seed": seed, "pass_rate": held_out(records, "step", HORIZON)}
            entropy = records.curve("npo/entropy", "head")
            row["entropy"] = float(np.mean(entropy.values[(entropy.steps > HORIZON - 20) & (entropy.steps <= HORIZON)]))
            for clock in ("step", "total_steps", "tokens"):
                ours, theirs = (HORIZON if clock == "step" else end_of(r, clock) for r in (records, grpo))
                at = min(ours, theirs)
                row[f"minus_grpo_at_equal_{clock}"] = held_out(records, clock, at) - held_out(grpo, clock, at)
            row["minus_grpo_at_step_60"] = held_out(records, "step", 60) - held_out(grpo, "step", 60)
            row |= {"total_steps": end_of(records, "total_steps"), "guide_tokens": ledger["guide_tokens"]}
            row["num_interventions"] = sum(s.intervention is not None for s in records.segments)
            rows.append(row)
    columns = ["method", "seeds", "pass rate at 240", "entropy", "minus GRPO, step 60", "minus GRPO, step 240"]
    columns += ["minus GRPO, equal total steps", "minus GRPO, equal tokens", "total steps", "interventions"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method]
        if mine:
            mean = {key: float(np.mean([r[key] for r in mine])) for key in mine[0] if key not in ("method", "seed")}
            differences = [
                interval([row[f"minus_grpo_at_{name}"] for row in mine]) if method != "grpo" else ""
                for name in ("step_60", "equal_step", "equal_total_steps", "equal_tokens")
            ]
            cells = [method, str(len(mine)), f"{mean['pass_rate']:.3f}", f"{mean['entropy']:.3f}", *differences]
            cells += [f"{mean['total_steps']:.0f}", f"{mean['num_interventions']:.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines), rows


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "study")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/results/interventions.{md,json}")
    arguments = parser.parse_args()
    seeds = list(range(100, 100 + arguments.seeds))
    grid = [(method, seed) for seed in seeds for method in METHODS]
    with ThreadPoolExecutor(2) as pool:
        for method, seed in grid:
            name = method.replace(", ", "_").replace(" ", "_")
            pool.submit(train, arguments.runs / f"{name}-{seed}", method, seed)
    table, rows = summarise(arguments.runs, seeds)
    print(table)
    if arguments.write:
        results = ROOT / "benchmarks" / "results"
        results.mkdir(exist_ok=True)
        (results / "interventions.md").write_text(f"{__doc__}\n{table}\n")
        (results / "interventions.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
