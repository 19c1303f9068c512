"""One row of training data, wherever it came from.

    prompt      messages; the user's content is a list of blocks, with image blocks where the text mentions them
    images      the images of those blocks, in their order; None in a text row (the column is missing in text data)
    gold        the answer, never empty;     solution: the same, by the name that TRL's rewards know
    kind        math, numeric, mcq, bool, text or list: how answers are compared
    options     texts of the options of a multiple choice question, or None
    tolerance   {"abs", "rel", "decimals"}, any of them, or None
    uid         source and a hash of question, options and image bytes: the key of guidance and mistakes
    source, family, difficulty, meta (JSON)

Not here: how a data set's own columns become this (`text_sets`, `image_sets`, `known_forms`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfuture.tasks.benchmarks.asking import with_images

Row = dict[str, Any]

THOUGHTS = "Reason inside <thought></thought>, then give only the final answer inside <answer></answer>."
BOX = "Think step by step. Then give the final answer in \\boxed{}."
LETTER = "Think step by step. Then give the letter of the right option in \\boxed{}."
TEMPLATES: dict[str, Mapping[str, str]] = {
    "none": {},
    "text": {},
    "boxed": {"mcq": LETTER, "": BOX},
    "answer_tag": {"": THOUGHTS},
}
"""What is asked for at the end of a prompt, by the kind of the answer; the empty kind stands for all others.

With `text` the prompt is the question as a string instead of messages, for models without a chat template."""


@dataclass(frozen=True)
class Draft:
    """What an adapter found in a row of a data set.

    `messages` replaces `question` where the data brings a whole prompt, which is then left as it is.
    """

    question: str
    gold: str
    kind: str
    options: Sequence[str] = ()
    images: Sequence[Any] = ()
    messages: Sequence[Mapping[str, Any]] | None = None
    tolerance: Mapping[str, float] | None = None
    uid: str | None = None
    difficulty: float | None = None
    family: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a row cannot be used: a short reason, the same for all rows it holds for."""

    reason: str


def to_row(draft: Draft, source: str, template: str, *, as_blocks: bool) -> Row | Dropped:
    """Put a draft into the schema; `images` stay where they are.

    Args:
        draft: of an adapter.
        source: name of the data set.
        template: a key of `TEMPLATES`.
        as_blocks: whether contents are lists of blocks, as everywhere in data with images, or plain text.
    """
    gold = draft.gold.strip()
    if not gold:
        return Dropped("no gold answer")
    if draft.messages is not None:
        prompt: Any = [{**message, "content": _content(message["content"], as_blocks)} for message in draft.messages]
    else:
        if not draft.question.strip() and not draft.images:
            return Dropped("no question")
        listed = [f"{chr(ord('A') + i)}. {option}" for i, option in enumerate(draft.options)]
        asked = TEMPLATES[template].get(draft.kind, TEMPLATES[template].get("", ""))
        text = "\n".join(part for part in (draft.question.strip(), *listed, asked) if part)
        numbers: Sequence[int]
        blocks, numbers = with_images(text, list(range(len(draft.images))))
        if list(numbers) != list(range(len(draft.images))):
            return Dropped("mentions its images out of order")
        prompt = text if template == "text" else [{"role": "user", "content": blocks if as_blocks else text}]
    return {
        "prompt": prompt,
        "gold": gold,
        "solution": gold,
        "kind": draft.kind,
        "options": list(draft.options) or None,
        "tolerance": {name: (draft.tolerance or {}).get(name) for name in ("abs", "rel", "decimals")},
        "uid": draft.uid or f"{source}:{content_hash(draft)}",
        "source": source,
        "family": draft.family,
        "difficulty": draft.difficulty,
        "meta": json.dumps(dict(draft.meta), ensure_ascii=False, default=str),
    }


def _content(content: Any, as_blocks: bool) -> Any:
    return [{"type": "text", "text": content}] if as_blocks and isinstance(content, str) else content


def content_hash(draft: Draft) -> str:
    """16 hexadecimal digits over what is asked: text, options and the bytes of the images."""
    asked = list(draft.messages) if draft.messages is not None else draft.question
    text = json.dumps([asked, list(draft.options)], ensure_ascii=False, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for image in draft.images:
        digest.update(image_bytes(image))
    return digest.hexdigest()[:16]


def image_bytes(image: Any) -> bytes:
    """The bytes an image is stored as: of an undecoded one, of a file, or of a decoded one its pixels."""
    if isinstance(image, Mapping):
        if image.get("bytes") is not None:
            return bytes(image["bytes"])
        image = image.get("path")
    if isinstance(image, str):
        path = Path(image)
        return path.read_bytes() if path.is_file() else image.encode()
    return bytes(image.tobytes()) if hasattr(image, "tobytes") else repr(image).encode()
