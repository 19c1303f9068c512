"""The words around a letter: "The correct option is", "I choose", "故选", "is the best answer", fonts and brackets.

Not here: what the letter and a text beside it mean (`choices`).
"""

from __future__ import annotations

import re
import unicodedata

_MARKUP = re.compile(
    r"\\(?:text(?:bf|it|rm|sf)?|math(?:rm|bf|it|sf|bb)|mbox|boxed|bf|rm)\s?\{([^{}]*)\}"
    r"|\*\*|\$|\\[()\[\]]|\\q?quad(?![a-z])|\\[,;:! ]|\\(?:left|right|big|Big)(?![a-z])"
    r"|[`\"“”‘’]|(?<!\w)'|'(?!\w)|~|\\(?=[{}])"
)
_BRACKETS = str.maketrans("【】「」『』〔〕[]{}–—−", "()()()()()()---")
IS = r"(?:is|are|was|would be|should be|must be|will be|has to be)"
NOUN = r"(?:options?|choices?|answers?|letters?|alternatives?|statement|response|ans|opt|选项|選項|答案|选择)"
_LEAD = re.compile(
    rf"(?:(?:so|thus|therefore|hence|then|因此|所以|故)\b[, ]*)?(?:my |the )?"
    r"(?:(?:only |most )?(?:correct|right|best|final|true|appropriate|正确)\s?)*"
    rf"(?:{NOUN})(?:\s?(?:{IS}|是|为|應為|应为|应该是|选|:|=))*\s?(?:the )?(?:(?:option|choice|letter|选项)\s)?"
    r"|(?:so|thus|therefore|hence|then|因此|所以|故|应|應)[,:]? ?"
    r"|(?:(?:故|应|应该|因此|所以|本题|我)?(?:选择|选|選))[:：]?\s?"
    r"|(?:i(?:'d|'ll| would| will| must)?|we|let's)\s(?:choose|select|pick|go with|say|answer|vote for|opt for)\s"
    r"(?:option |choice |answer |letter |the )*"
    r"|(?:it(?:'s| is| must be| should be)|that(?:'s| is)|this is|choose|select|pick|should be|must be)\s"
    r"(?:option |choice |the )*",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"\s?(?:选项|選項|项|項|is (?:the |therefore |thus )?(?:only |most )?"
    r"(?:correct|right|best|true|answer|appropriate|accurate)(?: (?:answer|option|choice|one|statement|response))?)\Z",
    re.IGNORECASE,
)


def cleaned(text: str) -> str:
    """Take off fonts, quotes and Markdown; brackets of all kinds become parentheses."""
    text = unicodedata.normalize("NFKC", text)
    for _ in range(3):
        text = _MARKUP.sub(lambda mark: f" {mark[1]} " if mark[1] else "", text)
    return " ".join(text.translate(_BRACKETS).split()).strip(" .,;:。、").replace("、", ",").replace("。", ". ")


def without_lead(text: str) -> str:
    """Take off "the correct option is", "I choose" and "is correct"."""
    for _ in range(3):
        lead = _LEAD.match(text)
        if lead is None or not lead.end() or lead.end() == len(text):
            break
        text = text[lead.end() :].strip()
    return _TAIL.sub("", text).strip(" .,;:")
