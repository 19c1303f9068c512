"""The schema of a row of training data, wherever the row came from.

    prompt      messages; the user's content is a list of blocks, with image blocks where the text mentions them
    images      the images of those blocks, in order; None in a text row (text data has no such column)
    gold        the answer, never empty
    solution    the same, in dollars if it is mathematics: TRL's rewards read a bare `2\\sqrt{3}` as 2
    kind        math, numeric, mcq, bool, text or list: how answers are compared
    options     texts of the options of a multiple-choice question, or None
    tolerance   {"abs", "rel", "decimals"}, any of them, or None
    uid         source and a hash of question, options and image bytes: the key of guidance and mistakes
    source, family, difficulty, meta (JSON)

Not here: reading a data set's own columns (`text_sets`, `image_sets`, `known_forms`), whole prompts (`messages`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfuture.tasks.data.asking import with_images
from nearfuture.tasks.data.messages import ROLES, has_placeholder, read_messages
from nearfuture.types import UserError

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
"""The request at the end of a prompt, by the kind of the answer; the empty kind stands for all others.

With `text` the prompt is the question as a string instead of messages, for models without a chat template."""


@dataclass(frozen=True)
class Draft:
    """What an adapter found in a row of a data set.

    `messages` replaces `question` if the data has a whole prompt, which is then left unchanged. `has_options` says
    that the question itself lists its options.
    """

    question: str
    gold: str
    kind: str
    options: Sequence[str] = ()
    has_options: bool = False
    images: Sequence[Any] = ()
    messages: Sequence[Mapping[str, Any]] | None = None
    tolerance: Mapping[str, float] | None = None
    uid: str | None = None
    difficulty: float | None = None
    family: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a row cannot be used: a short reason, worded the same for all rows it applies to."""

    reason: str


@dataclass(frozen=True, slots=True)
class Style:
    """How questions become prompts.

    Attributes:
        template: a key of `TEMPLATES`.
        as_blocks: whether contents are lists of blocks, as in all data with images, or plain text.
        system_prompt: a first message; None: no such message. A prompt that has one keeps its own.
    """

    template: str = "boxed"
    as_blocks: bool = False
    system_prompt: str | None = None


MISMATCH = "image placeholders and images do not match"
NO_MESSAGE = "a message without a role (system, user or assistant)"
NO_GOLD = "no gold answer"


def to_row(draft: Draft, source: str, style: Style) -> Row | Dropped:
    """Convert a draft to the schema; `images` stay where they are.

    Args:
        draft: an adapter's draft.
        source: the name of the data set.
        style: the style of the prompts, the same for all rows of a data set.

    Raises:
        UserError: the data has whole prompts, but prompts have to be strings.
    """
    gold = draft.gold.strip()
    if not gold:
        return Dropped(NO_GOLD)
    messages = _whole(draft, style) if draft.messages is not None else _asked(draft, style)
    if isinstance(messages, Dropped):
        return messages
    is_formula = draft.kind in ("math", "numeric", "list")
    return {
        "prompt": messages,
        "gold": gold,
        "solution": f"${gold}$" if is_formula else gold,
        "kind": draft.kind,
        "options": list(draft.options) or None,
        "tolerance": {name: (draft.tolerance or {}).get(name) for name in ("abs", "rel", "decimals")},
        "uid": draft.uid or f"{source}:{content_hash(draft)}",
        "source": source,
        "family": draft.family,
        "difficulty": draft.difficulty,
        "meta": json.dumps(dict(draft.meta), ensure_ascii=False, default=str),
    }


def _whole(draft: Draft, style: Style) -> list[Any] | Dropped:
    """Return the messages that the data contains."""
    if style.template == "text":
        raise UserError(
            "dataset_template=text makes a string of a question, and these rows bring whole messages. Remove it."
        )
    assert draft.messages is not None
    if not draft.messages:
        return Dropped("no question")
    if not all(isinstance(message, Mapping) and message.get("role") in ROLES for message in draft.messages):
        return Dropped(NO_MESSAGE)
    messages = read_messages(draft.messages, len(draft.images), as_blocks=style.as_blocks)
    if messages is None:
        return Dropped(MISMATCH)
    return messages if messages[0]["role"] == "system" else [*_system(style), *messages]


def _asked(draft: Draft, style: Style) -> Any:
    """Return the prompt of a question: one user message, or a string."""
    if not draft.question.strip() and not draft.images:
        return Dropped("no question")
    options = [] if draft.has_options else draft.options
    listed = [f"{chr(ord('A') + i)}. {option}" for i, option in enumerate(options)]
    asked = TEMPLATES[style.template].get(draft.kind, TEMPLATES[style.template].get("", ""))
    text = "\n".join(part for part in (draft.question.strip(), *listed, asked) if part)
    numbers: Sequence[int]
    blocks, numbers = with_images(text, range(len(draft.images)))
    messages = [{"role": "user", "content": blocks}]
    if list(numbers) != list(range(len(draft.images))) or has_placeholder(messages):
        return Dropped(MISMATCH)
    if style.template == "text":
        return text
    return [*_system(style), {"role": "user", "content": blocks if style.as_blocks else text}]


def _system(style: Style) -> list[dict[str, Any]]:
    if style.system_prompt is None:
        return []
    text = style.system_prompt
    return [{"role": "system", "content": [{"type": "text", "text": text}] if style.as_blocks else text}]


def features_of(row: Row) -> Any:
    """Return the schema's column types, for rows whose prompts have the same form as this row's."""
    from datasets import Features, List, Value

    text = Value("string")
    prompt: Any = text
    if not isinstance(row["prompt"], str):
        has_blocks = isinstance(row["prompt"][0]["content"], list)
        content = List({"type": text, "text": text}) if has_blocks else text
        prompt = List({"role": text, "content": content})
    tolerance = {"abs": Value("float64"), "rel": Value("float64"), "decimals": Value("int64")}
    own = {"prompt": prompt, "options": List(text), "tolerance": tolerance, "difficulty": Value("float64")}
    return Features({name: own.get(name, text) for name in row})


def content_hash(draft: Draft) -> str:
    """Hash the question into 16 hexadecimal digits: its text, options and image bytes."""
    asked: Any = draft.question
    if draft.messages is not None:  # in one form, whatever container they came in
        asked = read_messages(draft.messages, len(draft.images), as_blocks=True)
    text = json.dumps([asked, list(draft.options)], ensure_ascii=False, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for image in draft.images:
        digest.update(image_bytes(image))
    return digest.hexdigest()[:16]


def image_bytes(image: Any) -> bytes:
    """Return the bytes of an image: as stored for an undecoded one or a file, its pixels for a decoded one."""
    if isinstance(image, Mapping):
        if image.get("bytes") is not None:
            return bytes(image["bytes"])
        image = image.get("path")
    if isinstance(image, str):
        path = Path(image)
        return path.read_bytes() if path.is_file() else image.encode()
    return bytes(image.tobytes()) if hasattr(image, "tobytes") else repr(image).encode()
