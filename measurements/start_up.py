"""CPU seconds of what a user waits for before anything is loaded, each command in a process of its own.

    python measurements/start_up.py            a minute; writes measurements/results/start_up.md

CPU seconds of the process and its children, the least of several tries: the machine's other work costs the clock, not
these. `tests/test_quick.py` holds that none of these imports torch.

Not here: the time of a step (`overhead.py`).
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

TRIES = 3
PLAN = ["plan", "paper/qwen3_vl_8b_npo_early", "--gpus", "8"]
COMMANDS = (
    ("`nearfuture --help`", ["--help"], 0.6),
    ("`nearfuture --version`", ["--version"], 0.6),
    ("a file that is not there", ["train", "nofile.yaml"], 1.0),
    ("an unknown key", ["train", "apprentice/tiny", "learning_rat=1e-4"], 1.0),
    ("a task that is not there", ["train", "apprentice/tiny", "task=nofile.py:task"], None),
    ("a study handed to `train`", ["train", "apprentice/compare"], None),
    ("`plan` of a known model that is not here", PLAN, 4.0),
    ("`runs` in an empty folder", ["runs", "."], None),
)
RESULT = Path(__file__).parent / "results" / "start_up.md"


def cpu_seconds(arguments: list[str]) -> float:
    """Of one command, from the start of Python to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "nearfuture", *arguments], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure every command and write the table."""
    lines = ["# CPU seconds before anything is loaded", "", "Written by `measurements/start_up.py`.", ""]
    lines += ["| command | CPU s | at most |", "|---|---|---|"]
    for what, arguments, bar in COMMANDS:
        least = min(cpu_seconds(arguments) for _ in range(TRIES))
        lines.append(f"| {what} | {least:.2f} | {'' if bar is None else bar} |")
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
