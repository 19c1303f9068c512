"""Rows that no adapter knows: recognised by their columns, or by a map that says which column holds what.

    our own schema     prompt, gold, kind                      (what `nearfuture data difficulty` writes)
    verl               data_source, prompt, reward_model
    EasyR1             problem, answer (images, options)
    TRL                prompt, solution (or answer)
    plain              question, answer (or gold)

Not here: the published data sets (`text_sets`, `image_sets`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nearfuture.tasks.benchmarks.asking import images_of, kind_of, letter_of, written_list
from nearfuture.tasks.data.schema import Draft, Dropped
from nearfuture.types import UserError

Doc = Mapping[str, Any]
Adapter = Callable[[Doc], Draft | Dropped]

FIELDS = (
    "question",
    "prompt",
    "gold",
    "kind",
    "options",
    "image",
    "images",
    "tolerance",
    "uid",
    "difficulty",
    "family",
)
"""What a column can be mapped to."""
# Column sets by which a form is known, and where its question and gold answer are; the first that fits is taken.
FORMS: tuple[tuple[str, frozenset[str], dict[str, str]], ...] = (
    ("the project's schema", frozenset({"prompt", "gold", "kind"}), {}),
    ("verl", frozenset({"data_source", "prompt", "reward_model"}), {}),
    ("EasyR1", frozenset({"problem", "answer"}), {"question": "problem", "gold": "answer"}),
    ("TRL", frozenset({"prompt", "solution"}), {"gold": "solution"}),
    ("TRL", frozenset({"prompt", "answer"}), {"gold": "answer"}),
    ("plain", frozenset({"question", "gold"}), {}),
    ("plain", frozenset({"question", "answer"}), {"gold": "answer"}),
    ("plain", frozenset({"prompt", "gold"}), {}),
)


def recognise(columns: Sequence[str], given: Mapping[str, str] | None, name: str) -> tuple[str, Adapter]:
    """Find out how to read rows with these columns.

    Args:
        columns: of the data set.
        given: `dataset_columns`: field -> column.
        name: of the data set, for the error.

    Returns:
        What the form is called, and its adapter.

    Raises:
        UserError: columns that no form has, or a map that names what is not there.
    """
    given = dict(given or {})
    for field, column in given.items():
        if field not in FIELDS:
            raise UserError(
                f"dataset_columns: {field!r} is no field.{_near(field, FIELDS)} Fields: {', '.join(FIELDS)}."
            )
        if column not in columns:
            hint = _near(column, columns)
            raise UserError(f"dataset_columns: {name} has no column {column!r}.{hint} It has: {', '.join(columns)}.")
    mapped = (set(columns) - set(given.values())) | set(given)
    for form, needed, places in FORMS:
        if needed <= mapped:
            return form, _reader({**places, **given}, is_verl=form == "verl")
    raise UserError(
        f"{name} has the columns {', '.join(columns)}, which say neither what is asked nor what is right. Set "
        "dataset_columns, for example {question: COLUMN, gold: COLUMN}."
    )


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _reader(places: Mapping[str, str], *, is_verl: bool) -> Adapter:
    def read(doc: Doc) -> Draft | Dropped:
        def get(field: str) -> Any:
            return doc.get(places.get(field, field))

        gold = (doc.get("reward_model") or {}).get("ground_truth") if is_verl else get("gold")
        if gold is None or not str(gold).strip():
            return Dropped("no gold answer")
        images = images_of(doc, *(places.get(field, field) for field in ("images", "image")))
        options = [str(option) for option in _options(get("options"))]
        gold = letter_of(str(gold), options) if options else str(gold)
        prompt = get("prompt")
        is_written = isinstance(prompt, list)
        tolerance = get("tolerance")
        return Draft(
            question=str(get("question") or ("" if is_written else prompt) or ""),
            gold=gold,
            kind=str(get("kind") or ("mcq" if options else kind_of(gold))),
            options=() if is_written else options,
            images=images,
            messages=[_message(message, len(images)) for message in prompt] if is_written else None,
            tolerance={k: v for k, v in tolerance.items() if v is not None} if tolerance else None,
            uid=None if get("uid") is None else str(get("uid")),
            difficulty=None if get("difficulty") is None else float(get("difficulty")),
            family=None if get("family") is None else str(get("family")),
            meta=_facts(doc),
        )

    return read


def _options(value: Any) -> Sequence[Any]:
    if isinstance(value, str) and value.strip().startswith("["):
        return written_list(value)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _message(message: Mapping[str, Any], num_images: int) -> dict[str, Any]:
    """A message with its image placeholders as blocks; keys without a value are left out."""
    content = message.get("content")
    if isinstance(content, list):
        content = [{key: value for key, value in part.items() if value is not None} for part in content]
    elif isinstance(content, str) and num_images and "<image>" in content:
        blocks: list[dict[str, str]] = []
        for i, text in enumerate(content.split("<image>")):
            blocks += [{"type": "image"}] if i else []
            blocks += [{"type": "text", "text": text}] if text.strip() else []
        content = blocks
    return {"role": message["role"], "content": content}


def _facts(doc: Doc) -> dict[str, Any]:
    """What a verifier in verl's form asks for beside the answer."""
    facts = {name: doc[name] for name in ("data_source", "extra_info") if doc.get(name) is not None}
    if isinstance(doc.get("meta"), str):
        facts = {**json.loads(doc["meta"] or "{}"), **facts}
    return facts
