"""What it costs that a spoilt run folder is noticed: digests of checkpoints, seals of rows, the lock.

What it does: times every digest at hand on a file in the page cache, and the write of that file with its sync beside
them, and scales both to a checkpoint of 35 GB; then trains the apprentice world (configs/apprentice/grpo.yaml, saving
every `--save-every` steps) with and without all of it in turns inside one run, and gives the ratio of their step times.

What it leaves out: a disk slower than this one's, networks, GPUs (whose steps leave the CPU idle meanwhile).

    OMP_NUM_THREADS=1 python measurements/checksums.py --digests     # half a minute
    OMP_NUM_THREADS=1 python measurements/checksums.py --steps 96    # some minutes

How steps are timed: one trainer, learning rate 0, so that every stretch does the same work. Stretches of
`--save-every` steps and one checkpoint alternate between both arms, in pairs whose order is drawn anew; CPU seconds of
the whole process count, threads included, as other jobs on the machine do not enter there; the wall clock is beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import xxhash

GIGABYTE = 1 << 30
CHECKPOINT = 35e9
CONFIG = Path(__file__).parent.parent / "configs" / "apprentice" / "grpo.yaml"
DIGESTS: dict[str, Callable[[], Any]] = {
    "md5": hashlib.md5,
    "sha256": hashlib.sha256,
    "blake2b": hashlib.blake2b,
    "xxh3_64": xxhash.xxh3_64,
    "xxh3_128": xxhash.xxh3_128,
}


class Crc32:
    """zlib's, with hashlib's interface."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: memoryview) -> None:
        """Go on."""
        self.value = zlib.crc32(data, self.value)


def measure_digests(size: int = GIGABYTE, repeats: int = 3) -> list[str]:
    """Bytes a CPU second of every digest, and of writing with a sync; the best of some repeats."""
    block = os.urandom(1 << 26)
    lines = ["| what | GB per CPU second | GB per second here | 35 GB take |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        began = time.perf_counter()
        with path.open("wb") as file:
            for _ in range(size // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        written = time.perf_counter() - began
        for name, make in {**DIGESTS, "crc32": Crc32}.items():
            cpu, wall = min(_hash_once(path, make) for _ in range(repeats))
            lines.append(
                f"| {name} | {size / cpu / 1e9:.2f} | {size / wall / 1e9:.2f} | {CHECKPOINT * cpu / size:.0f} s |"
            )
    return [*lines, f"| write and sync | | {size / written / 1e9:.2f} | {CHECKPOINT * written / size:.0f} s |"]


def _hash_once(path: Path, make: Callable[[], Any]) -> tuple[float, float]:
    hashed, buffer = make(), memoryview(bytearray(1 << 22))
    cpu, wall = time.process_time(), time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while num := file.readinto(buffer):
            hashed.update(buffer[:num])
    return time.process_time() - cpu, time.perf_counter() - wall


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Without digests and seals: what is written is as it was before there were any."""
    from nearfuture.record import folder
    from nearfuture.train import checkpoint

    with (
        mock.patch.object(checkpoint, "digest", lambda path: ""),
        mock.patch.object(folder, "sealed", lambda text: text),
    ):
        yield


def measure_steps(num_steps: int, save_every: int, seed: int = 0) -> dict[str, Any]:
    """Train in turns with both arms and return the ratio of their times, stretch by stretch."""
    from nearfuture.record.folder import RunFolder
    from nearfuture.record.lock import writing
    from nearfuture.run import build
    from nearfuture.run.settings.load import load_configuration
    from nearfuture.train import callbacks
    from nearfuture.train.hush import hush_libraries

    hush_libraries()
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        settings = [f"run_dir={scratch}/run", f"max_steps={num_steps}", f"save_steps={save_every}", "learning_rate=0"]
        config = load_configuration(CONFIG, [*settings, "save_total_limit=2", "eval_every=0"])
        task = build.load_run_task(config)
        run = RunFolder(config.run.run_dir)
        arms = [arm for _ in range(num_steps // save_every // 2) for arm in rng.sample(["with", "before"], 2)]
        times: dict[str, list[tuple[float, float]]] = {"with": [], "before": []}
        inside, since = contextlib.ExitStack(), [(0.0, 0.0)]

        def begin(step: int) -> None:
            if step < len(arms) * save_every and arms[step // save_every] == "before":
                inside.enter_context(as_before())
            since[0] = (time.process_time(), time.perf_counter())

        def at_step(step: int) -> None:
            if step % save_every:
                return
            inside.close()
            times[arms[step // save_every - 1]].append(
                (time.process_time() - since[0][0], time.perf_counter() - since[0][1])
            )
            begin(step)

        with writing(config.run.run_dir, "run"):
            hooks = [callbacks.OnLog(lambda step, logs: run.append("metrics", {"step": step, **logs}))]
            trainer = build.build_trainer(
                config, task, build.training_rows(task), config.run.run_dir / "segments", callbacks=hooks
            )
            saving = trainer._save_checkpoint

            def save(model: Any, trial: Any) -> None:
                saving(model, trial)
                trainer._finish_checkpoint()  # what goes on beside the next step counts for this stretch
                at_step(trainer.state.global_step)

            trainer._save_checkpoint = save
            begin(0)
            trainer.train()
    pairs = list(zip(times["with"], times["before"], strict=True))[1:]  # the first pair warms up
    ratios = [one[0] / other[0] for one, other in pairs]
    walls = [one[1] / other[1] for one, other in pairs]
    return {
        "pairs": len(pairs),
        "cpu_seconds_of_a_stretch": statistics.median(other[0] for _, other in pairs),
        "ratio_cpu": statistics.median(ratios),
        "ratio_cpu_quartiles": statistics.quantiles(ratios, n=4)[::2],
        "ratio_wall": statistics.median(walls),
    }


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=4)
    options = parser.parse_args()
    if options.digests:
        print("\n".join(measure_digests()))
    if options.steps:
        print(json.dumps(measure_steps(options.steps, options.save_every), indent=1))


if __name__ == "__main__":
    main()
