"""Groups split over processes, and what happens to a row that is replaced.

TRL gathers rows in process order, so global row r of N belongs to process r // B and to prompt r // G; the last slot of
prompt p is row p * G + G - 1, whichever process owns it.

Letters: P prompts, G generations per prompt, B local rows, N = P * G global rows, T tokens.

Not here: the gate and the order of things (`nearfuture.train.trainer`), what rows earn (`nearfuture.train.rewards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer

from nearfuture.tasks.identity import images_of
from nearfuture.types import Guidance, Sampling, UserError

if TYPE_CHECKING:
    from nearfuture.train.seams import Generated
    from nearfuture.train.trainer import NPOTrainer


@dataclass(frozen=True)
class Example:
    """A group for people to look at: `rollouts` pairs text and verdict reward, guidance is what took the last slot."""

    step: int
    prompt_id: str
    prompt: Any
    images: list[Any]
    pass_rate: float
    rollouts: list[tuple[str, float]]
    guidance_text: str | None = None
    guide_segment: int | None = None
    guide_step: int | None = None


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
    rows: Sequence[Any],
    completion_ids: list[list[int]],
    verdicts_P_G: Tensor,
    pass_rate_P: Tensor,
    guidance_B: Sequence[Guidance | None],
) -> None:
    """Hand groups that lie on this process as a whole to `trainer.on_group`: the guided ones, or else the first."""
    step, size = trainer.state.global_step + 1, trainer.num_generations
    if trainer.on_group is None:
        return
    whole = [i for i in local_last_slots(trainer, len(guidance_B)) if i >= size - 1]
    shown = [i for i in whole if guidance_B[i] is not None] or (whole[:1] if trainer.shows_group(step) else [])
    offset = trainer.accelerator.process_index * len(guidance_B)
    for i in shown:
        p, guidance = (offset + i) // size, guidance_B[i]
        texts = decode(trainer, completion_ids[i - size + 1 : i + 1])
        trainer.on_group(
            Example(
                step=step,
                prompt_id=str(rows[i].get("prompt_id", "")),
                prompt=rows[i].get("prompt"),
                images=images_of(rows[i]),
                pass_rate=float(pass_rate_P[p]),
                rollouts=list(zip(texts, verdicts_P_G[p].tolist(), strict=True)),
                guidance_text=None if guidance is None else decode(trainer, [list(guidance.completion_ids)])[0],
                guide_segment=None if guidance is None else guidance.guide_segment,
                guide_step=None if guidance is None else guidance.guide_step,
            )
        )


def sampling(args: GRPOConfig) -> Sampling:
    """The sampling settings of a trainer."""
    return Sampling(
        temperature=args.temperature,
        top_p=args.top_p,
        top_k=args.top_k or 0,
        min_p=args.min_p or 0.0,
        repetition_penalty=args.repetition_penalty,
        max_completion_length=args.max_completion_length,
    )
