"""The last value of a text that announces no answer: "With 8 crates the shop receives 48 jars." ends in 48.

It comes from the last sentence that has a value, and only if that sentence states it: the sentence does not ask, assume
or doubt it, no negation reaches it ("not 7 but 8" is 8), nothing later retracts it, and the text does not break off. A
value is a formula between delimiters, a number that touches no operator, or a tuple of these.

Not here: announcements (`lines`) and conclusions (`conclusions`), which go first.
"""

from __future__ import annotations

import re

from nearfuture.verify.latex import normalise
from nearfuture.verify.pieces import is_name
from nearfuture.verify.retracted import is_denied, is_taken_back
from nearfuture.verify.units import split_unit, sum_of_units

WINDOW = 1600
"""How many characters at the end of a text are read."""
_NUMBER = (
    r"(?:[$€£]\s?)?[-−+]?(?:\d{1,3}(?:[\u202f\u00a0 ]\d{3})+(?![\d,.]*\d)|\d[\d,.]*(?<![,.]))"
    r"(?:\s?/\s?\d+|(?::\d+)+(?:\s?[AaPp]\.?[Mm]\b\.?)?|(?:\s:\s\d+)+)?"
    r"(?:\s?\\?%|\s(?:thousand|million|billion|trillion)\b)?"
)
_TUPLE = rf"\(\s?{_NUMBER}(?:\s?[,;]\s?{_NUMBER})+\s?\)"
_APART = r"(?<![\w.,^_\\{/*+−×·-])(?<![-+*/×·]\s)"
_APART_BEHIND = r"(?:(?=[ck]?[mg]²?³?(?![\w²³]))|(?![\w{^_*/×·]|\s?[-+*/×·=^]\s?[\w\\(]))"
"""A number that touches no operator and no letter, except units (5kg)."""
_NO_MONEY = r"(?!\d[\d,.]*\s+[A-Za-z]{2}|\d[^$]{0,80}\$\d)"
"""A dollar sign before an amount opens no formula: $3 each, and $2 up to the next amount in 9 * $2 = $18."""
_VALUE = re.compile(
    rf"(?P<delimiter>\$\$|\$(?![.,;]?\s*(?:\n|\Z))){_NO_MONEY}"
    r"(?P<dollar>[^$]{1,600})(?P=delimiter)|\\\((?P<round>.{1,600}?)\\\)|\\\[(?P<square>.{1,600}?)\\\]"
    rf"|(?P<plain>(?:{_TUPLE}|{_APART}{_NUMBER}(?:\s?(?:[€£]|\$(?=[.,;]?\s*(?:\n|\Z))))?){_APART_BEHIND})",
    re.DOTALL,
)
_UNIT = re.compile(r"(?!\s?in\s(?:all|total|the|a)\b)\s?[A-Za-z°][A-Za-z°/²³^\d]{0,14}")
_SENTENCE_END = re.compile(r"[.!?。！？:]['\")*]{0,3}(?:\s+(?=[A-Z\\$(*\d])|\n)|\n\s*\n")
_END = re.compile(r"[\s*_)\]\"'”]*(?:[.!。！…][\s*_)\]\"'”.]*|\n\s*|\Z)")
_MORE = re.compile(r"[^.!?\n]{0,160}[.!]\s*|(?:QED|∎|□)\s*\Z")
_WORD_END = re.compile(r"(?:,?\s[\"“]?[A-Za-z-]{1,15}[\"”]?){0,12}")
_CONDITION = re.compile(
    r"\b(?:when|where|because|so|but|then|given\s(?:that|an?))\b|\b(?:and|or|with|to|the|of|an?)\Z", re.IGNORECASE
)
_HEDGE = re.compile(
    r"\b(?:or|if|unless|either|maybe|perhaps|possibly|might|sure|guess|unclear|than|except|(?<!in\s)all(?!\s(?:things|told))|every|any)\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:may|could|would|should|unknowns?|suppose|assum\w+|let|(?:i|we)(?:\swill|['’]ll)|check|verify|try|consider|first(?!\s(?:\d+|[nk]|two|three|four|five|six|seven|eight|nine|ten|twenty|hundred)\b)|next|step|case|question|given"
    r"|know|says?|states?|stated|tells?|told|now|we\s(?:must|need\sto|have\sto|multiply|divide|add|subtract|use|take|compute|start|begin|set)|since|because|where|when|at\s(?:least|most))\b",
    re.IGNORECASE,
)
CIRCUMSTANCE = re.compile(
    r",?\s(?:which\s(?:is|are)\s|and\sis\s)?(?:attained|achieved|reached|occur(?:s|ring)|obtained)\s"
    r"(?:only\s|exactly\s)?(?:at|when|for|if|by|in)\b(?:(?!\sand\s(?:is|are|equals?)\b)[^.!?\n]|\.(?=\d))*"
)
"""Where or how a value is attained: the value came before these words, and what follows them is a different one."""
_LEADS_ON = re.compile(r"\s*(?:\d+[.)]\s|[-*•]\s\D|#)")
_PART_OF = re.compile(
    r"(?:\b(?:of\s(?:the|these|those|all|his|her|its|their|our)|out\sof|between|times|plus|minus|over|divided\sby)|\d\sof)"
    r"[\s$\\(]*\Z",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"\b(?:lemma|theorem|equation|problem|figure|table|section|line|example|page)[\s(]*\Z", re.IGNORECASE
)
_JOINER = re.compile(r"\s?(?:[,;]\s?)?(?:\b(?:and|or)\b)?\s?")
_NEGATION = re.compile(r"\b(?:not|cannot|never|neither|nor|no)\b|n['’]t\b", re.IGNORECASE)


