"""Check the images of a data set before step 1, and name the row that would stop the run at step 700.

    every row      as many placeholders as images; no image token written out in the text; each image opens (its header
                   is read, not its pixels) and has a shape that the model's processor accepts
    a few rows     through the whole processor: as many image tokens as the vision tower will produce features

The tokens of an image are made from its patches, so the two numbers differ only if a template drops or repeats an image
or a text contains the token itself. A template treats all rows alike, so a few rows are enough.

Not here: pixels, prompts that are too long and everything else that `nearfuture data check` looks at.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from datasets import Image as ImageFeature
from datasets import List as ListFeature
from PIL import Image, UnidentifiedImageError
from transformers import ProcessorMixin
from trl.data_utils import is_conversational, prepare_multimodal_messages

from nearfuture.tasks.identity import images_of
from nearfuture.types import UserError

COLUMNS = ("images", "image")
NUM_PROBED = 16

Row = dict[str, Any]
_checked: set[tuple[str, str]] = set()
"""Data sets that passed, so that the next trainer of a run does not read them again."""


def check_images(rows: Dataset, processor: Any) -> None:
    """Check a data set against the processor of the model that will read it; rows without images pass.

    Args:
        rows: rows with `prompt`, and `images` or `image`.
        processor: the model's processor; a tokenizer means that it reads no images.

    Raises:
        UserError: a row cannot be trained on; the message names the first one by number and id.
    """
    columns = [name for name in COLUMNS if name in rows.column_names]
    passed = (rows._fingerprint, type(processor).__name__)
    if not columns or passed in _checked:
        return
    with_images: list[int] = []
    for index, row in enumerate(undecoded(rows, columns)):
        if problem := problem_of(row, processor):
            raise _refused(row, index, problem)
        if images_of(row):
            with_images.append(index)
    for index in with_images[:: max(1, len(with_images) // NUM_PROBED)][:NUM_PROBED]:
        _check_tokens(rows[index], index, processor)
    _checked.add(passed)


def undecoded(rows: Dataset, columns: Sequence[str]) -> Iterator[Row]:
    """Return rows with images as bytes and paths, if the data set stores them so; nothing is decoded."""
    wanted = [name for name in ("prompt", "prompt_id", "uid", *columns) if name in rows.column_names]
    rows = rows.select_columns(wanted)
    for name in columns:
        if isinstance(rows.features[name], ImageFeature):
            rows = rows.cast_column(name, ImageFeature(decode=False))
        elif isinstance(getattr(rows.features[name], "feature", None), ImageFeature):
            rows = rows.cast_column(name, ListFeature(ImageFeature(decode=False)))
    yield from rows


def problem_of(row: Row, processor: Any) -> str | None:
    """Say what is wrong with the images of a row; None if nothing is. Headers are read, but no pixels.

    Args:
        row: the row, with images decoded or not.
        processor: the model's processor; a tokenizer means that it reads no images.
    """
    images, prompt = images_of(row), row["prompt"]
    if not images:
        return None
    if not isinstance(processor, ProcessorMixin):
        return "it has images, but the model has only a tokenizer and no processor to read them"
    if not is_conversational({"prompt": prompt}):
        return "it has images and its prompt is a string: images need messages with a role"
    try:
        prepare_multimodal_messages(prompt, images=images)
    except ValueError as error:
        return str(error).rstrip(".")
    token = getattr(processor, "image_token", None)
    if token and any(token in text for text in _texts(prompt)):
        return f"its text holds the image token {token!r}, which would be taken for an image"
    problems = (
        f"image {number}: {found}" for number, image in enumerate(images) if (found := _problem(image, processor))
    )
    return next(problems, None)


def _texts(prompt: list[Row]) -> Iterator[str]:
    for message in prompt:
        content = message.get("content") or ""
        if isinstance(content, str):
            yield content
        else:
            yield from (part.get("text") or "" for part in content)


def _problem(image: Any, processor: Any) -> str | None:
    """Say what is wrong with an image, from its header; the processor says which shapes it refuses."""
    try:
        width, height = image_size(image)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        return f"it does not open ({error})"
    try:
        processor._get_num_multimodal_tokens(image_sizes=[(height, width)])
    except ValueError as error:
        return f"its sides are {width} x {height}, which the model's processor refuses ({str(error).rstrip('.')})"
    except (AttributeError, KeyError, TypeError, NotImplementedError):
        pass  # a processor that cannot count tokens in advance says nothing about shapes either
    return None


def image_size(image: Any) -> tuple[int, int]:
    """Width and height in pixels, read from the header if the image is not decoded.

    Raises:
        OSError: it does not open.
    """
    if not isinstance(image, dict):
        return image.size
    source = io.BytesIO(image["bytes"]) if image.get("bytes") is not None else image["path"]
    with Image.open(source) as opened:
        return opened.size


def _check_tokens(row: Row, index: int, processor: Any) -> None:
    """Count image tokens and features of one row."""
    messages = prepare_multimodal_messages(row["prompt"], images=images_of(row))
    try:
        found = processor.apply_chat_template(
            [messages], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
    except (ValueError, OSError, IndexError) as error:
        raise _refused(row, index, f"the processor refuses it ({error})") from None
    grid, token_id = found.get("image_grid_thw"), getattr(processor, "image_token_id", None)
    if grid is None or token_id is None:
        return  # not a Qwen: its features are not counted in patches
    num_tokens = int((np.asarray(found["input_ids"]) == token_id).sum())
    num_features = int(np.asarray(grid).prod(-1).sum()) // processor.image_processor.merge_size**2
    if num_tokens != num_features:
        raise _refused(row, index, f"its prompt has {num_tokens} image tokens for {num_features} image features")


def _refused(row: Row, index: int, problem: str) -> UserError:
    name = row.get("prompt_id") or row.get("uid")
    return UserError(
        f"training row {index}{f' ({name})' if name else ''} cannot be trained on: {problem}. "
        "Correct the row or leave it out; `nearfuture data check` finds all such rows."
    )
