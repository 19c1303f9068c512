"""Tiny AutoNPO runs in this process, with a trigger so eager that it fires in 11 steps; and runs put back in time."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from commands import CONFIGS
from eager import eager
from safetensors.torch import load_file

from nearfuture.method.lineage import Lineage
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.start import train

torch.set_num_threads(1)  # for a model as small as this, a second thread waits more than it works

SETTINGS = [
    "max_steps=11",
    "scout_steps=0",
    "guide_step=null",
    "rollback_to=null",
    "save_steps=2",
    "eval_every=0",
    "per_device_train_batch_size=64",
    "learning_rate=5e-4",
    "seed=2",
    "guide_num_samples=4",
    *eager(probe_num_prompts=48),
]


def configuration(run_dir: Path, *settings: str) -> Configuration:
    return load_configuration(CONFIGS / "tiny.yaml", [*SETTINGS, f"run_dir={run_dir}", *settings])


def run(run_dir: Path, *settings: str, resume: bool = False) -> Path:
    """Train to the end, and return the run folder."""
    assert train(configuration(run_dir, *settings), resume=resume, quiet=True) == "finished"
    return run_dir


def events(folder: Path, *names: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] in names]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "final" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    """True where two runs ended with the same bits."""
    a, b = weights(one), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


def fired(finished: Path, folder: Path) -> Path:
    """A copy of a run that went back once, as it lay on disk when the trigger had just fired."""
    shutil.copytree(finished, folder)
    for name in ("final", "segments/001"):
        shutil.rmtree(folder / name)
    lineage = Lineage.read(folder / "lineage.json")
    first, second = lineage.segments
    assert second.intervention is not None
    replace(lineage, segments=(replace(first, abandoned_from=None),)).write(folder / "lineage.json")
    return folder


def in_the_replay(finished: Path, folder: Path, *, keep: int = 1) -> Path:
    """A copy of such a run, as it lay on disk when the replay had written its first `keep` checkpoints."""
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "final")
    lineage = Lineage.read(folder / "lineage.json")
    first, second = lineage.segments
    running = (first, replace(second, end_step=None, reason=None))
    replace(lineage, segments=running).write(folder / "lineage.json")
    saved = sorted((folder / second.folder).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in saved[keep:]:
        shutil.rmtree(path)
    return folder
