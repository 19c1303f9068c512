"""Gold answers as data sets write them: in a box, in dollars, after "####", at the end of a whole solution.

    \\(\\boxed{5}\\)   2+3=5 \\n#### 5   ...so the area is $\\boxed{5}$.   Answer: 5        all are 5

A solution whose answer is not marked is not a gold answer. It is reported as a fault: nothing could ever equal it.

Not here: gold answers that only sympy can read (`rows`), the check before step 1 (`nearfuture.tasks.gold`).
"""

from __future__ import annotations

import re
from functools import lru_cache

from nearfuture.types import UserError
from nearfuture.verify.answer import Chain, Named, Node, Scalar
from nearfuture.verify.choices import Options, chosen_letters
from nearfuture.verify.extract import extract
from nearfuture.verify.guards import is_balanced
from nearfuture.verify.latex import plain
from nearfuture.verify.lines import announced
from nearfuture.verify.marked import boxes, tags
from nearfuture.verify.pieces import has_variables
from nearfuture.verify.reading import read_answer
from nearfuture.verify.words import read_bool, read_list

KINDS = ("math", "numeric", "mcq", "bool", "text", "list")
NOTHING_SAID = frozenset(("", "none", "null", "nan", "n/a"))
MAX_WORDS = 24
"""A gold answer in maths with more words than this is a solution, not an answer."""

_HASHES = re.compile(r"####[ \t]*([^\n]*\S)")
_LISTED = re.compile(r"(?s:\A(?=.{0,80}\Z))[^.!?\n]*(?:,|;|\b(?:and|or)\b)[^.!?\n]*\Z")
_ANNOUNCED = re.compile(
    r"\W{0,8}(?:(?:the|my)\s)?(?:(?:final|correct)\s)?(?:answer|答案|答)\s?(?:is\s?)?[:：]", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[a-z)}$\d]{2,}[.!?]\s+[A-Z]|\n\s*\S")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_EULER = re.compile(r"(?<![A-Za-z])e(?![A-Za-z])")


@lru_cache(maxsize=16384)
def clean_gold(gold: str, kind: str = "math") -> str:
    """Take a gold answer out of a box, a tag, or the end of a solution; empty if that is cut off.

    Example:
        >>> clean_gold("2+3=5\\\\n#### 5"), clean_gold("So it is $\\\\boxed{5}$."), clean_gold("Answer: 5")
        ('5', '5', '5')
    """
    text = gold.strip()
    for find in (tags, boxes):
        spans, is_cut = find(text)
        if spans or is_cut:
            found = extract(text, kind=kind, strict=True)
            if found is not None and found.all_boxes and _LISTED.search(text[spans[0].end : spans[-1].start]):
                return ", ".join(found.all_boxes)
            return found.text if found is not None else ""
    if "####" in text:
        hashes = _HASHES.findall(text)
        return str(hashes[-1]).strip() if hashes else ""
    if _ANNOUNCED.match(text) or (kind in ("math", "numeric") and _is_solution(text)):
        return announced(text, kind) or text
    return text


@lru_cache(maxsize=16384)
def gold_fault(gold: str, kind: str, options: Options | None) -> str | None:
    """Say what is wrong with a gold answer, as far as a rule can tell; None if nothing is.

    Raises:
        UserError: the kind is unknown.
    """
    if kind not in KINDS:
        raise UserError(f"kind={kind!r} is not a kind of answer. Use one of {', '.join(KINDS)}.")
    text = clean_gold(gold, kind)
    if kind == "mcq":
        return None if chosen_letters(text, options) else "it names no option"
    if plain(text) in NOTHING_SAID:
        return "it is empty"
    if kind == "bool":
        return "it is neither yes nor no" if read_bool(text) is None else None
    if kind == "list":
        return "it has no items" if read_list(text) is None else None
    if kind == "text":
        return None
    if not is_balanced(text):
        return "its braces do not match"
    if _is_solution(text):
        return "it is a worked solution whose answer is not marked (no \\boxed{}, no ####)"
    if kind == "numeric" and not _may_be_number(read_answer(text)):
        return "it is not a number"
    return None


def _is_solution(text: str) -> bool:
    """True for several sentences, or more words than an answer would have."""
    words = len(_WORD.findall(text)) if len(text) > 40 else 0
    return words > MAX_WORDS or (words >= 8 and _SENTENCE_END.search(text) is not None)


def _may_be_number(node: Node) -> bool:
    if isinstance(node, Named):
        return _may_be_number(node.value)
    if isinstance(node, Chain):
        return all(map(_may_be_number, node.items))
    if isinstance(node, Scalar):
        return not has_variables(_EULER.sub("", node.text))
    return False
