"""How many tokens a prompt has, images counted, without reading a pixel; and a task without the prompts that are too
long.

The template is rendered with each image as one token, and what the processor makes of an image of that size is added.

Not here: which limit holds (`nearfuture.options.data`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from datasets import Dataset
from transformers import ProcessorMixin
from trl.data_utils import is_conversational, prepare_multimodal_messages

from nearfuture.tasks import Task
from nearfuture.tasks.identity import images_of
from nearfuture.train.vision.images import COLUMNS, image_size, undecoded
from nearfuture.train.vision.processor import load_for_training
from nearfuture.types import NoSignalError, UserError

Row = dict[str, Any]


def prompt_lengths(processor: Any, rows: Sequence[Row]) -> list[int]:
    """Tokens of each prompt, as TRL tokenizes it.

    Args:
        processor: processor or tokenizer of the model.
        rows: with `prompt`, and `images` or `image`, decoded or not.

    Raises:
        UserError: messages, and no chat template.
    """
    require_template(processor, rows)
    tokenizer = getattr(processor, "tokenizer", processor)
    return [len(tokenizer(_rendered(processor, row))["input_ids"]) + _more_tokens(processor, row) for row in rows]


def require_template(processor: Any, rows: Any) -> None:
    """Refuse messages where the model has no template that makes a text of them; a model that reads no images is
    refused for these, not for its template (`nearfuture.train.vision.images`).

    Raises:
        UserError: what is missing.
    """
    if not len(rows) or not is_conversational({"prompt": rows[0]["prompt"]}):
        return
    is_asked_for_images = not isinstance(processor, ProcessorMixin) and images_of(rows[0])
    if processor.chat_template is None and not is_asked_for_images:
        raise UserError(
            "the prompts are messages, and the model's tokenizer has no chat template for them. Use an "
            "instruct model, or prompts that are strings (for questions of a data set or a file of rows: "
            "dataset_template=text)."
        )


def template_note(processor: Any, rows: Any) -> str | None:
    """Say that prompts which are strings bypass the chat template of a model that has one; None if they do not."""
    template = getattr(processor, "chat_template", None)
    if template is None or not len(rows) or is_conversational({"prompt": rows[0]["prompt"]}):
        return None
    return (
        "the prompts are strings, and the model has a chat template: it reads them as text to continue, outside "
        "any turn, and may never end its answer. An instruct model wants messages: "
        '{"prompt": [{"role": "user", "content": ...}]} (with dataset_name: dataset_template=chat)'
    )


def _rendered(processor: Any, row: Row) -> str:
    prompt = row["prompt"]
    if not is_conversational({"prompt": prompt}):
        return str(prompt)
    if isinstance(processor, ProcessorMixin):
        prompt = prepare_multimodal_messages(prompt, images=["" for _ in images_of(row)])
    text: str = processor.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    return text


def _more_tokens(processor: Any, row: Row) -> int:
    """Tokens of the images, but for the one that the template has for each."""
    return image_tokens(processor, row) - len(images_of(row))


def image_tokens(processor: Any, row: Row) -> int:
    """Tokens of all images of a row, from their sizes alone."""
    images = images_of(row)
    if not images:
        return 0
    sizes = [image_size(image) for image in images]
    counts = processor._get_num_multimodal_tokens(image_sizes=[(height, width) for width, height in sizes])
    return sum(counts["num_image_tokens"])


def within_length(task: Task, model: str, max_length: int, max_image_pixels: int | None) -> Task:
    """Return the task without prompts of more than `max_length` tokens; how many were left out is noted.

    Raises:
        NoSignalError: no training prompt is left.
        UserError: the model has no chat template for prompts that are messages.
    """
    processor = load_for_training(model, max_image_pixels)
    require_template(processor, task.train)
    kept: dict[str, Any] = {}
    notes = list(task.notes)
    for split in ("train", "evaluation", "test"):
        rows = getattr(task, split)
        lengths = prompt_lengths(processor, light(rows))
        short = [i for i, length in enumerate(lengths) if length <= max_length]
        if len(short) < len(rows):
            notes.append(
                f"{split}: {len(rows) - len(short)} of {len(rows)} prompts have more than max_prompt_length="
                f"{max_length} tokens (the longest {max(lengths)}) and are left out"
            )
        kept[split] = rows.select(short) if isinstance(rows, Dataset) else [rows[i] for i in short]
    if not len(kept["train"]):
        raise NoSignalError(
            f"max_prompt_length={max_length}: all {len(task.train)} training prompts are longer. Raise it."
        )
    return replace(task, notes=tuple(notes), **kept)


def light(rows: Any) -> Sequence[Row]:
    """Rows whose images are not decoded."""
    return list(undecoded(rows, [c for c in COLUMNS if c in rows.column_names])) if isinstance(rows, Dataset) else rows
