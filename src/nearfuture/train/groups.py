"""Groups split over processes, and what happens to a row that is replaced.

TRL gathers rows in process order, so global row r of N belongs to process r // B and to prompt r // G; the last slot of
prompt p is row p * G + G - 1, whichever process owns it.

Letters: P prompts, G generations per prompt, B local rows, N = P * G global rows, F reward functions, T tokens.

Not here: the gate and the order of things (`nearfuture.train.trainer`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from trl import GRPOTrainer
from trl.data_utils import is_conversational

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.checks import check_verdicts, verdict_by_prompt
from nearfuture.tasks.identity import images_of, prompt_hash
from nearfuture.train.config import NPOConfig, Weighting
from nearfuture.train.tokenizer import tokenizer_hash
from nearfuture.types import Guidance, Sampling, UserError, Verdict

if TYPE_CHECKING:
    from nearfuture.train.seams import Generated
    from nearfuture.train.trainer import NPOTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A group whose last slot was replaced, for people to look at: `rollouts` pairs text and verdict reward."""

    step: int
    prompt_id: str
    prompt: Any
    images: list[Any]
    pass_rate: float
    rollouts: list[tuple[str, float]]
    guidance_text: str
    guide_segment: int
    guide_step: int


def num_prompts(trainer: GRPOTrainer, num_local_rows: int) -> int:
    """P, for B rows on this process."""
    return num_local_rows * trainer.accelerator.num_processes // trainer.num_generations


def last_slot_mask(selected_P: Tensor, num_generations: int) -> Tensor:
    """[N] bool, True at the last slot of the selected groups."""
    mask_P_G = torch.zeros(len(selected_P), num_generations, dtype=torch.bool, device=selected_P.device)
    mask_P_G[:, -1] = selected_P
    return mask_P_G.view(-1)


def local_rows(trainer: GRPOTrainer, values_N: Tensor) -> list[Any]:
    """The part of a gathered tensor that belongs to this process."""
    size = len(values_N) // trainer.accelerator.num_processes
    start = trainer.accelerator.process_index * size
    return values_N[start : start + size].tolist()


def local_last_slots(trainer: GRPOTrainer, num_local_rows: int) -> range:
    """Local indices of the last slots this process owns."""
    start, size = trainer.accelerator.process_index * num_local_rows, trainer.num_generations
    return range((size - 1 - start) % size, num_local_rows, size)


def inject(trainer: GRPOTrainer, batch: Generated, guidance_B: Sequence[Guidance | None]) -> None:
    """Replace the completions of the rows that have guidance, in place."""
    for i, guidance in enumerate(guidance_B):
        if guidance is None:
            continue
        ids = list(guidance.completion_ids)
        batch.completion_ids[i] = ids
        batch.completions[i] = as_completion(batch.completions[i], decode(trainer, [ids])[0])
        if batch.logprobs is not None:
            batch.logprobs[i] = [None] * len(ids)  # TRL reads None as "no correction": ratio exactly 1


def decode(trainer: GRPOTrainer, completion_ids: list[list[int]]) -> list[str]:
    """Text of completions, as TRL shows it to a reward function."""
    return trainer.processing_class.batch_decode(completion_ids, skip_special_tokens=True)


def as_completion(like: Any, text: str) -> Any:
    """`text` in the form of `like`: a string, or a conversation with one message."""
    return text if isinstance(like, str) else [{"role": "assistant", "content": text}]


