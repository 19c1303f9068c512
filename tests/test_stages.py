"""A run of which every stage has a process of its own ends with the same bits as one that never stopped."""

from __future__ import annotations

from pathlib import Path

import torch
from commands import CONFIGS
from safetensors.torch import load_file

from nearfuture.method.lineage import Lineage
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.start import train

SETTINGS = ["max_steps=3", "scout_steps=2", "guide_step=null", "rollback_to=null", "eval_every=0", "save_steps=100"]
SETTINGS += ["per_device_train_batch_size=64", "guide_num_samples=32", "learning_rate=1e-3"]


def test_stage_by_stage_equals_at_once(tmp_path: Path) -> None:
    at_once, staged = (load_configuration(CONFIGS / "tiny.yaml", [*SETTINGS, f"run_dir={tmp_path / n}"]) for n in "as")
    assert train(at_once, quiet=True) == "finished"
    outcomes = [train(staged, quiet=True, resume=True, one_stage=True) for _ in range(3)]
    assert outcomes == ["paused", "paused", "finished"]  # the scout, its guidance, the path to the horizon
    expected, found = (load_file(config.run.run_dir / "final" / "model.safetensors") for config in (at_once, staged))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    lineages = [Lineage.read(config.run.run_dir / "lineage.json") for config in (at_once, staged)]
    assert repr(lineages[0]) == repr(lineages[1])
    assert train(staged, quiet=True, resume=True, one_stage=True) == "finished"  # and nothing is done twice
