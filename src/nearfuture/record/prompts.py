"""A prompt as a reader wants it.

Not here: which prompt is which (`nearfuture.tasks.identity`).
"""

from __future__ import annotations

from typing import Any


def prompt_text(prompt: Any) -> str:
    """Return a prompt as a reader wants it: its text, or that of its messages, with images marked in place.

    Example:
        >>> prompt_text([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "how many?"}]}])
        '[image] how many?'
        >>> print(prompt_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1="}]))
        system: Be brief.
        user: 1+1=
    """
    if not isinstance(prompt, list) or not all(isinstance(message, dict) for message in prompt):
        return str(prompt)
    texts = [_content_text(message.get("content")) for message in prompt]
    if len(prompt) == 1:
        return texts[0]
    return "\n".join(f"{message.get('role')}: {text}" for message, text in zip(prompt, texts, strict=True))


def _content_text(content: Any) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return " ".join("[image]" if part.get("type") == "image" else str(part.get("text") or "") for part in content)
