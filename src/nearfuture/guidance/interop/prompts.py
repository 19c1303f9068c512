"""Which of our prompts does a row of another framework mean?

It is found by its id if we know that id, and its prompt must then be ours; otherwise by its prompt alone. A prompt is
ours if its hash is, or if the same text occurs as a plain string on one side and as a user's message on the other.

Not here: ids and hashes of our own rows (`nearfuture.tasks.identity`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.interop.report import Reason, RefusedError
from nearfuture.guidance.interop.traces import Offer
from nearfuture.tasks.identity import prompt_hash


def as_messages(prompt: Any) -> list[dict[str, Any]]:
    """Return a prompt as a conversation."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def as_text(prompt: Any) -> str | None:
    """Return the text of a prompt: itself, or what the user said last; None if there is none.

    Example:
        >>> as_text([{"role": "system", "content": "Think."}, {"role": "user", "content": "1+1="}])
        '1+1='
    """
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list) or not all(isinstance(message, Mapping) for message in prompt):
        return None
    said = [message.get("content") for message in prompt if message.get("role") == "user"]
    return _content_text(said[-1]) if said else None


def _content_text(content: Any) -> str | None:
    """Return the text of a message's content: itself, or its parts if all of them are text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    return "".join(texts) if texts and len(texts) == len(parts) else None


def has_images(row: Mapping[str, Any]) -> bool:
    """Say whether a row of a task has more than text in its prompt."""
    return bool(row.get("images")) or row.get("image") is not None or as_text(row.get("prompt")) is None


def _forms(prompt: Any) -> set[str]:
    """Return the hashes that a prompt may have: unchanged, as its text, and as one message."""
    text = as_text(prompt)
    return {prompt_hash({"prompt": form}) for form in (prompt, *([] if text is None else [text, as_messages(text)]))}


class KnownPrompts:
    """The prompts guidance may be for.

    Args:
        hashes: prompt id -> hash.
        forms: prompt id -> the hashes under which another file may have the same prompt.
    """

    def __init__(self, hashes: Mapping[str, str], forms: Mapping[str, set[str]]) -> None:
        self.hashes = dict(hashes)
        self._forms = forms
        self._by_form: dict[str, list[str]] = {}
        for prompt_id, own in forms.items():
            for form in own:
                self._by_form.setdefault(form, []).append(prompt_id)

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """The prompts of a task: rows with `prompt_id` and `prompt`."""
        hashes: dict[str, str] = {}
        forms: dict[str, set[str]] = {}
        for row in rows:
            hashes[row["prompt_id"]] = own = prompt_hash(row)
            forms[row["prompt_id"]] = {own} if has_images(row) else {own} | _forms(row["prompt"])
        return cls(hashes, forms)

    @classmethod
    def of_cache(cls, cache: GuidanceCache) -> Self:
        """The prompts of a cache, which has only their hashes."""
        hashes = {guidance.prompt_id: guidance.prompt_hash for guidance in cache}
        return cls(hashes, {prompt_id: {own} for prompt_id, own in hashes.items()})

    def find(self, offer: Offer) -> str:
        """Return the id of the prompt that a row means.

        Raises:
            RefusedError: it means none or several, or its id belongs to another prompt.
        """
        forms = set() if offer.prompt is None else _forms(offer.prompt)
        if offer.prompt_id is not None and offer.prompt_id in self.hashes:
            if forms and not forms & self._forms[offer.prompt_id]:
                raise RefusedError(Reason.OTHER_PROMPT)
            return offer.prompt_id
        found = sorted({prompt_id for form in forms for prompt_id in self._by_form.get(form, ())})
        if len(found) > 1:
            raise RefusedError(Reason.SEVERAL_PROMPTS, ", ".join(found[:3]))
        if not found:
            raise RefusedError(Reason.NO_PROMPT)
        return found[0]
