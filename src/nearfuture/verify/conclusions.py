"""Find an unmarked answer: a last line that is only a value, or a conclusion that contains one value.

    "...\\n\\n12"   "64 + 67 = **131**"   "So x = 5."   "Therefore, she has 12 apples."
    "Option C is correct", for a choice

For maths, failing these, the last value that the text states (`closing`).

Not here: announcements (`lines`), tags and boxes (`marked`). Strict extraction, as in training, reads no unmarked
answers (`extract`).
"""

from __future__ import annotations

import re

from nearfuture.json_text import loads
from nearfuture.verify.closing import CIRCUMSTANCE, closing_value
from nearfuture.verify.last_sentence import (
    bold_conclusion,
    last_line,
    last_sentence,
    stated_number,
    stated_phrase,
    stated_polarity,
    stated_set,
)
from nearfuture.verify.lines import is_value, value_stated, without_emphasis
from nearfuture.verify.retracted import is_taken_back
from nearfuture.verify.stated_formula import stated_formula
from nearfuture.verify.words import read_bool

_CHOSEN = re.compile(
    r"\b(?:option|choice|answer|statement|letter)\s[*(\"]{0,3}([A-Z])[*)\"]{0,3}\sis\s(?:the\s)?(?:most\s)?"
    r"(?:correct|right|best|appropriate|answer)"
    r"|(?<![A-Za-z])[*(]{1,3}([A-Z])[*)]{1,3}\sis\s(?:the\s)?(?:most\s)?(?:correct|right|best|answer)"
    r"|(?<![A-Za-z])([B-HJ-Z])\sis\sthe\s(?:most\s)?(?:correct|right|best|appropriate)(?!\s(?:angle|triangle|side|hand|half|part|end))"
    r"|\b(?:this|that|it|which)\s(?:is|corresponds\sto|matches)\s(?:option|choice|statement|answer|letter)\s[*(]{0,3}([A-Z])[*)]{0,3}\.?\s*\Z"
    r"|\b(?:leaves|leaving)\s(?:only\s)?([A-Z])\sas\sthe\sonly\b|\b(?:leads?|points?)\s(?:us\s|me\s)?to\s(?:option\s|choice\s)?[*(]{0,3}([A-Z])[*)]{0,3}\.?\s*\Z"
    r"|\b(?:choose|select|pick|go\swith|opt\sfor|choosing|selecting|it\smust\sbe)\s(?:the\s)?(?:option|choice|answer|letter)?\s?"
    r"[*(\"]{0,3}([A-Z])[*)\"]{0,3}(?:\s\([^()\n]{1,80}\))?(?=[.,;!\s]*(?:\n|\Z|because|since|as\s))"
    r"|\bmy\s(?:pick|choice|guess|vote)\s(?:is|would\sbe)\s[*(]{0,3}([A-Z])(?:[*)]{1,3}|\.?\s*\Z)"
    r"|(?:[,;.]\s|\n|\A)(?:so|thus|therefore|hence)[,:]?\s(?:it(?:'s|\sis|\smust\sbe)\s|the\sanswer\sis\s|only\s|option\s){0,2}[*(]{0,3}([A-Z])[*)]{0,3}\.?\s*\Z"
    r"|\b(?:option|choice)\s[*(\"]{0,3}([A-Z])[*)\"]{0,3}(?:\s\([^()\n]{1,80}\))?\sit\sis(?!\s?(?:not|n['’]t))"
    r"|\b(?:left\swith|leav(?:es|ing)(?:\sus\swith)?)\s(?:only\s)?(?:option\s)?[*(]{0,3}([A-Z])[*)]{0,3}(?:\.?\s*\Z|,\s(?:which|as|since|because)\b)",
    re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*\s?(\(?[A-Z](?:\)?[.:]?|[).:]{1,2}\s?[^*\n]{1,200}))\s?\*\*")
