"""What the run wrote itself is not bought again: what is kept, with whose log-probs; a kill changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from auto_runs import configuration, events, fired, in_the_replay, run, same

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.experience import Success
from nearfuture.guidance.harvest import Harvest
from nearfuture.run.disk import disk_plan
from nearfuture.tasks import load_task
from nearfuture.types import UserError

EARLY = ("autonpo.mode=off", "max_steps=8", "scout_steps=6", "learning_rate=1e-3")
STAY = ("guidance_lifetime=while_gated", "autonpo.stay=true", "autonpo.min_gain=1000", "guidance_harvest=true")


def success(prompt_id: str, step: int) -> Success:
    return Success(prompt_id, f"hash of {prompt_id}", (5, step, 0), (-0.1, -1.0 / 3.0, 0.0), step)


def filled() -> Harvest:
    harvest = Harvest()
    harvest.observe(["a", "b"], [2, 1], [8, 8])
    harvest.store([success("a", 3), success("b", 3)])
    harvest.observe(["a", "c"], [1, 0], [8, 8])
    harvest.store([success("a", 7)])
    harvest.observe(["b", "c"], [0, 0], [8, 8])
    return harvest


def test_the_latest_answer_is_kept_with_its_step() -> None:
    answers = filled().answers(["a", "b", "c"], after=0)
    assert {name: found.guide_step for name, found in answers.items()} == {"a": 7, "b": 3}
    assert (answers["a"].num_correct, answers["a"].num_samples) == (1, 8)


def test_what_was_written_before_the_replay_begins_is_no_guidance() -> None:
    assert set(filled().answers(["a", "b"], after=4)) == {"a"}
    assert filled().answers(["a", "b"], after=7).keys() == {"a"} and not filled().answers(["a", "b"], after=8)


def test_failures_since_the_last_success_add_up() -> None:
    assert filled().known(["a", "b", "c", "d"]) == {"a": (1, 8), "b": (1, 16), "c": (0, 16)}


def test_its_state_is_exact() -> None:
    """Log-probs are those of float32, which is what a policy gives; through JSON not a bit of them is lost."""
    first = Harvest()
    first.load_state_dict(json.loads(json.dumps(filled().state_dict())))
    second = Harvest()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert first.state_dict() == second.state_dict()
    assert first.answers(["a", "b"], after=0) == second.answers(["a", "b"], after=0)


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("bought") / "run", *EARLY)


@pytest.fixture(scope="module")
def harvested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("harvested") / "run", *EARLY, "guidance_harvest=true")


def test_the_scout_is_the_same_to_the_bit(bought: Path, harvested: Path) -> None:
    name = "segments/000/checkpoint-6/model.safetensors"
    assert (bought / name).read_bytes() == (harvested / name).read_bytes()


def test_its_answers_are_there_for_free(bought: Path, harvested: Path) -> None:
    (before,), (after,) = events(bought, "collected"), events(harvested, "collected")
    assert after["num_harvested"] > 0 and after["harvested_tokens"] >= after["num_harvested"]
    assert after["guide_tokens"] < before["guide_tokens"] and after["num_prompts"] == before["num_prompts"]
    assert 0 <= after["harvested_distance"] < 6
    totals = json.loads((harvested / "ledger.json").read_text())["totals"]
    assert totals["harvested_tokens"] == after["harvested_tokens"]
    assert totals["generated_tokens"] == totals["rollout_tokens"] + totals["guide_tokens"]
    assert "harvested_tokens" not in json.loads((bought / "ledger.json").read_text())["totals"]


def test_each_has_the_log_probs_and_the_step_of_the_policy_that_wrote_it(harvested: Path) -> None:
    cache = GuidanceCache.open(harvested / "segments/001/guidance")
    own = [guidance for guidance in cache if guidance.guide_step < 6]
    assert len(own) == cache.header.counts.num_harvested
    assert all(len(found.behavior_logps) == len(found.completion_ids) for found in own)
    kept = Harvest.read(harvested / "segments/000/checkpoint-6/harvest.json")
    assert {found.prompt_id: found for found in own} == kept.answers([found.prompt_id for found in own], after=0)


@pytest.mark.parametrize("back", [fired, pytest.param(in_the_replay, marks=pytest.mark.long)])  # both: `test_stay`
def test_a_run_that_stays_has_its_path_and_a_kill_changes_no_bit(back: Callable[..., Path], tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", *STAY)
    (collected,) = events(whole, "collected")
    assert collected["num_harvested"] > 0
    folder = run(back(whole, tmp_path / "back"), *STAY, resume=True)
    assert same(folder, whole)
    ours, theirs = (json.loads((f / "ledger.json").read_text())["totals"] for f in (folder, whole))
    assert ours["harvested_tokens"] == theirs["harvested_tokens"] and ours["guide_tokens"] == theirs["guide_tokens"]


def test_one_rollout_a_prompt_is_no_pool(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one rollout per prompt is harvested"):
        configuration(tmp_path, "guidance_harvest=true", "guide_num_kept=2")


def test_the_plan_counts_its_bytes_and_the_final_policy_has_none(harvested: Path) -> None:
    plain, with_it = (
        disk_plan(configuration(harvested, f"guidance_harvest={on}"), load_task("apprentice").model or "", 100)
        for on in ("false", "true")
    )
    assert with_it.checkpoint_bytes - plain.checkpoint_bytes == 100 * (8 * 11 + 200)
    written = (harvested / "segments/000/checkpoint-6/harvest.json").stat().st_size
    assert written < 2048 * (8 * 11 + 200) and not (harvested / "final/harvest.json").exists()
