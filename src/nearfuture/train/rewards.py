"""What the reward functions are called on, and when.

    no guidance    TRL calls them in its own place, after rollout functions and environments have added their columns
    guidance       the gate has to know first: it calls them on the policy's own rollouts, then on what took a slot, and
                   gives TRL the result when it asks

TRL's question is answered by an attribute of the trainer, not by a method of its class. So a subclass may replace
`_calculate_rewards`, and its result is what the gate, the guided rows and TRL get.

Letters: P prompts, G generations per prompt, N = P * G global rows, F reward functions.

Not here: the gate and the order of things (`nearfuture.train.trainer`), verdicts (`nearfuture.tasks`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer
from trl.data_utils import is_conversational

from nearfuture.guidance.ask import has_ended
from nearfuture.guidance.checks import verdict_by_prompt
from nearfuture.method.gate import pass_rate
from nearfuture.train.inject import as_completion, decode
from nearfuture.train.npo_config import GuidedRewards, NPOSettings
from nearfuture.train.seams import Generated
from nearfuture.train.step import Row, Step
from nearfuture.types import Guidance, UserError, Verdict

Ask = Callable[[list[Row], list[Any], list[Any], list[list[int]]], Tensor]
"""Rows, prompts, completions and their token ids of this process -> [N, F] rewards, gathered over processes."""
NAME = "_calculate_rewards"


class Rewards:
    """The reward functions of a trainer, called for the gate, for what took a slot, and for TRL.

    Args:
        trainer: the trainer whose `_calculate_rewards` is called: TRL's, or a subclass's.
        npo: says which function carries the verdict, and which rewards count as correct.
    """

    def __init__(self, trainer: GRPOTrainer, npo: NPOSettings) -> None:
        self.trainer, self.npo = trainer, npo
        self._functions: Ask | None = None

    @property
    def column(self) -> int:
        """Index of the reward function that carries the verdict.

        Raises:
            UserError: there is no function of that name.
        """
        name, names = self.npo.verdict_reward, self.trainer.reward_func_names
        if name is None:
            return 0
        if name not in names:
            raise UserError(f"verdict_reward={name!r} is not one of the reward functions {names}. Name one of them.")
        return int(names.index(name))

    @contextlib.contextmanager
    def answering(self, answer: Ask) -> Iterator[None]:
        """Inside the block, TRL gets its rewards from `answer`, and `ask` calls the reward functions."""
        trainer = self.trainer
        own = vars(trainer).get(NAME)
        self._functions = getattr(trainer, NAME)
        setattr(trainer, NAME, answer)
        try:
            yield
        finally:
            self._functions = None
            delattr(trainer, NAME)
            if own is not None:
                setattr(trainer, NAME, own)

    def ask(self, rows: list[Row], prompts: list[Any], completions: list[Any], ids: list[list[int]]) -> Tensor:
        """[N, F] rewards; with `truncated_is_wrong` a completion that was cut off gets the verdict of a wrong one."""
        assert self._functions is not None
        rewards_N_F = self._functions(rows, prompts, completions, ids)
        return self._corrected(rewards_N_F, self._are_cut_off(ids)) if self.npo.truncated_is_wrong else rewards_N_F

    def judge(
        self, step: Step, rows: list[Row], prompts: list[Any], completions: list[Any], ids: list[list[int]]
    ) -> Tensor:
        """[N, F] rewards of the policy's own rollouts, from which the step learns its verdicts and pass rates."""
        assert self._functions is not None
        rewards_N_F = self._functions(rows, prompts, completions, ids)
        is_cut_off_N = self._are_cut_off(ids)
        if self.npo.truncated_is_wrong:
            rewards_N_F = self._corrected(rewards_N_F, is_cut_off_N)
        step.completion_ids, step.rewards_N_F = ids, rewards_N_F
        verdicts_P_G = rewards_N_F[:, self.column].view(-1, step.num_generations)
        step.is_judged_P_G = ~torch.isnan(verdicts_P_G)
        has_ended_P_G = ~is_cut_off_N.view(-1, step.num_generations)
        step.verdicts_P_G = torch.where(has_ended_P_G | ~step.is_judged_P_G, verdicts_P_G, 0.0)
        step.correct_P_G = (step.verdicts_P_G >= self.npo.correct_threshold) & has_ended_P_G
        step.pass_rate_P = pass_rate(step.correct_P_G, step.is_judged_P_G)
        return rewards_N_F

    def _corrected(self, rewards_N_F: Tensor, is_cut_off_N: Tensor) -> Tensor:
        """Return the rewards, with a wrong answer's verdict for completions that were cut off and could be judged."""
        rewards_N_F = rewards_N_F.clone()
        rewards_N_F[is_cut_off_N & ~torch.isnan(rewards_N_F[:, self.column]), self.column] = 0.0
        return rewards_N_F

    def _are_cut_off(self, completion_ids: list[list[int]]) -> Tensor:
        """[N] bool, gathered over processes: True where a completion does not end with a stop token.

        Rollout functions and conversations with tools decide their own end, so none of theirs counts as cut off.
        """
        trainer = self.trainer
        ends_itself = trainer.rollout_func is not None or bool(trainer.tools)
        cut_B = [not ends_itself and not has_ended(ids, trainer.eos_token_ids) for ids in completion_ids]
        is_cut_N: Tensor = trainer.accelerator.gather(torch.tensor(cut_B, device=trainer.accelerator.device))
        return is_cut_N

    def of_mixed_groups(self, step: Step, prompts: list[Any], generated: Generated) -> Tensor:
        """[N, F] rewards once guidance is in the last slots of the selected groups.

        Columns that a reward function logs are those of the completions that are trained on; its metrics describe the
        policy's own rollouts.

        Raises:
            UserError: a guided row is not correct, or no longer.
        """
        trainer = self.trainer
        extra, metrics = dict(trainer._pending_extra_logs), dict(trainer._pending_metrics)
        trainer._pending_extra_logs.clear()
        trainer._pending_metrics.clear()
        if self.npo.guided_rewards == GuidedRewards.BATCH:
            rewards_N_F = self.ask(step.given, prompts, generated.completions, generated.completion_ids)
        else:
            rewards_N_F = self._of_guided_rows(step, prompts, generated, extra)
        trainer._pending_metrics.clear()
        trainer._pending_metrics.update(metrics)
        self._require_correct(step, rewards_N_F)
        return rewards_N_F

    def _of_guided_rows(
        self, step: Step, prompts: list[Any], generated: Generated, extra: dict[str, list[Any]]
    ) -> Tensor:
        """Call the reward functions on the guided rows only.

        TRL gathers rewards of equal sizes, so a process with fewer guided rows repeats some others.
        """
        is_guided_N = step.in_last_slot(step.inject_P)
        counts = is_guided_N.view(step.num_processes, -1).sum(1).tolist()
        mine = [i for i, guidance in enumerate(step.guidance_B) if guidance is not None]
        asked = (mine + [i for i, guidance in enumerate(step.guidance_B) if guidance is None])[: max(counts)]
        scored = self.ask(
            [step.given[i] for i in asked],
            [prompts[i] for i in asked],
            [generated.completions[i] for i in asked],
            [generated.completion_ids[i] for i in asked],
        ).view(step.num_processes, len(asked), -1)
        _put_extra_columns(self.trainer._pending_extra_logs, extra, mine, len(step.given))
        rewards_N_F = step.rewards_N_F.clone()
        rewards_N_F[is_guided_N] = torch.cat([scored[process, :count] for process, count in enumerate(counts)])
        return rewards_N_F

    def _require_correct(self, step: Step, rewards_N_F: Tensor) -> None:
        verdicts = rewards_N_F[step.in_last_slot(step.inject_P), self.column]
        is_correct = verdicts >= self.npo.correct_threshold
        if bool(is_correct.all()):
            return
        raise UserError(
            f"{self.trainer.reward_func_names[self.column]} does not find {int((~is_correct).sum())} of "
            f"{len(verdicts)} guided completions correct at step {step.number}. What was verified once must stay "
            "correct: the verifier must be deterministic, the same at every step, and judge each completion by itself. "
            "Check a cache with `nearfuture guide verify`, or collect again; where this function compares the "
            "completions of a group, let another one carry the verdict (verdict_reward)."
        )

    def verify(self, pairs: list[tuple[Row, Guidance]]) -> dict[str, Verdict]:
        """Judge guidance, each with its row as the data set has it.

        Returns:
            Verdicts by prompt id; for several trajectories of a prompt, the first one that is not correct.
        """
        trainer, ids = self.trainer, [list(guidance.completion_ids) for _, guidance in pairs]
        rows = [row for row, _ in pairs]
        prompts = [row["prompt"] for row in rows]
        like = [{}] if is_conversational({"prompt": prompts[0]}) else ""
        completions = [as_completion(like, text) for text in decode(trainer.processing_class, ids)]
        rewards = trainer._calculate_rewards(rows, prompts, completions, ids)[: len(pairs)]
        trainer._pending_extra_logs.clear()
        trainer._pending_metrics.clear()
        return verdict_by_prompt(
            (guidance.prompt_id, as_verdict(value, self.npo.correct_threshold))
            for (_, guidance), value in zip(pairs, rewards[:, self.column].tolist(), strict=True)
        )


def _put_extra_columns(
    pending: dict[str, list[Any]], extra: dict[str, list[Any]], guided: list[int], num_rows: int
) -> None:
    """Put what was logged about the guided rows into the columns of the batch.

    A column may come from only one of the two calls: the other rows are then empty, as in TRL's own table.

    Args:
        pending: what the second call logged; afterwards, columns of the batch.
        extra: what the first call logged.
        guided: the guided rows.
        num_rows: the batch's rows on this process.
    """
    found = dict(pending)
    for column in {**extra, **found}:
        whole = extra.setdefault(column, [None] * num_rows)
        for i, value in zip(guided, found.get(column, [None] * len(guided)), strict=False):
            whole[i] = value
    pending.clear()
    pending.update(extra)


def as_verdict(reward: float, correct_threshold: float) -> Verdict:
    """The verdict a reward stands for; None arrives as NaN and cannot be told apart from a crash."""
    if math.isnan(reward):
        return Verdict.CRASH
    return Verdict.CORRECT if reward >= correct_threshold else Verdict.WRONG
