"""The signal of a real small run: through the command line, and the laws of its protocol."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
import torch
from pages import unscripted
from safetensors.torch import load_file
from tiny import TASK, gold_ids, npo, rows

from nearfuture.lab.measure.run_signal import choose_steps, measure_signal
from nearfuture.lab.measure.scope import Scope
from nearfuture.run.checkpoints import Policies, find_checkpoints
from nearfuture.run.settings.load import load_configuration
from nearfuture.train import TRLEngine
from nearfuture.train.gradients import gradient_spread
from nearfuture.types import UserError

SMALL = Scope(anchors=(0,), distances=(3, 12), num_prompts=24, num_samples=4, num_resamples=100, num_gradients=0)
OTHER_TASK = """
from dataclasses import replace
from nearfuture.tasks import load_task

TASK = load_task("apprentice")

def hopeless():
    return replace(TASK, train=TASK.train[:64], verify=lambda text, row: False, gold_column=None)

def trivial():
    return replace(TASK, train=TASK.train[:64], verify=lambda text, row: True, gold_column=None)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GRPO, 12 steps, a checkpoint every 3."""
    folder = tmp_path_factory.mktemp("signal") / "grpo"
    settings = ["max_steps=12", "save_steps=3", "eval_every=0", "per_device_train_batch_size=64", "learning_rate=1e-3"]
    code, output = commands.run("train", commands.CONFIGS / "grpo.yaml", f"run_dir={folder}", *settings, "--quiet")
    assert code == 0, output
    return folder


@pytest.fixture(scope="module")
def measured(run: Path) -> dict[str, Any]:
    return measure_signal(run, SMALL, say=lambda _: None)


def test_the_command_writes_table_json_and_page(run: Path, tmp_path: Path) -> None:
    asked = ["--anchor", "0", "--distances", "3,6", "--num-prompts", "24", "--num-samples", "4", "--num-gradients", "8"]
    code, output = commands.run("signal", run, *asked, "--json", tmp_path / "signal.json")
    assert code == 0, output
    assert "24 failed prompts of" in output and "S = Q / V" in output
    result = json.loads((tmp_path / "signal.json").read_text())
    (anchor,) = result["anchors"]
    assert anchor["anchor"] == 0 and [row["distance"] for row in anchor["distances"]] == [0, 3, 6]
    for row in anchor["distances"]:
        for name in ("quality", "effective_signal"):
            low, high = row[f"{name}_ci"]
            assert low <= row[name] <= high
        assert row["gradients"]["all"]["on_policy"]["num_samples"] == 8
        assert row["effective_signal"] == pytest.approx(row["quality"] / row["variance_cost"])
    page = unscripted((run / "report" / "signal.html").read_text())
    assert page.count("<svg") == 3 and "color-scheme" in page and "src=" not in page and "<link" not in page


def test_at_distance_0_the_cost_is_1_and_the_signal_is_what_trying_again_brings(measured: dict[str, Any]) -> None:
    own = measured["anchors"][0]["distances"][0]
    assert own["distance"] == 0 and own["variance_cost"] == 1 and own["variance_cost_ci"] == [1, 1]
    assert own["effective_signal"] == own["quality"] and own["effective_sample_frac"] == 1
    assert {cost["value"] for cost in own["variance_costs"].values()} == {1.0}
    assert own["qualities"]["coverage"]["gain"] == 0


def test_a_moved_guide_costs_more(measured: dict[str, Any]) -> None:
    costs = [row["variance_cost"] for row in measured["anchors"][0]["distances"]]
    assert 1 == costs[0] < costs[1] < costs[2]


def test_the_measurement_is_a_function_of_run_and_scope(run: Path, measured: dict[str, Any], tmp_path: Path) -> None:
    """Also where TRL's folder alone is left: with the same configuration it is the same run."""
    foreign = tmp_path / "out"
    shutil.copytree(run / "segments" / "000", foreign)
    for marker in foreign.glob("*/nearfuture_state.json"):
        marker.unlink()
    again = measure_signal(foreign, SMALL, config=run / "config.yaml", say=lambda _: None)
    assert again["anchors"] == measured["anchors"]
    with pytest.raises(UserError, match=r"has no config\.yaml"):
        measure_signal(foreign, SMALL)


