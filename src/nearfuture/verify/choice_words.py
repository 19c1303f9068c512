"""The words around a letter: "The correct option is", "I choose", "故选", "is the best answer", fonts and brackets.

    rejected    "A is wrong", "not B", "rather than C", "B、C错误": the rivals that an answer names only to reject them

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
NOUN = (
    r"(?:options?|choices?|answers?|letters?|alternatives?|statement|response|ans|opt|opción|opzione|opção"
    r"|选项|選項|答案|选择)"
)
_LEAD = re.compile(
    rf"(?:(?:so|thus|therefore|hence|then|因此|所以|故)\b[, ]*)?(?:my |the )?"
    r"(?:(?:only |most )?(?:correct|right|best|final|true|appropriate|正确)\s?)*"
    rf"(?:{NOUN})(?:\s?(?:{IS}|是|为|應為|应为|应该是|选|:|=))*\s?(?:the )?(?:(?:option|choice|letter|选项)\s)?"
    r"|(?:so|thus|therefore|hence|then|因此|所以|故|应|應)[,:]? ?"
    r"|(?:(?:故|应|应该|因此|所以|本题|我)?(?:选择|选|選))[:：]?\s?"
    r"|(?:i(?:'d|'ll| would| will| must)?|we|let's)\s(?:choose|select|pick|go with|say|answer|vote for|opt for)\s"
    r"(?:option |choice |answer |letter |the )*"
    r"|(?:only |we are left with |(?:this |which )?leav(?:es|ing) )(?:only )?(?:us )?(?:with )?(?:option |choice )?"
    r"|(?:it(?:'s| is| must be| should be)|that(?:'s| is)|this is|choose|select|pick|should be|must be)\s"
    r"(?:option |choice |the )*",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"\s?(?:です|でしょう|选项|選項|项|項|(?:选?项)?(?:是)?(?:正确|对)的?|is (?:the |therefore |thus )?(?:only |most )?"
    r"(?:correct|right|best|true|answer|appropriate|accurate)(?: (?:answer|option|choice|one|statement|response))?)\Z",
    re.IGNORECASE,
)
MAX_CHARS = 600
"""A longer answer is not read as a choice with a few rejected rivals beside it."""
_LETTER = r"(?<![A-Za-z'])\(?[A-Z]\)?(?![A-Za-z'])"
_BESIDE = r"(?:\s?\([^()]{1,60}\))?"
_LETTERS = (
    rf"(?:{NOUN}\s?)?{_LETTER}{_BESIDE}"
    rf"(?:\s?(?:,|/|&|and|or|nor|和|与|或|及)\s?(?:(?:and|or|nor|not|{NOUN})\s)*{_LETTER}{_BESIDE}){{0,8}}"
)
_TO_CLAUSE_END = (
    r"[^.;:!?]*?(?=[.;:!?]|,? ?\b(?:so|thus|hence|therefore|but|leaving|which leaves)\b|, ?(?:we|I|it|the)\b"
    r"|,? ?(?:故|所以|因此|选|應|应)|\Z)"
)
_IS_WRONG = (
    r"\s?(?:(?:is|are|was|were)\s(?:\w+ly\s|also\s|all\s|both\s|thus\s)*"
    r"(?:wrong|incorrect|false|not|too|irrelevant|out|eliminated|excluded|ruled out|invalid|impossible|inaccurate)\b"
    r"|(?:isn|aren|does|do|can|could)(?:n't|'t| not)\b|cannot\b|(?:fails?|contradicts?|violates?)\b"
    r"|(?:选项|项|都|均|是|也|为)*(?:错|不对|不正确|不符|不成立|不合))"
)
_IS_SOMETHING = (
    r"\s(?:is|are|was|were|has|have|holds?|does|do|describes?|would)\b"
    r"(?![^.;]*\b(?:also|too|correct|right|true|possible|plausible|likely|well|both|answer|best|but|equally)\b)"
)
_NOT = (
    r"(?:\b[Nn]ot|n't(?: be)?|\bcannot be|\brather than|\binstead of|\bunlike|\bother than"
    r"|而不是|而非|不是|不选|并非|排除了?|\brul(?:e|es|ed|ing) out"
    r"|\b(?:eliminat|exclud|discard|reject|dismiss)\w*)\s?(?:either |both )?"
    r"(?:(?:[\w'-]+ ){1,6}(?=\([A-Z]\)))?"
)
_REJECTED = re.compile(
    rf"(?P<wrong>{_LETTERS}){_IS_WRONG}{_TO_CLAUSE_END}"
    rf"|(?:(?<=[;.]\s)|\b(?:while|whereas|since|because|as)\s)(?P<besides>{_LETTERS}){_IS_SOMETHING}{_TO_CLAUSE_END}"
    rf"|{_NOT}(?P<negated>{_LETTERS})(?!\s\w+ (?:is|are)\b){_TO_CLAUSE_END}"
)


def without_rejected(text: str) -> tuple[str, frozenset[str]]:
    """Remove the clauses that reject a letter or describe other options than the answer, and list their letters.

    Example:
        >>> without_rejected("B - not A, since A is heavier")
        ('B', frozenset({'A'}))
    """
    if len(text) > MAX_CHARS:
        return text, frozenset()
    rejected: set[str] = set()

    def drop(mark: re.Match[str]) -> str:
        letters = mark["wrong"] or mark["besides"] or mark["negated"]
        rejected.update(letter.strip("()") for letter in re.findall(_LETTER, letters))
        return " "

    rest = _REJECTED.sub(drop, text)
    return " ".join(rest.split()).strip(" .,;:-").removeprefix("but "), frozenset(rejected)


def cleaned(text: str) -> str:
    """Strip fonts, quotes and Markdown; brackets of all kinds become parentheses."""
    text = unicodedata.normalize("NFKC", text)
    for _ in range(3):
        text = _MARKUP.sub(lambda mark: f" {mark[1]} " if mark[1] else "", text)
    return " ".join(text.translate(_BRACKETS).split()).strip(" .,;:。、").replace("、", ",").replace("。", ". ")


def without_lead(text: str) -> str:
    """Strip "the correct option is", "I choose" and "is correct"."""
    for _ in range(3):
        lead = _LEAD.match(text)
        if lead is None or not lead.end() or lead.end() == len(text):
            break
        text = text[lead.end() :].strip()
    return _TAIL.sub("", text).strip(" .,;:")
