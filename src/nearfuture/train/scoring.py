"""Log-probs and entropies of given completions, from the forward pass that TRL trains with.

Letters: B rows, T tokens.

Not here: sampling, and what the scores are for (`nearfuture.train.engine`, `replay`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOTrainer
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.utils import pad

from nearfuture.types import UserError

Row = dict[str, Any]


def prompts(rows: Sequence[Row]) -> list[Any]:
    """Prompts as TRL hands them to `_generate`: images move into the messages."""
    images = [row.get("images") or ([row["image"]] if row.get("image") is not None else None) for row in rows]
    return [
        row["prompt"] if image is None else prepare_multimodal_messages(row["prompt"], images=image)
        for row, image in zip(rows, images, strict=True)
    ]


def prompt_ids(trainer: GRPOTrainer, rows: Sequence[Row]) -> list[list[int]]:
    """Token ids of the prompts.

    Raises:
        UserError: a prompt has images.
    """
    if any(row.get("images") or row.get("image") is not None for row in rows):
        raise UserError(
            "a prompt with images cannot be scored yet, so its guidance would have no behaviour log-probs. "
            "Collect guidance on text prompts only."
        )
    ids: list[list[int]] = trainer._tokenize_prompts(prompts(rows))[0]
    return ids


def per_token(
    trainer: GRPOTrainer, rows: Sequence[Row], completion_ids: Sequence[Sequence[int]], *, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """[B, T] log-probs and entropies (nats) of this process's rows, with a graph if gradients are on.

    Beyond the end of a completion the values mean nothing.
    """
    device, pad_id = trainer.accelerator.device, trainer._tokenizer.pad_token_id
    prompted = [torch.tensor(ids) for ids in prompt_ids(trainer, rows)]
    completed = [torch.tensor(list(ids)) for ids in completion_ids]
    input_ids = torch.cat([pad(prompted, pad_id, "left"), pad(completed, pad_id, "right")], 1).to(device)
    ones = [[torch.ones_like(ids) for ids in side] for side in (prompted, completed)]
    mask = torch.cat([pad(ones[0], 0, "left"), pad(ones[1], 0, "right")], 1).to(device)
    output = trainer._get_per_token_logps_and_entropies(
        trainer.model,
        input_ids,
        mask,
        max(map(len, completed)),
        trainer.args.per_device_train_batch_size,
        compute_entropy=entropy,
    )
    return output[0], output[1]


def mean_entropies(trainer: GRPOTrainer) -> Callable[[list[Row], list[tuple[int, ...]]], list[float]]:
    """A function that gives the mean token entropy of the current policy along completions, on all processes alike."""

    def score(rows: list[Row], completion_ids: list[tuple[int, ...]]) -> list[float]:
        accelerator = trainer.accelerator
        share = -(-len(rows) // accelerator.num_processes)
        first = accelerator.process_index * share
        mine = [min(i, len(rows) - 1) for i in range(first, first + share)]
        completions = [completion_ids[i] for i in mine]
        with torch.no_grad():
            _, entropies = per_token(trainer, [rows[i] for i in mine], completions, entropy=True)
        assert entropies is not None
        means = [float(row[: len(ids)].mean()) for row, ids in zip(entropies, completions, strict=True)]
        return gather_object(means)[: len(rows)]

    return score
