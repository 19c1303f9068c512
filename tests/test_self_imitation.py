"""Self-imitation: a prompt that is failed today gets the policy's own latest answer, which an earlier step wrote."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.guidance.harvest import Harvest
from nearfuture.run.build import policy_notes
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train import NPOTrainer
from nearfuture.types import Guidance, UserError

SETTINGS = {"max_steps": 12, "per_device_train_batch_size": 64, "learning_rate": 0.02}


class Watched(Harvest):
    """A harvest that notes what it serves."""

    def __init__(self) -> None:
        super().__init__()
        self.served: list[tuple[int, str, Guidance | None]] = []

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        found = super().lookup(prompt_id, step)
        self.served.append((step, prompt_id, found))
        return found


def trained(folder: Path, harvest: Harvest, **settings: Any) -> NPOTrainer:
    trainer = tiny.npo(folder, data=tiny.rows(32), guidance=harvest, **{**SETTINGS, **settings})
    trainer.train()
    return trainer


def test_a_prompt_gets_its_latest_answer_from_an_earlier_visit(tmp_path: Path) -> None:
    harvest = Watched()
    trainer = trained(tmp_path, harvest)
    visits: dict[str, list[int]] = {}
    for step, prompt_id, found in harvest.served:
        if found is not None:
            assert found.guide_step < step and found.guide_step in visits[prompt_id]
            assert found.prompt_id == prompt_id and found.behavior_logps
        visits.setdefault(prompt_id, []).append(step)
    served = [found for _, _, found in harvest.served if found is not None]
    assert served and len(served) < len(harvest.served)
    logs = [row for row in trainer.state.log_history if "npo/guided_frac" in row]
    assert logs[0]["npo/guided_frac"] == 0 and sum(row["npo/guided_frac"] for row in logs) > 0


def test_an_own_answer_comes_before_that_of_a_guide(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = tiny.guidance_for(tiny.npo(tmp_path / "asked", data=tiny.rows(32)), folder)
    guide_step = cache.header.guide.step
    cache.close()
    harvest = Watched()
    trainer = tiny.npo(tmp_path / "run", data=tiny.rows(32), guidance=[harvest, folder], max_pass_rate=1.0, **SETTINGS)
    trainer.train()
    logs = [row for row in trainer.state.log_history if "npo/guided_frac" in row]
    assert len(logs) == SETTINGS["max_steps"] and all(row["npo/guided_frac"] == 1 for row in logs)
    for number, row in enumerate(logs):
        found = [answer for step, _, answer in harvest.served if step == number]
        writers = [guide_step if answer is None else answer.guide_step for answer in found]
        assert row["npo/guide/steps_ahead"] == pytest.approx(sum(writers) / len(writers) - number)
    assert logs[0]["npo/guide/steps_ahead"] == guide_step and logs[-1]["npo/guide/steps_ahead"] < guide_step - 11


def test_what_chooses_the_questions_stands_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ExperienceReplay in a list of 2 .* Give it alone"):
        tiny.npo(tmp_path, data=tiny.rows(32), guidance=[Harvest(), ExperienceReplay(0.5, 0.0, 0)])


def test_it_generates_nothing_and_is_plain_grpo_until_a_prompt_comes_back(tmp_path: Path) -> None:
    """32 prompts, 16 per step: the first two steps are an epoch."""
    ours = trained(tmp_path / "ours", Harvest(), max_steps=2)
    plain = tiny.grpo(tmp_path / "plain", data=tiny.rows(32), **{**SETTINGS, "max_steps": 2})
    plain.train()
    a, b = tiny.weights(ours), tiny.weights(plain)
    assert all(torch.equal(a[name], b[name]) for name in b)


@pytest.mark.parametrize("passes", [1, 2])
def test_resumed_equals_never_stopped(tmp_path: Path, passes: int) -> None:
    settings = {
        "num_iterations": passes,
        "save_strategy": "steps",
        "save_steps": 6,
        "optim": "adamw_torch",
        "learning_rate": 1e-4,
    }
    whole = trained(tmp_path / "whole", Harvest(), **settings)
    harvest = Harvest()
    resumed = tiny.npo(tmp_path / "resumed", data=tiny.rows(32), guidance=harvest, **{**SETTINGS, **settings})
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "out" / "checkpoint-6"))
    a, b = tiny.weights(whole), tiny.weights(resumed)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert len(harvest) > 0 and whole.guidance.state_dict() == harvest.state_dict()


@pytest.mark.parametrize("num", [16, 24, 48])
def test_a_checkpoint_changes_nothing(num: int, tmp_path: Path) -> None:
    """Prompts that come twice in a row, at the border of two epochs or always: served alike however often it saves."""
    runs = []
    for every in (1, 100):
        saving = {"save_strategy": "steps", "save_steps": every, "save_total_limit": 1}
        trainer = tiny.npo(tmp_path / str(every), data=tiny.rows(num), guidance=Harvest(), **{**SETTINGS, **saving})
        trainer.train()
        runs.append(trainer)
    logs = [[row["npo/guided_frac"] for row in run.state.log_history if "npo/guided_frac" in row] for run in runs]
    a, b = map(tiny.weights, runs)
    assert logs[0] == logs[1] and sum(logs[0]) > 0 and all(torch.equal(a[name], b[name]) for name in a)


def test_answers_that_fit_no_more_are_left_out_of_a_resumed_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 6}
    first = trained(tmp_path / "first", Harvest(), **saving)
    checkpoint = str(tmp_path / "first" / "out" / "checkpoint-6")
    rows = tiny.rows(32)
    others = [{**row, "prompt_id": rows[i - 1]["prompt_id"]} for i, row in enumerate(rows)]
    for name, data, settings in (("ids", others, {}), ("short", rows, {"max_completion_length": 2})):
        harvest = Harvest()
        trainer = tiny.npo(tmp_path / name, data=data, guidance=harvest, **{**SETTINGS, **settings, "max_steps": 7})
        with caplog.at_level("WARNING"):
            trainer.train(resume_from_checkpoint=checkpoint)
        assert "kept answers of the checkpoint are left out" in caplog.text
        caplog.clear()
        hashes = {row["prompt_id"]: prompt_hash(row) for row in data}
        for answer in harvest._answers.values():
            success = answer.success
            assert success.prompt_hash == hashes[success.prompt_id]
            assert len(success.completion_ids) <= trainer.args.max_completion_length
    assert len(first.guidance) > 0


def test_a_stalled_run_of_trls_own_trainer_goes_on_with_it(tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 6}
    tiny.grpo(tmp_path / "plain", data=tiny.rows(32), **{**SETTINGS, **saving, "max_steps": 6}).train()
    harvest = Harvest()
    ours = tiny.npo(tmp_path / "ours", data=tiny.rows(32), guidance=harvest, **SETTINGS)
    ours.train(resume_from_checkpoint=str(tmp_path / "plain" / "out" / "checkpoint-6"))
    logs = [row for row in ours.state.log_history if "npo/guided_frac" in row]
    assert ours.state.global_step == 12 and len(harvest) > 0
    assert [row["npo/guided_frac"] for row in logs[:2]] == [0, 0] and logs[-1]["npo/guided_frac"] > 0


def test_a_run_in_which_prompts_hardly_come_back_says_so() -> None:
    few = dataclasses.replace(tiny.TASK, train=tiny.TASK.train[:64])
    settings = ["method=self_imitation", "per_device_train_batch_size=256", "num_generations=8"]  # 32 prompts per step
    for steps, said in ((2, "own answers never serve"), (6, "three visits were too few"), (20, None)):
        config = load_configuration(None, ["run_dir=runs/x", "task=apprentice", f"max_steps={steps}", *settings])
        notes = [note for note in policy_notes(config, few) if note.startswith("source=own")]
        assert len(notes) == (said is not None) and all(said in note for note in notes)
