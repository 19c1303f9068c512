"""Is it going back that pays on a plateau, or the guidance alone? Further arms of the study, beside its first two.

What it does: for each arm and seed the test prompts, of all and of trained lengths, and what happened in the run (a
guide asked, a trigger, a way back); then each arm minus GRPO and minus NPO late of the same seed, with Student's
interval over seeds.

What it leaves out: running the arms (`nearfuture compare configs/apprentice/plateau.yaml`). GRPO and
NPO late are read from the record of their comparison: the same settings and seeds give the same bits, which an arm that
does nothing shows (its figures are GRPO's).

    python measurements/plateau_arms.py runs/apprentice/plateau \\
        --beside measurements/results/plateau/comparison.json --output measurements/results/plateau/arms.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from plateau import OURS, PLAIN, SEEN, family_rates, interval
from printed import print_lines

from nearfuture.lab.study.results import Study, StudyRun

Rates = Mapping[str, float]
SHOWN = ("all", "trained lengths")
MANY = 3


def recorded(path: Path) -> dict[tuple[str, int], Rates]:
    """Test pass rates of the runs of a recorded comparison, of all prompts and of each family, by method and seed."""
    known = json.loads(path.read_text())
    names = {"all": f"mean@{known['num_samples']}", **{name: f"{name}/mean" for name in known["families"]}}
    return {(run["method"], run["seed"]): {name: run[key] for name, key in names.items()} for run in known["runs"]}


def with_seen(rates: Rates) -> Rates:
    """Rates with that of the trained lengths, of those shown."""
    return {"all": rates["all"], "trained lengths": float(np.mean([rates[name] for name in SEEN]))}


def what_happened(run: StudyRun) -> str:
    """The triggers, probes and interventions of a run, in a few words; many interventions are added up."""
    ways = [event for event in run.records.events if event["event"] == "rollback"]
    if len(ways) > MANY:
        answers, back = (sum(event[key] for event in ways) for key in ("num_guidance", "rollback_distance"))
        return f"{len(ways)} interventions: {answers:,} answers, back by {back} steps in all"
    said = []
    for event in run.records.events:
        match event["event"]:
            case "triggered":
                said.append(f"fired at {event['step']}")
            case "declined":
                said.append("declined")
            case "rollback":
                answers, step, distance = (event[key] for key in ("num_guidance", "from_step", "rollback_distance"))
                said.append(f"{answers:,} answers of step {step}, back by {distance}")
    return "; ".join(said) or "nothing"


def weighed(candidate: Mapping[str, float]) -> str:
    """A candidate with its quality, variance cost and signal."""
    names = ("quality", "variance_cost", "effective_signal")
    quality, cost, signal = (candidate[name] for name in names)
    return f"{candidate['rollback_distance']}: {quality:.2f} / {cost:.2f} = {signal:.3f}"


def table(folder: Path, beside: Path) -> Iterator[str]:
    """Line by line."""
    study = Study.load(folder)
    known = {run: with_seen(rates) for run, rates in recorded(beside).items()}
    yield "# Further arms on the plateau\n"
    yield "Written by `measurements/plateau_arms.py`. Pass rates on the test prompts, 16 samples each.\n"
    yield "| arm | seed | test: all | trained lengths | total steps | what happened |\n|---|---|---|---|---|---|"
    for run in study.runs:
        rates, records = family_rates(run), run.records
        total = records.total_steps_at(records.head, records.last_step(records.head))
        cells = (run.method, run.seed, *(f"{rates[name]:.3f}" for name in SHOWN), f"{total:,}", what_happened(run))
        yield f"| {' | '.join(map(str, cells))} |"
    idle = [run for run in study.runs if what_happened(run).endswith(("nothing", "declined"))]
    same = sum(known[PLAIN, run.seed] == {name: family_rates(run)[name] for name in SHOWN} for run in idle)
    yield f"\nOf the {len(idle)} runs in which nothing was guided, {same} have exactly the rates recorded for GRPO."
    yield "\nMean and 95 % interval over the seeds of an arm:\n"
    yield "| arm | seeds | prompts | mean | minus GRPO | minus NPO late |\n|---|---|---|---|---|---|"
    for method in study.methods:
        runs = study.of(method)
        for name in SHOWN:
            ours = [family_rates(run)[name] for run in runs]
            gaps = [
                interval([rate - known[other, run.seed][name] for rate, run in zip(ours, runs, strict=True)])
                for other in (PLAIN, OURS)
            ]
            yield f"| {method} | {len(runs)} | {name} | {np.mean(ours):.3f} | {gaps[0]} | {gaps[1]} |"
    yield "\nWhat AutoNPO chose from: distance: Q / V = S.\n"
    yield "| arm | seed | candidates | chosen |\n|---|---|---|---|"
    for run in study.runs:
        for event in run.records.events:
            if event["event"] == "rollback" and "candidates" in event:
                listed = "; ".join(map(weighed, event["candidates"]))
                yield f"| {run.method} | {run.seed} | {listed} | {event['rollback_distance']} |"


def main() -> None:
    """Print the tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--beside", type=Path, required=True, help="the comparison.json of GRPO and NPO late")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print_lines(table(options.study, options.beside), options.output)


if __name__ == "__main__":
    main()
