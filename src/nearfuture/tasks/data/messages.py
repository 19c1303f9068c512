"""Whole prompts that a data set brings: messages in TRL's form, image placeholders as blocks, nothing else changed.

Not here: questions that become a prompt (`schema`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nearfuture.tasks.data.asking import PLACEHOLDER, with_images

Message = dict[str, Any]
ROLES = ("system", "user", "assistant")


def read_messages(prompt: Sequence[Mapping[str, Any]], num_images: int, *, as_blocks: bool) -> list[Message] | None:
    """Put messages into the form of the schema.

    Args:
        prompt: messages; contents are strings or lists of blocks.
        num_images: of the row. Where no message mentions any, they stand before the first words of the user.
        as_blocks: whether contents become lists of blocks, as everywhere in data with images.

    Returns:
        The messages; None where they mention other images than there are, or hold what is neither text nor image.
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
    """True where a text still holds an image placeholder, for which there was no image."""
    blocks = (block for message in messages for block in message["content"])
    return any(PLACEHOLDER.search(block.get("text") or "") for block in blocks)


def _blocks(content: Any, num_images: int) -> list[dict[str, str]] | None:
    """The blocks of a content; None where one is neither text nor image."""
    if isinstance(content, str) or content is None:
        return _cut(content or "", num_images)
    blocks: list[dict[str, str]] = []
    for part in content:
        if part.get("type") == "image":
            blocks.append({"type": "image"})
        elif part.get("type") == "text":
            blocks.append({"type": "text", "text": part.get("text") or ""})
        else:
            return None
    return blocks


def _cut(text: str, num_images: int) -> list[dict[str, str]]:
    """Cut a text at its `<image>`, each the next image, whichever message it stands in."""
    mentioned = len(PLACEHOLDER.findall(text))
    blocks, _ = with_images(text, range(min(mentioned, num_images)))
    return blocks


def _joined(blocks: Sequence[Mapping[str, str]]) -> str:
    return "".join(block["text"] for block in blocks)
