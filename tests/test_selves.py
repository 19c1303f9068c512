"""Informed self (RLSD) and parallel self (CoPD): hand numbers, limit cases, resume equals continue, what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tiny import TASK, assert_same_run, grpo, npo, rows
from trl.experimental.gmpo import GMPOConfig, GMPOTrainer
from trl.rewards import get_soft_overlong_punishment

from nearfuture.method.weighting import informed_advantages
from nearfuture.run.settings.load import check
from nearfuture.train import NPOConfig, NPOTrainer
from nearfuture.train.callbacks import StopAt
from nearfuture.train.held import copy_of, held
from nearfuture.train.informed import informed_prompt
from nearfuture.train.npo_config import NPOSettings
from nearfuture.train.parallel import parts_of, turn_of
from nearfuture.train.proofs import difference
from nearfuture.types import UserError

TOLD = {"informed_strength": 0.5, "informed_template": "{prompt}{answer}{prompt}"}
RLSD: dict[str, Any] = {**TOLD, "informed_sync_steps": 2, "informed_steps": 5, "informed_clip": 0.2}
COPD: dict[str, Any] = {
    "parallel_branches": 2,
    "parallel_own_steps": 2,
    "parallel_peer_steps": 1,
    "distill_coef": 1.0,
}
RUN = {"task": "apprentice", "run_dir": "runs/x", "max_steps": 10}


def has_zero(completions: list[str], **_: Any) -> list[float]:
    """A reward with a signal in nearly every group."""
    return [float("0" in completion) for completion in completions]


def trainer_with(folder: Path, steps: int, **more: Any) -> NPOTrainer:
    """Adam, a schedule and clipping, so that everything a checkpoint must hold is in play."""
    adam = {"optim": "adamw_torch", "learning_rate": 1e-3, "lr_scheduler_type": "linear", "max_grad_norm": 0.5}
    saves = {"save_strategy": "steps", "save_steps": 1000, "per_device_train_batch_size": 8}
    return npo(folder, data=rows(16), max_steps=steps, reward=has_zero, **adam, **saves, **more)


def test_what_an_informed_token_counts_by_hand() -> None:
    """pi = 0.5; told the answer 0.55, 0.45, 0.9, 0.1: ratios 1.1, 0.9, 1.8, 0.2, kept within 0.8 and 1.2; half of it.

    A = 2: 1.1, 0.9, 1.2, 0.8; A = -1: the inverse, 1/1.1, 1/0.9, 0.8 (1/1.8), 1.2 (1/0.2).
    The third row is not informed.
    """
    logps = torch.full((3, 4), 0.5).log()
    told = torch.tensor([[0.55, 0.45, 0.9, 0.1]]).log().repeat(3, 1)
    advantages = torch.tensor([[2.0], [-1.0], [2.0]])
    found = informed_advantages(advantages, logps, told, torch.tensor([True, True, False]), strength=0.5, clip=0.2)
    assert found[0] == pytest.approx([2 * (0.5 + 0.5 * w) for w in (1.1, 0.9, 1.2, 0.8)])
    assert found[1] == pytest.approx([-(0.5 + 0.5 * w) for w in (1 / 1.1, 1 / 0.9, 0.8, 1.2)])
    assert found[2].tolist() == [2.0] * 4


@pytest.mark.parametrize("zero", [{"informed_strength": 0.0}, {**RLSD, "informed_clip": 0.0}, {"parallel_branches": 1}])
def test_at_zero_strength_it_is_grpo_bit_for_bit(zero: dict[str, Any], tmp_path: Path) -> None:
    ours = npo(tmp_path / "a", max_steps=3, reward=has_zero, **zero)
    ours.train()
    theirs = grpo(tmp_path / "b", max_steps=3, reward=has_zero)
    theirs.train()
    assert_same_run(ours, theirs)


def test_with_strength_it_is_not_grpo_until_the_strength_is_spent(tmp_path: Path) -> None:
    trainer = npo(tmp_path, max_steps=1, reward=has_zero, **RLSD)
    assert trainer.informant is not None
    assert [trainer.informant.strength(step) for step in (0, 1, 4, 5, 9)] == pytest.approx([0.5, 0.4, 0.1, 0, 0])
    trainer.train()
    other = grpo(tmp_path / "grpo", max_steps=1, reward=has_zero)
    other.train()
    with pytest.raises(AssertionError):
        assert_same_run(trainer, other)


@pytest.mark.parametrize(
    ("settings", "stop"),
    [
        pytest.param(RLSD, 3, id="rlsd", marks=pytest.mark.long),  # "other" has one more copy to keep
        pytest.param({**RLSD, "informed_by": "other"}, 1, id="other"),
        pytest.param(COPD, 3, id="copd in a branch", marks=pytest.mark.long),
        pytest.param(COPD, 5, id="copd at a peer"),
    ],
)
def test_resume_equals_continue(settings: dict[str, Any], stop: int, tmp_path: Path) -> None:
    whole = trainer_with(tmp_path / "whole", 7, **settings)
    whole.train()
    assert sum(row.get("grad_norm", 0.0) > 0 for row in whole.state.log_history) > 3, "there is something to learn"
    trainer_with(tmp_path / "part", 7, callbacks=[StopAt(stop)], **settings).train()
    resumed = trainer_with(tmp_path / "part", 7, **settings)
    torch.rand(stop)  # a process that resumes has another history
    resumed.train(resume_from_checkpoint=True)
    assert difference(whole, resumed) is None
    if whole.branches is not None and resumed.branches is not None:
        ours, theirs = whole.branches.tensors(), resumed.branches.tensors()
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_cycle_by_hand() -> None:
    """Three branches, two own steps, one with a peer, who is another one in the next cycle."""
    npo_ = NPOSettings(parallel_branches=3, parallel_own_steps=2, parallel_peer_steps=1, distill_coef=1.0)
    turns = [turn_of(step, npo_) for step in range(18)]
    assert [turn.branch for turn in turns[:9]] == [0, 0, 1, 1, 2, 2, 0, 1, 2]
    assert [turn.peer for turn in turns[:9]] == [None] * 6 + [1, 2, 0]
    assert [turn.peer for turn in turns[15:]] == [2, 0, 1]
    assert all(turn.part == (turn.branch if turn.peer is None else turn.peer) for turn in turns)


def test_a_branch_is_asked_its_own_part(tmp_path: Path) -> None:
    trainer = npo(tmp_path, data=rows(16), max_steps=6, per_device_train_batch_size=8, **COPD)
    met = [trainer.prompts_between(step, step + 1) for step in range(6)]
    assert [{index % 2 for index in batch} for batch in met] == [{0}, {0}, {1}, {1}, {1}, {0}]
    assert not set(met[0]) & set(met[1]), "a part is walked through before a prompt comes again"
    assert parts_of(["d", "a", "c", "b"], 2) == [1, 0, 0, 1]


def test_the_saved_policy_is_the_mean_of_the_branches(tmp_path: Path) -> None:
    trainer = trainer_with(tmp_path, 4, **COPD)
    trainer.train()
    assert trainer.branches is not None
    tensors = trainer.branches.tensors()
    active = copy_of(trainer.model)
    with trainer.as_saved():
        mean = copy_of(trainer.model)
    for name, weight in mean.items():
        both = [tensors[f"{branch}|weights|{name}"] for branch in (0, 1)]
        assert torch.equal(weight, torch.stack(both).mean(0))
    assert all(torch.equal(weight, active[name]) for name, weight in copy_of(trainer.model).items())
    assert any(not torch.equal(mean[name], active[name]) for name in mean)


def test_a_peer_with_the_same_weights_teaches_nothing(tmp_path: Path) -> None:
    """Reverse KL to oneself has no gradient: after a step at learning rate 0, a peer's step moves nothing either."""
    settings = {**COPD, "parallel_own_steps": 1}
    trainer = npo(tmp_path, max_steps=3, reward=has_zero, learning_rate=0.0, **settings)
    trainer.train()
    losses = [row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row]
    assert losses[2] == pytest.approx(0.0, abs=1e-6) and max(losses[:2]) > 1e-3


