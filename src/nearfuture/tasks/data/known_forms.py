"""Read rows that no adapter knows, recognised by their columns or by a map that says which column holds what.

    our own schema     prompt, gold, kind                      (what `nearfuture data difficulty` writes)
    verl               data_source, prompt, reward_model
    EasyR1             problem, answer (images, options)
    TRL                prompt, solution (or answer)
    plain              question, answer (or gold)

Not here: the published data sets (`text_sets`, `image_sets`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nearfuture.json_text import loads
from nearfuture.tasks.data.asking import images_of, kind_of, written_list
from nearfuture.tasks.data.gold import choice_in, clean_gold, letter_in, listed_options
from nearfuture.tasks.data.schema import Draft, Dropped
from nearfuture.types import UserError, did_you_mean
from nearfuture.verify import KINDS

Doc = Mapping[str, Any]
Adapter = Callable[[Doc], Draft | Dropped]
VIDEOS = ("videos", "video")
FACTS = ("reward_model", "data_source", "extra_info", "meta", *VIDEOS)
"""Columns that are read in addition to the fields."""

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
"""The fields that a column can be mapped to."""
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


@dataclass(frozen=True)
class Form:
    """A form of rows: its name, its adapter, and the columns it looks at."""

    name: str
    adapt: Adapter
    columns: tuple[str, ...]


def recognise(columns: Sequence[str], given: Mapping[str, str] | None, name: str) -> Form:
    """Find out how to read rows with these columns.

    Args:
        columns: the data set's columns.
        given: `dataset_columns`: field -> column.
        name: the data set's name, for the error.

    Raises:
        UserError: no form has these columns, or the map names a field or column that does not exist.
    """
    given = dict(given or {})
    for field, column in given.items():
        if field not in FIELDS:
            hint = did_you_mean(field, FIELDS, repr)
            raise UserError(f"dataset_columns: {field!r} is not a field.{hint} Fields: {', '.join(FIELDS)}.")
        if column not in columns:
            hint = did_you_mean(column, columns, repr)
            raise UserError(f"dataset_columns: {name} has no column {column!r}.{hint} It has: {', '.join(columns)}.")
    mapped = (set(columns) - set(given.values())) | set(given)
    for form, needed, places in FORMS:
        if needed <= mapped:
            found = {**places, **given}
            return Form(form, _reader(found, given), (*(found.get(field, field) for field in FIELDS), *FACTS))
    hint = "".join(did_you_mean(usual, columns, repr) for usual in ("question", "answer"))
    raise UserError(
        f"{name} has the columns {', '.join(columns)}, which say neither what is asked nor what is right.{hint} "
        "Set dataset_columns, for example {question: COLUMN, gold: COLUMN}."
    )


def _reader(places: Mapping[str, str], given: Mapping[str, str]) -> Adapter:
    def read(doc: Doc) -> Draft | Dropped:
        def get(field: str) -> Any:
            return doc.get(places.get(field, field))

        if any(doc.get(name) for name in VIDEOS):
            return Dropped("has a video")
        options = _options(get("options"))
        gold = clean_gold((doc.get("reward_model") or {}).get("ground_truth") if get("gold") is None else get("gold"))
        prompt, tolerance = get("prompt"), get("tolerance")
        is_whole = isinstance(prompt, list)
        question = str(get("question") or ("" if is_whole else prompt) or "")
        choice = None if options else choice_in(question, gold)
        if has_options := choice is not None and bool(choice[1]):
            gold, options = choice
        return Draft(
            question=question,
            gold=letter_in(gold, options) if options else gold,
            kind=_kind(get("kind"), gold, options, is_given="kind" in given),
            options=options,
            has_options=has_options,
            images=images_of(doc, *(places.get(field, field) for field in ("images", "image"))),
            messages=prompt if is_whole else None,
            tolerance={k: v for k, v in tolerance.items() if v is not None} if tolerance else None,
            uid=_text(get("uid")),
            difficulty=_number(get("difficulty")),
            family=_text(get("family")),
            meta=_facts(doc),
        )

    return read


def _kind(value: Any, gold: str, options: Sequence[str], *, is_given: bool) -> str:
    """Return the kind that a row states; other words in a column of that name mean something else."""
    if value in KINDS or (is_given and value is not None):
        return str(value)
    return "mcq" if options else kind_of(gold)


def _options(value: Any) -> list[str]:
    if isinstance(value, str):
        return written_list(value) if value.strip().startswith("[") else []
    return listed_options(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> float | None:
    """Return a number; None for words such as `hard`, which cannot be compared with limits."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _facts(doc: Doc) -> dict[str, Any]:
    """Return what a verifier in verl's form needs in addition to the answer."""
    facts = {name: doc[name] for name in ("data_source", "extra_info") if doc.get(name) is not None}
    meta = doc.get("meta")
    if isinstance(meta, str):
        with suppress(ValueError):
            meta = loads(meta)
    if not isinstance(meta, Mapping):  # a column of that name with another meaning
        return facts
    return {**{name: value for name, value in meta.items() if value is not None}, **facts}
