"""Peak memory of a whole process, ours beside TRL's.

Not here: what starts the processes from a command line (`measurements/overhead.py --child`).
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cost.rows import Row, divide, ratio_row
from cost.world import World

OVERHEAD = Path(__file__).parent.parent / "overhead.py"

HEAP = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def measure_memory(world: World) -> list[Row]:
    """Peak resident memory of a process that trains twelve steps, with TRL alone and with the gate open.

    glibc keeps freed memory by rules that depend on the order of frees, and the peak varies by 10 % from run to run;
    with fixed thresholds large tensors go back to the system at once, and the peak is that of what is alive.
    """
    cache = world.guidance()
    peaks: dict[str, list[float]] = {"trl": [], "open": []}
    for _ in range(4):
        for name, values in peaks.items():
            command = [sys.executable, str(OVERHEAD), "--child", name, str(cache)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | HEAP)
            values.append(float(done.stdout.split()[-1]))
    what = "peak memory of the process, gate open / TRL"
    note = f"TRL {statistics.median(peaks['trl']):.0f} MiB"
    return [ratio_row(what, "<= 1.03", "1.01", divide(peaks["open"], peaks["trl"]), note)]


def child(name: str, cache: Path) -> None:
    """Train twelve steps and print the peak in MiB; TRL's process imports nothing of ours but the task."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        if name == "trl":
            trainer = world.trl(max_steps=12)
            assert "nearfuture.guidance" not in sys.modules
        else:
            from nearfuture.guidance import GuidanceCache

            trainer = world.npo(GuidanceCache.open(cache), max_steps=12)
        trainer.train()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
