"""Adapters of the text data sets: OpenR1-Math, DAPO-Math, DeepMath, GSM8K, MATH.

Columns as published (2025 to 2026); each function says which it reads.

Not here: where the data is, licences and counts (`registry`), data sets with images (`image_sets`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nearfuture.tasks.data.asking import kind_of
from nearfuture.tasks.data.gold import boxed, choice_in, clean_gold
from nearfuture.tasks.data.schema import NO_GOLD, Draft, Dropped

Doc = Mapping[str, Any]


def openr1_math(doc: Doc) -> Draft | Dropped:
    """Read `problem`, `answer`, `problem_type`, `question_type`, `uuid`; proofs have no answer to compare."""
    if (doc.get("question_type") or "").lower() == "proof" or (doc.get("answer") or "").strip().lower() == "proof":
        return Dropped("a proof, without an answer to compare")
    is_choice = (doc.get("question_type") or "").upper() == "MCQ"
    return _math(doc.get("problem"), doc.get("answer"), is_choice=is_choice, family=doc.get("problem_type"))


def dapo_math(doc: Doc) -> Draft | Dropped:
    """Read the raw form (`prompt` of messages, `reward_model`), which repeats rows a hundred times, or the processed
    one (`prompt` as text, `solution`)."""
    prompt = doc.get("prompt")
    if isinstance(prompt, str):
        return _math(prompt, doc.get("solution"))
    text = prompt[-1]["content"] if prompt else ""
    # The raw prompts wrap the problem into a request for a line `Answer: ...`.
    found = re.search(r"\n\n(.*)\n\nRemember to put your answer", text, re.DOTALL)
    return _math(found[1] if found else text, (doc.get("reward_model") or {}).get("ground_truth"))


def deepmath(doc: Doc) -> Draft | Dropped:
    """Read `question`, `final_answer`, `difficulty`, `topic`."""
    found = _math(
        doc.get("question"), doc.get("final_answer"), family=(doc.get("topic") or "").split(" -> ")[0] or None
    )
    return _with_difficulty(found, doc.get("difficulty"))


def gsm8k(doc: Doc) -> Draft | Dropped:
    """Read `question`, and the number after `####` in `answer`."""
    _, mark, gold = (doc.get("answer") or "").rpartition("####")
    if not mark:
        return Dropped("no line `####` in the answer")
    return Draft(doc.get("question") or "", gold.strip().replace(",", ""), "numeric")


def math(doc: Doc) -> Draft | Dropped:
    """Read `problem`, `level`, `type` or `subject`, and `answer` or the last box of `solution`."""
    gold = doc.get("answer") or boxed(doc.get("solution") or "")
    if not gold:
        return Dropped("no box in the solution")
    found = _math(doc.get("problem"), gold, family=doc.get("type") or doc.get("subject"))
    level = re.search(r"\d+", str(doc.get("level") or ""))
    return _with_difficulty(found, float(level[0]) if level else None)


def _math(question: Any, gold: Any, *, is_choice: bool = False, family: Any = None) -> Draft | Dropped:
    question, gold = str(question or ""), clean_gold(gold)
    if not gold:
        return Dropped(NO_GOLD)
    choice = choice_in(question, gold)
    if choice is not None and (is_choice or choice[1]):  # a lone letter may be a quantity
        return Draft(question, choice[0], "mcq", choice[1], has_options=True, family=family)
    return Draft(question, gold, kind_of(gold), family=family)


def _with_difficulty(found: Draft | Dropped, difficulty: Any) -> Draft | Dropped:
    if isinstance(found, Dropped) or difficulty is None:
        return found
    return replace(found, difficulty=float(difficulty))
