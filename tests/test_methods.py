"""The methods as rows of one dict: what a guided token counts in each, by hand; and a real run of each."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import tiny
import torch
from commands import FINAL, train

from nearfuture.run.settings.load import check
from nearfuture.run.settings.methods import METHODS
from nearfuture.types import UserError

RUN = {"task": "apprentice", "run_dir": "runs/x", "max_steps": 10}


def weights_of_a_guided_row(tmp_path: Path, method: str, **more: float | str) -> list[float]:
    """Advantage per token of a lone guided success among eight, before the loss's normaliser.

    The learner gives its two tokens 0.1 and 0.4; whoever wrote them, 0.2 and 0.5 where that is known.
    """
    known = {"weighting", "shaping_gamma", "scale_rewards", "loss_type", "epsilon", "epsilon_high"}
    settings = {key: value for key, value in METHODS[method].items() if key in known} | more
    trainer = tiny.npo(tmp_path, **settings)
    rewards = torch.tensor([0.0] * 7 + [1.0])
    advantages = rewards - rewards.mean()
    if trainer.args.scale_rewards != "none":
        advantages /= rewards.std() + 1e-4
    logps = torch.log(torch.tensor([[0.1, 0.4]])).repeat(8, 1)
    behavior = torch.log(torch.tensor([[0.2, 0.5]])) if method != "luffy" else torch.zeros(1, 2)
    is_guided = torch.tensor([False] * 7 + [True])
    inputs = {
        "is_guided": is_guided,
        "behavior_logps": torch.where(is_guided[:, None], behavior, torch.zeros(8, 2)),
        "advantages": advantages,
    }
    trainer._weigh(inputs, logps)
    found = inputs["advantages"]
    found = (found[:, None] if found.ndim == 1 else found).expand(8, 2)
    ratio = (logps - inputs.get("old_per_token_logps", logps)).exp()
    assert found[:7] == pytest.approx(advantages[:7, None].expand(7, 2), rel=1e-5)
    return (found * ratio)[-1].tolist()


def test_what_a_guided_token_counts(tmp_path: Path) -> None:
    """One success in eight, mean 1/8, deviation (ddof 1) 0.35355: 0.875 / 0.35355 = 2.4749, or 0.875 undivided.

    npo, rlep   2.4742 with TRL's 1e-4 in the denominator
    importance  ratios 0.1/0.2 and 0.4/0.5: 2.4742 * (0.5, 0.8)
    luffy       pi = 0.1, 0.4: 0.1 pi / (pi + 0.1)^2 = 0.25, 0.16; times 0.875
    exgrpo      w = 0.5, 0.8: 0.1 w / (w + 0.1)^2 = 0.05/0.36, 0.08/0.81; times 0.875
    """
    plain = 0.875 / (math.sqrt(1 / 8) + 1e-4)
    assert weights_of_a_guided_row(tmp_path, "npo") == pytest.approx([plain, plain], rel=1e-4)
    assert weights_of_a_guided_row(tmp_path, "rlep") == pytest.approx([plain, plain], rel=1e-4)
    importance = weights_of_a_guided_row(tmp_path, "npo", weighting="importance")
    assert importance == pytest.approx([0.5 * plain, 0.8 * plain], rel=1e-4)
    assert weights_of_a_guided_row(tmp_path, "luffy") == pytest.approx([0.875 * 0.25, 0.875 * 0.16], rel=1e-4)
    exgrpo = weights_of_a_guided_row(tmp_path, "exgrpo")
    assert exgrpo == pytest.approx([0.875 * 0.05 / 0.36, 0.875 * 0.08 / 0.81], rel=1e-4)


def test_a_key_that_is_given_beats_the_method() -> None:
    assert check({**RUN, "method": "luffy"}).training.max_pass_rate == 1.0
    assert check({**RUN, "method": "luffy", "max_pass_rate": 0.6}).training.max_pass_rate == 0.6
    assert check({**RUN, "method": "rlep"}).run.scout_steps == 10


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean luffy"):
        check({**RUN, "method": "lufy"})


def test_a_pool_larger_than_its_samples_is_refused_before_training() -> None:
    with pytest.raises(UserError, match=r"guide_num_kept=64.*guide_num_samples=16"):
        check({**RUN, "method": "rlep", "guide_num_samples": 16})


def test_a_guide_at_another_temperature_is_refused_before_it_is_paid_for() -> None:
    importance = {**RUN, "scout_steps": 5, "weighting": "importance"}
    with pytest.raises(UserError, match=r"weighting=importance and guide_temperature=0\.7, .* at temperature=1\.0"):
        check({**importance, "guide_temperature": 0.7})
    with pytest.raises(UserError, match=r"guide_temperature=1\.0, .* at temperature=0\.7"):
        check({**importance, "guide_temperature": 1.0, "temperature": 0.7})
    for fine in ({}, {"guide_temperature": 1.0}, {"guide_temperature": 0.7, "temperature": 0.7}):
        assert check({**importance, **fine}).run.guide_temperature == fine.get("guide_temperature")
    assert check({**importance, "weighting": "on_policy", "guide_temperature": 0.7}).run.guide_temperature == 0.7


def test_a_slot_has_one_source() -> None:
    with pytest.raises(UserError, match=r"source=experience.*autonpo\.mode=off"):
        check({**RUN, "method": "exgrpo", "autonpo.mode": "act"})
    with pytest.raises(UserError, match="takes no guide of this run"):
        check({**RUN, "method": "luffy", "scout_steps": 4})


SHORT = ["max_steps=6", "scout_steps=0", "guide_step=null", "rollback_to=null", "eval_every=0"]
METHOD_RUNS = {
    "rlep": ["method=rlep", "scout_steps=6", "guide_num_samples=16", "guide_num_kept=16", "guide_min_correct=1"],
    "exgrpo": ["method=exgrpo", "experience_start_pass_rate=0"],
    "self_imitation": ["method=self_imitation", f"task={Path(__file__).with_name('few_prompts.py')}:few"],
    "self_imitation with a scout": [
        "method=self_imitation",
        f"task={Path(__file__).with_name('few_prompts.py')}:few",
        "scout_steps=3",
        "guidance_harvest=true",
    ],
    "opd": ["method=opd", "scout_steps=3", "learning_rate=5e-4"],
    "luffy": ["method=luffy", "max_completion_length=12"],
    "again": ["resample_steps=4"],
}


@pytest.mark.parametrize("name", METHOD_RUNS)
def test_a_real_run_of_each(name: str, tmp_path: Path) -> None:
    """It trains, differs from plain GRPO, and a killed one would resume: the lineage and the ledger close."""
    arguments = [a for a in SHORT if a.split("=")[0] not in {b.split("=")[0] for b in METHOD_RUNS[name]}]
    code, output = train(tmp_path / "run", *arguments, *METHOD_RUNS[name])
    assert code == 0, output
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    head = json.loads((tmp_path / "run" / "lineage.json").read_text())["head"]
    rows = [row for row in rows if "loss" in row and row["segment"] == head]
    assert len(rows) == 6
    assert all(math.isfinite(row["loss"]) and math.isfinite(row["grad_norm"]) for row in rows)
    if name == "opd":
        assert sum(row["npo/distilled_frac"] for row in rows) > 0
        assert sum(row["npo/guided_frac"] for row in rows) == 0
    else:
        assert sum(row["npo/guided_frac"] for row in rows) > 0
    assert {path.name for path in (tmp_path / "run" / "final").iterdir()} == FINAL
    ledger = json.loads((tmp_path / "run" / "ledger.json").read_text())["totals"]
    assert ledger["steps"] == {"rlep": 12, "opd": 9, "self_imitation with a scout": 9}.get(name, 6)


def test_traces_that_cannot_be_used_are_named_before_step_1(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text(
        '{"prompt_id": "nobody", "target": [{"role": "assistant", "content": "0"}]}\n'
    )
    luffy = ["method=luffy", "max_completion_length=12", f"traces={tmp_path}/traces.jsonl"]
    code, output = train(tmp_path / "run", *SHORT, *luffy)
    assert code == 3
    assert "none of the 1 rows has a trajectory that can be used" in output
