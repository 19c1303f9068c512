"""What the last sentence of a text says, where nothing marks its answer.

    "So the claim is **true**."            True         yes or no: the word after the last verb
    "There are seventeen birds."           seventeen    a number in words, where no digit stands beside it
    "The bag that he carries is green."    green        a phrase: what is bold, quoted, or after the verb
    "The layer is copper oxide."           its letter   a choice: the only option that is mentioned

A sentence that asks, doubts or denies says nothing.

Not here: a last value in digits (`closing`), what is announced as the answer (`lines`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nearfuture.verify.lines import without_emphasis
from nearfuture.verify.numbers import WORDS

MAX_CHARS, MAX_WORDS = 400, 6
"""A longer sentence, and a longer phrase, are no answer."""
_BULLET = re.compile(r"[>#\s]{0,6}(?:[•‣]\s|[-*]\s(?=\D))?")
_SENTENCE_END = re.compile(
    r"(?<=[a-z\d)\]*\"'%°$}])(?<!\b[DMS][rst])(?<!\bMrs)(?<!\bProf)[.!?]['\")*]{0,3}\s+(?=[A-Z\\(*\"'])|(?<=\s[A-Z])[.!?]\s+(?=(?:So|Thus|Therefore|Hence)\b)|[。！？]\s*(?=\S)"
)
_DOUBT = re.compile(
    r"\b(?:not|nor|or|either|neither|never|cannot|no longer|maybe|perhaps|possibly|might|(?-i:may)|could|if|unless"
    r"|unsure|unclear|unknown|anything but|rather than|instead of|other than|except|than)\b|n['’]t\b|[?？]|不|或|没",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    r",?\s(?:because|since|denn|weil|porque|puisque|as\s(?:there|it|they|the|we|this|its))\b|,\s(?:and\s|so\s\w+\s)?(?:not|isn['’]t|aren['’]t|rather\sthan"
    r"|instead\sof|unlike|followed\sby|with|which)\b|，(?:因为|而不)",
    re.IGNORECASE,
)
"""Where a reason, a contrast or a detail begins; the answer came before."""
_CONCLUDES = re.compile(r",\s(?:and\s)?(?:so|thus|hence|therefore)\s|[，,](?:所以|因此|故)", re.IGNORECASE)
_IS = r"(?:is|are|was|were|be|says?|reads?|shows?|called|named|es|est|ist)"
_SURELY = "(?:therefore |thus |indeed |clearly |just |called |named )"
_POLARITY = re.compile(
    rf"(?:\A\W*|(?:\b{_IS}|[:,→⇒])\s{_SURELY}?)(?P<said>true|false|correct|incorrect|wrong|yes|no)\W*\Z"
    r"|(?:\A|\b(?:so|hence|thus|therefore),?\s)(?P<led>yes|no),\s(?:it|there|this|that|these|they|we|the|both|all|every)\s(?!.*\b(?:yes|no|but|however)\b)",
    re.IGNORECASE,
)
_NUMBER_WORD = rf"(?:{'|'.join(sorted((word.replace(' ', '[ -]') for word in WORDS), key=len, reverse=True))})"
_NUMBER = re.compile(
    r"(?:\A|\b(?:is|are|was|were|be|equals?|has|have|had|gives?|gets?|contains?|totals?)\s"
    r"(?:exactly |only |just |a total of )?)"
    rf"(?P<said>{_NUMBER_WORD}(?:\spercent)?)\b(?!\s(?:of\sthem|more|less|fewer|times|other)\b)",
    re.IGNORECASE,
)
_ANY_NUMBER = re.compile(rf"\b{_NUMBER_WORD}\b", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_ITALIC = re.compile(r"(?<![\w*])\*([^*\s](?:[^*\n]{0,78}[^*\s])?)\*(?![\w*])")
_QUOTED = re.compile(r"[\"“„«]\s?([^\"“”„«»\n]{1,80}?)\s?[\"”“»]")
_BEHIND_VERB = re.compile(
    rf".*(?:\b{_IS}\s{_SURELY}?|[是为は])(?P<said>\S.*)|[A-Z][^:.!?\n]{{2,60}}:\s(?P<labelled>[^:\n]+)", re.DOTALL
)
_TWO_CLAUSES = re.compile(rf"\b{_IS}\b.*(?:,|\b(?:and|but|while))\s.*\b{_IS}\b", re.DOTALL)
_BOLD_SUBJECT = re.compile(
    rf"(?:(?:so|thus|therefore|hence|[Ss]o|Thus|Therefore|Hence),?\s)?\*\*([^*\n]{{1,40}})\*\*\s(?:{_IS}|has|have|had)\b[^*]*"
)
_LEADS_TO = re.compile(r"\b(?:by|with|on|to|at|[a-z]{2,}ing)\s(?=\S)")
_LEAD = re.compile(r"(?:so|thus|therefore|hence|consequently|(?:in )?conclusion)\b|因此|所以|故|综上", re.IGNORECASE)
_STATED = re.compile(
    rf"(?:\b{_IS}|\w['’]s|\bi\.e\.,?|[:：是为])\s?(?:[\w'-]+\s){{0,2}}\0|\b{_IS}\b[^,;:]*\0\W*\Z|\A\0\s{_IS}\b|\bmeans\s[^,;:]*\0\W*\Z"
)
_NOTHING = re.compile(r"\W*(?:\((?:a\.?k\.?a\.?|also|or|i\.e\.)[^()]*\)\W*)?")
"""What may stand behind the end of a sentence: marks, and another name in parentheses."""
_ALL_REALS = re.compile(
    r"\b(?:is|are|for|to)\s(?:all|every|any)\s(?:real\s(?:numbers?|values?|x)|reals)(?:\s(?:of\s)?x)?\Z"
)
_NO_SOLUTION = re.compile(
    r"(?:(?:so|thus|therefore|hence)[, ]\s?)?(?:there\s(?:is|are)|(?:the|this)\s(?:equation|system|inequality)\shas)"
    r"\sno\s(?:real\s)?solutions?",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"^\(|\b(?:would|though|although|however|but|some|also|sometimes|note|while|whereas)\b", re.IGNORECASE
)


def last_line(text: str) -> str:
    """Return the last line of a text without its bullet.

    Example:
        >>> last_line("We add.\\n- It is 5.")
        'It is 5.'
    """
    return _BULLET.sub("", text.rpartition("\n")[2].strip(), count=1).strip()


def last_sentence(text: str, *, is_whole: bool = False) -> str | None:
    """Return the last sentence of a text, up to its reason or contrast or whole; None if it is too long.

    Example:
        >>> last_sentence("Iron rusts. So the layer is **rust**, not paint.")
        'So the layer is **rust**'
    """
    sentence = _SENTENCE_END.split(last_line(text.strip()))[-1]
    said = (sentence if is_whole else _BESIDE.split(sentence, maxsplit=1)[0]).strip()
    return said if 0 < len(said) <= MAX_CHARS else None


def _statement(text: str) -> str | None:
    """Return what the last sentence concludes; None if it asks, doubts or denies."""
    sentence = last_sentence(text)
    return None if sentence is None or _DOUBT.search(sentence) else _CONCLUDES.split(sentence)[-1]


def stated_polarity(text: str) -> str | None:
    """Return the word for yes or no in which the last sentence ends.

    Example:
        >>> stated_polarity("It would fail for odd n. Here n is even, so the claim is **true**.")
        'true'
    """
    sentence = _statement(text)
    found = _POLARITY.search(without_emphasis(sentence)) if sentence is not None else None
    return None if found is None else found["said"] or found["led"]


def stated_number(text: str) -> str | None:
    """Return the number in words that the last sentence states: its only bold words, or the only number in it.

    Example:
        >>> stated_number("We count. There are **twenty-four** such rows."), stated_number("It has one of two.")
        ('twenty-four', None)
    """
    sentence = _statement(text)
    if sentence is None:
        return None
    if (bold := bold_words(sentence)) is not None and _ANY_NUMBER.fullmatch(bold):
        return bold
    if re.search(r"\d|\\|\$", sentence):
        return None
    said = without_emphasis(sentence)
    *_, found = (None, *_NUMBER.finditer(said))
    is_only = len(_ANY_NUMBER.findall(said)) == 1
    return found["said"].replace(" percent", "%") if found and (is_only or _ends_with(said, found["said"])) else None


def stated_set(text: str) -> str | None:
    """Return "all real numbers" or "no solution" if that is what the last sentence states in words.

    Example:
        >>> stated_set("It is never 0. So the domain is all real numbers."), stated_set("There are no real solutions.")
        ('all real numbers', 'no solution')
    """
    sentence = last_sentence(text, is_whole=True)
    said = _CONCLUDES.split(without_emphasis(sentence or "").rstrip(" .!"))[-1]
    if _ALL_REALS.search(said) and _DOUBT.search(said) is None:
        return "all real numbers"
    return "no solution" if _NO_SOLUTION.fullmatch(said) else None


def stated_phrase(text: str) -> str | None:
    """Return the phrase that the last sentence states: the only bold or quoted one, or what follows its verb.

    Example:
        >>> stated_phrase("The bag that he carries is green."), stated_phrase('The label says "Exit".')
        ('green', 'Exit')
    """
    sentence = _statement(text)
    if sentence is None:
        return None
    for pattern in (_BOLD, _QUOTED, _ITALIC):
        marked = pattern.findall(sentence)
        if marked:
            return marked[0] if len(marked) == 1 and _ends_with(sentence, marked[0]) else None
    is_only = "\n" not in text.strip() and _SENTENCE_END.search(text.strip()) is None
    if not is_only and _LEAD.match(last_sentence(text) or "") is None:  # another statement may be the answer
        return None
    if _TWO_CLAUSES.search(sentence):
        return None
    found = _BEHIND_VERB.fullmatch(sentence.rstrip(" .!。"))
    said = (found["said"] or found["labelled"]).removeprefix("the ").removesuffix("です").strip() if found else ""
    return said if 0 < len(said.split()) <= MAX_WORDS else None


def closing_phrases(text: str) -> list[str]:
    """List what a single sentence ends in, behind a preposition or a verb: "She signed it on 4 March 1998."

    Example:
        >>> closing_phrases("He stirs the tea with a spoon."), closing_phrases("It is a soup spoon.")
        (['a spoon'], [])
    """
    sentence = _statement(text)
    if sentence is None or last_sentence(text, is_whole=True) != text.strip():
        return []
    said = sentence.rstrip(" .!。*")
    return [said[mark.end() :] for mark in _LEADS_TO.finditer(said)]


def bold_conclusion(text: str) -> str | None:
    """Return the only bold words of a last sentence that concludes and has no digits.

    Example:
        >>> bold_conclusion("Five days later. Therefore, it is a **Friday**.")
        'Friday'
    """
    sentence = _statement(text)
    if sentence is None or re.search(r"\d|\\|\$", sentence):
        return None
    if (subject := _BOLD_SUBJECT.fullmatch(sentence)) is not None:
        return subject[1]
    bold = bold_words(sentence)
    is_end = bold is not None and len(bold.split()) < 3 and _ends_with(sentence, bold)
    if bold is None or not (is_end or _LEAD.match(sentence)):
        return None
    return bold if _ends_with(sentence, bold) else stated_phrase(text)


def _ends_with(sentence: str, phrase: str) -> bool:
    return _NOTHING.fullmatch(sentence[sentence.rindex(phrase) + len(phrase) :]) is not None


def mentioned(sentence: str, texts: Mapping[str, str]) -> str | None:
    """Return the key of the only text that a sentence mentions as what it states; a longer text hides those inside it.

    It states what follows its verb or a colon, or anything if it begins with "so" or the like.

    Example:
        >>> mentioned("so it is copper oxide", {"A": "copper", "B": "copper oxide"})
        'B'
    """
    rest, found = sentence, set()
    for key, text in sorted(texts.items(), key=lambda item: -len(item[1])):
        pattern = re.compile(rf"(?<![A-Za-z\d.,]){re.escape(text)}(?![A-Za-z\d]|[.,]\d)")
        if text and pattern.search(rest):
            rest = pattern.sub("\0", rest)
            found.add(key)
    is_stated = _LEAD.match(sentence) is not None or _CONCLUDES.search(sentence) is not None or _STATED.search(rest)
    is_sure = not _DOUBT.search(rest) and not _REMARK.search(rest)
    return found.pop() if len(found) == 1 and is_stated and is_sure else None


def bold_statement(text: str) -> str | None:
    """Return the only bold words of the last sentence, if it neither asks, doubts nor denies.

    Example:
        >>> bold_statement("It falls. So it is **copper**."), bold_statement("It is not **copper**.")
        ('copper', None)
    """
    return bold_words(_statement(text) or "")


def bold_words(text: str) -> str | None:
    """Return the only bold words of a text; None if there are none, or several.

    Example:
        >>> bold_words("the current **falls**"), bold_words("**one** or **two**")
        ('falls', None)
    """
    marked = _BOLD.findall(text)
    return marked[0] if len(marked) == 1 else None