def test_other_weights_are_put_back(tmp_path: Path) -> None:
    trainer = npo(tmp_path)
    before = copy_of(trainer.model)
    with held(trainer.model, {name: torch.zeros_like(weight) for name, weight in before.items()}):
        assert all(not weight.any() for weight in copy_of(trainer.model).values())
    assert all(torch.equal(weight, before[name]) for name, weight in copy_of(trainer.model).items())


def test_the_prompt_of_the_informed_self() -> None:
    template = "{prompt} It is {answer}."
    assert informed_prompt("2+2?", "4", template) == "2+2? It is 4."
    system, user = {"role": "system", "content": "Think."}, {"role": "user", "content": "2+2?"}
    assert informed_prompt([system, user], "4", template) == [system, {**user, "content": "2+2? It is 4."}]
    parts = [{"type": "image"}, {"type": "text", "text": "How many?"}]
    assert informed_prompt([{"role": "user", "content": parts}], "4", template)[0]["content"][1]["text"] == (
        "How many? It is 4."
    )


def test_what_cannot_work_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"informed_column=gold: the training rows have answer, .*informed_strength=0"):
        npo(tmp_path, **TOLD, informed_column="gold")
    with pytest.raises(UserError, match=r"informed_template='\{prompt\}' must hold \{prompt\} and \{answer\}"):
        NPOConfig(str(tmp_path), informed_strength=0.5, informed_template="{prompt}")
    with pytest.raises(UserError, match=r"informed_strength=0\.5 weigh single tokens"):
        NPOConfig(str(tmp_path), informed_strength=0.5, importance_sampling_level="sequence")
    with pytest.raises(UserError, match=r"parallel_branches=2 and distill_coef=0"):
        NPOConfig(str(tmp_path), parallel_branches=2)
    with pytest.raises(UserError, match=r"lasts for several here.*num_iterations=1"):
        npo(tmp_path, **COPD, num_iterations=2)
    with pytest.raises(UserError, match=r"parallel_column=colour: the training rows have answer"):
        npo(tmp_path, **COPD, parallel_column="colour").train()
    with pytest.raises(UserError, match=r"the parts have 2, 2 prompts, and a batch needs 4"):
        npo(tmp_path, **COPD, data=rows(4)).train()
    with pytest.raises(UserError, match=r"parallel_branches=2 and scout_steps=3: branches judge each other"):
        check({**RUN, "method": "copd", "scout_steps": 3})
    assert math.isclose(check({**RUN, "method": "rlsd"}).training.informed_strength, 0.5)