def reward_guided_rows(
    trainer: NPOTrainer, prompts: list[Any], batch: Generated, rewards_N_F: Tensor, inject_P: Tensor
) -> Tensor:
    """Rewards of the mixed group: the guided rows are scored by the same reward functions, the others stay.

    TRL gathers rewards with equal sizes, so a process with fewer guided rows than another scores some rows again.

    Raises:
        UserError: a guided row is not correct any more (a verifier that is not deterministic).
    """
    mask_N = last_slot_mask(inject_P, trainer.num_generations)
    per_process = mask_N.view(trainer.accelerator.num_processes, -1)
    width = int(per_process.sum(1).max())
    mine = per_process[trainer.accelerator.process_index]
    rows = (mine.nonzero().flatten().tolist() + (~mine).nonzero().flatten().tolist())[:width]

    pending_extra, pending_metrics = dict(trainer._pending_extra_logs), dict(trainer._pending_metrics)
    trainer._pending_extra_logs.clear()
    trainer._pending_metrics.clear()
    scored = GRPOTrainer._calculate_rewards(
        trainer,
        [trainer._inputs[i] for i in rows],
        [prompts[i] for i in rows],
        [batch.completions[i] for i in rows],
        [batch.completion_ids[i] for i in rows],
    ).view(trainer.accelerator.num_processes, width, -1)
    # A column may come from one of the two calls only: the other rows are empty there, as in TRL's own table.
    guided_rows = rows[: int(mine.sum())]
    for column in {**pending_extra, **trainer._pending_extra_logs}:
        values = trainer._pending_extra_logs.get(column, [None] * width)
        whole = pending_extra.setdefault(column, [None] * len(batch.completions))
        for i, value in zip(guided_rows, values, strict=False):
            whole[i] = value
    trainer._pending_extra_logs.update(pending_extra)
    trainer._pending_metrics.clear()
    trainer._pending_metrics.update(pending_metrics)

    rewards_N_F = rewards_N_F.clone()
    for process, is_guided in enumerate(per_process):
        at = is_guided.nonzero().flatten() + process * len(is_guided)
        rewards_N_F[at] = scored[process, : len(at)]
    verdicts = rewards_N_F[mask_N, trainer._verdict_column()]
    if not bool((verdicts >= trainer.args.correct_threshold).all()):
        wrong = int((~(verdicts >= trainer.args.correct_threshold)).sum())
        name = trainer.reward_func_names[trainer._verdict_column()]
        raise UserError(
            f"{name} does not find {wrong} of {len(verdicts)} guided completions correct at step "
            f"{trainer.state.global_step}. Guidance must be verified and the verifier deterministic: check the cache "
            "with `nearfuture guide verify`, or collect again."
        )
    return rewards_N_F


def attach(output: dict[str, Any], guidance_B: Sequence[Guidance | None], *, importance: bool) -> None:
    """Let `is_guided` [B] and `behavior_logps` [B, T] ride along; put the latter into TRL's old log-probs if asked.

    Guidance that came without log-probs has probability 1 there, as LUFFY has it.

    Raises:
        UserError: importance weights are asked for, and nobody stored the log-probs.
    """
    completion_ids = output["completion_ids"]
    logps = torch.zeros(completion_ids.shape, dtype=torch.float32)
    for i, guidance in enumerate(guidance_B):
        if guidance is not None:
            if importance and not guidance.behavior_logps:
                raise UserError(
                    f"the guidance for prompt {guidance.prompt_id!r} has no log-probs of whoever wrote it, and "
                    "weighting=importance divides by them. Use weighting=shaped or on_policy."
                )
            logps[i, : len(guidance.behavior_logps)] = torch.tensor(guidance.behavior_logps)
    is_guided = torch.tensor([guidance is not None for guidance in guidance_B])
    output["is_guided"] = is_guided.to(completion_ids.device)
    output["behavior_logps"] = logps.to(completion_ids.device)
    if importance and "old_per_token_logps" in output:
        output["old_per_token_logps"] = with_behavior(output["old_per_token_logps"], output)
    if "sampling_per_token_logps" in output:
        filled = output["old_per_token_logps"] if "old_per_token_logps" in output else output["behavior_logps"]
        missing = torch.isnan(output["sampling_per_token_logps"]) & output["is_guided"][:, None]
        output["sampling_per_token_logps"] = torch.where(missing, filled, output["sampling_per_token_logps"])


def with_behavior(logps_B_T: Tensor, inputs: dict[str, Any]) -> Tensor:
    """Log-probs with the guided rows replaced by the guide's own: the exact denominator of their ratio."""
    return torch.where(inputs["is_guided"][:, None], inputs["behavior_logps"].to(logps_B_T.dtype), logps_B_T)


def show_examples(
    trainer: NPOTrainer,
    batch: Generated,
    verdicts_P_G: Tensor,
    pass_rate_P: Tensor,
    guidance_B: Sequence[Guidance | None],
) -> None:
    """Hand the groups that lie on this process as a whole to `trainer.on_group`."""
    if trainer.on_group is None:
        return
    size = trainer.num_generations
    offset = trainer.accelerator.process_index * len(guidance_B)
    for i, guidance in enumerate(guidance_B):
        if guidance is None or i < size - 1:
            continue
        p = (offset + i) // size
        rows = range(i - size + 1, i + 1)
        texts = decode(trainer, [batch.completion_ids[row] for row in rows])
        trainer.on_group(
            Example(
                step=trainer.state.global_step + 1,
                prompt_id=guidance.prompt_id,
                prompt=trainer._inputs[i]["prompt"],
                images=images_of(trainer._inputs[i]),
                pass_rate=float(pass_rate_P[p]),
                rollouts=list(zip(texts, verdicts_P_G[p].tolist(), strict=True)),
                guidance_text=decode(trainer, [list(guidance.completion_ids)])[0],
                guide_segment=guidance.guide_segment,
                guide_step=guidance.guide_step,
            )
        )


