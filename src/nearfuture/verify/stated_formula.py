"""The formula that a last sentence states without delimiters, or of which only a part has them.

    "The exact value is sqrt(2)/2."                sqrt(2)/2
    "The roots are x = -2, x = 1 and x = 3."       x = -2, x = 1 and x = 3
    "So x = pi/6 + n*pi, where n is any integer."  x = pi/6 + n*pi, where n is any integer

Everything behind the last verb up to the end of the sentence must be mathematics, and nothing before the verb may ask,
assume, doubt or deny.

Not here: a last value (`closing`), a phrase or a number in words (`last_sentence`).
"""

from __future__ import annotations

import re

from nearfuture.verify.closing import CIRCUMSTANCE, is_doubtful
from nearfuture.verify.functions import FUNCTIONS
from nearfuture.verify.last_sentence import last_sentence
from nearfuture.verify.lines import without_emphasis
from nearfuture.verify.parameters import parameter, without_parameter
from nearfuture.verify.units import split_unit

MAX_CHARS = 200
_VERB = re.compile(
    r"(?:\b(?:is|are|be|equals?|gives?|yields?|becomes|says|get|obtain|have|(?:holds|satisfied|true|valid)\s(?:exactly\s|precisely\s|only\s)?(?:when|for|if))\b|[:：→⇒⟹↦]|\\(?:Rightarrow|implies)(?![a-z])|(?<!\\)->|,(?=\s\$?[A-Za-z]{1,2}(?:\([a-z]\))?\s?=))"
    r"(?:\s(?:equal\sto|given\sby|then|thus|therefore|just|simply|exactly|precisely|the\s(?:\w+\s)?(?:interval|set|point|vector"
    r"|pair|expression|function|polynomial|equation)|those\s(?:of\sthe\sform\s)?|of\sthe\sform)\b)*\s+(?=\S)"
)
_LEAD = re.compile(
    r"(?:(?:so|thus|therefore|hence|finally|solving|consequently|we\s(?:get|have|obtain|find))(?![a-z])[,:]?\s+)+",
    re.IGNORECASE,
)
_SET = re.compile(
    r"\A(?:all|any|every)\s(?:real\s)?(?:numbers?|reals?|values?)?\s?(?:of\s)?(?:\$?[a-z]\$?\s)?"
    r"(?:except|but|other\sthan|excluding|with|such\sthat|satisfying)(?:\sfor)?\s"
)
_STEP = re.compile(r"[⇒→⟹↦]|\\(?:Rightarrow|implies|to|iff)(?![a-z])")
_FOREIGN = re.compile("[\u00c0-\u024f\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
"""Letters that are no mathematics: accents, Cyrillic, Japanese, Chinese, Korean."""
_UNIT = re.compile(r"(?<=[\dA-Za-zπ)}$])\s((?:cubic|square)\s[a-z]{3,12}|[a-z]{3,12}(?:\sper\s[a-z]{3,8})?)\Z")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{2,}")
_MATHS = re.compile(r"\d|\\[A-Za-z]|[-+=^<>≤≥∈∪√π!/]")
_KNOWN = frozenset(FUNCTIONS) | {"pi", "mod", "or", "and", "oo", "inf", "infinity"}


def stated_formula(text: str) -> str | None:
    """Return the formula that a last sentence states; None if it is not one formula, or is doubted.

    Example:
        >>> stated_formula("We simplify. The exact value is sqrt(2)/2."), stated_formula("Expanding gives x² + x - 2.")
        ('sqrt(2)/2', 'x² + x - 2')
        >>> stated_formula("Check whether it is x/2."), stated_formula("It is 3 more than x.")
        (None, None)
    """
    text = text.rstrip(" \n∎□■")
    sentence = last_sentence(text, is_whole=True)
    if sentence is None or parameter(sentence.rstrip(" .")) is None:
        sentence = last_sentence(text)
    if sentence is None or sentence.endswith(("?", "？")):
        return None
    said = CIRCUMSTANCE.sub("", without_emphasis(sentence).replace("`", "")).rstrip(" .。")
    said = re.sub(r"(?<=[\d)])!+\Z", "", said)
    lead = _LEAD.match(said)
    places = [(0, 0 if lead is None else lead.end()), (0, 0), *(mark.span() for mark in _VERB.finditer(said))]
    for verb, start in places:
        formula = said[start:].strip()
        if _is_formula(formula):
            return None if is_doubtful(said[:verb]) else formula
    return None


def _is_formula(text: str) -> bool:
    """True if a text has something to calculate with and no words but those of mathematics."""
    bare = without_parameter(_SET.sub("", text))
    if (tail := _UNIT.search(bare)) is not None and split_unit(f"1 {tail[1]}")[1] is not None:
        bare = bare[: tail.start()]
    if not 0 < len(bare) <= MAX_CHARS or not _MATHS.search(bare) or bare.count("$") % 2:
        return False
    if _FOREIGN.search(bare) or _STEP.search(bare):
        return False
    words = _WORD.findall(_COMMAND.sub(" ", re.sub(r"\\(?:text|mathrm|operatorname)\s?\{[^{}]*\}", " ", bare)))
    return all(word in _KNOWN or _is_product(word) for word in words) and not re.match(r"[-+*/^=<>]?\s*\Z", bare)


def _is_product(word: str) -> bool:
    """True for two letters side by side that are no English word: xy, kx, AB."""
    return len(word) == 2 and word.lower() not in _SHORT_WORDS


_SHORT_WORDS = frozenset(
    "is it in of to by at as an be we he if no so on up us my do go me am a i km cm mm kg ml".split()
)
