"""Compare words: yes or no, phrases, and lists of both.

Not here: values (`compare`), choices (`choices`).
"""

from __future__ import annotations

import ast
import re
import unicodedata

from nearfuture.verify.latex import plain
from nearfuture.verify.pieces import split_top

_TRUE = frozenset(("yes", "true", "correct", "right", "y", "t", "affirmative"))
_FALSE = frozenset(("no", "false", "incorrect", "wrong", "n", "f", "negative", "impossible"))
_LONG_TRUE, _LONG_FALSE = _TRUE - set("yt"), _FALSE - set("nf")
_IN_CHARACTERS = dict.fromkeys("是 是的 对 对的 正确 真 成立 能 可以 会 有 はい 예".split(), True) | dict.fromkeys(
    "否 不 不是 不是的 不对 错 错误 错的 不正确 假 不成立 不能 不可以 不会 没有 いいえ 아니요".split(), False
)
_EUROPEAN = dict.fromkeys("ja oui sí si да sim vrai wahr verdadero richtig".split(), True) | dict.fromkeys(
    "nein non нет não faux falsch falso".split(), False
)
_SUBJECT = re.compile(
    r"\A(?:the |this |that |my )?"
    r"(?:(?:final |correct )?answer|statement|claim|proposition|it|this|that|assertion|conclusion|sentence)"
    r"(?:'s| is| would be| must be|:)\s(?:therefore |thus |indeed |clearly )?"
)
_LEAD = re.compile(r"\A(?:so|thus|therefore|hence)\b[, ]*")
_BULLET = re.compile(r"\s*(?:[-*•]\s+|\(?\d{1,2}[.)]\s+)?")
_COMMAS = str.maketrans("，、；", ",,;")
_MONTH = (
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec"
).replace(" ", "|")
_DAY = r"\d{1,2})(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"\b(?:(?P<day1>{_DAY}\s(?:of\s)?(?P<month1>{_MONTH})\.?|(?P<month2>{_MONTH})\.?\s(?P<day2>{_DAY}),?\s?(?P<year>\d{{4}})\b"
)
_FORMULA_MARKS = re.compile(r"\\(?:text|mathrm|ce|rm)(?![a-z])|[\s${}_]")
_FORMULA = re.compile(r"(?=.*\d)\d?(?:\(?[A-Z][a-z]?\d*(?:\)\d*)?){2,12}[-+]?")
_ORDINALS = dict(
    zip(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(),
        "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th".split(),
        strict=True,
    )
)
_ORDINAL = re.compile(rf"\b(?:{'|'.join(_ORDINALS)})\b")
_AS_ORDINAL = re.compile(r"\$?\d{1,3}\s?(?:\^?\s?\{?\\?(?:text|mathrm)?\s?\{?)(?:st|nd|rd|th)\}{0,2}\$?")
_HEDGED = frozenset("or maybe perhaps possibly unless neither nor unclear unknown either".split())
_DENIED = re.compile(
    r"(?:definitely |certainly )?not (true|correct|right|possible|yes|no|false|wrong|incorrect)(?=\s?[,;.]|\Z)"
)
_HEDGED_ELSEWHERE = re.compile(r"\b(?:oder|ou|aber|mais|pero|o|или|vielleicht|peut-être|quizás)\b|或|か", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\w+(?:[,.;:!(—–-]|\s(?:[-(—–]|(?:it|they|he|she|this|that|these|those|there|we|you|i|the|because|since|as|for|statement)\b))"
)


def read_bool(text: str) -> bool | None:
    """Read yes or no; None if the text says neither or both.

    Example:
        >>> read_bool("\\\\text{Yes}"), read_bool("No, it is a square."), read_bool("yes and no"), read_bool("not true")
        (True, False, None, False)
        >>> read_bool("The statement is false."), read_bool("是的"), read_bool("maybe")
        (False, True, None)
    """
    if len(text) > 600:
        return None
    said = plain(text).strip("()[]*#' ")
    said = _SUBJECT.sub("", _LEAD.sub("", said, count=1), count=1)
    chinese = _IN_CHARACTERS.get(re.split(r"[,，、。.;；!]", said, maxsplit=1)[0].strip())
    if chinese is not None:
        return chinese
    foreign = re.match(r"(\w+)(?=[,，、.;!–—-]|\s[–—-]|\Z)", said)
    if foreign is not None and foreign[1] in _EUROPEAN and not _HEDGED_ELSEWHERE.search(said):
        return _EUROPEAN[foreign[1]]
    if (denied := _DENIED.match(said)) is not None:
        return denied[1] in _FALSE
    words = re.findall(r"[a-z']+", said)
    if len(words) == 1:
        return True if words[0] in _TRUE else False if words[0] in _FALSE else None
    if not words or words[0] not in _LONG_TRUE | _LONG_FALSE:
        return None
    if _GOES_ON.match(said) is None or _HEDGED & set(words):
        return None
    is_true = words[0] in _TRUE
    against = "|".join(_LONG_FALSE if is_true else _LONG_TRUE)
    is_open = re.search(rf"(?:\b(?:and|or|but|also|then)|[.,;!?/])\s*(?:{against})\b(?=\W*(?:\Z|[,.;!?]))", said)
    return None if is_open else is_true


def is_yes_or_no(text: str) -> bool:
    """True for a lone word for yes or no in English: yes, no, true, false.

    Example:
        >>> is_yes_or_no("\\\\text{Yes}"), is_yes_or_no("correct"), is_yes_or_no("no solution")
        (True, False, False)
    """
    return len(text) <= 40 and plain(text) in ("yes", "no", "true", "false")


def same_compound(one: str, other: str) -> bool:
    """Compare two chemical formulas, in LaTeX or plain: H_2SO_4 is H2SO4.

    Example:
        >>> same_compound("\\\\text{H}_2\\\\text{O}", "H2O"), same_compound("H_2O", "H_2O_2")
        (True, False)
    """
    formulas = [_FORMULA_MARKS.sub("", text) for text in (one, other)] if len(one) + len(other) < 200 else [""]
    return formulas[0] == formulas[-1] and _FORMULA.fullmatch(formulas[0]) is not None


def same_ordinal(gold: str, answer: str) -> bool:
    """Compare 7th with seventh, if the gold answer is an ordinal number.

    Example:
        >>> same_ordinal("7\\\\text{th}", "seventh"), same_ordinal("7th", "sixth"), same_ordinal("seven", "7")
        (True, False, False)
    """
    return len(gold) < 30 and _AS_ORDINAL.fullmatch(gold) is not None and same_text(gold, answer)


def same_text(gold: str, answer: str) -> bool:
    """Compare phrases, ignoring case, fonts, quotes and a leading article.

    Example:
        >>> same_text("east", "\\\\text{East}"), same_text("east", "\\\\text{seat}")
        (True, False)
    """
    return _phrase(gold) == _phrase(answer)


def _phrase(text: str) -> str:
    """Reduce a phrase to its words: no hyphens between letters, "5 cm" as "5cm", "U.S." as "US", "&" as "and"."""
    said = re.sub(r"\s*([,:;/])\s*", r"\1", plain(text).removesuffix("^\\circ")).replace("{", "").replace("}", "")
    said = re.sub(r"(?<=[^\W\d])-(?=[^\W\d])", " ", said.replace(" & ", " and "))
    said = re.sub(r"\b[a-z](?:\.\s?[a-z])+(?:\b\.|\.?(?![a-z]))", lambda mark: re.sub(r"[.\s]", "", mark[0]), said)
    said = "".join(char for char in said if unicodedata.category(char) != "So" and char != "\ufe0f").strip()
    said = _DATE.sub(_as_date, said)
    said = _ORDINAL.sub(lambda mark: _ORDINALS[mark[0]], said)
    said = (
        re.sub(r"\s*([-+=<>*^])\s*(?=\S)", r"\1", said) if re.search(r"[\d)]\s?[-+=*^]|[-+=*^]\s?[\d(]", said) else said
    )
    said = re.sub(r",?\s(?:and|&)\s(?=\S+\Z)", ",", said) if "," in said else said
    return re.sub(r"(?<=\d)\s+(?=[^\W\d])", "", said)


def _as_date(mark: re.Match[str]) -> str:
    """Write 7 May 2003 and May 7, 2003 as one."""
    return f"{mark['month1'] or mark['month2']} {int(mark['day1'] or mark['day2'])},{mark['year']}"


def read_list(text: str) -> list[str] | None:
    """Read the items of a list: JSON, Python, brackets of any kind or no brackets; None if it is empty.

    Example:
        >>> read_list("['a', 'b']"), read_list("[2007, 2008]"), read_list("red and blue")
        (['a', 'b'], ['2007', '2008'], ['red', 'blue'])
    """
    if not text.strip():
        return None
    text = re.sub(r"\\(?:left|right)|\$", "", text).replace(r"\{", "{").replace(r"\}", "}").strip(" .\n\t")
    for _ in range(2):
        text = re.sub(r"^\\text\s?\{(.*)\}$", r"\1", text, flags=re.DOTALL)
    if len(text) > 4000:
        return None
    literal = _literal(text)
    if literal is not None:
        return literal
    if text[:1] in ("[", "(", "{") and text[-1:] == {"[": "]", "(": ")", "{": "}"}[text[0]]:
        text = text[1:-1]
    return [item.strip(" \n\t*`").strip("'\"").strip() for item in _split_items(text.strip()) if item.strip()]


def _split_items(text: str) -> list[str]:
    """Split at line ends, semicolons or commas, and at the "and" before the last item."""
    if "\n" in text and len(split_top(text, ",")) == 1:
        return [_BULLET.sub("", line, count=1) for line in text.split("\n")]
    text = text.translate(_COMMAS)
    separator = ";" if len(split_top(text, ";")) > 1 else ","
    parts = split_top(text, separator)
    return [*parts[:-1], *re.split(r"\s+(?:and|&)\s+|^and\s+|(?<=\w)和(?=\w)", parts[-1])]


def _literal(text: str) -> list[str] | None:
    """Read a Python or JSON list of strings and numbers."""
    if text[:1] not in ("[", "(") or text.count("[") > 20 or text.count("(") > 20:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(value, list | tuple):
        return None
    source = text[1:-1]
    if all(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
        parts = [part.strip() for part in source.rstrip(", ").split(",")]
        return parts if len(parts) == len(value) else None
    return [item if isinstance(item, str) else repr(item) for item in value]