def refuse_unsupported(trainer: NPOTrainer) -> None:
    """A trajectory of token ids cannot stand in for a conversation with tools, and needs to find its prompt."""
    if not hasattr(trainer.train_dataset, "__len__"):
        raise UserError(
            "guidance needs a data set of known length: its prompts are checked before step 1 and met again on replay. "
            "Load it without streaming."
        )
    for name, used in {
        "tools": bool(trainer.tools),
        "rollout_func": trainer.rollout_func is not None,
        "environment_factory": trainer.environment_factories is not None,
    }.items():
        if used:
            raise UserError(
                f"guidance cannot be used together with {name}: a guided slot is one completion of the policy, without "
                f"turns of others. Train without guidance, or without {name}."
            )


def check_cache(trainer: NPOTrainer, cache: GuidanceCache) -> None:
    """Check a cache against this trainer, and verify its trajectories again, before step 1.

    Raises:
        UserError: another tokenizer, other prompts, an entry that is truncated, too long, or not correct any more.
    """
    ids = trainer.train_dataset["prompt_id"]
    guided = trainer.train_dataset.select([i for i, prompt_id in enumerate(ids) if prompt_id in cache])
    rows = {row["prompt_id"]: row for row in guided}
    coverage = cache.check_compatible(
        tokenizer_hash=tokenizer_hash(trainer.processing_class),
        sampling=sampling(trainer.args),
        prompts=dict.fromkeys(ids, "") | {prompt_id: prompt_hash(row) for prompt_id, row in rows.items()},
        eos_token_ids=trainer.eos_token_ids,
        max_completion_length=trainer.max_completion_length,
        verifier_version=None,
        require_same_temperature=trainer.args.weighting == Weighting.IMPORTANCE,
    )
    logger.info("guidance for %d of %d prompts", coverage.num_covered, coverage.num_prompts)
    if coverage.num_foreign:
        logger.warning("%d guidance entries are for prompts that are not in the data", coverage.num_foreign)
    if trainer.args.verify_guidance:
        verdicts = judge_again(trainer, [(rows[g.prompt_id], g) for g in cache if g.prompt_id in rows])
        check_verdicts(verdicts)


def judge_again(trainer: NPOTrainer, pairs: list[tuple[Any, Guidance]]) -> dict[str, Verdict]:
    """The verdict reward's opinion by prompt id; of several trajectories of a prompt the first that is not correct."""
    ids = [list(guidance.completion_ids) for _, guidance in pairs]
    inputs = [row for row, _ in pairs]
    prompts = [row["prompt"] for row in inputs]
    like = [{}] if is_conversational({"prompt": prompts[0]}) else ""
    completions = [as_completion(like, text) for text in decode(trainer, ids)]
    rewards = GRPOTrainer._calculate_rewards(trainer, inputs, prompts, completions, ids)[: len(pairs)]
    trainer._pending_extra_logs.clear()
    trainer._pending_metrics.clear()
    verdicts = rewards[:, trainer._verdict_column()].tolist()
    threshold = trainer.args.correct_threshold
    return verdict_by_prompt(
        (guidance.prompt_id, as_verdict(value, threshold)) for (_, guidance), value in zip(pairs, verdicts, strict=True)
    )


def as_verdict(reward: float, correct_threshold: float) -> Verdict:
    """The verdict a reward stands for; None arrives as NaN and cannot be told apart from a crash."""
    if math.isnan(reward):
        return Verdict.CRASH
    return Verdict.CORRECT if reward >= correct_threshold else Verdict.WRONG


def sampling(args: NPOConfig) -> Sampling:
    """The sampling settings of a trainer."""
    return Sampling(
        temperature=args.temperature,
        top_p=args.top_p,
        top_k=args.top_k or 0,
        min_p=args.min_p or 0.0,
        repetition_penalty=args.repetition_penalty,
        max_completion_length=args.max_completion_length,
    )
