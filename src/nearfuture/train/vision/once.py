"""Each image once a batch: read, prepared and seen once, however many rows of a group share it.

TRL reads and prepares the image of a prompt for every row of its group, twice a step: `num_generations` times the same
pixels. Here the rows of a batch that are the same row of the data set share their images, and the processor is handed
each of them once; what it returns is repeated. The bits are the same.

Not here: the vision tower in generation (`nearfuture.train.generation`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers.image_utils import make_flat_list_of_images

Row = dict[str, Any]
OF_GRIDS = {"pixel_values", "image_grid_thw"}
"""What an image processor returns whose patches are counted by a grid: those of Qwen."""


class SharedRows:
    """A data set for a loader that asks for the same row many times in a batch: it is read once, its images shared."""

    def __init__(self, rows: Dataset) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return dict(self.rows[index])

    def __getitems__(self, indices: Sequence[int]) -> list[Row]:
        """Rows of a batch, in order."""
        distinct = list(dict.fromkeys(indices))
        read = dict(zip(distinct, self.rows.__getitems__(distinct), strict=True))
        return [dict(read[index]) for index in indices]


@contextlib.contextmanager
def each_image_once(processor: Any) -> Iterator[None]:
    """Inside, `processor` prepares images that are the same object once a call."""
    names = getattr(getattr(processor, "image_processor", None), "model_input_names", ())
    if set(names) != OF_GRIDS or "_process_images" in vars(processor):
        yield
        return
    prepare = processor._process_images

    def prepare_distinct(images: Any, **kwargs: Any) -> tuple[Any, list[str]]:
        flat = make_flat_list_of_images(images)
        numbers: dict[int, int] = {}
        number_of = [numbers.setdefault(id(image), len(numbers)) for image in flat]
        if len(numbers) == len(flat):
            return prepare(images, **kwargs)
        distinct = {id(image): image for image in flat}
        prepared, placeholders = prepare(list(distinct.values()), **kwargs)
        repeated = take_images(prepared["pixel_values"], prepared["image_grid_thw"], number_of)
        return repeated, [placeholders[number] for number in number_of]

    processor._process_images = prepare_distinct
    try:
        yield
    finally:
        del processor._process_images


def take_images(pixel_values: Any, image_grid_thw: Any, numbers: Sequence[int]) -> Row:
    """Patches and grids of these images, in this order and as often as asked; arrays stay arrays, tensors tensors."""
    grids = torch.as_tensor(image_grid_thw)
    patches = torch.split(torch.as_tensor(pixel_values), grids.prod(-1).tolist())
    taken = {
        "pixel_values": torch.cat([patches[number] for number in numbers]),
        "image_grid_thw": grids[list(numbers)],
    }
    if isinstance(pixel_values, np.ndarray):
        return {name: tensor.numpy() for name, tensor in taken.items()}
    return taken
