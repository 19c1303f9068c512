"""Find the answer in a response: after the thoughts, in the last tag or box, or on a line that announces it.

    tag     <answer>...</answer>                       strict and lenient
    box     \\boxed{...}, the last balanced one          strict and lenient
    line    "The answer is ...", "Answer: ...", "#### ..."       lenient only
    bold    **D**, for a choice                                  lenient only
    bare    a response or a last line that is only a short answer; a conclusion    lenient only

An answer that the text retracts does not count. If a later line announces another answer, that one counts (when strict,
both must be right). A cut-off answer does not count either: an unclosed thought, tag or box, however much of it can be
read. Everything here is linear in the length of the response.

Not here: what the answer means (`latex`, `answer`) and whether it is right (`decide`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nearfuture.verify.conclusions import concluded, listed, without_afterthought
from nearfuture.verify.last_sentence import last_sentence
from nearfuture.verify.lines import announced, is_denied_in, is_value, last_announcement, without_emphasis
from nearfuture.verify.marked import Span, boxes, tags
from nearfuture.verify.retracted import begins_anew, is_called_wrong, is_denied, is_taken_back, replacement

MAX_BOXES = 16
"""With more boxes than this, the boxes are not a list of answers."""
_THOUGHT = re.compile(
    r"[<\[◁](/?)(?:seed:)?(?:think(?:ing)?|thoughts?|analysis|reasoning|reflection|scratchpad)[>\]▷]"
    r"|<\|(begin|end)_of_thought\|>|<\|channel\|>(analysis|final)<\|message\|>",
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"(?:<\|[^|<>]{1,30}\|>|</s>|<eos>|<end_of_turn>)\s*")
_PICTURES = re.compile(
    "(?<=[\\w.!?%°)\\]}*$\"'”’])[ \\t]*"
    "[\u2600-\u2714\u2719-\u274b\u274d\u274f-\u2793\u2b00-\u2bff\ufe0f\U0001f300-\U0001faff]+"
    "(?=[\\s*_]*(?:\\n|\\Z))"
)
"""Pictures and check marks at the end of a line; crosses (✗, ❌) say something, and stay."""
_CROSS = re.compile("[✕-✘❌❎]")
_NEXT_TURN = re.compile(r"<\|(?:im_start|start_header_id)\|>(?:user|system)\b")
_JOINER = re.compile(r"[\s$*,;&.、和或]*(?:\b(?:and|or)\b[\s$*,;&]*)?")
_OR = re.compile(r"\bor\b|或", re.IGNORECASE)
_NAME_BEFORE = re.compile(r"(?<![A-Za-z\\])([A-Za-z](?:_\{?\w\}?)?)\s?=\s?\Z")
_OTHERWISE = re.compile(
    r"[\s$*)\]\\,]{0,8}\bor\s(?:maybe\s|perhaps\s|possibly\s)?(?=[$\\(]{0,3}[-+]?[\d\\.]|[(*]{0,3}[A-Z]\b)",
    re.IGNORECASE,
)
_DELIMITER = re.compile(r"\\[()\[\]]|\\q?quad|\\[,;: ]|\\text\s?\{([^{}]{0,20})\}")
_TEXT_LEAD = re.compile(r"\\(?:text(?:bf|it|rm)?|mathrm|mbox)\s?\{([^{}]{0,60})\}")


@dataclass(frozen=True, slots=True)
class Extracted:
    """An answer: its text, its source, and all answers given at once ("\\boxed{3} or \\boxed{4}").

    If the answer is only the last of several boxes, or of several lines with one value each, `all_boxes` holds them
    all: a gold answer that is a list may have been given in parts ("\\boxed{3} for part (a) and \\boxed{4} for part
    (b)").
    """

    text: str
    source: str
    parts: tuple[str, ...] = ()
    all_boxes: tuple[str, ...] = ()


def extract(response: str, *, kind: str = "math", strict: bool = False) -> Extracted | None:
    """Extract the answer from a response; None if there is none.

    Args:
        response: what the model wrote, thoughts included.
        kind: the kind of the gold answer, which decides what counts as an unmarked answer.
        strict: accept a tag or a box only, as training should.

    Example:
        >>> extract("<think>\\\\boxed{1}?</think> So \\\\boxed{\\\\frac{1}{2}}.").text
        '\\\\frac{1}{2}'
        >>> extract("so \\\\boxed{\\\\sqrt{2}") is None
        True
        >>> extract("\\\\boxed{4}. Actually, the final answer is 5.").text
        '5'
    """
    text = without_thoughts(response)
    if text is None:
        return None
    text = _SPECIAL.sub("", _NEXT_TURN.split(text, maxsplit=1)[0])
    text = text if kind == "mcq" and _CROSS.search(text) else _PICTURES.sub("", text)
    spans, is_cut = tags(text)
    source = "tag"
    if not spans and not is_cut:
        spans, is_cut = boxes(text)
        source = "box"
    if is_cut:
        return None
    if spans:
        return _marked(text, spans, source, kind, strict)
    return None if strict else _unmarked(text, kind)


def closing_sentence(response: str) -> Extracted | None:
    """Extract the last sentence of a response that marks no answer: it may mention one option (`choices`)."""
    text = without_thoughts(response)
    if text is None or tags(text) != ([], False) or boxes(text) != ([], False) or last_announcement(text, "mcq"):
        return None
    sentence = last_sentence(text, is_whole=True)
    return None if sentence is None else Extracted(sentence, "bare")


def without_thoughts(response: str) -> str | None:
    """Drop everything up to the end of the last thought; None if a thought is left open."""
    marks = list(_THOUGHT.finditer(response))
    if not marks:
        return response
    last = marks[-1]
    return response[last.end() :] if last[1] or last[2] == "end" or last[3] == "final" else None


def _marked(text: str, spans: list[Span], source: str, kind: str, strict: bool) -> Extracted | None:
    """Take the last tag or box that is not retracted, unless a later line announces another answer."""
    standing = [
        span
        for span, following in zip(spans, [*spans[1:], None], strict=True)
        if not _is_withdrawn(text, span, following, kind)
    ]
    later = _said_later(text[spans[-1].end :], kind)
    if not standing:
        return None if later is None or strict else Extracted(later, "line")
    last = _last_of(text, standing, source, kind, strict)
    if later is None or last is None or _same_text(later, last.text):
        return last
    return (
        Extracted(f"{last.text}, {later}", source, (*(last.parts or (last.text,)), later))
        if strict
        else Extracted(later, "line")
    )


def _is_withdrawn(text: str, span: Span, following: Span | None, kind: str) -> bool:
    behind = text[span.end : following.start if following else None]
    return (
        is_denied(text[max(0, span.start - 80) : span.start])
        or is_taken_back(behind)
        or (following is None and is_called_wrong(span.content, behind))
        or (following is None and is_denied_in(behind, span.content, kind))
    )


def _said_later(behind: str, kind: str) -> str | None:
    """Return an answer that is announced after the last mark or replaces it; None if there is none."""
    if not behind.strip(" \n.$*)\\]"):
        return None
    line = announced(behind, kind)
    if line is None and (start := replacement(behind)) is not None:
        line = announced(f"answer: {behind[start:]}", kind)
    return line if line is not None and is_value(line, kind) else None


def _same_text(one: str, other: str) -> bool:
    return re.sub(r"[\s$*.]", "", one) == re.sub(r"[\s$*.]", "", other)


def _last_of(text: str, spans: list[Span], source: str, kind: str, strict: bool) -> Extracted | None:
    """Take the last span and those before it that are joined to it: together they were given as the answer."""
    first = len(spans) - 1
    while first > 0 and _is_joined(text[spans[first - 1].end : spans[first].start]):
        first -= 1
    parts = list(dict.fromkeys(span.content.strip() for span in spans[first:]))
    if not any(parts):
        return None
    other = _OTHERWISE.match(text[spans[-1].end :][:40])
    if other is not None and source == "box":
        behind = announced(f"answer: {text[spans[-1].end + other.end() :]}", kind)
        parts += [behind] if behind is not None and is_value(behind, kind) else []
    if len(parts) > 1:
        return Extracted(", ".join(parts), source, tuple(parts))
    found = _unwrapped(parts[0], source, kind, strict)
    earlier = tuple(dict.fromkeys(_with_name(text, span) for span in spans))
    is_list = (
        source == "box" and 1 < len(earlier) <= MAX_BOXES and not begins_anew(text[spans[0].end : spans[-1].start])
    )
    if found is None or found.parts or not is_list:
        return found
    return Extracted(found.text, source, (), earlier)


def _with_name(text: str, span: Span) -> str:
    """Return the content of a box with the name before it: p = \\boxed{3}."""
    name = _NAME_BEFORE.search(text[max(0, span.start - 20) : span.start])
    content = span.content.strip()
    return content if name is None or "=" in content else f"{name[1]} = {content}"


def _unwrapped(content: str, source: str, kind: str, strict: bool) -> Extracted | None:
    """Take the box inside a tag, the line "The answer is ..." inside one, or the content itself."""
    if source == "tag":
        spans, is_cut = boxes(content)
        if is_cut:
            return None
        if spans:
            return _last_of(content, spans, "tag", kind, strict=True)
    said = _TEXT_LEAD.sub(lambda mark: f" {mark[1]} ", content) if source == "box" else content
    if not (strict and source == "tag") and (line := announced(said, kind)) is not None:
        return Extracted(line, source)
    content = re.sub(r"\\(?:boxed|fbox|framebox)\s{0,4}(?=\{)", "", without_emphasis(content)).strip()
    return Extracted(content, source) if content.strip("{} \n\t$") else None


def _is_joined(gap: str) -> bool:
    """True if two answers stand side by side or have an "or" between them; False if a retraction separates them."""
    if len(gap) > 60:
        return False
    gap = _DELIMITER.sub(lambda mark: f" {mark.group(1) or ''} ", gap)
    return _JOINER.fullmatch(gap.lower()) is not None or (
        _OR.search(gap) is not None and not re.search(r"[.!?\n]", gap)
    )


def _unmarked(text: str, kind: str) -> Extracted | None:
    text = without_afterthought(text) if kind in ("math", "numeric") else text
    found = last_announcement(text, kind)
    if found is not None:
        line, end = found
        later = _said_later(text[end:], kind)
        if later is not None:
            return Extracted(later, "line")
        return None if is_taken_back(text[end:]) else Extracted(line, "line")
    bare = concluded(text, kind)
    if bare is None:
        return None
    items = listed(text) if kind in ("math", "list") else ()
    return Extracted(*bare, (), items if 1 < len(items) <= MAX_BOXES else ())
