"""A step beside TRL's: its bits, its time in turns, and its time seen from within.

Not here: the clock (`clock`).
"""

from __future__ import annotations

import statistics

from cost.clock import STEPS_PER_TURN, in_turns, shares
from cost.rows import Row, divide, ratio_row
from cost.world import World


def measure_bits(world: World) -> list[Row]:
    """20 steps of training: losses, rewards, every other metric and the weights, against TRL's trainer."""
    from nearfuture.guidance import GuidanceCache
    from nearfuture.train.proofs import difference, metrics_of

    cache = GuidanceCache.open(world.guidance())
    theirs = world.trl(max_steps=20)
    theirs.train()
    rows = []
    for what, settings in {
        "gate closed": {"guidance": cache, "max_pass_rate": -1.0},
        "no guidance": {},
        "no guidance, fast_generation": {"fast_generation": True},
    }.items():
        ours = world.npo(max_steps=20, **settings)
        ours.train()
        found = difference(theirs, ours)
        compared = f"{len(metrics_of(theirs))} steps, {len(metrics_of(theirs)[-1]) - 1} metrics each, all weights"
        measured = f"identical ({compared})" if found is None else f"first difference: {found}"
        rows.append(Row(f"{what} vs GRPOTrainer, 20 steps", "identical bits", "identical", measured, found is None))
    return rows


def measure_steps(world: World) -> list[Row]:
    """Step time of four kinds of our trainer over TRL's, and the verifier's calls."""
    from nearfuture.guidance import GuidanceCache

    cache = GuidanceCache.open(world.guidance())
    constant = {"max_steps": STEPS_PER_TURN, "learning_rate": 0.0, "shuffle_dataset": False}
    arms = {
        "trl": world.trl(**constant),
        "none": world.npo(**constant),
        "closed": world.npo(cache, max_pass_rate=-1.0, **constant),
        "open": world.npo(cache, **constant),
        "importance": world.npo(cache, weighting="importance", **constant),
    }
    times = in_turns(world, arms, 12)
    judged = {name: statistics.mean(measured.judged) for name, measured in times.items()}
    rows = []
    for name, what, bar, expected in (
        ("none", "step time, no guidance / TRL", "<= 1.02", "1.005"),
        ("closed", "step time, gate closed / TRL", "<= 1.02", "1.01"),
        ("open", "step time, gate open, on_policy / TRL", "<= 1.05", "1.03"),
        ("importance", "step time, gate open, importance / TRL", "<= 1.05", "1.03"),
    ):
        wall = statistics.median(divide(times[name].wall, times["trl"].wall))
        least = times[name].least() / times["trl"].least()
        calls = f"{judged[name]:.0f} verifier calls a step, TRL {judged['trl']:.0f}"
        note = f"of the minima {least:.3f}, wall clock {wall:.3f}; {calls}"
        rows.append(ratio_row(what, bar, expected, divide(times[name].cpu, times["trl"].cpu), note))
    return rows


def measure_shares(world: World) -> list[Row]:
    """The same cost seen from within, and sharper: a step over what is left of it without our own functions."""
    from nearfuture.guidance import GuidanceCache

    cache = GuidanceCache.open(world.guidance())
    constant = {"max_steps": 16, "learning_rate": 0.0}
    closed = world.npo(cache, max_pass_rate=-1.0, **constant)
    importance = world.npo(cache, weighting="importance", **constant)
    what = "step / the step without our own functions"
    return [
        ratio_row(f"{what}, no guidance", "<= 1.02", "", shares(world, world.npo(**constant))),
        ratio_row(f"{what}, gate closed", "<= 1.02", "", shares(world, closed)),
        ratio_row(f"{what}, gate open, on_policy", "<= 1.05", "1.025", shares(world, world.npo(cache, **constant))),
        ratio_row(f"{what}, gate open, importance", "<= 1.05", "", shares(world, importance)),
    ]
