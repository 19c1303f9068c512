"""AutoNPO with price, several interventions and guides that cost next to nothing, beside GRPO and beside its parts.

What it does: for every run of a comparison how often it went back and how far, how many answers it got and what they
cost; the held-out pass rate minus GRPO's of the same seed at equal step, total steps and tokens; their means over seeds
with Student's 95 % interval; and one arm minus every other one, on the seeds that both have.

What it leaves out: running the arms (`nearfuture compare configs/apprentice/price_long.yaml`), the expected gain
(`price_calibration.py`).

    python measurements/price_long.py runs/apprentice/price_long --output measurements/results/price/long.md
    python measurements/price_long.py runs/apprentice/plateau --reference self_imitation \
        --title "Self-imitation and staying on the plateau, by every clock" \
        --output measurements/results/plateau/self_imitation_clocks.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from price_calibration import PLAIN, Beside, beside, runs_of
from printed import print_lines

from nearfuture.record.records import RunRecords
from nearfuture.stats.seeds import mean_over_seeds

CLOCKS = ("equal step", "equal total steps", "equal tokens")


def cells(records: RunRecords) -> str:
    """What a run did, as cells of the table: ways back, answers harvested and bought, tokens of guides, total steps."""
    events = records.events
    back = [f"{event['from_step']}: {event['rollback_distance']}" for event in events if event["event"] == "rollback"]
    collected = [event for event in events if event["event"] == "collected"]
    harvested = sum(event.get("num_harvested", 0) for event in collected)
    answers = sum(event["num_solved"] for event in collected)
    bought = sum(event.get("guide_tokens", 0) for event in events)
    rollouts = sum(row.get("rollout_tokens", 0) for row in records.rows.values())
    total = records.total_steps_at(records.head, records.last_step(records.head))
    return (
        f"{', '.join(back) or 'nowhere'} | {harvested:,} | {answers - harvested:,} | "
        f"{bought / (bought + rollouts):.1%} | {total:,}"
    )


def told(differences: np.ndarray) -> str:
    """Mean and interval of differences over seeds, one column per clock."""
    means = [mean_over_seeds(column) for column in differences.T]
    return " | ".join(
        f"{mean.value:+.3f} (all alike)"
        if np.isnan(mean.low)
        else f"{mean.value:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}]"
        for mean in means
    )


def table(folder: Path, reference: str, title: str) -> Iterator[str]:
    """Line by line."""
    found = {path.name: RunRecords.load(path) for path in sorted(folder.glob(f"{PLAIN}-*/")) if path.is_dir()}
    plain = {int(name.removeprefix(f"{PLAIN}-")): records for name, records in found.items() if records.is_finished}
    runs = list(runs_of(folder, plain))
    yield f"# {title}\n"
    yield (
        "Written by `measurements/price_long.py`. Held-out pass rate minus GRPO's of the same seed, where both had "
        "been evaluated last.\n"
    )
    yield (
        "| arm | seed | at step: back by | answers of its own | bought | guides' tokens | total steps | "
        f"{' | '.join(CLOCKS)} |"
    )
    yield "|" + "---|" * (7 + len(CLOCKS))
    gaps: dict[str, dict[int, Beside]] = {}
    for method, seed, records in runs:
        one = beside(method, seed, records, plain[seed])
        gaps.setdefault(method, {})[seed] = one
        shown = " | ".join(f"{value:+.3f}" for value in one.differences)
        yield f"| {method} | {seed} | {cells(records)} | {shown} |"
    yield "\nMean and 95 % interval over seeds, minus GRPO:\n"
    yield f"| arm | seeds | {' | '.join(CLOCKS)} |\n|{'---|' * (2 + len(CLOCKS))}"
    for method, ours in gaps.items():
        if len(ours) > 1:
            yield f"| {method} | {len(ours)} | {told(np.array([one.differences for one in ours.values()]))} |"
    yield f"\n{reference} minus each of the others, on the seeds that both have:\n"
    yield f"| beside | seeds | {' | '.join(CLOCKS)} |\n|{'---|' * (2 + len(CLOCKS))}"
    ours = gaps.get(reference, {})
    for method, theirs in gaps.items():
        both = sorted(ours.keys() & theirs.keys())
        if method != reference and len(both) > 1:
            apart = np.array([np.subtract(ours[seed].differences, theirs[seed].differences) for seed in both])
            yield f"| {method} | {len(both)} | {told(apart)} |"


def main() -> None:
    """Print the tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the comparison")
    parser.add_argument("--reference", default="price", help="the arm that the others are subtracted from")
    parser.add_argument("--title", default="AutoNPO with price on the whole of a rising curve", help="of the file")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    print_lines(table(options.folder, options.reference, options.title), options.output)


if __name__ == "__main__":
    main()
