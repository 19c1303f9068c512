"""What can go wrong with AutoNPO: a run goes on, or ends saying what was seen, the rule and the remedy, and resumes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from auto_runs import configuration, events, fired, in_the_replay, run, same

from nearfuture.guidance.engine import Engine
from nearfuture.method.lineage import Lineage
from nearfuture.method.mistakes import MistakePool
from nearfuture.run import build
from nearfuture.run.auto.autonpo import Fired, decide, is_spent
from nearfuture.run.auto.probe import Bench
from nearfuture.run.disk import disk_plan
from nearfuture.run.executor import Executor
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.run.show import Display
from nearfuture.types import Intervention, PolicyRef, UserError


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 11 steps that went back once."""
    folder = run(tmp_path_factory.mktemp("acted") / "run")
    assert len(events(folder, "rollback")) == 1
    return folder


def rollback(folder: Path) -> dict[str, Any]:
    (event,) = events(folder, "rollback")
    return event


# --- triggers that lead to nothing


def declined(config: AutoNPOConfig, steps: list[int], num_mistakes: int) -> str:
    """The reason for which a trigger at step 20 is declined before any policy is loaded."""
    pool = MistakePool(0.6, window=config.max_rollback_distance)
    pool.observe(20, [str(i) for i in range(num_mistakes)], [0.0] * num_mistakes)
    state = {"pool": pool.state_dict(), "trigger": {"seen": [[20, 0.5, 0.5, 0.5, 0.5]]}}
    told: list[tuple[str, dict[str, Any]]] = []

    def load(step: int) -> Engine:
        raise AssertionError(f"the policy of step {step} is not needed")

    way_back = decide(
        Fired(
            Lineage.begin().end_head(20, "trigger"), state, steps, max_pass_rate=0.6, num_samples=8, num_generations=8
        ),
        Bench(load, {}, lambda text, row: pytest.fail("nothing is judged"), seed=0, batch_size=8),
        config,
        lambda event, **facts: told.append((event, facts)),
    )
    assert way_back is None and [name for name, _ in told] == ["triggered", "declined"]
    return str(told[1][1]["reason"])


def test_without_a_checkpoint_near_enough_nothing_is_sampled() -> None:
    reason = declined(AutoNPOConfig(max_rollback_distance=5), [0, 10, 20], 30)
    assert "no checkpoint is within autonpo.max_rollback_distance=5 steps" in reason
    assert "the last one before step 20 is of step 10" in reason and "save_steps" in reason


def test_a_pool_that_is_too_small_is_not_probed() -> None:
    reason = declined(AutoNPOConfig(), [0, 10], 7)
    assert "the mistake pool holds 7 prompts, autonpo.min_prompts=8 are needed" in reason


def test_a_budget_counts_the_interventions_of_the_trigger_alone() -> None:
    early = Lineage.begin().end_head(10, "scout").branch(Intervention("early", PolicyRef(0, 10, ""), 0, 10, {}))
    back = early.end_head(20, "trigger").branch(Intervention("auto", PolicyRef(1, 20, ""), 5, 20, {"reward_ema": 0.1}))
    assert not is_spent(early, AutoNPOConfig(max_interventions=1))
    assert is_spent(back, AutoNPOConfig(max_interventions=1)) and not is_spent(back, AutoNPOConfig(max_interventions=2))


def test_nothing_stops_for_a_trigger_when_the_budget_is_spent(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "max_steps=18", "autonpo.cooldown=2")
    assert len(events(folder, "rollback")) == len(events(folder, "triggered")) == 1 and not events(folder, "declined")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert max(row["autonpo/num_fired"] for row in rows) > 1, "the trigger fires again, and nothing comes of it"


def test_a_run_that_saves_too_seldom_goes_on(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "save_steps=100", "autonpo.max_rollback_distance=2")
    assert all(event["reason"].startswith("no checkpoint is within") for event in events(folder, "declined"))
    assert events(folder, "declined") and not events(folder, "probe", "rollback") and (folder / "final").exists()


def test_what_was_cut_off_is_solved_neither_for_the_probe_nor_for_a_guide(tmp_path: Path) -> None:
    """Every right answer here is cut off before its stop token: the probe says so, and no guide is paid for."""
    (tmp_path / "task.py").write_text(
        "from dataclasses import replace\nfrom nearfuture.tasks import load_task\n"
        "def odd(text, row):\n    return bool(text) and sum(map(ord, text + row['prompt'][-2:])) % 2 == 1\n"
        "def cut():\n    return replace(load_task('apprentice'), verify=odd, gold_column=None)\n"
    )
    settings = [f"task={tmp_path}/task.py:cut", "max_completion_length=1", "seed=1", "truncated_is_wrong=false"]
    folder = run(tmp_path / "run", *settings)
    (probe,), (refused,) = events(folder, "probe"), events(folder, "declined")
    assert probe["num_solved"] == 0 and not events(folder, "collected")
    ledger = json.loads((folder / "ledger.json").read_text())
    assert ledger["totals"]["guide_tokens"] == probe["guide_tokens"] > 0
    lineage = Lineage.read(folder / "lineage.json")
    assert len(lineage.segments) == 1 and refused["step"] in lineage.head.passed_triggers
    assert (folder / "final").exists()
    assert run(folder, *settings, resume=True) == folder


