"""Find the answer in a response: after the thoughts, in the last tag or box, or on a line that says it is the answer.

    tag     <answer>...</answer>                       strict and lenient
    box     \\boxed{...}, the last balanced one          strict and lenient
    line    "The answer is ...", "Answer: ...", "#### ..."       lenient only
    bold    **D**, for a choice                                  lenient only
    bare    a response that is nothing but a short answer        lenient only

A cut-off answer is no answer: an unclosed thought, tag or box, however much of it can be read. Everything here is
linear in the length of the response.

Not here: what the answer means (`latex`, `answer`) and whether it is right (`decide`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

MAX_CHARS = 4000
"""A longer answer is kept, but nobody reads it: it is compared as text (`guards`)."""

_THOUGHT = re.compile(r"<(/?)(?:think(?:ing)?|thoughts?|analysis|reasoning)>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_BRACE = re.compile(r"(\\{1,2}(?:boxed|fbox)\s{0,4}\{)|\\.|([{}])", re.DOTALL)
_LINE = re.compile(
    r"(?:\b(?:answer|(?:correct|right|best)\s(?:option|choice|letter))\b[*_]{0,3}\s{0,3}"
    r"(?:\b(?:is|are|(?:would|should|must|will)\sbe)\b|:|=|：)"
    r"|\bfinal\sanswer[*_: ]{0,6}\n|答案[是为：:]{0,2}|^####)[ \t:*_：]{0,8}",
    re.IGNORECASE | re.MULTILINE,
)
_MATHS = re.compile(r"(\$\$?)([^$]{1,400})\1|\\\(([^$]{1,400}?)\\\)|\\\[([^$]{1,400}?)\\\]")
_SENTENCE_END = re.compile(r"[.!?。]\s+(?=[A-Z\\(])|[。]")
_REASON = re.compile(r"[,;]?\s+(?:because|since)\b", re.IGNORECASE)
_FILLER = re.compile(r"(?:therefore|thus|hence|then|simply|clearly|just)\b,?\s+", re.IGNORECASE)
_STATED = re.compile(r"(?:[A-Za-z]+\s+){1,6}?(?:is|are|equals)\s+(?=[^A-Za-z]|\\)", re.IGNORECASE)
_SPECIAL = re.compile(r"(?:<\|[^|<>]{1,30}\|>|</s>|<eos>)\s*")
_CHOSEN = re.compile(
    r"\b(?:option|choice)\s[*(]{0,3}([A-Z])[*)]{0,3}\sis\s(?:the\s)?(?:correct|right|best)", re.IGNORECASE
)
_BOLD = re.compile(r"\*\*\s?\(?([A-Z])\)?[.:]?\s?\*\*")
_LATEX_WORD = re.compile(r"\\[A-Za-z]+")
_TWO_WORDS = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_JOINER = re.compile(r"[\s$*,;&.]*(?:\b(?:and|or)\b[\s$*,;&]*)?")
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_DELIMITER = re.compile(r"\\[()\[\]]|\\q?quad|\\[,;: ]|\\text\s?\{([^{}]{0,20})\}")


@dataclass(frozen=True, slots=True)
class Extracted:
    """An answer: its text, where it stood, and all that were given at once ("\\boxed{3} or \\boxed{4}")."""

    text: str
    source: str
    parts: tuple[str, ...] = ()


class _Span(NamedTuple):
    start: int
    end: int
    content: str


def extract(response: str, *, kind: str = "math", strict: bool = False) -> Extracted | None:
    """Extract the answer of a response; None where there is none.

    Args:
        response: what the model wrote, thoughts included.
        kind: of the gold answer; it decides what may stand bare.
        strict: accept a tag or a box only, as training should.

    Example:
        >>> extract("<think>\\\\boxed{1}?</think> So \\\\boxed{\\\\frac{1}{2}}.").text
        '\\\\frac{1}{2}'
        >>> extract("so \\\\boxed{\\\\sqrt{2}") is None
        True
    """
    text = without_thoughts(_SPECIAL.sub("", response))
    if text is None:
        return None
    spans, is_cut = _tags(text)
    source = "tag"
    if not spans and not is_cut:
        spans, is_cut = _boxes(text)
        source = "box"
    if is_cut:
        return None
    if spans:
        return _last_of(text, spans, source, strict)
    return None if strict else _unmarked(text, kind)


def without_thoughts(response: str) -> str | None:
    """Drop everything up to the end of the last thought; None where a thought is left open."""
    marks = list(_THOUGHT.finditer(response))
    if not marks:
        return response
    return response[marks[-1].end() :] if marks[-1].group(1) else None


def _tags(text: str) -> tuple[list[_Span], bool]:
    """Find all closed answer tags, and whether the last one is left open."""
    spans: list[_Span] = []
    opened: re.Match[str] | None = None
    for mark in _TAG.finditer(text):
        if not mark.group(1):
            opened = mark
        elif opened is not None:
            spans.append(_Span(opened.start(), mark.end(), text[opened.end() : mark.start()]))
            opened = None
    return spans, opened is not None


def _boxes(text: str) -> tuple[list[_Span], bool]:
    """Find the outermost balanced boxes in one pass, and whether the last box is left open."""
    stack: list[tuple[int, int] | None] = []
    spans: list[_Span] = []
    for mark in _BRACE.finditer(text):
        if mark.group(1):
            stack.append((mark.start(), mark.end()))
        elif mark.group(2) == "{":
            stack.append(None)
        elif mark.group(2) == "}" and stack and (box := stack.pop()) is not None:
            while spans and spans[-1].start > box[0]:
                spans.pop()
            spans.append(_Span(box[0], mark.end(), text[box[1] : mark.start()]))
    last_open = max((box[0] for box in stack if box is not None), default=-1)
    return spans, last_open > (spans[-1].start if spans else -1)


def _last_of(text: str, spans: list[_Span], source: str, strict: bool) -> Extracted | None:
    """Take the last span, with those before it that are joined to it: they were all given as the answer."""
    first = len(spans) - 1
    while first > 0 and _is_joined(text[spans[first - 1].end : spans[first].start]):
        first -= 1
    parts = list(dict.fromkeys(span.content.strip() for span in spans[first:]))
    if not any(parts):
        return None
    if len(parts) > 1:
        return Extracted(", ".join(parts), source, tuple(parts))
    return _unwrapped(parts[0], source, strict)


def _unwrapped(content: str, source: str, strict: bool) -> Extracted | None:
    """Take the box inside a tag, the line "The answer is ..." inside one, or the content itself."""
    if source == "tag":
        spans, is_cut = _boxes(content)
        if is_cut:
            return None
        if spans:
            return _last_of(content, spans, "tag", strict=True)
        if not strict and (line := _line(content)) is not None:
            return Extracted(line, "tag")
    content = re.sub(r"\\(?:boxed|fbox)\s{0,4}(?=\{)", "", content).strip()
    return Extracted(content, source) if content.strip("{} \n\t$") else None


def _is_joined(gap: str) -> bool:
    """True where two answers stand side by side, or with an "or" between them, rather than one after a retraction."""
    if len(gap) > 60:
        return False
    gap = _DELIMITER.sub(lambda mark: f" {mark.group(1) or ''} ", gap)
    return _JOINER.fullmatch(gap.lower()) is not None or (
        _OR.search(gap) is not None and not re.search(r"[.!?\n]", gap)
    )


def _unmarked(text: str, kind: str) -> Extracted | None:
    line = _line(text)
    if line is not None:
        return Extracted(_value_stated(line) if kind in ("math", "numeric") else line, "line")
    if kind == "mcq":
        for pattern in (_CHOSEN, _BOLD):
            if len(letters := set(pattern.findall(text))) == 1:
                return Extracted(letters.pop(), "bold")
    bare = text.strip()
    if not bare or len(bare) > 200 or "\n" in bare or (len(bare.split()) > 12 and kind != "bool"):
        return None
    is_prose = kind in ("math", "numeric") and _TWO_WORDS.search(_LATEX_WORD.sub(" ", bare)) is not None
    return None if is_prose else Extracted(bare, "bare")


def _value_stated(line: str) -> str:
    """Take 12 of "the area is 12": what stands behind a short statement, if no word follows."""
    stated = _STATED.match(line)
    if stated is None or re.search(r"\b(?:not|if|unless|no)\b", stated.group(), re.IGNORECASE):
        return line
    return line[stated.end() :]


def _line(text: str) -> str | None:
    """Take what follows the last "answer is", up to the end of its sentence."""
    marks = list(_LINE.finditer(text))
    if not marks:
        return None
    mark = marks[-1]
    rest = text[mark.end() : mark.end() + MAX_CHARS].strip()
    filler = _FILLER.match(rest)
    rest = rest[filler.end() :] if filler else rest
    maths = _MATHS.match(rest)
    if maths is not None and re.match(
        r"\s*(?:\*\*)?(?:[.,;!]?\s*\Z|[.;!]\s|[.,;!]?\n|,?\s+(?:because|since)\b)", rest[maths.end() :]
    ):
        return next(group for group in maths.groups()[1:] if group is not None).strip() or None
    rest = rest.split("\n", 1)[0]
    for cut in (_SENTENCE_END, _REASON):
        rest = cut.split(rest, maxsplit=1)[0]
    return rest.strip().rstrip("*_").rstrip(".。").strip("*_ ") or None