_BOLD_VALUE = re.compile(
    r"(?P<before>(?:[^*\n]*(?:[A-Za-z]{2}|=))?[^*\n\w]{0,4})\*\*(?P<value>(?:\\?[$€£])?[-−]?\d[\d,]*(?:\.\d+)?(?:/\d+|(?:\s?:\s?\d+)+|[₀-₉]{1,2})?\s?(?:\\?%|°)?(?:\s?[A-Za-z²³/]{1,15}){0,3})"
    r"[.!]?\*\*(?P<behind>[^*\n]*)"
)
_BOLD_LINE = re.compile(r"\*\*([^*\n:]{1,80}?)[.]?\*\*[.]?")
_PARENTHESIS = re.compile(r"\A\s\((?:that\sis|i\.e\.|or|about|approx)[^()\n]*\)")
_BOLD_LABEL = re.compile(r"\A\*\*[A-Z][A-Za-z ]{2,40}(?::\*\*|\*\*\s?:)\s+(?=\S)")
_JOINED = re.compile(r"\d[^\d\n]{0,12}?(?:,|\b(?:and|to))\s[^\w\n]{0,3}\d")
_LEAD = re.compile(
    r"(?:(?:so|thus|therefore|hence|consequently|finally|altogether|overall|then|in\s(?:total|conclusion|summary|all|the\send)|as\sa\sresult"
    r"|we\s(?:get|have|find|obtain|conclude)(?:\sthat)?|it\sfollows\sthat|this\sgives(?:\sus)?|which\sgives|∴|\\therefore|因此|所以|故|综上|则"
    r")(?![a-z])[,:，\s]{0,3})+",
    re.IGNORECASE,
)
_LATEX_WORD = re.compile(r"\\[A-Za-z]+")
_TWO_WORDS = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_ONE_VALUE = re.compile(r"\$[^$\n]{1,200}\$|\\\([^\n]{1,200}?\\\)|[$€£]?-?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")
_UNSURE = re.compile(
    r"\b(?:(?:can)?not|or|if|unless|either|neither|nor|maybe|perhaps|possibly|might|may|could|at\s(?:least|most)|first|check|verify|let)\b|n['’]t\b|\?",
    re.IGNORECASE,
)
_STATES = re.compile(
    rf"(?:\b(?:is|are|be|equals?|get|gets|gives?|obtain|find)|=)\s+(?P<value>(?:{_ONE_VALUE.pattern})(?:\s[A-Za-z]{{1,15}}){{0,3}})\Z"
)
_SAID_IN_CHINESE = re.compile(r"[^\n]*[\u4e00-\u9fff](?<![不非])(?:是|为|等于)\s?(?P<value>\$[^$\n]{1,200}\$)")
_ASSUMED = re.compile(
    r"\b(?:where|suppose|assum\w+|given|since|because|step|when|than|know|try|first|next|case)\b", re.IGNORECASE
)
_IS_ANSWER = re.compile(r"\s(?:is|are)\s(?:the|our|my)\s(?:final\s)?(?:solution|answer)s?\Z", re.IGNORECASE)
_ONE_FORMULA = re.compile(r"\$\$?[^$]{1,400}\$\$?|\\\[[^$]{1,400}?\\\]|\\\([^$]{1,400}?\\\)")
_DENIED = re.compile(r"\b(?:(?:can)?not|never)\b[^.]*\d|n['’]t\b[^.]*\d", re.IGNORECASE)
_SENTENCE = re.compile(r"[^\W\d_]+\s[^\W\d_]+(?:['’]s?)?\s")
_BREAKS_OFF = re.compile(r"\b(?:and|or|so|then|but|with|to|the|of|is)\Z", re.IGNORECASE)
_HEAD = re.compile(r"\A(?:A|Solution|Response)\s?:\s")
_LABEL = re.compile(r"[A-Za-z][A-Za-z ]{2,60}\s?:\s+(?=\$|\\[(\[]|[-+€£]?\d)")
MAX_LINE = 400
ANSWER_FIELDS = ("answer", "final_answer", "choice", "option", "label", "verdict", "prediction", "result", "value")
MAX_JSON = 4000
"""A line with more characters is not a conclusion by itself."""
_CHECK = re.compile(
    r"\n[ \t]{0,8}[*_#]{0,4}\s?(?:verification|verifying|check(?:ing)?)[*_]{0,3}\s?:"
    r"(?:(?!\n[ \t]{0,8}\n)[\s\S]){0,600}\Z",
    re.IGNORECASE,
)
_RESTATED = re.compile(
    r"(?:,?\sor,?\sequivalently,?\s[^.\n]{1,60}|\s\((?:≈|\$?\\approx|=)[^()\n]{1,40}\))(?=[.\s*$]*\Z)"
)
_TICKED = re.compile(r"(?:\A|\n)[-*• \t]{0,8}\(?([A-Z])\b(?:(?!\n)[^✅✓✔❌✗✘]){0,200}([✅✓✔❌✗✘])")
_OPTION_LINE = re.compile(r"\(?[A-Z][).:]\s")
_ITEM_LEAD = re.compile(r"(?:[-*•]\s+|\(?\d{1,2}[.)]\s+)")
_TABLE_ROW = re.compile(r"\|\s*([^|]{1,20}?)\s*\|\s*([^|]{1,60}?)\s*\|")
MAX_LINES, MAX_ITEM = 16, 60
_FENCE = re.compile(r"```[a-z]*")
_SENTENCE_END = re.compile(r"[.!?。]['\")]?\s+(?=[A-Z\\(])")


