"""Adapters of the data sets with images: MMFineReason, Geometry3K, MMK12, ViRL39K.

Columns as published (2025 to 2026); each function says which it reads.

Not here: where the data is, licences and counts (`registry`), text data (`text_sets`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nearfuture.tasks.data.asking import images_of, kind_of
from nearfuture.tasks.data.gold import choice_in, clean_gold
from nearfuture.tasks.data.schema import NO_GOLD, Draft, Dropped

Doc = Mapping[str, Any]
PASS_RATES = ("pass_rate", "qwen3vl_4b_pass_rate")
IDS = ("id", "qid", "uid")


def mmfinereason(doc: Doc) -> Draft | Dropped:
    """Read `question`, `answer`, `image`, `pass_rate` (or `qwen3vl_4b_pass_rate`), `source`, `id`.

    `difficulty` is the pass rate of the authors' 4B model in four samples: 0 in the set of 123K rows, below 1 in the
    set of 586K. An answer in prose cannot be judged by rules; the report counts such rows.
    """
    draft = _free(doc, doc.get("question"), doc.get("answer"))
    if isinstance(draft, Dropped):
        return draft
    rate = next((doc[name] for name in PASS_RATES if doc.get(name) is not None), None)
    return replace(draft, difficulty=None if rate is None else float(rate), family=doc.get("source"))


def geometry3k(doc: Doc) -> Draft | Dropped:
    """Read `problem` (or `question`), `answer`, `images`; answers are plain LaTeX."""
    return _free(doc, doc.get("problem") or doc.get("question"), doc.get("answer"))


def mmk12(doc: Doc) -> Draft | Dropped:
    """Read `question`, `answer`, `subject`, `image`."""
    draft = _free(doc, doc.get("question"), doc.get("answer"))
    return draft if isinstance(draft, Dropped) else replace(draft, family=doc.get("subject"))


def virl39k(doc: Doc) -> Draft | Dropped:
    """Read `question`, the box in `answer`, `category`, `PassRate_7BBase` (or `_32BTrained`), `image` (paths)."""
    draft = _free(doc, doc.get("question"), doc.get("answer"))
    if isinstance(draft, Dropped):
        return draft
    rate = next((doc[n] for n in ("PassRate_7BBase", "PassRate_32BTrained") if doc.get(n) is not None), None)
    # -1 stands for "not measured".
    rate = None if rate is None or float(rate) < 0 else float(rate)
    return replace(draft, difficulty=rate, family=doc.get("category"))


def _free(doc: Doc, question: Any, gold: Any) -> Draft | Dropped:
    """Read a question whose answer is a letter, a number, yes or no, or mathematics; prose is dropped."""
    question, gold = str(question or ""), clean_gold(gold)
    if not gold:
        return Dropped(NO_GOLD)
    images = images_of(doc, "images", "image")
    meta = {"id": next((str(doc[name]) for name in IDS if doc.get(name) is not None), None)}
    if choice := choice_in(question, gold):
        letter, options = choice
        return Draft(question, letter, "mcq", options, has_options=True, images=images, meta=meta)
    kind = kind_of(gold)
    if kind == "text" or (kind == "list" and not any(map(str.isdigit, gold))) or _is_prose(gold):
        return Dropped("answer in prose, which rules cannot judge")
    return Draft(question, gold, kind, images=images, meta=meta)


def _is_prose(gold: str) -> bool:
    """True for a sentence: several words outside commands and units in braces."""
    plain = re.sub(r"\\[a-zA-Z]+|\{[^{}]*\}|\$[^$]*\$", " ", gold)
    return len(re.findall(r"[^\W\d_]{3,}", plain)) > 3
