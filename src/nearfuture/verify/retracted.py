"""Does the text retract an answer? "not \\boxed{4}", "\\boxed{4} is wrong", "\\boxed{4}. Actually, it is 5."

    before    a negation directly before the answer
    after     the answer is called wrong in the same sentence, or a later sentence begins with "Wait", "Actually" or
              the like, and calls it wrong or gives another value

"Wait, let me check: it is right" retracts nothing.

Not here: answers announced later (`lines`), which replace an earlier box (`extract`).
"""

from __future__ import annotations

import re

_NEGATED = re.compile(
    r"(?:\b(?:not|never|cannot|instead\sof|rather\sthan|neither|nor)|n['’]t)\b"
    r"(?:\s(?:be|the|equal|to|equals?|actually|simply|just|really|is|as|correct|right|final|answer|option|choice)\b){0,6}"
    r"[\s:$*\"'“(\\\[]*\Z",
    re.IGNORECASE,
)
_ANOTHER = r"(?:(?:option|choice)\s)?[$*(\\]{0,3}(?:[-+]?\d|[A-Z](?![A-Za-z]))"
_CALLED_WRONG = (
    r"(?:is|was|are|would\sbe|seems|looks)\s(?:\w+ly\s)?(?:not\s(?:correct|right|the\s(?:right|correct|final|answer)|it\b|possible|valid)|wrong\b|incorrect|false\b|a\smistake)"
    rf"|(?:(?:isn|wasn)['’]t|(?:cannot|can['’]t)\sbe)\b(?!\s{_ANOTHER})"
)
_AT_ONCE = re.compile(rf"[\s$*)\]\\,.;:?!]{{0,8}}(?:(?:that|this|it|which)\s)?(?:{_CALLED_WRONG})", re.IGNORECASE)
_TURN = (
    r"(?:no|nope|wait|hmm+|oops|sorry|actually|hold\son|correction|on\ssecond\sthoughts?|or\srather"
    r"|rather|i\smean|instead|apologies|my\s(?:bad|mistake)|hang\son|不对|不，|等等|等一下)(?![a-z])"
)
_MISTAKE = (
    rf"(?:(?:that|this|it|which|the\s(?:above|answer|result|box|previous\sanswer))(?:['’]s\s(?:\w+ly\s)?"
    rf"(?:not\s(?:correct|right|the\s(?:right|correct|final|answer))|wrong|incorrect)|\s(?:{_CALLED_WRONG}))"
    r"|i(?:['’]ve|\shave)?\s(?:made|see)\s(?:an?|some|my)\s(?:\w+\s)?(?:mistake|error)|i\swas\swrong"
    r"|(?:scratch|strike|ignore|disregard|forget)\s(?:that|this|the\s\w+)|never\s?mind|(?:that|[A-H])\scan(?:['’]t|not)\sbe"
    r"|i\s(?:mis\w+|forgot)|错了|不正确)"
)
_SUBJECT = (
    r"(?:(?:i\sthink\s|i\smean\s)?(?:it|that|this|the\s(?:\w+\s){0,2}(?:answer|value|result|number|total|option|choice))"
    r"(?:['’]s|\sis|\sshould\sbe|\smust\sbe|\sequals|\swould\sbe|\sought\sto\sbe)|make\s(?:that|it)|i\smeant|应该是|应为|答案是|是)"
    r"\s?(?:actually|really|rather|just|in\sfact)?:?\s?"
)
_VALUE = r"[$*(\\\[]{0,3}(?=[-+]?[\d\\.]|[A-Za-z]\b(?!['’\s][a-z]))"
_OPENING = r"(?:\A|[.!?。\n,;])[\s$*)\]\\.,;:—–-]{0,8}(?:(?:but|oh|ah|well|however)\b[\s,]*)?"
_TAKEN_BACK = re.compile(
    rf"{_OPENING}(?:(?:{_TURN}|however|but)[\s,.!:;…—–-]{{0,4}}){{1,3}}[^.!?\n]{{0,40}}?{_MISTAKE}"
    rf"|{_OPENING}(?:(?:actually|wait|hmm+)[\s,…—–-]{{1,4}})+no\b[,.!]"
    r"|[.!?\n,]\s*(?:so\s|and\s)?i\s(?:withdraw|retract|take\sback)\s(?:that|this|it|my)"
    r"|\b(?:unable\sto|not\sable\sto|cannot|can['’]t|could\snot|couldn['’]t)\s(?:determine|find|give|provide|reach)\s(?:the|an?|any)\s(?:final\s|correct\s|right\s)?(?:answer|result|value)\b"
    rf"|[.!?\n]\s*correcting\s(?:this|that|myself|for\s(?:this|that))\b|[.!?\n:]\s*(?:please\s)?(?:scratch|strike|disregard|ignore)\s(?:that|this|my|the\sabove)|[.!?\n]\s*i\smade\san?\s(?:\w+\s)?(?:mistake|error)",
    re.IGNORECASE,
)
_REPLACED = re.compile(rf"{_OPENING}(?:{_TURN}[\s,.!:;…—–-]{{0,4}}){{1,3}}(?:{_SUBJECT})?{_VALUE}", re.IGNORECASE)
_CORRECTED = re.compile(rf"{_OPENING}(?:so\s|thus\s|then\s)?{_SUBJECT}{_VALUE}", re.IGNORECASE)
_RIGHT = re.compile(
    rf"{_OPENING}(?:so\s|thus\s)?the\s(?:correct|right|true|actual)\s(?:value|result|number|total|solution)\s(?:is|should\sbe|equals)\s{_VALUE}",
    re.IGNORECASE,
)
_ANEW = re.compile(rf"\b(?:{_TURN}|recount|recheck|re-?check|again|instead|mistake|wrong|incorrect)|\?", re.IGNORECASE)
WINDOW = 600
"""How many characters after an answer are searched for a retraction."""


