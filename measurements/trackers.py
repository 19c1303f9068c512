"""What TensorBoard, trackio and W&B (offline) hold of a run that goes back twice: one record, its axis, its marks.

What it does: trains configs/apprentice/tiny.yaml (a scout, early and late guidance, 40 steps of 60 kept) with
`report_to`, as a process of its own, and reads what the tool has stored back with the tool's own means.

What it leaves out: uploads, and the tools' own pages.

    OMP_NUM_THREADS=1 python measurements/trackers.py trackio --output runs/trackers     # also: tensorboard, wandb
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from nearfuture.record.event_files import read_scalars

CONFIG = Path(__file__).parent.parent / "configs" / "apprentice" / "tiny.yaml"
AXIS = "train/global_step"
BLOCK = 32_768
Row = dict[str, Any]


def tensorboard(run: Path) -> Iterator[tuple[str, Row]]:
    """Rows of its event files; text lies in them as tensors, and is read by its tag."""
    files = sorted((run / "tensorboard").glob("*tfevents*"))
    for row in read_scalars(files):
        yield "tensorboard", {AXIS: row["step"], **row}
    for file in files:
        for tag in (b"train/npo/intervention",) * file.read_bytes().count(b"train/npo/intervention"):
            yield "tensorboard", {tag.decode(): "text"}


def trackio(run: Path) -> Iterator[tuple[str, Row]]:
    """Rows of its database."""
    for file in (run.parent / "trackio").glob("*.db"):
        with sqlite3.connect(file) as found:
            for name, row in found.execute("select run_name, metrics from metrics order by id"):
                yield str(name), json.loads(row)


def wandb(run: Path) -> Iterator[tuple[str, Row]]:
    """Rows of its transaction logs."""
    from wandb.proto import wandb_internal_pb2

    for file in sorted((run.parent / "wandb").glob("offline-run-*/*.wandb")):
        for data in logged(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                yield file.stem, {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}


def logged(data: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, behind W&B's own seven bytes."""
    at, parts = 7, []
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:  # what is left of a block holds no header
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


READ: dict[str, Callable[[Path], Iterator[tuple[str, Row]]]] = {
    "tensorboard": tensorboard,
    "trackio": trackio,
    "wandb": wandb,
}


def described(name: str, run: Path) -> str:
    """A row of the table."""
    found = list(READ[name](run))
    rows = [row for _, row in found]
    at = [row[AXIS] for row in rows if AXIS in row]
    is_rising = all(before <= after for before, after in itertools.pairwise(at))
    kept = [row["train/npo/step"] for row in rows if "train/npo/step" in row]
    falls = sum(after < before for before, after in itertools.pairwise(kept))
    counts = (
        len({record for record, _ in found}),
        f"{at[0]:.0f} to {at[-1]:.0f}{'' if is_rising else ', FALLING BACK'}",
        falls,
        sum("eval/pass_rate" in row for row in rows),
        sum("train/npo/intervention" in row for row in rows),
        len({key for row in rows for key in row}),
    )
    return f"| {name} {metadata.version(name)} | " + " | ".join(map(str, counts)) + " |"


def main() -> None:
    """Train, read back, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=READ)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--read", action="store_true", help="read what is there, train nothing")
    options = parser.parse_args()
    run = (options.output / f"with-{options.name}").absolute()
    if not options.read:
        places = {"WANDB_MODE": "offline", "WANDB_DIR": str(run.parent), "TRACKIO_DIR": str(run.parent / "trackio")}
        run.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "nearfuture", "train", str(CONFIG), f"run_dir={run}", "--clean", "--quiet"]
        subprocess.run([*command, f"report_to={options.name}"], check=True, env={**os.environ, **places})
    print("| tool | records | axis | falls of the step | evaluations | interventions | names |")
    print(described(options.name, run))


if __name__ == "__main__":
    main()