def without_afterthought(text: str) -> str:
    """Drop what follows an answer at the end of a text: a check of it, and the same value in another form.

    Example:
        >>> without_afterthought("x = 4\\n\\nCheck: 4 + 2 = 6."), without_afterthought("It is 2.0 L\\n(= 2000 mL)")
        ('x = 4', 'It is 2.0 L')
    """
    text = re.sub(r"(\*\*)?∴\s?", r"So \1", text).rstrip()
    check = _CHECK.search(text)
    return _RESTATED.sub("", text if check is None else text[: check.start()].rstrip())


def concluded(text: str, kind: str) -> tuple[str, str] | None:
    """Return an unmarked answer and its source: `bold` for a choice, or `bare`.

    Example:
        >>> concluded("We add.\\n64 + 67 = **131**", "math"), concluded("So she has 12 apples left.", "math")
        (('131', 'bare'), ('12 apples', 'bare'))
        >>> concluded("I think 42 is right but maybe 41", "math") is None
        True
    """
    if kind == "mcq":
        for pattern in (_CHOSEN, _BOLD):
            chosen = {_letter(found): found for mark in pattern.finditer(text) if (found := _standing(text, mark))}
            if chosen:
                return (chosen.popitem()[1], "bold") if len(chosen) == 1 else None
        marked = _TICKED.findall(text)
        ticked = [letter for letter, mark in marked if mark in "✅✓✔"]
        if len(ticked) == 1 and len(marked) > 2:
            return ticked[0], "bold"
    whole = _FENCE.sub("", text).strip()
    if (field := answer_field(whole)) is not None:
        return field, "bare"
    whole = whole if kind == "mcq" else _HEAD.sub("", whole)
    if kind in ("math", "numeric"):
        said = _maths(whole, kind)
        return None if said is None else (said, "bare")
    if kind == "bool" and (polarity := stated_polarity(whole) or _yes_or_no(whole)) is not None:
        return polarity, "bare"
    if whole and "\n" not in whole and _stands_bare(whole, kind):
        bold = stated_phrase(whole) if kind == "text" and "*" in whole else None
        return bold or (whole if kind == "mcq" else without_emphasis(whole)), "bare"
    if kind == "text":
        phrase = stated_phrase(whole)
        return None if phrase is None else (phrase, "bare")
    if kind == "list" and re.fullmatch(r"\[[^\[\]]{0,400}\]", whole, re.DOTALL):
        return whole, "bare"
    if kind not in ("mcq", "bool"):
        return None
    first, _, rest = whole.partition("\n")
    is_list = _OPTION_LINE.match(first) is not None and _OPTION_LINE.match(rest.lstrip()) is not None
    for line in (last_line(whole), "" if is_list else first.strip()):
        said = _value_of(without_emphasis(line), kind) if 0 < len(line) <= MAX_LINE else None
        if said is not None:
            return said, "bare"
    return None


def _yes_or_no(text: str) -> str | None:
    """Return the last sentence of several lines, if it says yes or no: "So yes, there is one." """
    said = without_emphasis(last_sentence(text) or "") if "\n" in text else ""
    return None if read_bool(said) is None else said


def answer_field(text: str) -> str | None:
    """Return the answer of a response that is a JSON object: a field of a usual name, or the only one.

    Example:
        >>> answer_field('{"choice": "D", "why": "red"}'), answer_field('{"sport": "tennis"}'), answer_field("{2, 5}")
        ('D', 'tennis', None)
    """
    if len(text) > MAX_JSON or not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        fields = loads(text)
    except ValueError:
        return None
    names = [name for name in ANSWER_FIELDS if name in fields] or (list(fields) if len(fields) == 1 else [])
    said = fields[names[0]] if names else None
    return str(said) if isinstance(said, str | int | float) and str(said).strip() else None


def listed(text: str) -> tuple[str, ...]:
    """List the values at the end of a text that stand on lines of their own, also in a table of two columns.

    Example:
        >>> listed("The primes are:\\n1. 2\\n2. 3"), listed("We get\\n| A | 1 |\\n| B | 2 |"), listed("So it is 5.")
        (('2', '3'), ('A = 1', 'B = 2'), ())
    """
    found: list[str] = []
    for line in reversed(_FENCE.sub("", text).strip().split("\n")[-MAX_LINES:]):
        said = _ITEM_LEAD.sub("", without_emphasis(line.strip()), count=1).strip(" .,;")
        if re.fullmatch(r"[|:\s-]{3,}", line):
            break
        row = _TABLE_ROW.fullmatch(line.strip())
        said = f"{row[1]} = {row[2]}" if row is not None else said
        if not said or len(said) > MAX_ITEM or not is_value(said, "math") or re.search(r"[A-Za-z]{3,}\s", said):
            break
        found.append(said)
    return tuple(reversed(found)) if len(found) > 1 else ()