def is_denied(before: str) -> bool:
    """True if a negation stands directly before an answer.

    Example:
        >>> is_denied("The answer is not $"), is_denied("It is not 3, so "), is_denied("rather than ")
        (True, False, True)
    """
    return _NEGATED.search(before[-80:]) is not None


def is_taken_back(behind: str) -> bool:
    """True if the text after an answer calls it wrong.

    Example:
        >>> is_taken_back(" is incorrect."), is_taken_back(". Wait, that's wrong."), is_taken_back(". A is wrong.")
        (True, True, False)
    """
    behind = behind[:WINDOW]
    return _AT_ONCE.match(behind) is not None or _TAKEN_BACK.search(behind) is not None


def is_called_wrong(answer: str, behind: str) -> bool:
    """True if the text after an answer names it again to call it wrong.

    Example:
        >>> is_called_wrong("17", ". That breaks the rule, so 17 is wrong."), is_called_wrong("7", ". 17 is wrong.")
        (True, False)
    """
    said = rf"(?<![\w.]){re.escape(answer.strip(' $'))}[$*)\s]{{1,4}}(?:is|was)\s(?:wrong|incorrect)"
    return 0 < len(answer) < 60 and re.search(said, behind[:WINDOW]) is not None


def replacement(behind: str) -> int | None:
    """Return the index of the value that replaces the answer; None if there is none.

    Example:
        >>> text = ". Wait, it should be 5."
        >>> text[replacement(text):], replacement(". Wait, let me check that.")
        ('5.', None)
    """
    behind = behind[:WINDOW]
    patterns = (_REPLACED, _RIGHT, _CORRECTED) if is_taken_back(behind) else (_REPLACED, _RIGHT)
    return max((mark.end() for pattern in patterns for mark in pattern.finditer(behind)), default=None)


def begins_anew(between: str) -> bool:
    """True if the text between two answers abandons the first, so that they are not a list."""
    return _ANEW.search(between) is not None