# --- checkpoints that somebody deleted


def test_where_the_trigger_fired_must_still_lie_there(acted: Path, tmp_path: Path) -> None:
    folder = fired(acted, tmp_path / "run")
    gone = folder / f"segments/000/checkpoint-{rollback(acted)['from_step']}"
    gone.rename(tmp_path / "copy")
    with pytest.raises(
        UserError, match=r"does not exist, but it is needed here.*Put it back from a copy, or .*--clean"
    ):
        run(folder, resume=True)
    (tmp_path / "copy").rename(gone)
    assert same(run(folder, resume=True), acted)


def test_a_checkpoint_deleted_before_the_choice_is_no_candidate(acted: Path, tmp_path: Path) -> None:
    folder = fired(acted, tmp_path / "run")
    chosen = rollback(acted)["to_step"]
    assert chosen > 0
    shutil.rmtree(folder / f"segments/000/checkpoint-{chosen}")
    (folder / "events.jsonl").unlink()
    run(folder, resume=True)
    decided = events(folder, "rollback", "declined")[0]
    steps = [row["step"] for row in decided["candidates"]]
    assert chosen not in steps and steps == [s["step"] for s in rollback(acted)["candidates"] if s["step"] != chosen]


class Deletes(Display):
    """Shows a run, and deletes a folder when the collection begins: as somebody would who needs the room."""

    folder: Path

    def collecting(self, guide: PolicyRef, num_prompts: int) -> None:
        shutil.rmtree(self.folder)


def test_a_checkpoint_deleted_after_the_choice_leaves_a_run_that_can_choose_again(acted: Path, tmp_path: Path) -> None:
    folder = fired(acted, tmp_path / "run")
    config = configuration(folder)
    task = build.load_checked_task(config)
    display = Deletes(config, disk_plan(config, build.base_model(config, task), len(task.train)), quiet=True)
    display.folder = folder / f"segments/000/checkpoint-{rollback(acted)['to_step']}"
    before = (folder / "lineage.json").read_text()
    with pytest.raises(UserError, match=f"{display.folder.name} does not exist"):
        Executor(config, task, display).run()
    assert (folder / "lineage.json").read_text() == before
    run(folder, resume=True)
    assert Lineage.read(folder / "lineage.json").segments[0].passed_triggers or len(events(folder, "rollback")) == 2


def test_a_checkpoint_that_only_the_past_refers_to_is_not_missed(acted: Path, tmp_path: Path) -> None:
    folder = in_the_replay(acted, tmp_path / "run")
    shutil.rmtree(folder / "segments/000")
    assert same(run(folder, resume=True), acted)


@pytest.mark.parametrize("which", ["to_step", "from_step"])
def test_a_replay_that_cannot_begin_says_what_it_needs(which: str, acted: Path, tmp_path: Path) -> None:
    folder = in_the_replay(acted, tmp_path / "run", keep=0)
    gone = folder / f"segments/000/checkpoint-{rollback(acted)[which]}"
    gone.rename(tmp_path / "copy")
    with pytest.raises(UserError, match=rf"checkpoint-{rollback(acted)[which]}.* does not exist.*from a copy"):
        run(folder, resume=True)
    (tmp_path / "copy").rename(gone)
    assert same(run(folder, resume=True), acted)


def test_a_last_checkpoint_that_is_gone_makes_no_final_policy(acted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(acted, folder)
    shutil.rmtree(folder / "final")
    shutil.rmtree(folder / "segments/001/checkpoint-11")
    with pytest.raises(UserError, match=r"checkpoint-11 does not exist, but it is needed here"):
        run(folder, resume=True)
    assert not list(folder.glob("final*"))


# --- what the guide is asked for


def test_the_whole_pool_is_asked_and_served_beyond_the_replay(acted: Path, tmp_path: Path) -> None:
    """The same decision as with the slice alone, more prompts, and guidance after the replay has ended."""
    folder = run(tmp_path / "run", "autonpo.ask=pool", "guidance_lifetime=while_gated")
    by_slice, by_pool = rollback(acted), rollback(folder)
    assert by_pool["to_step"] == by_slice["to_step"]
    gains = [[row.pop("expected_gain") for row in event["candidates"]] for event in (by_pool, by_slice)]
    assert by_pool["candidates"] == by_slice["candidates"]
    assert gains[0] != gains[1]  # what is asked enters it, and nothing else
    (triggered,), (collected,) = events(folder, "triggered"), events(folder, "collected")
    assert collected["num_prompts"] == triggered["autonpo/pool/num_prompts"]
    assert collected["num_prompts"] > events(acted, "collected")[0]["num_prompts"]


def test_a_pool_that_would_be_asked_in_vain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"autonpo\.ask=pool and guidance_lifetime=segment"):
        configuration(tmp_path / "run", "autonpo.ask=pool")