def _standing(text: str, mark: re.Match[str]) -> str | None:
    """Return what a mark chooses, unless the text after it calls that wrong."""
    return None if is_taken_back(text[mark.end() :]) else next(filter(None, mark.groups()))


def _letter(said: str) -> str:
    return said.lstrip("(")[:1].upper()


def _maths(text: str, kind: str) -> str | None:
    """Return the value of a response to a maths question: the whole of it, its last line, or its last value."""
    whole, last = text, text.rpartition("\n")[2].strip()
    if (said := _in_bold(last_line(text))) is not None:
        return said
    if (bold := _BOLD_LINE.fullmatch(last)) is not None and "\n" in text and not _TWO_WORDS.search(bold[1]):
        return bold[1]
    text = CIRCUMSTANCE.sub("", without_emphasis(text))
    if text and "\n" not in text and _stands_bare(text, kind) and not _LEAD.match(text):
        if (chinese := _in_chinese(text)) is not None:
            return chinese
        said = closing_value(text) if _SENTENCE.match(text) else None
        return stated_formula(text) or said or _without_label(text)
    if (stated := stated_number(whole) or bold_conclusion(whole) or stated_set(whole)) is not None:
        return stated
    if (formula := stated_formula(text)) is not None:
        return formula
    line = last_line(text)
    line = _without_label(line) if without_emphasis(last).startswith(line) else line
    said = _value_of(line, kind) if 0 < len(line) <= MAX_LINE else None
    return said or closing_value(text)


def _in_chinese(sentence: str) -> str | None:
    """Take the formula from 所以答案为 $x = 2$."""
    sentence = sentence.rstrip(" .。!")
    found = _SAID_IN_CHINESE.fullmatch(sentence)
    return None if found is None or _UNSURE.search(sentence) else found["value"]


def _without_label(line: str) -> str:
    label = _LABEL.match(line)
    return line[label.end() :] if label and not _UNSURE.search(label.group()) else line


def _in_bold(line: str) -> str | None:
    """Take 18 dollars from "She pays **18 dollars** for all the others.": the only bold value of a plain statement."""
    line = _BOLD_LABEL.sub("", line, count=1)
    mark = _BOLD_VALUE.fullmatch(_SENTENCE_END.split(line)[-1]) if 0 < len(line) <= MAX_LINE else None
    if mark is None:
        return None
    before, behind = mark["before"], _PARENTHESIS.sub("", mark["behind"], count=1)
    if _UNSURE.search(before + behind) or _ASSUMED.search(before):
        return None
    if _JOINED.search(before + "0") or _JOINED.search("0" + behind):
        return None
    return mark["value"]


def _stands_bare(text: str, kind: str) -> bool:
    """True if the whole response is a short answer."""
    is_maths = kind in ("math", "numeric")
    if is_maths and _ONE_FORMULA.fullmatch(text):
        return True
    if len(text) > 200 or (len(text.split()) > 12 and kind != "bool"):
        return False
    return not is_maths or not (
        _DENIED.search(text)
        or _BREAKS_OFF.search(text)
        or _SENTENCE_END.search(text)
        or _TWO_WORDS.search(_LATEX_WORD.sub(" ", text))
    )


def _value_of(line: str, kind: str) -> str | None:
    """Read the last line: "12", "x = 5", "So x = 5.", "Therefore, she has 12 apples."; "Yes, it is."; "(B) 12"."""
    if kind == "bool":
        lead = _LEAD.match(line)
        said = line[lead.end() :] if lead else line
        return said if re.match(r"(?:yes|no|true|false)\b", said, re.IGNORECASE) else None
    if kind == "mcq":
        lead = _LEAD.match(line)
        line = line[lead.end() :] if lead else line
        return line if re.fullmatch(r"\(?[A-Z]\)?[.:]?|\(?[A-Z][).:]\s.{1,80}", line) else None
    sentence = _SENTENCE_END.split(line)[-1].rstrip(" .。!")
    if (chinese := _in_chinese(sentence)) is not None:
        return chinese
    lead = _LEAD.match(sentence)
    sentence = _IS_ANSWER.sub("", sentence)
    said = sentence[lead.end() :] if lead else sentence
    if (
        is_value(said, kind)
        and not re.search(r"[A-Za-z]{3,}\s", _LATEX_WORD.sub(" ", said))
        and not _UNSURE.search(said)
    ):
        return said
    if _UNSURE.search(said):
        return None
    stated = _STATES.search(said)
    if stated is not None and not _ASSUMED.search(said):
        return stated["value"]
    if lead is None:
        return None
    values = list(_ONE_VALUE.finditer(said))
    if len(values) != 1:
        return None
    return closing_value(said) or value_stated(said[values[0].start() :].strip())
