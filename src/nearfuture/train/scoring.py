"""Log-probs and entropies of given completions, from the forward pass that TRL trains with.

Letters: B rows, T tokens.

Not here: sampling, and what the scores are for (`nearfuture.train.engine`, `replay`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOTrainer
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.utils import pad, split_pixel_values_by_grid

from nearfuture.tasks.identity import images_of
from nearfuture.train import processes
from nearfuture.types import UserError

Row = dict[str, Any]


def prompts(rows: Sequence[Row]) -> list[Any]:
    """Return prompts as TRL passes them to `_generate`: images move into the messages."""
    rows_by_id = {id(row): row for row in rows}
    images = {key: images_of(row) for key, row in rows_by_id.items()}  # a repeated row has the same image objects
    return [
        prepare_multimodal_messages(row["prompt"], images=found) if (found := images[id(row)]) else row["prompt"]
        for row in rows
    ]


@dataclass(frozen=True)
class Prompts:
    """Tokenized prompts, and what a vision-language model reads in addition to their ids.

    `fields` are the processor's: tensors over all patches or images of the batch, or lists over the tokens of a prompt.
    """

    ids: list[list[int]]
    images: list[list[Any] | None] | None
    fields: dict[str, Any]

    def forward_kwargs(self, num_completion_tokens: int, device: torch.device) -> dict[str, Any]:
        """Return the arguments of the training forward for these prompts, each followed by this many completion tokens.

        Fields over tokens are padded on the left, as the ids are, and are 0 over the completion.
        """
        if self.images is None:
            return {}
        found: dict[str, Any] = {"num_images": [len(images or ()) for images in self.images]}
        for name, value in self.fields.items():
            if isinstance(value, list) and value and isinstance(value[0], list):
                tensor = pad([torch.tensor(row) for row in value], 0, "left")
                tensor = torch.cat([tensor, tensor.new_zeros(len(tensor), num_completion_tokens)], 1)
            else:
                tensor = value if isinstance(value, Tensor) else torch.tensor(np.array(value))
            found[name] = tensor.to(device)
        return found


def tokenize(trainer: GRPOTrainer, rows: Sequence[Row]) -> Prompts:
    """Tokenize prompts as TRL does when it generates; images become patches."""
    return Prompts(*trainer._tokenize_prompts(prompts(rows)))


VISION_FIELDS = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids", "token_type_ids")


def vision_fields(output: dict[str, Any], chosen_B: Tensor) -> dict[str, Any]:
    """Return what the training forward reads in addition to token ids, for some rows of a batch that TRL made."""
    batch = {name: output[name] for name in VISION_FIELDS if name in output}
    if "num_images" not in batch:
        return {}
    unsupported = sorted(set(output) & {"pixel_attention_mask", "spatial_shapes", "image_sizes", "image_position_ids"})
    if unsupported:
        raise UserError(
            f"this model's images come with {', '.join(unsupported)}, which cannot be taken apart by rows yet. "
            "Distil with a Qwen model, or set distill_coef=0."
        )
    rows = chosen_B.nonzero().flatten().tolist()
    split = split_pixel_values_by_grid(batch)
    found = {name: [value[i] for i in rows] for name, value in split.items()}
    return {name: value if name == "num_images" else _joined(name, value) for name, value in found.items()}


def _joined(name: str, values: list[Tensor]) -> Tensor:
    """Join fields: those over tokens are stacked, patches and grids of all rows are concatenated."""
    return torch.stack(values) if name.endswith("token_type_ids") else torch.cat(values)


def per_token(
    trainer: GRPOTrainer, rows: Sequence[Row], completion_ids: Sequence[Sequence[int]], *, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """[B, T] log-probs and entropies (nats) of this process's rows, with a graph if gradients are on.

    Beyond the end of a completion the values mean nothing.
    """
    device, pad_id = trainer.accelerator.device, trainer._tokenizer.pad_token_id
    asked = tokenize(trainer, rows)
    prompted = [torch.tensor(ids) for ids in asked.ids]
    completed = [torch.tensor(list(ids)) for ids in completion_ids]
    input_ids = torch.cat([pad(prompted, pad_id, "left"), pad(completed, pad_id, "right")], 1).to(device)
    ones = [[torch.ones_like(ids) for ids in side] for side in (prompted, completed)]
    mask = torch.cat([pad(ones[0], 0, "left"), pad(ones[1], 0, "right")], 1).to(device)
    num_tokens = max(map(len, completed))
    output = trainer._get_per_token_logps_and_entropies(
        trainer.model,
        input_ids,
        mask,
        num_tokens,
        trainer.args.per_device_train_batch_size,
        compute_entropy=entropy,
        **asked.forward_kwargs(num_tokens, device),
    )
    return output[0], output[1]


def mean_entropies(trainer: GRPOTrainer) -> Callable[[list[Row], list[tuple[int, ...]]], list[float]]:
    """Make a function that returns the mean token entropy of the current policy along completions, on all processes."""

    def score(rows: list[Row], completion_ids: list[tuple[int, ...]]) -> list[float]:
        mine = processes.my_share(len(rows))
        completions = [completion_ids[i] for i in mine]
        with torch.no_grad():
            _, entropies = per_token(trainer, [rows[i] for i in mine], completions, entropy=True)
        assert entropies is not None
        means = [float(row[: len(ids)].mean()) for row, ids in zip(entropies, completions, strict=True)]
        return gather_object(means)[: len(rows)]

    return score
