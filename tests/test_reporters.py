"""TRL's reporters in a run that goes back: an axis that never falls, the run's own names, one record.

The tools themselves are tried in `measurements/trackers.py`; here is a reporter that only remembers what it was told.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState
from transformers.integrations import WandbCallback

from nearfuture.train import reporters
from nearfuture.train.reporters import Identity


class Remembers(WandbCallback):
    """A reporter without a tool."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, Any]]] = []

    def on_log(self, args: Any, state: Any, control: Any, model: Any = None, logs: Any = None, **_: Any) -> None:
        """Remember."""
        self.told.append((state.global_step, logs))


def trainer_with(reporter: Remembers, step: int = 0) -> Any:
    """What of a trainer reporters see."""
    return SimpleNamespace(
        args=SimpleNamespace(run_name=None, report_to=["wandb"]),
        callback_handler=SimpleNamespace(callbacks=[object(), reporter]),
        state=TrainerState(global_step=step),
        control=TrainerControl(),
        model=None,
    )


@pytest.fixture(autouse=True)
def _clean_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_RUN_ID", "WANDB_RESUME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_the_axis_never_falls_and_the_step_does(tmp_path: Path) -> None:
    """A scout to 10, back to 0, ahead to 20, back to 12: 32 steps paid for, each told at its own place."""
    reporter, before = Remembers(), 0
    for start, end in ((0, 10), (0, 20), (12, 14)):
        trainer = trainer_with(reporter)
        reporters.follow(
            trainer,
            Identity("run-1a", "1a"),
            tmp_path,
            lambda step, start=start, before=before: before + step - start,
            lambda step: {"npo/step": step},
        )
        for step in range(start + 1, end + 1):
            trainer.callback_handler.callbacks[1].on_log(
                trainer.args, TrainerState(global_step=step), trainer.control, logs={"npo/pass_rate": 0.5}
            )
        reporter.__dict__.pop("on_log")  # the next trainer has a reporter of its own
        before += end - start
    at = [step for step, _ in reporter.told]
    assert at == list(range(1, 33))
    steps = [logs["npo/step"] for _, logs in reporter.told]
    assert steps[9:11] == [10, 1] and steps[29:31] == [20, 13]
    assert all(logs["npo/pass_rate"] == 0.5 for _, logs in reporter.told)


def test_an_evaluation_arrives_under_its_own_name(tmp_path: Path) -> None:
    """The libraries make `eval/...` of `eval_...`, and `train/...` of everything else."""
    reporter = Remembers()
    trainer = trainer_with(reporter, step=4)
    reporters.follow(trainer, Identity("run-1a", "1a"), tmp_path, lambda step: step + 10, lambda step: {})
    reporters.tell(trainer, {"eval/pass_rate": 0.5, "eval/sums/pass_rate": 0.25})
    assert reporter.told == [(14, {"eval_pass_rate": 0.5, "eval_sums/pass_rate": 0.25})]


def test_a_run_has_one_name_and_one_id_and_the_users_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_with(Remembers())
    reporters.follow(trainer, Identity("run-1a", "1a"), tmp_path, lambda step: step, lambda step: {})
    assert trainer.args.run_name == "run-1a"
    named = trainer_with(Remembers())
    named.args.run_name = "mine"
    reporters.follow(named, Identity("run-2b", "2b"), tmp_path, lambda step: step, lambda step: {})
    assert named.args.run_name == "mine"


def test_without_a_reporter_nothing_is_told() -> None:
    trainer = trainer_with(Remembers())
    trainer.callback_handler.callbacks.pop()
    reporters.tell(trainer, {"eval/pass_rate": 0.5})
    assert reporters.reporters_of(trainer) == []


def test_trl_writes_nothing_to_trackio_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reporters.INTEGRATION_TO_CALLBACK, "trackio", Remembers)  # the package is not installed
    args = SimpleNamespace(report_to=["trackio", "wandb"])
    (reporter,) = reporters.without_trackio(args)
    assert args.report_to == ["wandb"] and isinstance(reporter, Remembers)
    assert reporters.without_trackio(args) == []
