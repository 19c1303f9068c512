"""Find marked answers, `<answer>...</answer>` and `\\boxed{...}`, in one pass over the response.

    \\boxed{7}  \\fbox{7}  \\framebox{7}     balanced braces, the outermost box
    \\boxed 7                             TeX without braces: up to the end of the formula, the sentence or a word
    boxed{7}                             a backslash that was lost, or read as a control character by Python

Not here: which of them is the answer (`extract`), whether the text retracts it (`retracted`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TAG = re.compile(r"<(/?)(?:final[_ -]?)?answer>", re.IGNORECASE)
_BRACE = re.compile(
    r"((?:\\{1,2}(?:boxed|fbox|framebox)|\x08oxed|(?<![A-Za-z\\])boxed)\s{0,4}\{)|\\.|([{}])", re.DOTALL
)
_BARE_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s{1,4}|(?=[\d\\(\[|+.-]))([^\s{$][^\n$]{0,200})")
_BARE_END = re.compile(r"\\[)\]]|[.,;:!?]*(?:\s+[A-Za-z]{2,}|\s*$)|[.;!?]\s")
_PLACEHOLDER = re.compile(r"[\s.…_?~$]*|\\(?:text|ldots|dots|cdots|square)?\s?\{?(?:your |the |final )*(?:answer)?\}?")


class Span(NamedTuple):
    """A marked answer: where the mark begins and ends, and its content."""

    start: int
    end: int
    content: str


def tags(text: str) -> tuple[list[Span], bool]:
    """Find all closed answer tags, and tell whether the last one is left open.

    Example:
        >>> tags("<answer>4</answer> no, <answer>5")[1], [span.content for span in tags("5</answer>")[0]]
        (True, ['5'])
    """
    spans: list[Span] = []
    opened: re.Match[str] | None = None
    for mark in _TAG.finditer(text):
        if not mark.group(1):
            opened = mark
        elif opened is not None:
            spans.append(Span(opened.start(), mark.end(), text[opened.end() : mark.start()]))
            opened = None
        elif not spans:  # the prompt opened it
            spans.append(Span(0, mark.end(), text[: mark.start()]))
    return spans, opened is not None


def boxes(text: str) -> tuple[list[Span], bool]:
    """Find the outermost balanced boxes with content, and tell whether the last box is left open.

    Example:
        >>> [span.content for span in boxes("\\\\boxed{1}, \\\\boxed{\\\\boxed{2}} and \\\\boxed 3.")[0]]
        ['1', '\\\\boxed{2}', '3']
        >>> boxes("\\\\boxed{\\\\sqrt{2}")
        ([], True)
    """
    stack: list[tuple[int, int] | None] = []
    spans: list[Span] = []
    for mark in _BRACE.finditer(text):
        if mark.group(1):
            stack.append((mark.start(), mark.end()))
        elif mark.group(2) == "{":
            stack.append(None)
        elif mark.group(2) == "}" and stack and (box := stack.pop()) is not None:
            while spans and spans[-1].start > box[0]:
                spans.pop()
            spans.append(Span(box[0], mark.end(), text[box[1] : mark.start()]))
    last_open = max((box[0] for box in stack if box is not None), default=-1)
    is_cut = last_open > (spans[-1].start if spans else -1)
    return _without_placeholders(_with_bare_boxes(text, spans)), is_cut


def _with_bare_boxes(text: str, spans: list[Span]) -> list[Span]:
    """Add the boxes without braces that are not inside another box."""
    bare = [
        Span(mark.start(), mark.start(1) + len(content), content)
        for mark in _BARE_BOX.finditer(text)
        if (content := _BARE_END.split(mark[1], maxsplit=1)[0])
    ]
    if not bare:
        return spans
    merged: list[Span] = []
    for span in sorted([*spans, *bare]):
        if not merged or span.start >= merged[-1].end:
            merged.append(span)
    return merged


def _without_placeholders(spans: list[Span]) -> list[Span]:
    """Leave out "\\boxed{}" and "\\boxed{...}", which quote the prompt; an empty box alone is not an answer."""
    filled = [span for span in spans if len(span.content) > 40 or not _PLACEHOLDER.fullmatch(span.content.lower())]
    return filled or spans
