"""Whole prompts from a data set: messages in TRL's form, image placeholders as blocks, nothing else changed.

Not here: turning questions into prompts (`schema`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nearfuture.tasks.data.asking import PLACEHOLDER, with_images

Message = dict[str, Any]
ROLES = ("system", "user", "assistant")


def read_messages(prompt: Sequence[Mapping[str, Any]], num_images: int, *, as_blocks: bool) -> list[Message] | None:
    """Convert messages to the form of the schema.

    Args:
        prompt: messages; contents are strings or lists of blocks.
        num_images: the row's number of images; if no message mentions any, they go before the user's first words.
        as_blocks: whether contents become lists of blocks, as in all data with images.

    Returns:
        The messages; None if the images they mention do not match, or if a block is neither text nor image.
    """
    contents = [_blocks(message.get("content"), num_images) for message in prompt]
    if not prompt or None in contents or any(message.get("role") not in ROLES for message in prompt):
        return None
    messages = [
        {"role": message["role"], "content": list(content or [])}
        for message, content in zip(prompt, contents, strict=True)
    ]
    shown = sum(block["type"] == "image" for message in messages for block in message["content"])
    first = next((message for message in messages if message["role"] == "user"), None)
    if not shown and num_images and first is not None:
        first["content"][:0] = [{"type": "image"}] * num_images
        shown = num_images
    if shown != num_images or has_placeholder(messages):
        return None
    return messages if as_blocks else [{**message, "content": _joined(message["content"])} for message in messages]


def has_placeholder(messages: Sequence[Message]) -> bool:
    """True if a text still contains an image placeholder, for which there was no image."""
    blocks = (block for message in messages for block in message["content"])
    return any(PLACEHOLDER.search(block.get("text") or "") for block in blocks)


def _blocks(content: Any, num_images: int) -> list[dict[str, str]] | None:
    """Return the blocks of a content; None if one is neither text nor image."""
    if isinstance(content, str) or content is None:
        return _cut(content or "", num_images)
    blocks: list[dict[str, str]] = []
    if not isinstance(content, list | tuple) or not all(isinstance(part, Mapping) for part in content):
        return None
    for part in content:
        if part.get("type") == "image":
            blocks.append({"type": "image"})
        elif part.get("type") == "text":
            blocks.append({"type": "text", "text": part.get("text") or ""})
        else:
            return None
    return blocks


def _cut(text: str, num_images: int) -> list[dict[str, str]]:
    """Split a text at its `<image>` placeholders, each of which is the next image over all messages."""
    mentioned = len(PLACEHOLDER.findall(text))
    blocks, _ = with_images(text, range(min(mentioned, num_images)))
    return blocks


def _joined(blocks: Sequence[Mapping[str, str]]) -> str:
    return "".join(block["text"] for block in blocks)
