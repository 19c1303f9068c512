"""A step that generates nothing has no metric of rollouts, and every reader of a step's logs and rows lives with it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import CONFIGS, invoke, run
from rich.console import Console
from run_folders import auto_run, grpo_run, npo_run
from study_folders import write_study

from nearfuture.method.trigger import PlateauTrigger, State, TriggerConfig
from nearfuture.record.ledger import build_ledger
from nearfuture.record.records import RunRecords
from nearfuture.run.auto.controller import Controller
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.show import Display
from nearfuture.train.callbacks import NeedSignal
from nearfuture.types import NoSignalError

OF_ROLLOUTS = ("npo/pass_rate", "npo/guided_frac")


def without_every_second_generation(folder: Path) -> Path:
    """Turn the even steps of the runs below `folder` into steps that generated nothing."""
    for path in folder.rglob("metrics.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            if row["step"] % 2 == 0 and "loss" in row:
                row["rollout_tokens"] = 0
                for key in OF_ROLLOUTS:
                    row.pop(key, None)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("make", [grpo_run, npo_run, auto_run], ids=lambda make: make.__name__)
def test_report_explanation_ledger_and_advice_are_written(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = without_every_second_generation(make(tmp_path / "run"))
    for command in ("report", "explain", "advise"):
        code, output = invoke(command, folder)
        assert code == 0, output
    totals = build_ledger(RunRecords.load(folder))["totals"]
    before = build_ledger(RunRecords.load(make(tmp_path / "before")))["totals"]
    assert {**totals, "rollout_tokens": 0, "generated_tokens": 0, "guide_frac": 0} == {
        **before,
        **{"rollout_tokens": 0, "generated_tokens": 0, "guide_frac": 0},
    }
    assert before["rollout_tokens"] == 2 * totals["rollout_tokens"]  # every other step generates


def test_a_curve_holds_the_steps_that_generated_and_no_zero(tmp_path: Path) -> None:
    records = RunRecords.load(without_every_second_generation(grpo_run(tmp_path / "run")))
    assert records.curve("npo/pass_rate").steps.tolist() == [1, 3, 5, 7, 9, 11]
    assert records.curve("npo/entropy").steps.tolist() == list(range(1, 13))


def test_a_comparison_is_reported(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", {"grpo": {}, "early": {"scout_steps": 2}}, [1, 2], lambda *_: 3)
    code, output = invoke("report", without_every_second_generation(study))
    assert code == 0, output


def test_the_display_shows_the_rollouts_a_step_was_trained_on() -> None:
    config = load_configuration(CONFIGS / "grpo.yaml", ["run_dir=unused", "max_steps=4"])
    display = Display(config, "none")  # type: ignore[arg-type]  (the plan is printed, nothing else)
    display.console = Console(file=io.StringIO(), width=200)
    row = {"segment": 0, "step": 1, "total_steps": 1}
    display.step({**row, "npo/entropy": 0.5})  # taken up within a batch: nothing is known of its rollouts
    display.step(
        {**row, "total_steps": 2, "npo/reward": 0.25, "npo/pass_rate": 0.125, "npo/guided_frac": 0.0, "npo/entropy": 1}
    )
    display.step({**row, "step": 3, "total_steps": 3, "npo/entropy": 0.75})
    first, second, third = display.console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "pass -  entropy 0.500" in first and "reward" not in first
    assert "pass 0.125  entropy 1.000  guided 0%" in second
    assert "pass 0.125  entropy 0.750  guided 0%" in third


def test_the_trigger_passes_over_it_and_a_firing_does_not_last() -> None:
    config = TriggerConfig(warmup=0, min_pace=20.0)
    controller, alone = Controller(AutoNPOConfig(mode="advise", trigger=config), 0.6), PlateauTrigger(config)
    fired = []
    for step in range(1, 40):
        generated = {"npo/pass_rate": 0.5} if step % 2 else {}
        entropy = math.exp(-step / 20)
        has_fired = controller.observe_step(step, {**generated, "npo/entropy": entropy})
        if generated:
            assert has_fired == alone.observe(step, 0.5, entropy)
            fired += [step] if has_fired else []
        assert has_fired == controller.has_fired == (controller.trigger.state is State.FIRED)
    assert len(fired) == 1
    assert controller.metrics()["autonpo/num_ignored"] == 19


def see(watch: NeedSignal, rows: list[dict[str, Any]]) -> None:
    for step, logs in enumerate(rows, start=1):
        watch.see(step, logs, SimpleNamespace())  # type: ignore[arg-type]


def test_it_is_as_silent_as_the_batch_it_was_trained_on() -> None:
    silent = {"frac_reward_zero_std": 1.0, "npo/all_wrong_frac": 0.75, "npo/all_right_frac": 0.25}
    loud = {**silent, "frac_reward_zero_std": 0.5}
    see(NeedSignal(4), [silent, {}, silent, loud, {}, {}, {}, silent, {}, silent])
    see(NeedSignal(2), [{}, {}, {}])  # taken up within a batch
    with pytest.raises(NoSignalError, match=r"4 steps in a row \(all wrong 75%, all right 25%"):
        see(NeedSignal(4), [loud, {}, silent, {}, silent, {}])


@pytest.mark.parametrize(
    "cycle",
    [
        ["num_iterations=2"],
        pytest.param(["steps_per_generation=2"], marks=pytest.mark.long),  # the next one is this and more
        ["steps_per_generation=3", "gradient_accumulation_steps=2"],
    ],
    ids=" ".join,
)
def test_such_a_run_trains_and_is_reported(cycle: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    watched = ["autonpo.mode=advise", "no_signal_patience=3"]
    code, output = run(
        *["train", CONFIGS / "tiny.yaml", f"run_dir={folder}", "max_steps=6", "scout_steps=2", "guide_step=5"],
        *["rollback_to=3", "eval_every=2", "per_device_train_batch_size=64", "guide_num_samples=64", *cycle, *watched],
    )
    assert code == 0, output
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    trained = [row for row in rows if "loss" in row]
    reused = [row for row in trained if row["rollout_tokens"] == 0]
    assert reused and len(reused) < len(trained)
    absent = ("npo/reward", "npo/pass", "verifier/", "completions/", "rewards/")
    for row in reused:
        assert not any(key.startswith(absent) for key in row)
    for command in ("report", "explain", "advise"):
        code, output = invoke(command, folder)
        assert code == 0, output
