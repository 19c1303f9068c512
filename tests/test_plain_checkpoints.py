"""A checkpoint of plain `GRPOTrainer` is resumed as exactly as one of ours, or refused in words."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from slices import leave
from trl import GRPOTrainer

from nearfuture.train import checkpoint
from nearfuture.train.proofs import difference
from nearfuture.types import UserError

SETTINGS = {
    "optim": "adamw_torch",
    "learning_rate": 1e-3,
    "lr_scheduler_type": "linear",
    "per_device_train_batch_size": 8,
    "save_strategy": "steps",
    "save_steps": 1,
    "max_steps": 7,
}
CYCLES: dict[str, dict[str, Any]] = {
    "a step a batch": {},
    "accumulation, epochs with half a step at their end": {"gradient_accumulation_steps": 2, "steps_per_generation": 1},
    "batches used twice": {"num_iterations": 2},
    "batches split in two": {"steps_per_generation": 2},
}


def plain_run(folder: Path, **more: Any) -> GRPOTrainer:
    trainer = tiny.grpo(folder, data=tiny.rows(7), **(SETTINGS | more))
    trainer.train()
    return trainer


def assert_same_steps(ours: GRPOTrainer, theirs: GRPOTrainer) -> None:
    """All weights and every step; the summary at the end is of the steps since the resume."""
    for trainer in (ours, theirs):
        trainer.state.log_history = [row for row in trainer.state.log_history if "loss" in row]
    tiny.assert_same_run(ours, theirs)


@pytest.mark.parametrize("name", leave(["a step a batch", "batches used twice"], CYCLES))  # a cycle that ends, one cut
def test_where_nothing_is_missing_it_goes_on_as_if_it_had_never_stopped(tmp_path: Path, name: str) -> None:
    """From every checkpoint; those inside a cycle are the refused ones, and no others are."""
    cycle = CYCLES[name]
    theirs = plain_run(tmp_path / "theirs", **cycle)
    size = cycle.get("num_iterations", 1) * cycle.get("steps_per_generation", 1)
    for step in range(1, 7):
        ours = tiny.npo(tmp_path / "ours", data=tiny.rows(7), **(SETTINGS | cycle | {"save_strategy": "no"}))
        folder = Path(theirs.args.output_dir) / f"checkpoint-{step}"
        if step % size:
            with pytest.raises(UserError, match="micro-batches into a generation cycle, and TRL keeps no rollouts"):
                ours.train(str(folder))
        else:
            ours.train(str(folder))
            assert_same_steps(ours, theirs)


def test_the_latest_of_plain_trl_is_found_and_one_that_was_cut_off_is_not(tmp_path: Path) -> None:
    theirs = plain_run(tmp_path, max_steps=4)
    output = Path(theirs.args.output_dir)
    (output / "checkpoint-4" / checkpoint.TRL_LAST).unlink()  # killed while TRL wrote it
    checkpoint.open_for_writing(output / "checkpoint-3")  # killed while we did
    assert checkpoint.latest(output) == output / "checkpoint-2"
    ours = tiny.npo(tmp_path, data=tiny.rows(7), **(SETTINGS | {"max_steps": 4}))
    ours.train(resume_from_checkpoint=True)
    assert_same_steps(ours, theirs)
    assert checkpoint.latest(output) == output / "checkpoint-4" and checkpoint.is_complete(output / "checkpoint-3")


def test_what_is_not_exact_is_refused(tmp_path: Path) -> None:
    theirs = plain_run(tmp_path / "theirs", max_steps=2)
    folder = Path(theirs.args.output_dir) / "checkpoint-1"
    ours = tiny.npo(tmp_path / "ours", data=tiny.rows(7), **SETTINGS)
    for rank in (0, 1):
        shutil.copy(folder / "rng_state.pth", folder / f"rng_state_{rank}.pth")
    (folder / "rng_state.pth").unlink()
    with pytest.raises(UserError, match="was saved by 2 processes of plain TRL, 1 are running"):
        ours.train(str(folder))
    for path in folder.glob("rng_state*"):
        path.unlink()
    with pytest.raises(UserError, match=r"holds weights only \(save_only_model\)"):
        ours.train(str(folder))


def test_weights_alone_of_ours_are_refused_too(tmp_path: Path) -> None:
    ours = tiny.npo(tmp_path, data=tiny.rows(7), save_only_model=True, **SETTINGS)
    ours.train()
    with pytest.raises(UserError, match=r"holds weights only \(save_only_model\)"):
        ours.train(resume_from_checkpoint=True)


def test_two_runs_of_plain_trl_differ_where_they_should(tmp_path: Path) -> None:
    """The comparison above can fail."""
    one, other = (plain_run(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    assert difference(one, other) is not None