def test_policies_are_those_of_the_checkpoints_in_any_order(run: Path, tmp_path: Path) -> None:
    config = load_configuration(run / "config.yaml")
    found = find_checkpoints(run)
    assert list(found) == [3, 6, 9, 12]
    with Policies(config, TASK, npo(tmp_path).train_dataset, found, tmp_path) as policies:
        base = {name: p.clone() for name, p in policies.load(0).trainer.model.named_parameters()}
        for step in (12, 3):
            saved = load_file(found[step] / "model.safetensors")
            loaded = dict(policies.load(step).trainer.model.named_parameters())
            assert all(torch.equal(loaded[name], value) for name, value in saved.items() if name in loaded)
        assert all(torch.equal(base[name], p) for name, p in policies.load(0).trainer.model.named_parameters())


def test_a_guide_that_solves_nothing_has_no_signal_but_is_no_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(OTHER_TASK)
    result = measure_signal(run, SMALL, task=f"{tmp_path / 'other.py'}:hopeless", say=lambda _: None)
    (anchor,) = result["anchors"]
    assert [row["quality"] for row in anchor["distances"]] == [0, 0, 0]
    beyond = 1 - 0.025 ** (1 / anchor["num_prompts"])
    for row in anchor["distances"]:  # but for what so many prompts would not have shown
        assert row["quality_ci"] == pytest.approx([0, beyond])
        assert row["effective_signal_ci"] == pytest.approx([0, beyond / row["variance_cost_ci"][0]], rel=1e-3)
        gain = [-beyond, beyond] if row["distance"] else [0, 0]
        assert row["qualities"]["coverage"]["gain_ci"] == pytest.approx(gain)
    assert not anchor["maximum"]["coverage"]["token"]["is_interior"]
    json.dumps(result, allow_nan=False)
    with pytest.raises(UserError, match="fails on 0 of 64 prompts"):
        measure_signal(run, SMALL, task=f"{tmp_path / 'other.py'}:trivial", say=lambda _: None)


def test_steps_without_a_checkpoint_are_named() -> None:
    steps, where = [0, 10, 20, 40], Path("run")
    assert choose_steps(steps, Scope(anchors=(10,)), where) == [(10, [0, 10, 30])]
    assert choose_steps(steps, Scope(), where) == [(0, [0, 10, 20, 40]), (10, [0, 10, 30])]
    assert choose_steps(list(range(0, 500, 5)), Scope(anchors=(0,)), where)[0][1][-1] == 495
    for scope, seen in (
        (Scope(anchors=(15,)), "no checkpoint at step 15"),
        (Scope(anchors=(0,), distances=(10, 30)), "no checkpoint at step 30"),
        (Scope(anchors=(40,)), "nothing lies after it"),
    ):
        with pytest.raises(UserError, match=rf"{seen}.*There are: 0, 10, 20, 40 \(0 is the base weights\)"):
            choose_steps(steps, scope, where)
    with pytest.raises(UserError, match=r"1 checkpoint.*at least 2"):
        choose_steps([0, 10], Scope(), where)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        find_checkpoints(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        find_checkpoints(tmp_path / "nowhere")
    for scope in (Scope(num_samples=1), Scope(k=99), Scope(anchors=(-1,)), Scope(num_prompts=3)):
        with pytest.raises(UserError):
            measure_signal(tmp_path, scope)


def test_the_gradient_spread_of_two_samples_is_half_their_squared_distance(tmp_path: Path) -> None:
    engine = TRLEngine(npo(tmp_path))
    asked = rows(2)
    ids = [list(gold_ids(engine.trainer, row)) for row in asked]
    weights = {
        "one": [[1.0] * len(tokens) for tokens in ids],
        "two": [[2.0] * len(tokens) for tokens in ids],
        "none": [[0.0] * len(tokens) for tokens in ids],
    }
    spread = gradient_spread(engine, asked, ids, weights)
    gradients = []
    for row, tokens in zip(asked, ids, strict=True):
        engine.trainer.model.zero_grad()
        engine.per_token_logps([row], [tokens]).sum().backward()
        gradients.append(torch.cat([p.grad.reshape(-1) for p in engine.trainer.model.parameters()]).double().numpy())
    expected = float(np.square(gradients[0] - gradients[1]).sum()) / 2
    assert spread["one"].trace == pytest.approx(expected, rel=1e-4)
    signal = float(np.square(sum(gradients) / 2).sum()) - expected / 2
    assert signal < 0 or spread["one"].noise_to_signal == pytest.approx(expected / signal, rel=1e-3)
    assert spread["two"].trace == pytest.approx(4 * expected, rel=1e-4) and spread["none"].trace == 0
