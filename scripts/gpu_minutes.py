"""Twelve minutes on a GPU: what nearfuture costs there, with random weights; needs no network, and writes as it goes.

    python scripts/gpu_minutes.py                        # writes gpu_minutes.md and gpu_minutes.jsonl
    python scripts/gpu_minutes.py --minutes 5 --only "text: steps" device
    python scripts/gpu_minutes.py --tiny                 # the same path on two layers, on whatever is there

Each part runs in a process of its own and within its own share of the time. What it has measured is on disk at once; a
part that fails or runs out of time is named, and the next begins.

Not here: what is measured (`gpu_parts`), and with what (`gpu_bench`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # for deterministic kernels
}
LEAST = 5
"""Seconds: a part with less is not begun."""
PARTS = {
    "device": ("device", "text", 60),
    "text: steps": ("steps", "text", 180),
    "text: memory": ("memory", "text", 90),
    "text: resume": ("resume", "text", 120),
    "text: collection": ("collection", "text", 90),
    "image: steps": ("steps", "image", 180),
    "image: memory": ("memory", "image", 90),
    "text: steps with vLLM": ("vllm_steps", "text", 180),
    "image: collection": ("collection", "image", 90),
}
"""Name -> the function of `gpu_parts`, its shape, and the seconds it may take. What is worth most comes first."""
HEADING = ["# Minutes on a GPU", "", "Written by `scripts/gpu_minutes.py`.", ""]


class Table:
    """Lines on disk: each as a row of JSON at once, and all as a page."""

    def __init__(self, output: Path) -> None:
        self.rows, self.page = output.with_suffix(".jsonl"), output

    def add(self, part: str, what: str, measured: str, note: str = "") -> None:
        """Write down a measurement; a later one of the same thing takes its place on the page."""
        with self.rows.open("a") as file:
            file.write(json.dumps({"part": part, "what": what, "measured": measured, "note": note}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(f"{part:22} {what:36} {measured:24} {note}", flush=True)
        self._show()

    def _show(self) -> None:
        lines = [json.loads(line) for line in self.rows.read_text().splitlines()]
        latest = {(line["part"], line["what"]): f"{line['measured']} | {line['note']}" for line in lines}
        rows = [f"| {part} | {what} | {rest} |" for (part, what), rest in latest.items()]
        self.page.write_text("\n".join([*HEADING, "| part | what | measured | note |", "|---|---|---|---|", *rows, ""]))


def measure(name: str, folder: Path, table: Table, *, is_tiny: bool) -> None:
    """In this process: measure one part."""
    function, kind, _ = PARTS[name]
    import gpu_parts

    for line in getattr(gpu_parts, function)(gpu_parts.Bench(folder, kind, is_tiny)):
        table.add(name, *line)


def in_own_process(name: str, folder: Path, table: Table, seconds: float, *, is_tiny: bool) -> None:
    """Measure one part in a fresh process, for so many seconds; what becomes of it is in the table."""
    command = [sys.executable, __file__, "--part", name, str(folder), "--output", str(table.page)]
    errors = folder / "errors.txt"
    with errors.open("w") as stream:
        process = subprocess.Popen(
            [*command, *(["--tiny"] if is_tiny else [])],
            stderr=stream,
            env={**os.environ, **ENVIRONMENT},
            start_new_session=True,  # what it starts ends with it
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            table.add(name, "stopped", "out of time", f"after {seconds:.0f} s")
            return
    if code:
        table.add(name, "failed", f"exit code {code}", _last_line(errors.read_text()))


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")[:300]


def main(arguments: list[str] | None = None) -> None:
    """Measure part after part, until the time is up."""
    began = time.monotonic()
    given: Any = _parser().parse_args(arguments)
    table = Table(given.output)
    if given.part:
        measure(given.part[0], Path(given.part[1]), table, is_tiny=given.tiny)
        return
    table.rows.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        for name, (_, _, limit) in PARTS.items():
            left = given.minutes * 60 - (time.monotonic() - began)
            if given.only and name not in given.only:
                continue
            if left < LEAST:
                table.add(name, "not begun", "out of time")
                continue
            in_own_process(name, Path(folder), table, min(left, limit), is_tiny=given.tiny)
    print(f"{table.page}, {(time.monotonic() - began) / 60:.1f} minutes")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=12.0, help="of the clock, all together")
    parser.add_argument("--tiny", action="store_true", help="two layers and six tokens: does the script work here?")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), help="parts")
    parser.add_argument("--output", type=Path, default=Path("gpu_minutes.md"))
    parser.add_argument("--scratch", type=Path, help="for 20 GB of models and checkpoints; default: the system's")
    parser.add_argument("--part", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
