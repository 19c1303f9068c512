"""A whole collection beside plain generation of the same batches.

Not here: collecting itself (`cost.world.collect`).
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from cost.rows import Row, ratio_row
from cost.world import World, collect


class Recorded:
    """An engine that remembers what it was asked to generate."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.asked: list[tuple[Any, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, rows: Any, seed: int) -> list[list[int]]:
        """Generate, and remember."""
        self.asked.append((list(rows), seed))
        return self.engine.generate(rows, seed)


def measure_collection(world: World) -> list[Row]:
    """Tokens per second of a whole collection over those of `engine.generate` alone, on the very same batches."""
    from nearfuture.train import TRLEngine

    guide = world.scout()
    rows = world.rows.to_list()[:1024]
    engine = TRLEngine(guide)
    ratios: dict[bool, list[float]] = {False: [], True: []}
    walls: dict[bool, list[float]] = {False: [], True: []}
    extra: list[float] = []
    for fast in ratios:
        guide.args.fast_generation = fast
        for turn in range(5):
            recorded = Recorded(engine)
            began = time.perf_counter(), time.process_time()
            cache = collect(guide, world, rows, world.folder / f"collection-{fast}-{turn}", recorded)
            middle = time.perf_counter(), time.process_time()
            for asked, seed in recorded.asked:
                engine.generate(asked, seed)
            plain, whole = time.process_time() - middle[1], middle[1] - began[1]
            ratios[fast].append(plain / whole)
            extra.append((whole - plain) / sum(len(asked) for asked, _ in recorded.asked) * 1e6)
            walls[fast].append((time.perf_counter() - middle[0]) / (middle[0] - began[0]))
        counts = cache.header.counts
    wall = {fast: f"wall clock {statistics.median(values):.3f}" for fast, values in walls.items()}
    solved = f"{counts.num_solved} of {counts.num_prompts} prompts solved in {counts.num_samples} samples"
    note = f"{wall[False]}; {statistics.median(extra):.0f} us of CPU more a sample; {solved}"
    what = "collection, tokens/s / plain generation"
    return [
        ratio_row(what, ">= 0.95", "0.93", ratios[False], note),
        ratio_row(f"{what}, both with fast_generation", "", "0.90", ratios[True], wall[True]),
    ]
