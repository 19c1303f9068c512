"""Find an answer announced in words: "The answer is 12", "Final Answer: 12", "#### 12", "答案：3个", {"answer": 12}.

The last announcement with content counts. "The answer is not 5" withdraws an earlier 5; a question ("The answer
is A?") and prose ("The answer is in dollars") are passed over.

    announced     what the last announcement says
    concluded     without one: a last line that is only a value, or a conclusion that contains one value

Not here: tags and boxes (`marked`), what an answer means (`latex`, `answer`).
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from nearfuture.verify.closing import CIRCUMSTANCE, closing_value

MAX_CHARS = 4000
"""An answer with more characters is kept but not parsed: it is compared as text (`guards`)."""

_IS = (
    r"(?:(?<![A-Za-z])(?:is|are|was|(?:would|should|must|will|can\sonly)\sbe|equals?|becomes|comes\sout\s(?:to|as)"
    r"|turns\sout\sto\sbe)(?![A-Za-z])|[:=：→⇒]|->|[-–—](?=\s))"
)
_KEYWORD = re.compile(
    r"[Aa](?:nswer|NSWER|ns(?![a-z])|NS(?![A-Z]))|[Ff]inal(?=[*_]{0,3}\s?[:：])|####|[答选結结值답정正]|opción(?=\scorrecta)|respuesta|réponse|risposta|resposta|ntwort|твет"
    r"|(?<=[a-zA-Z]\s)(?:option|choice|letter|alternative|statement|Option|Choice|OPTION|CHOICE)"
)
_ANSWER = re.compile(
    r"ans(?:wers?)?\b(?P<quote>['\"])?[*_}`)]{0,4}\s{0,3}"
    r"(?:\([^()\n]{1,30}\)\s?|(?:to|for|of|in|here|therefore|thus|then|hence|now)\b[^.:=\n?]{0,80}?\s)?"
    rf"{_IS}|final[*_]{{0,3}}\s?[:：]|answer[*_:：}}\s]{{0,8}}\n|(?<=change\smy\s)answer\sto\s|answer\s(?=[*(\[]{{0,3}}(?:[$\\\d(+-]|[A-H][).*\]\s]|[A-H]\Z))",
    re.IGNORECASE,
)
_HEADING_LEAD = re.compile(r"[#*_\s>\\-]{0,9}(?:(?:the|my|and)\s)?(?:(?:final|correct|short)\s)?", re.IGNORECASE)
_IN_SENTENCE = re.compile(r"(?:\bwill|['’]ll|\bto|\bcan)\s\Z", re.IGNORECASE)
_CHOICE = re.compile(rf"(?:option|choice|letter|alternative|statement)s?\b[*_}}`)]{{0,4}}\s{{0,3}}{_IS}", re.IGNORECASE)
_CHOICE_LEAD = re.compile(r"\b(?:correct|right|best|final|chosen|selected|my|most\sappropriate)\s\Z", re.IGNORECASE)
_SENTENCE_LEAD = re.compile(r"(?:\A|[.\n]\s?)(?:so\s|thus\s)?the\s\Z", re.IGNORECASE)
_OTHER = re.compile(
    r"答(?:案[】\]]?|え)?(?:应该|应当|应|就|选项)?(?:是|为|為|は|选择?|選択?)?\s?[:：]?"
    r"|选(?:择|项|D)?(?:是|为)?[:：]?(?=[\s(（*\"“]{0,4}[A-Za-zＡ-Ｚ])"
    r"|正解(?:は|:|：)|opción\scorrecta\ses|(?:结果|結果|值)(?:是|为|為)[:：]?|(?:정답|답)(?:은|는)?\s?[:：]?"
    r"|(?:respuesta|réponse|risposta|resposta|ntwort|твет)\b(?:\s\w+){0,2}?\s?(?:(?:est?|è|é|ist)\b|:)"
    r"(?:\s(?:la|le|el|die|der)\s(?:lettre|letra|lettera|option|opción|opção|opzione))?|####(?!#)"
)
_DENIED_LEAD = re.compile(
    r"\b(?:wrong|incorrect|false|bad|worst|tempting|common|not\s(?:the|an?|my)|(?:previously|initially|earlier)\s(?:said|thought|wrote)\s(?:that\s)?(?:the|my))\s\Z",
    re.IGNORECASE,
)
_FACTORIAL = re.compile(r"(?:(?:\A|[^A-Za-z\\])[a-z]|\))!\Z")
_COPULA = re.compile(r"(?:\*\*)?\s?(?:です|である)[.。]?\Z")
_PAUSE = re.compile(r"[ \t:*_：}\"'“]{0,8}")
MAX_MARKS = 32
"""Only the last announcements are read."""
_MATHS = re.compile(r"(\$\$?)([^$]{1,400})\1|\\\(([^$]{1,400}?)\\\)|\\\[([^$]{1,400}?)\\\]")
_MATHS_END = re.compile(r"\s*(?:\*\*)?(?:[.,;!]?\s*\Z|[.;!。]\s|[.,;!。]?\n|,?\s+(?:because|since)\b|。)")
_JSON_VALUE = re.compile(r"\s*(\"(?:[^\"\\]|\\.){0,400}\"|\[[^\[\]]{0,400}\]|[^,}\n]{1,200})")
_SENTENCE_END = re.compile(
    r"(?<!\b[a-z])(?<!\b[DMS][rst])(?<!\bMrs)(?<!\bProf)[.!?。]['\")*]{0,3}\s+(?=[A-Z\\(*#\[\"'])|[。！？]|\s#{2,4}\s"
)
_REASON = re.compile(
    r"[,;]?\s+(?:because|since|so\sthat|ya\sque|porque|puisque|parce\sque|weil|denn|car|perché|poiché|pois|which\s(?:is|means|matches|corresponds)|as\s(?:it|the|we|this))\b|[,，](?:因为|因此|所以)",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r",\s(?:and\s|with\s)?(?:as\sa\scheck|to\scheck|for\s(?:comparison|reference)|by\sthe\sway|incidentally)\b"
    r"|\s\((?:that\sis|i\.e\.|approx|about\b|roughly|\$?\\approx|\$?≈)",
    re.IGNORECASE,
)
_CONTRAST = re.compile(r"(?<=\S)(?:,\s(?:and\s)?|\s\()(?:not|nicht|non|pas|y\sno)\s", re.IGNORECASE)
_FILLER = re.compile(
    r"(?:(?:therefore|thus|hence|then|simply|clearly|just|indeed|exactly|definitely|obviously|equal\sto|given\sby|going\sto\sbe"
    r"|approximately|roughly|about|around|either\sway|that|:|：|是|为|应该是|约为?|大约|共有?|一共有?|等于)(?![A-Za-z])[,:]?\s*)+",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"(?:definitely |certainly |clearly |simply )?(?:not|never|no longer|neither|不是|不为)\b\s*", re.IGNORECASE
)
_STATED = re.compile(r"(?:(?:[A-Za-z]+|\$[^$\n]{1,30}\$)\s+){1,12}?(?:is|are|equals)\s+(?=[^A-Za-z]|\\)", re.IGNORECASE)
_PROSE = re.compile(
    r"(?:(?:also |still |now )?(?:correct|right|clear|verified|reasonable|consistent|confirmed|valid|unique|simple"
    r"|in|as|given|obtained|found|above"
    r"|below|expected|an?\s(?:integer|fraction|number|decimal)|supposed|required|rounded|usually|often|already|based|derived"
    r"|one\sof|among|what|why|how|whether|that|the\s(?:same|following|sum|number\sof|option|one))\b)|[\s.]*\Z",
    re.IGNORECASE,
)
_THREE_WORDS = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_CLAUSE = re.compile(rf"{_THREE_WORDS.pattern}|\A[A-Za-z]{{2,}}\s+[a-z]{{2,}}\s+(?=[$€£\\\d-])")
_LATEX_WORD = re.compile(r"\\[A-Za-z]+")
_EMPHASIS = re.compile(r"(?<![\w*\\)}])(\*\*|\*)(?=[^\s*])([^*\n]{1,200}?)(?<=[^\s*])\1(?![\w*(])")
_BOLD_FIRST = re.compile(
    r"(?:\*\*)?(?P<value>[^*\n]{0,40}\d[^*\n]{0,40})\*\*(?!\s(?:or|and|o|oder|ou|to|of|plus|minus|times)\b)(?:\s[^\W\d_]+){1,6}[.!]?\Z"
)
"""540 metres, of "**540 metres** a week"; the pause before it may have taken the mark that opens it."""
_HEADING = re.compile(r"#{1,3}\s|(?:step|part|case)\b|[^\n$\\\d]{3,}[:：]?\s*\Z", re.IGNORECASE)
_FORMULA_FIRST = re.compile(r"\A(\$[^$\n]{1,200}\$)\s(?:directed|pointing|upwards?|downwards?|inclusive)\b[a-z\s]*\Z")
_TRAIL = re.compile(
    r"\s+(?:in\s(?:total|all|the\send|length|area)|altogether|left|remaining|each|for|when|where|that|who|with|on|at|by|after"
    r"|before|during|respectively)\b[^\d$\\]*\Z",
    re.IGNORECASE,
)
_LETTER_AND_TEXT = re.compile(r"[*(]{0,3}[A-Za-z][.:)*]{1,4}\s*(?:(?!\b[A-Z]\b)[^.!?。]){1,80}[.*]{0,3}\s*")
_HEDGE = re.compile(r"\b(?:or|not|if|unless|either|maybe|perhaps|possibly|and)\b", re.IGNORECASE)


def announced(text: str, kind: str) -> str | None:
    """Return what the last announcement of an answer says; None if there is none, or if it was withdrawn.

    Example:
        >>> announced("The answer is 5. Check: it is in range.", "math"), announced("Answer: $\\\\frac{1}{2}$.", "math")
        ('5', '\\\\frac{1}{2}')
        >>> announced("The answer is 5. No, the answer is not 5.", "math") is None
        True
    """
    found = last_announcement(text, kind)
    return None if found is None else found[0]


def last_announcement(text: str, kind: str) -> tuple[str, int] | None:
    """Return what the last announcement says, and the index at which it ends."""
    denied: set[str] = set()
    prose: tuple[str, int] | None = None
    for mark in reversed(_marks(text)):
        content = _content(text, mark, kind)
        if content is None:
            continue
        negated = _NEGATED.match(content)
        found = content, max(mark.end, text.find(content, mark.end)) + len(content)
        if mark.is_denied or (negated is not None and kind not in ("text", "bool")):
            denied.add(_key(content[negated.end() if negated else 0 :]))
            prose = prose or found
        elif _key(content) in denied:
            return None
        elif _PROSE.match(content) and not re.match(r"in(?:ches)?\s?\d", content):
            prose = prose or found
        else:
            return found
    return prose if not denied else None


def is_denied_in(text: str, answer: str, kind: str) -> bool:
    """True if an announcement rules an answer out: "The answer is not 5"."""
    return any(
        _key(content[negated.end() :]) == _key(answer)
        for mark in _marks(text)
        if (content := _content(text, mark, kind)) is not None and (negated := _NEGATED.match(content)) is not None
    )


class _Mark(NamedTuple):
    """Where an announcement ends and its answer begins; `value` is set if the announcement is a JSON key."""

    end: int
    value: int | None = None
    is_hash: bool = False
    is_denied: bool = False


def _marks(text: str) -> list[_Mark]:
    """Find the announcements; keywords are searched first, since most of a response contains none."""
    marks: list[_Mark] = []
    for keyword in list(_KEYWORD.finditer(text))[-4 * MAX_MARKS :]:
        mark = _mark_at(text, keyword.start(), keyword[0])
        if mark is not None and (not marks or mark.end > marks[-1].end):
            marks.append(mark)
    return marks[-MAX_MARKS:]


def _mark_at(text: str, start: int, keyword: str) -> _Mark | None:
    """Read the announcement that a keyword begins; None if it begins none."""
    before = text[max(0, start - 40) : start]
    if keyword[0] in "aAfF":
        found = None if before[-1:].isalpha() else _ANSWER.match(text, start)
        if found is None or _is_no_announcement(found[0], before):
            return None
        if (quote := found["quote"]) and before.lower().removesuffix("final_").removesuffix("final ")[-1:] == quote:
            return _Mark(found.end(), value=found.end("quote"))
    elif keyword[0] in "oOcClsa" and keyword[0].isascii():
        is_led = _CHOICE_LEAD.search(before) or (keyword in ("option", "choice") and _SENTENCE_LEAD.search(before))
        found = _CHOICE.match(text, start) if is_led else None
    else:
        found = None if before.endswith("#" if keyword == "####" else "不") else _OTHER.match(text, start)
        if (
            found is not None
            and found[0][:2] != "答案"
            and keyword == "答"
            and before[-1:] not in ("", *"\n 回解。、，,")
        ):
            found = None
    if found is None:
        return None
    pause = _PAUSE.match(text, found.end())
    is_denied = _DENIED_LEAD.search(before) is not None
    return _Mark(pause.end() if pause else found.end(), is_hash=keyword == "####", is_denied=is_denied)


def _is_no_announcement(said: str, before: str) -> bool:
    """True for "answer" at the end of a line of prose, and for "I will answer 3 questions"."""
    if said.endswith("\n"):
        return _HEADING_LEAD.fullmatch(before.rpartition("\n")[2]) is None
    return said[-1:].isspace() and _IN_SENTENCE.search(before) is not None


def _key(content: str) -> str:
    return re.sub(r"[\s$*.\\(){}]", "", content).casefold()


def _content(text: str, mark: _Mark, kind: str) -> str | None:
    """Read from a mark to the end of its sentence; None for a heading, a question, or an empty rest."""
    if mark.value is not None:
        return _from_json(text[mark.value : mark.value + MAX_CHARS])
    rest = text[mark.end : mark.end + MAX_CHARS]
    if mark.is_hash and kind != "text" and "\n" in rest.strip() and _HEADING.match(rest.split("\n", 1)[0].strip()):
        return None
    rest = rest.strip().removeprefix("> ")
    filler = _FILLER.match(rest)
    rest = rest[filler.end() :] or rest if filler else rest
    maths = _MATHS.match(rest)
    if maths is not None and _MATHS_END.match(rest[maths.end() :]):
        return next(group for group in maths.groups()[1:] if group is not None).strip() or None
    rest = rest.split("\n", 1)[0]
    if kind in ("mcq", "text") and rest.count("**") % 2:  # the pause took the mark that opens it
        rest = rest.replace("**", "", 1) if kind == "mcq" and rest[1:3] == "**" else rest.split("**", 1)[0]
    if kind in ("math", "numeric") and (bold := _BOLD_FIRST.match(rest)) is not None:
        return bold["value"]
    if kind == "mcq" and _LETTER_AND_TEXT.fullmatch(rest):
        return without_emphasis(rest.strip())
    for cut in (_SENTENCE_END, _ASIDE, _REASON, _CONTRAST, CIRCUMSTANCE):
        found = cut.search(rest)
        if found is not None and found.start() and found.group()[0] in "?？":
            return None
        rest = rest[: found.start()] if found else rest
    rest = without_emphasis(_COPULA.sub("", rest.strip())).strip().rstrip("*_")
    rest = rest.rstrip("." if _FACTORIAL.search(rest) else ".。！!").strip("*_ ")
    if not rest or rest.endswith(("?", "？")):
        return None
    if kind not in ("math", "numeric") or len(rest) >= 400:
        return rest
    stated = value_stated(rest)
    is_sentence = _CLAUSE.search(_LATEX_WORD.sub(" ", stated)) is not None and not _NEGATED.match(stated)
    return (closing_value(stated, is_announced=True) if is_sentence else None) or stated


def _from_json(text: str) -> str | None:
    found = _JSON_VALUE.match(text.split(":", 1)[1] if ":" in text[:6] else text)
    if found is None:
        return None
    try:
        value = json.loads(found[1])
    except ValueError:
        return found[1].strip(" \"'")
    return value if isinstance(value, str) else found[1].strip()


def value_stated(line: str) -> str:
    """Take 12 from "the area is 12" and from "12 in total": the value in a short statement, if no word follows it."""
    stated = _STATED.match(line)
    if stated is not None and not re.search(r"\b(?:not|if|unless|no)\b", stated.group(), re.IGNORECASE):
        line = line[stated.end() :]
    line = _FORMULA_FIRST.sub(r"\1", line)
    tail = _TRAIL.search(line)
    return (
        line
        if tail is None or not re.search(r"\d|\\|\$", line[: tail.start()]) or _HEDGE.search(line)
        else line[: tail.start()]
    )


def without_emphasis(text: str) -> str:
    """Strip Markdown's bold and italics from whole words: 64 + 67 = **131**; 2**3 stays.

    Example:
        >>> without_emphasis("64 + 67 = **131**"), without_emphasis("2**3*4")
        ('64 + 67 = 131', '2**3*4')
    """
    return _EMPHASIS.sub(r"\2", text) if "*" in text else text


def is_value(text: str, kind: str) -> bool:
    """True for text that can be an answer by itself rather than a remark."""
    text = text.strip()
    if not text or len(text) > 200 or _PROSE.match(text) or _NEGATED.match(text):
        return False
    if kind == "mcq":
        return re.match(r"(?:option |choice )?[(\[*（]*[A-Za-z][)\]*）]*(?:[.:,)]|\Z|\s)", text) is not None
    if kind in ("math", "numeric"):
        has_value = re.search(r"\d|\\[A-Za-z]|\A[A-Za-z]\Z|=", text) is not None
        return has_value and _THREE_WORDS.search(_LATEX_WORD.sub(" ", text)) is None
    return len(text.split()) <= 6
