"""What the reward functions are asked, and when.

    no guidance    TRL asks in its own place, when rollout functions and environments have added what they add
    guidance       the gate has to know first: it asks about the policy's own rollouts, then about what took a slot, and
                   hands TRL the result when it asks

TRL's question is met by an attribute of the trainer, not by a method of its class: so a subclass may replace
`_calculate_rewards`, and what it says is what the gate, the guided rows and TRL get.

Letters: G generations per prompt, B local rows, N global rows, F reward functions.

Not here: the gate and the order of things (`nearfuture.train.trainer`), verdicts (`nearfuture.tasks`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from trl.data_utils import is_conversational

from nearfuture.guidance.ask import has_ended
from nearfuture.guidance.checks import verdict_by_prompt
from nearfuture.train.groups import as_completion, decode, last_slot_mask
from nearfuture.train.npo_config import GuidedRewards
from nearfuture.types import Guidance, UserError, Verdict

if TYPE_CHECKING:
    from nearfuture.train.seams import Generated
    from nearfuture.train.trainer import NPOTrainer

Ask = Callable[[list[dict[str, Any]], list[Any], list[Any], list[list[int]]], Tensor]
"""Rows, prompts, completions and their token ids of this process -> [N, F] rewards, gathered over processes."""
NAME = "_calculate_rewards"


@contextlib.contextmanager
def answered_by(trainer: NPOTrainer, answer: Ask) -> Iterator[None]:
    """Inside, `answer` is what TRL asks for rewards."""
    own = vars(trainer).get(NAME)
    setattr(trainer, NAME, answer)
    try:
        yield
    finally:
        delattr(trainer, NAME)
        if own is not None:
            setattr(trainer, NAME, own)


def without_cut_off(trainer: NPOTrainer, ask: Ask) -> Ask:
    """Ask, and give a completion that was cut off the verdict reward of a wrong one."""

    def asked(rows: list[Any], prompts: list[Any], completions: list[Any], completion_ids: list[list[int]]) -> Tensor:
        rewards_N_F = ask(rows, prompts, completions, completion_ids)
        column = trainer.verdict_column()
        is_wrong_N = are_cut_off(trainer, completion_ids) & ~torch.isnan(rewards_N_F[:, column])
        rewards_N_F = rewards_N_F.clone()
        rewards_N_F[is_wrong_N, column] = 0.0
        return rewards_N_F

    return asked


def are_cut_off(trainer: NPOTrainer, completion_ids: list[list[int]]) -> Tensor:
    """[N] bool, gathered over processes: True where a completion does not end with a stop token.

    What a rollout function or a conversation with tools calls its end is theirs: nothing of it counts as cut off.
    """
    device = trainer.accelerator.device
    ends_itself = trainer.rollout_func is not None or bool(trainer.tools)
    cut_B = [not ends_itself and not has_ended(ids, trainer.eos_token_ids) for ids in completion_ids]
    is_cut_N: Tensor = trainer.accelerator.gather(torch.tensor(cut_B, device=device))
    return is_cut_N


def of_mixed_groups(
    trainer: NPOTrainer,
    ask: Ask,
    rows: list[Any],
    prompts: list[Any],
    batch: Generated,
    own_N_F: Tensor,
    inject_P: Tensor,
) -> Tensor:
    """[N, F] rewards once guided completions stand in the last slots of the selected groups.

    Columns that a reward function logs are those of the completions that are trained on; its metrics describe the
    policy's own rollouts.

    Args:
        ask: the reward functions.
        rows: of this process, as the data set has them.
        prompts: theirs.
        batch: with the guided completions in it.
        own_N_F: what the policy's own rollouts earned.
        inject_P: the selected groups.

    Raises:
        UserError: a guided row is not correct (any more).
    """
    mask_N = last_slot_mask(inject_P, trainer.num_generations)
    extra, metrics = dict(trainer._pending_extra_logs), dict(trainer._pending_metrics)
    trainer._pending_extra_logs.clear()
    trainer._pending_metrics.clear()
    if trainer.npo.guided_rewards == GuidedRewards.BATCH:
        rewards_N_F = ask(rows, prompts, batch.completions, batch.completion_ids)
    else:
        rewards_N_F = _of_guided_rows(trainer, ask, rows, prompts, batch, own_N_F, mask_N, extra)
    trainer._pending_metrics.clear()
    trainer._pending_metrics.update(metrics)
    _require_correct(trainer, rewards_N_F[mask_N, trainer.verdict_column()])
    return rewards_N_F


def _of_guided_rows(
    trainer: NPOTrainer,
    ask: Ask,
    rows: list[Any],
    prompts: list[Any],
    batch: Generated,
    own_N_F: Tensor,
    mask_N: Tensor,
    extra: dict[str, list[Any]],
) -> Tensor:
    """Ask about the guided rows alone.

    TRL gathers rewards with equal sizes, so a process with fewer guided rows than another asks about some rows again.
    """
    per_process = mask_N.view(trainer.accelerator.num_processes, -1)
    width = int(per_process.sum(1).max())
    mine = per_process[trainer.accelerator.process_index]
    asked = (mine.nonzero().flatten().tolist() + (~mine).nonzero().flatten().tolist())[:width]
    scored = ask(
        [rows[i] for i in asked],
        [prompts[i] for i in asked],
        [batch.completions[i] for i in asked],
        [batch.completion_ids[i] for i in asked],
    ).view(len(per_process), width, -1)
    _put_extra_columns(trainer, asked[: int(mine.sum())], len(rows), extra)
    rewards_N_F = own_N_F.clone()
    for process, is_guided in enumerate(per_process):
        at = is_guided.nonzero().flatten() + process * len(is_guided)
        rewards_N_F[at] = scored[process, : len(at)]
    return rewards_N_F


def _put_extra_columns(trainer: NPOTrainer, guided: list[int], num_rows: int, extra: dict[str, list[Any]]) -> None:
    """Put what was logged about the guided rows into the columns of the batch.

    A column may come from one of the two calls only: the other rows are empty there, as in TRL's own table.
    """
    found = dict(trainer._pending_extra_logs)
    for column in {**extra, **found}:
        whole = extra.setdefault(column, [None] * num_rows)
        for i, value in zip(guided, found.get(column, [None] * len(guided)), strict=False):
            whole[i] = value
    trainer._pending_extra_logs.clear()
    trainer._pending_extra_logs.update(extra)


def _require_correct(trainer: NPOTrainer, verdicts: Tensor) -> None:
    is_correct = verdicts >= trainer.npo.correct_threshold
    if bool(is_correct.all()):
        return
    raise UserError(
        f"{trainer.reward_func_names[trainer.verdict_column()]} does not find {int((~is_correct).sum())} of "
        f"{len(verdicts)} guided completions correct at step {trainer.state.global_step}. Guidance must be verified "
        "and the verifier deterministic, judging each completion by itself: check the cache with `nearfuture guide "
        "verify`, or collect again; where this function compares the completions of a group, let another one carry the "
        "verdict (verdict_reward)."
    )


def judge_again(trainer: NPOTrainer, pairs: list[tuple[Any, Guidance]]) -> dict[str, Verdict]:
    """The verdict reward's opinion by prompt id; of several trajectories of a prompt the first that is not correct."""
    ids = [list(guidance.completion_ids) for _, guidance in pairs]
    rows = [trainer.as_given(row) for row, _ in pairs]
    prompts = [row["prompt"] for row in rows]
    like = [{}] if is_conversational({"prompt": prompts[0]}) else ""
    completions = [as_completion(like, text) for text in decode(trainer, ids)]
    rewards = trainer._calculate_rewards(rows, prompts, completions, ids)[: len(pairs)]
    trainer._pending_extra_logs.clear()
    trainer._pending_metrics.clear()
    verdicts = rewards[:, trainer.verdict_column()].tolist()
    threshold = trainer.npo.correct_threshold
    return verdict_by_prompt(
        (guidance.prompt_id, as_verdict(value, threshold)) for (_, guidance), value in zip(pairs, verdicts, strict=True)
    )


def as_verdict(reward: float, correct_threshold: float) -> Verdict:
    """The verdict a reward stands for; None arrives as NaN and cannot be told apart from a crash."""
    if math.isnan(reward):
        return Verdict.CRASH
    return Verdict.CORRECT if reward >= correct_threshold else Verdict.WRONG
