"""Read rows that no adapter knows, recognised by their columns or by a map that says which column holds what.

    our own schema     prompt, gold, kind                      (what `nearfuture data difficulty` writes)
    verl               data_source, prompt, reward_model
    EasyR1             problem, answer (images, options)
    MATH               problem (or question), solution with a marked answer
    TRL                prompt, solution (or answer)
    messages           messages, answer (or solution, gold)
    plain              question, answer (or gold)
    ARC                question, choices, answerKey

Options stand in a column `options` or `choices` (`choices`).

Not here: the published data sets (`text_sets`, `image_sets`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nearfuture.json_text import loads
from nearfuture.tasks.data.asking import LETTERS, images_of, kind_of
from nearfuture.tasks.data.choices import first_number, read_choices, whole_number
from nearfuture.tasks.data.gold import choice_in, clean_gold, is_ambiguous, letter_in
from nearfuture.tasks.data.schema import Draft, Dropped
from nearfuture.types import UserError, did_you_mean
from nearfuture.verify import KINDS

Doc = Mapping[str, Any]
Adapter = Callable[[Doc], Draft | Dropped]
VIDEOS = ("videos", "video")
WORKED = re.compile(r"(?=.*\d)(?=.*\b[a-z]+\b)[A-Z][a-z']*(?:\s+\S+){3,}\.", re.DOTALL)
"""A sentence with a number in it: a solution of one line, whose answer nothing marks."""
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
    ("messages", frozenset({"messages", "gold"}), {"prompt": "messages"}),
    ("messages", frozenset({"messages", "answer"}), {"prompt": "messages", "gold": "answer"}),
    ("messages", frozenset({"messages", "solution"}), {"prompt": "messages", "gold": "solution"}),
    ("MATH", frozenset({"problem", "solution"}), {"question": "problem", "gold": "solution"}),
    ("MATH", frozenset({"question", "solution"}), {"gold": "solution"}),
    ("ARC", frozenset({"question", "answerKey"}), {"gold": "answerKey"}),
)
LONGEST = 200
"""Characters of a worked solution that may itself be the answer."""
EXACT = 2**53
"""From here on a number that was stored as a decimal is rounded."""


@dataclass(frozen=True)
class Form:
    """A form of rows: its name, its adapter, and the columns it looks at."""

    name: str
    adapt: Adapter
    columns: tuple[str, ...]


def recognise(
    columns: Sequence[str],
    given: Mapping[str, str] | None,
    name: str,
    rows: Mapping[str, Sequence[Any]] | None = None,
    *,
    has_verifier: bool = False,
) -> Form:
    """Find out how to read rows with these columns.

    Args:
        columns: the data set's columns.
        given: `dataset_columns`: field -> column.
        name: the data set's name, for the error.
        rows: the values of each column, which tell what answers that are numbers mean beside options; None: not yet.
        has_verifier: a verifier of the user's own will judge, which may want a gold answer that has parts.

    Raises:
        UserError: no form has these columns, the map names a field or column that does not exist, or the numbers may
            mean two things.
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
            if "options" not in mapped and "choices" in mapped:
                found = {"options": "choices", **found}
            gold, options = (found.get(field, field) for field in ("gold", "options"))
            is_told = rows is not None and {gold, options} <= set(columns)
            first = first_number(rows[gold], rows[options]) if rows is not None and is_told else None
            read = (*(found.get(field, field) for field in FIELDS), *FACTS)
            return Form(form, _reader(found, given, first, has_verifier), read)
    hint = "".join(did_you_mean(usual, set(columns) - {usual}, repr) for usual in ("question", "answer"))
    raise UserError(
        f"{name} has the columns {', '.join(columns)}, which is no known form: question and answer, problem and "
        f"solution, prompt and answer, messages and answer, or those in docs/data.md.{hint} Set dataset_columns, for "
        "example {question: COLUMN, gold: COLUMN}."
    )


def _reader(places: Mapping[str, str], given: Mapping[str, str], first: int | None, has_verifier: bool) -> Adapter:
    """Make the adapter; `first` is the number of the first option, where answers number the options."""
    is_worked = places.get("gold") == "solution"

    def read(doc: Doc) -> Draft | Dropped:
        def get(field: str) -> Any:
            return doc.get(places.get(field, field))

        if any(doc.get(name) for name in VIDEOS):
            return Dropped("has a video")
        stored, reward_model = get("gold"), doc.get("reward_model")
        if stored is None and isinstance(reward_model, Mapping):
            stored = reward_model.get("ground_truth")
        parts = stored if isinstance(stored, Mapping) or (isinstance(stored, list) and len(stored) > 1) else None
        if parts is not None and has_verifier:
            stored = json.dumps(parts, ensure_ascii=False, default=str)
        elif isinstance(parts, Mapping):
            return Dropped("a gold answer that has parts, which takes a verifier of your own")
        elif parts is not None:
            return Dropped("a list of several gold answers")
        if isinstance(stored, float) and abs(stored) >= EXACT:
            return Dropped("a gold answer of more digits than a number holds: write it as text")
        choices = read_choices(get("options"))
        if choices is None:
            return Dropped("options that cannot be read")
        if len(choices.texts) > len(LETTERS):
            return Dropped(f"more than {len(LETTERS)} options")
        gold, options = choices.letter(clean_gold(stored)), list(choices.texts)
        if first is not None and options and (number := whole_number(gold)) is not None:
            if not 0 <= number - first < len(options):
                return Dropped("an answer that numbers no option")
            gold = LETTERS[number - first]
        elif is_ambiguous(gold, options):
            return Dropped("an answer that is one option's letter and another's text")
        asked, prompt, tolerance = get("question"), get("prompt"), get("tolerance")
        is_sentence = not options and "kind" not in given and not has_verifier and WORKED.fullmatch(gold)
        messages = next((one for one in (prompt, asked) if isinstance(one, list)), None)
        if is_sentence or (is_worked and (len(gold) > LONGEST or "\n" in gold)):
            return Dropped("a worked solution without a marked answer")
        if messages is not None and places.get("prompt") == "messages" and is_answered(messages):
            return Dropped("messages that end with the assistant's own answer")
        question = "" if messages is not None else str(asked or prompt or "")
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
            messages=messages,
            tolerance={k: v for k, v in tolerance.items() if v is not None} if isinstance(tolerance, Mapping) else None,
            uid=_text(get("uid")),
            difficulty=_number(get("difficulty")),
            family=_text(get("family")),
            meta=_facts(doc) if parts is None else {**_facts(doc), "ground_truth": parts},
        )

    return read


def _kind(value: Any, gold: str, options: Sequence[str], *, is_given: bool) -> str:
    """Return the kind that a row states; other words in a column of that name mean something else."""
    if value in KINDS or (is_given and value is not None):
        return str(value)
    return "mcq" if options else kind_of(gold)


def is_answered(messages: Sequence[Any]) -> bool:
    """True if messages end with a turn of the assistant."""
    return bool(messages) and isinstance(messages[-1], Mapping) and messages[-1].get("role") == "assistant"


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