def closing_value(text: str, *, is_announced: bool = False) -> str | None:
    """Return the last value that a text states; None if it states none.

    Args:
        text: what a model wrote, or the sentence that it announced as its answer.
        is_announced: whether the model announced it; then only a hedge counts as doubt, so "The largest number that
            could occur is 19" states 19.

    Example:
        >>> closing_value("We add. With 8 crates the shop receives 48 jars."), closing_value("It is not 7 but 8.")
        ('48 jars', '8')
        >>> closing_value("Could it be 12?") is None, closing_value("First we get 12, and then we") is None
        (True, True)
    """
    text = CIRCUMSTANCE.sub("", _tail(text.strip()))
    values = [mark for mark in _VALUE.finditer(text) if not is_name(_content(mark))]
    if not values:
        return None
    first = len(values) - 1
    while first and _JOINER.fullmatch(text, values[first - 1].end(), values[first].start()):
        first -= 1
    unit = _unit_behind(_content(values[-1]), text[values[-1].end() :]) if values[-1]["plain"] else ""
    said = ", ".join(map(_content, values[first:])) + f" {unit.strip()}".rstrip()
    compound = text[values[first - 1].start() : values[-1].end()] + unit if first else ""
    if sum_of_units(compound) is not None:  # 2 h 15 min
        first, said = first - 1, compound
    start = max((end.end() for end in _SENTENCE_END.finditer(text) if end.end() <= values[first].start()), default=0)
    earlier = [mark.start() - start for mark in values[:first] if mark.start() >= start]
    before = text[start : values[first].start()]
    is_stated = (
        not _is_doubted(before, is_announced, values[first]["plain"] is not None)
        and not _is_negated(before, earlier)
        and _is_closed(text[values[-1].end() + len(unit) :])
    )
    return said if is_stated else None


def _tail(text: str) -> str:
    """Keep the end of the text that is read, without cutting through a formula."""
    cut = max(0, len(text) - WINDOW)
    return text[text.find("$", cut) + 1 :] if text.count("$", 0, cut) % 2 else text[cut:]


def _content(mark: re.Match[str]) -> str:
    return next(mark[name] for name in ("dollar", "round", "square", "plain") if mark[name] is not None).strip()


def is_doubtful(before: str) -> bool:
    """True if the words before a value ask, assume, hedge, doubt or deny."""
    return _is_doubted(before, is_announced=False, is_plain=False) or _NEGATION.search(before) is not None


def _is_doubted(before: str, is_announced: bool, is_plain: bool) -> bool:
    """True if a sentence asks, assumes or hedges before its value, or the value is a part ("3 of the 5") or a label."""
    words = _VALUE.sub(" ", before)
    if _HEDGE.search(words) or _PART_OF.search(before) or (is_plain and _LABEL.search(before)):
        return True
    return not is_announced and (_DOUBT.search(words) or _LEADS_ON.match(before)) is not None


def _is_negated(before: str, values: list[int]) -> bool:
    """True if a negation precedes the value with no other value in between: it applies to the next value only."""
    negations = list(_NEGATION.finditer(before))
    return is_denied(before) or (bool(negations) and not any(start > negations[-1].start() for start in values))


def _is_closed(behind: str) -> bool:
    """True if the sentence ends at the value or a few words later, and nothing that follows retracts it."""
    if is_taken_back(behind) or "?" in behind:
        return False
    words = _WORD_END.match(behind)
    said = words.group() if words else ""
    end = _END.match(behind, len(said))
    if end is None or _HEDGE.search(said) or _CONDITION.search(said) or _NEGATION.search(said):
        return False
    return re.fullmatch(rf"(?:{_MORE.pattern}){{0,3}}", behind[end.end() :]) is not None


def _unit_behind(value: str, behind: str) -> str:
    unit = _UNIT.match(behind)
    if unit is None or split_unit(normalise(f"{value} {unit.group().strip()}"))[1] is None:
        return ""
    return unit.group()
