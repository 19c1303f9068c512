"""Prompts with and without images in one batch, which TRL's own path cannot take.

TRL hands the images of a batch to the processor as they come, and `None` among them stops it; and a micro-batch
without any image still arrives at the vision tower, with no patches. Here a row without images has an empty list, and
a forward pass without images has none of the arguments that go with them. Where every row has an image nothing changes.

Not here: whether the images of a row can be trained on (`nearfuture.train.vision.images`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nearfuture.tasks.identity import images_of

Row = dict[str, Any]
Model = Callable[..., Any]
OF_IMAGES = ("pixel_values", "image_grid_thw")


def with_image_lists(rows: list[Row]) -> list[Row]:
    """Rows of a batch in which some have no image, each with a list in `images`; other batches as they are."""
    return [{**row, "images": images_of(row)} for row in rows] if _is_mixed(rows) else rows


def as_given(rows: list[Row], given: list[Row]) -> list[Row]:
    """Rows as a reward function is to see them: without those lists, with all that was put into them since.

    Args:
        rows: what TRL has made of `with_image_lists(given)`.
        given: as the data set has them.
    """
    if not _is_mixed(given):
        return rows
    rest = ({name: value for name, value in row.items() if name != "images"} for row in rows)
    lists = ({name: before[name] for name in ("images",) if name in before} for before in given)
    return [row | images for row, images in zip(rest, lists, strict=True)]


def _is_mixed(rows: list[Row]) -> bool:
    """True if the rows may have images and some have none."""
    return any(name in rows[0] for name in ("images", "image")) and not all(images_of(row) for row in rows)


def without_none(images: Sequence[list[Any] | None] | None) -> list[list[Any]] | None:
    """The images of a batch's prompts as the processor takes them; None if no prompt has any."""
    return None if images is None else [image_list or [] for image_list in images]


def for_mixed_rows(model: Model, num_images: Sequence[int] | None) -> Model:
    """The model as the scoring forward calls it; where rows without images are in a batch, a call of such rows alone
    leaves out the patches, of which there are none.
    """
    if num_images is None or all(num_images):
        return model

    def call(**inputs: Any) -> Any:
        pixels = inputs.get("pixel_values")
        if pixels is not None and not len(pixels):
            inputs = {name: value for name, value in inputs.items() if name not in OF_IMAGES}
        return model(**inputs)

    return call
