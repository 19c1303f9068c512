"""How guidance enters a step: it is looked up for the last slots, put into them, and carried to the loss.

Letters: P prompts, B local rows, T tokens.

Not here: which groups are selected (`nearfuture.method.gate`), the reward of a guided row (`nearfuture.train.rewards`),
the weight of a guided token (`nearfuture.train.weighed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor

from nearfuture.guidance.ask import has_ended
from nearfuture.guidance.sources import Source
from nearfuture.train.seams import Generated
from nearfuture.train.step import Step
from nearfuture.types import Guidance, UserError


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer in a slot must keep to.

    Attributes:
        stop_ids: the tokens that end a completion.
        max_length: the most tokens of a completion.
    """

    stop_ids: Sequence[int]
    max_length: int

    def require(self, guidance: Guidance) -> None:
        """Refuse an answer that no rollout of the policy could be.

        Raises:
            UserError: it is cut off, too long, or has log-probs of other tokens than its own.
        """
        ids, logps = guidance.completion_ids, guidance.behavior_logps
        if not has_ended(ids, self.stop_ids):
            seen = f"ends with token {ids[-1]}, which is no end-of-sequence token" if ids else "is empty"
        elif len(ids) > self.max_length:
            seen = f"has {len(ids)} tokens, more than max_completion_length={self.max_length}"
        elif len(logps) not in (0, len(ids)):
            seen = f"has {len(ids)} tokens and {len(logps)} log-probs"
        else:
            return
        raise UserError(
            f"the guidance for prompt {guidance.prompt_id!r} {seen}. It must be a whole completion of this policy, "
            "with a log-prob for each token or none at all. Correct the source that served it."
        )


def look_up(step: Step, source: Source | None, limits: Limits | None = None) -> None:
    """Look up guidance for the last slots of this process, and learn from all processes which prompts have any.

    A look-up that fails on one process fails on all of them, so that none is left waiting.

    Raises:
        UserError: as the source raises it, or an answer does not keep to the limits.
    """
    step.found_B = [None] * len(step.rows)
    device = step.pass_rate_P.device
    step.has_guidance_P = torch.zeros(step.num_prompts, dtype=torch.bool, device=device)
    step.ahead_P = torch.full((step.num_prompts,), math.nan, device=device)
    if source is None:
        return
    error = None
    for i in step.last_slots:
        try:
            step.found_B[i] = found = source.lookup(step.rows[i]["prompt_id"], step.number)
            if found is not None and limits is not None:
                limits.require(found)
        except UserError as exception:
            error = str(exception)
    reports = gather_object([(found is not None, _steps_ahead(found, step.number), error) for found in step.found_B])
    errors = [message for *_, message in reports if message is not None]
    if errors:
        raise UserError(errors[0])
    has_guidance, ahead, _ = zip(*reports[step.num_generations - 1 :: step.num_generations], strict=True)
    step.has_guidance_P = torch.tensor(has_guidance, device=device)
    step.ahead_P = torch.tensor(ahead, device=device)


def _steps_ahead(guidance: Guidance | None, number: int) -> float:
    """How far ahead of step `number` the writer of guidance stood; NaN without, or where the writer is unknown."""
    return math.nan if guidance is None or not guidance.behavior_logps else float(guidance.guide_step - number)


def replace(step: Step, generated: Generated, processing_class: Any) -> None:
    """Put the guidance of a step into its slots, in what TRL continues with."""
    generated.completion_ids = list(generated.completion_ids)  # the step keeps what the policy wrote
    for i, guidance in enumerate(step.guidance_B):
        if guidance is None:
            continue
        ids = list(guidance.completion_ids)
        generated.completion_ids[i] = ids
        generated.completions[i] = as_completion(generated.completions[i], decode(processing_class, [ids])[0])
        if generated.logprobs is not None:
            generated.logprobs[i] = [None] * len(ids)  # TRL reads None as "no correction": ratio exactly 1


def decode(processing_class: Any, completion_ids: Sequence[Sequence[int]]) -> list[str]:
    """Text of completions, as TRL shows it to a reward function."""
    texts: list[str] = processing_class.batch_decode(list(completion_ids), skip_special_tokens=True)
    return texts


def as_completion(like: Any, text: str) -> Any:
    """`text` in the form of `like`: a string, or a conversation with one message."""
    return text if isinstance(like, str) else [{"role": "assistant", "content": text}]


def attach(step: Step, output: dict[str, Any], *, importance: bool) -> None:
    """Let `is_guided` [B] and `behavior_logps` [B, T] ride along; put the latter into TRL's old log-probs if asked.

    Guidance that came without log-probs has probability 1 there, as LUFFY has it.

    Raises:
        UserError: importance weights are requested, but the log-probs were not stored.
    """
    completion_ids = output["completion_ids"]
    if importance:
        _require_logps(step.guidance_B)
    logps = torch.zeros(completion_ids.shape, dtype=torch.float32)
    for i, guidance in enumerate(step.guidance_B):
        if guidance is not None:
            logps[i, : len(guidance.behavior_logps)] = torch.tensor(guidance.behavior_logps)
    is_guided = torch.tensor([guidance is not None for guidance in step.guidance_B])
    output["is_guided"] = is_guided.to(completion_ids.device)
    output["behavior_logps"] = logps.to(completion_ids.device)
    if importance and "old_per_token_logps" in output:
        output["old_per_token_logps"] = with_behavior(output["old_per_token_logps"], output)
    if "sampling_per_token_logps" in output:
        filled = output["old_per_token_logps"] if "old_per_token_logps" in output else output["behavior_logps"]
        missing = torch.isnan(output["sampling_per_token_logps"]) & output["is_guided"][:, None]
        output["sampling_per_token_logps"] = torch.where(missing, filled, output["sampling_per_token_logps"])


def _require_logps(guidance_B: Sequence[Guidance | None]) -> None:
    for guidance in guidance_B:
        if guidance is not None and not guidance.behavior_logps:
            raise UserError(
                f"the guidance for prompt {guidance.prompt_id!r} has no log-probs of whoever wrote it, and "
                "weighting=importance divides by them. Use weighting=shaped or on_policy."
            )


def with_behavior(logps_B_T: Tensor, inputs: dict[str, Any]) -> Tensor:
    """Log-probs with the guided rows replaced by the guide's own: the exact denominator of their ratio."""
    return torch.where(inputs["is_guided"][:, None], inputs["behavior_logps"].to(logps_B_T.dtype), logps_B_T)
