"""Does collecting guidance keep the pace of plain generation where the model is a real one? Where does the rest go?

What it does: collects guidance from the base policy of a configuration on its first prompts, and counts the CPU seconds
spent in generation, in scoring what was kept, in the workers that judge, and in everything else. Generation inside the
collection is plain generation of the same batches, so its share is the ratio of their tokens a second.

What it leaves out: several processes, vLLM; tiny models, where bookkeeping is a sixth (`measurements/overhead.py`).

    python measurements/real_collection.py configs/real/grpo.yaml --output measurements/results/real/collection.md
    python measurements/real_collection.py configs/shapes/npo_early.yaml        # images
    python measurements/real_collection.py configs/shapes/npo_early.yaml model=FOLDER --accept 8    # wide_vision.py
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from printed import print_lines

from nearfuture.guidance import collect_guidance
from nearfuture.run import build
from nearfuture.run.checkpoints import Policies
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.load import load_configuration
from nearfuture.train.hush import hush_libraries
from nearfuture.types import PolicyRef, Verdict


class Timed:
    """An engine that counts the CPU seconds of its two expensive methods."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.seconds = {"generate": 0.0, "score": 0.0}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, rows: Sequence[Any], seed: int) -> list[list[int]]:
        """Sample, and count."""
        return self._counted("generate", rows, seed)

    def score(self, rows: Sequence[Any], completion_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """Score, and count."""
        return self._counted("score", rows, completion_ids)

    def _counted(self, name: str, *args: Any) -> Any:
        began = time.process_time()
        try:
            return getattr(self.engine, name)(*args)
        finally:
            self.seconds[name] += time.process_time() - began


def of_workers() -> float:
    """CPU seconds of the processes that this one started."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(one.user + one.system for one in times)


def accept(response: str, row: Any, one_in: int) -> Verdict:
    """Call one answer in `one_in` correct, by its text: random weights solve nothing, and what is kept is scored."""
    return Verdict.CORRECT if zlib.crc32(response.encode()) % one_in == 0 else Verdict.WRONG


def table(path: Path, overrides: Sequence[str], num_prompts: int, one_in: int | None) -> Iterator[str]:
    """Collect with and without fast generation; line by line. With `one_in`, `accept` judges instead of the task."""
    yield f"# Collecting beside plain generation, {path.name}\n"
    yield f"Written by `measurements/real_collection.py`: {num_prompts} prompts; CPU seconds of one thread.\n"
    yield "| fast_generation | solved | samples | generating | scoring | judging | the rest | pace of plain |"
    yield "|---|---|---|---|---|---|---|---|"
    for fast in (True, False):
        config = load_configuration(path, [*overrides, f"fast_generation={str(fast).lower()}"])
        task = build.load_checked_task(config)
        rows = build.training_rows(task)
        with (
            tempfile.TemporaryDirectory() as scratch,
            Policies(config, task, rows, {0: Path(scratch)}, Path(scratch)) as policies,
        ):
            engine = Timed(policies.load(0))
            asked = plain_rows(rows, range(num_prompts))
            task.verify("", asked[0])  # workers begin before the clock
            began, before = time.process_time(), of_workers()
            cache = collect_guidance(
                engine,
                asked,
                task.verify if one_in is None else functools.partial(accept, one_in=one_in),
                Path(scratch) / "guidance",
                guide=PolicyRef(0, 0, "base"),
                batch_size=config.run.guide_batch_size,
            )
            whole, judging = time.process_time() - began, of_workers() - before
        counts, (generating, scoring) = cache.header.counts, engine.seconds.values()
        numbers = (
            f"{counts.num_solved} of {counts.num_prompts} | {counts.num_samples} | {generating:.1f} | {scoring:.2f}"
        )
        rest, pace = whole - generating - scoring, generating / (whole + judging)
        yield f"| {'yes' if fast else 'no'} | {numbers} | {judging:.2f} | {rest:.2f} | **{pace:.3f}** |"


def main() -> None:
    """Print as it comes, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", help="key=value")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--accept", type=int, help="call one answer in so many correct, instead of asking the task")
    parser.add_argument("--output", type=Path)
    options = parser.parse_intermixed_args()
    hush_libraries()
    print_lines(table(options.config, options.overrides, options.prompts, options.accept), options.output)


if __name__ == "__main__":
    main()