# --- what others have beside GRPO


@dataclass
class Both(NPOSettings, GMPOConfig):
    """The settings of NPO and of GMPO."""


class Geometric(NPOTrainer, GMPOTrainer):
    """Guidance with a geometric mean: on-policy and importance weights compose (test_guided_rewards.py)."""


@pytest.mark.parametrize("settings", [TOLD, COPD], ids=["informed", "parallel"])
def test_weights_of_single_tokens_are_refused_with_a_geometric_mean(settings: dict[str, Any], tmp_path: Path) -> None:
    config = Both(str(tmp_path), per_device_train_batch_size=8, num_generations=4, bf16=False, **settings)
    with pytest.raises(UserError, match=r"GMPOTrainer has another one"):
        Geometric(TASK.model, reward_funcs=has_zero, args=config, train_dataset=Dataset.from_list(rows(8)))


def test_an_overlong_penalty_is_no_part_of_the_verdict(tmp_path: Path) -> None:
    """DAPO's soft penalty beside the verdict: the gate and the pass rate are those without it, the reward is not."""
    alone = npo(tmp_path / "alone", max_steps=1, reward=has_zero)
    alone.train()
    penalty = get_soft_overlong_punishment(max_completion_len=8, soft_punish_cache=6)
    both = npo(tmp_path / "both", max_steps=1, reward=[has_zero, penalty], verdict_reward="has_zero")
    both.train()
    (plain, *_), (penalised, *_) = alone.state.log_history, both.state.log_history
    assert penalised["npo/pass_rate"] == plain["npo/pass_rate"] > 0
    assert penalised["npo/gated_frac"] == plain["npo/gated_frac"]
    assert penalised["reward"] < plain["reward"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("dynamic_sampling", True, "TRL samples no group again"),
        ("overlong_buffer", 4, "get_soft_overlong_punishment"),
        ("loss_type", "gmpo", r"class Mine\(NPOTrainer, GMPOTrainer\)"),
    ],
)
def test_what_a_run_does_not_have_says_where_it_is(key: str, value: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check({**RUN, key: value})


def test_a_retired_key_of_the_trigger_says_what_stands_in_its_place() -> None:
    with pytest.raises(UserError, match=r"autonpo\.max_reward_t no longer has a meaning.*autonpo\.min_evidence"):
        check({**RUN, "autonpo.max_reward_t": 1.0})
