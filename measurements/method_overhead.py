"""The time of one step of each method over that of TRL's GRPO, in turns inside one run.

    OMP_NUM_THREADS=1 python measurements/method_overhead.py            # about 5 minutes
    OMP_NUM_THREADS=1 python measurements/method_overhead.py --write    # and write its page in results/

What it does: the arms and the clock of measurements/overhead.py (CPU time, paired steps, learning rate 0, the base
policy, guidance for every prompt), with the weights, gates and sources of LUFFY, ExGRPO, RLEP and distillation.

What it leaves out: collection, scouts and everything else outside a step; the entropy scoring of ExGRPO, which the
apprentice's single right answer never needs.

Expected before the first run: 1.03 for shaped weights and pools, 1.05 for experience, 1.35 for distillation (a forward
pass more on nearly every row).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from cost.clock import STEPS_PER_TURN, in_turns
from cost.rows import Row, divide, ratio_row
from cost.world import World

from nearfuture.guidance import GuidanceCache, UniformReplay, WindowedCache
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.run.settings.methods import METHODS
from nearfuture.train.distill import Distiller

RESULTS = Path(__file__).parent / "results"
NUM_TURNS = 10
BARS = {"luffy": ("<= 1.05", "1.03"), "rlep": ("<= 1.05", "1.03"), "exgrpo": ("<= 1.15", "1.05"), "opd": ("", "1.35")}
OF_THE_TRAINER = (
    "weighting",
    "shaping_gamma",
    "max_pass_rate",
    "loss_type",
    "scale_rewards",
    "epsilon",
    "epsilon_high",
    "entropy_coef",
    "inject_guidance",
    "distill_coef",
)


def measure(world: World) -> list[Row]:
    """Step time of every method over TRL's."""
    cache = GuidanceCache.open(world.guidance())
    constant = {"max_steps": STEPS_PER_TURN, "learning_rate": 0.0, "shuffle_dataset": False}
    settings = {
        name: {key: value for key, value in METHODS[name].items() if key in OF_THE_TRAINER} | constant for name in BARS
    }
    experience = ExperienceReplay(start_pass_rate=0.0)
    arms = {
        "trl": world.trl(**constant),
        "luffy": world.npo(cache, **settings["luffy"]),
        "rlep": world.npo(WindowedCache(cache, pool=UniformReplay(cache)), **settings["rlep"]),
        "exgrpo": world.npo(experience, **settings["exgrpo"]),
        "opd": world.npo(**settings["opd"]),
    }
    arms["opd"].distiller = Distiller.load(Path(world.task.model))
    times = in_turns(world, arms, NUM_TURNS)
    rows = []
    for name, (bar, expected) in BARS.items():
        wall = statistics.median(divide(times[name].wall, times["trl"].wall))
        least = times[name].least() / times["trl"].least()
        note = f"of the minima {least:.3f}, wall clock {wall:.3f}"
        if name == "exgrpo":
            note += f"; {len(experience)} questions stored"
        ratios = divide(times[name].cpu, times["trl"].cpu)
        rows.append(ratio_row(f"step time, {name} / TRL's GRPO", bar, expected, ratios, note))
    return rows


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="also write measurements/results/method_overhead.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(World(Path(folder)))
    lines = ["| what | bar | expected | measured: median (95 % interval) |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.bar} | {row.expected} | {row.measured} |" for row in rows]
    table = "\n".join(lines)
    print(table)
    if arguments.write:
        (RESULTS / "method_overhead.md").write_text(f"{__doc__}\n{table}\n")


if __name__ == "__main__":
    main()
