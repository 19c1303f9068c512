"""Informed self (RLSD): the policy, told the answer, says how much each token of what it wrote should count.

    Delta_t = log pi(o_t | x, r, o_<t) - log pi(o_t | x, o_<t)        r: the answer

The verifier decides the direction, the informed self only the size: see `method.weighting.informed_advantages`. See
RLSD (arXiv:2604.03128), docs/methods/rlsd.md. The informed self is the policy at the last multiple of
`informed_sync_steps`, or, where a batch lasts several steps, at the first batch from there on.

Letters: B rows, T tokens.

Not here: the weight of a token (`nearfuture.method.weighting`), a policy of another run as a judge (`distill`).
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.train import scoring
from nearfuture.train.held import Weights, copy_of, held
from nearfuture.train.npo_config import NPOSettings
from nearfuture.train.sharding import refuse_second_weights
from nearfuture.train.step import Row, Step
from nearfuture.types import UserError

COPIED_AT = "informed_copied_at"


def informed_prompt(prompt: Any, answer: str, template: str) -> Any:
    """Return the prompt with the answer.

    Args:
        prompt: a string, or messages, the last of which gets the answer.
        answer: r.
        template: contains `{prompt}` and `{answer}`.

    Example:
        >>> informed_prompt("1+1=", "2", "{prompt}{answer};{prompt}")
        '1+1=2;1+1='
    """
    if isinstance(prompt, str):
        return template.replace("{prompt}", prompt).replace("{answer}", answer)
    *before, last = prompt
    content = last["content"]
    if isinstance(content, str):
        return [*before, {**last, "content": informed_prompt(content, answer, template)}]
    texts = [i for i, part in enumerate(content) if part.get("type") == "text"]
    told = [
        {**part, "text": informed_prompt(part["text"], answer, template)} if i == texts[-1] else part
        for i, part in enumerate(content)
    ]
    return [*before, {**last, "content": told}]


class Informant:
    """The recent policy, told the answers.

    Args:
        npo: the `informed_*` settings.
        columns: the columns of the training rows.

    Raises:
        UserError: the rows have no answer.
    """

    def __init__(self, npo: NPOSettings, columns: list[str] | None) -> None:
        if columns is not None and npo.informed_column not in columns:
            raise UserError(
                f"informed_column={npo.informed_column}: the training rows have {', '.join(sorted(columns))}. Name the "
                "column that holds the answer, or set informed_strength=0."
            )
        self.npo = npo
        self._weights: Weights | None = None
        self._copied_at = 0

    def strength(self, step: int) -> float:
        """lambda: falls in a straight line from `informed_strength` to 0 within `informed_steps` steps."""
        return self.npo.informed_strength * max(0.0, 1.0 - step / self.npo.informed_steps)

    def attach(self, trainer: GRPOTrainer, step: Step, output: dict[str, Any]) -> None:
        """Let `is_informed` [B] and `informed_logps` [B, T] ride along to the loss, for the policy's own rollouts."""
        if not self.strength(step.number):
            self._weights = None
            return
        refuse_second_weights("informed_strength", is_sharded=trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled)
        model = trainer.accelerator.unwrap_model(trainer.model)
        every = self.npo.informed_sync_steps
        if self._weights is None or step.number // every > self._copied_at // every:
            self._weights, self._copied_at = copy_of(model), step.number
        ids = output["completion_ids"]
        informed_B_T = torch.zeros(ids.shape, device=ids.device)
        with held(model, self._weights), torch.no_grad():
            logps = scoring.per_token(trainer, self._told(step), step.completion_ids)[0]
        informed_B_T[:, : logps.size(1)] = logps[:, : ids.size(1)].float()
        output["informed_logps"] = informed_B_T
        output["is_informed"] = torch.tensor([found is None for found in step.guidance_B], device=ids.device)

    def _told(self, step: Step) -> list[Row]:
        """Return this process's rows with the answer in the prompt; the control gets that of the next prompt."""
        column, template = self.npo.informed_column, self.npo.informed_template
        answers = [str(row[column]) for row in step.given]
        if self.npo.informed_by == "other":
            answers_N = gather_object(answers)
            first = step.process_index * len(answers) + step.num_generations
            answers = [answers_N[(first + i) % len(answers_N)] for i in range(len(answers))]
        return [
            {**row, "prompt": informed_prompt(row["prompt"], answer, template)}
            for row, answer in zip(step.given, answers, strict=True)
        ]

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold: the weights that were copied last, and at which step."""
        return {**self._weights, COPIED_AT: torch.tensor(self._copied_at)} if self._weights else {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Continue exactly where `tensors` was called."""
        weights = dict(tensors)
        self._copied_at = int(weights.pop(COPIED_AT, torch.tensor(0)))
        self._weights = weights or None
