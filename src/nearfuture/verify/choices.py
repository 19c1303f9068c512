"""Multiple choice: which letters did an answer choose?

    letter       D   (D)   Option D   D.   【D】   选D   D is correct   I choose D
    text         frontal lobe (exactly one option has it)      the third option, 3 (options that are not numbers)
    both         D. frontal lobe   D (frontal lobe)   D, frontal lobe   frontal lobe (D)
    several      A, C   A and C   AC   for questions with several right options

A letter counts only where it is marked as one: "A dog is next to B" chooses nothing. Neither does a letter beside the
text of another option, a negated letter ("not A"), or an undecided answer ("A or B").

Not here: the words around a letter (`choice_words`), options that need sympy (`decide`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from string import ascii_uppercase

from nearfuture.types import UserError
from nearfuture.verify.choice_words import IS, NOUN, cleaned, without_lead, without_rejected
from nearfuture.verify.last_sentence import bold_statement, last_sentence, mentioned
from nearfuture.verify.latex import plain
from nearfuture.verify.numbers import read_number
from nearfuture.verify.reading import MAX_RAW_CHARS

Options = tuple[tuple[str, str], ...]

DEFAULT_LETTERS = ascii_uppercase[:10]
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_BARE = re.compile(r"\(?\s?([A-Za-z])\s?\)?[.:,;)]?")
_BEFORE_TEXT = re.compile(
    r"(?:\(\s?(?P<inner>[A-Za-z])\s?\)\s?[.:,=-]?|(?P<strong>[A-Za-z])\s?[.:)](?=\D|\s)|(?P<weak>[A-Za-z])(?:\s?[,=]|\s?-(?=\s)|(?=\s?\()|(?=\s(?:because|since|as)\s)))\s*"
    r"(?P<said>\S.*)",
    re.DOTALL,
)
_BEHIND_TEXT = re.compile(
    r"(?P<said>.*?\S)\s?(?:,? ?(?:which is |i\.e\.,? |that is,? )?"
    rf"(?:\(\s?(?:{NOUN}\s)?(?P<inner>[A-Z])\s?\)|{NOUN}\s\(?(?P<named>[A-Z])\)?)|\s?[-,:=]\s?(?P<weak>[A-Z]))\.?",
    re.DOTALL | re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\(?[A-Z]\)?(?:(?:\s?[,;&和与]\s?(?:and )?|\sand\s|\s)\(?[A-Z]\)?){1,25}|\(?[A-Z](?:\s?,\s?[A-Z])+\)|[A-Z]{2,6}"
)
_RIVAL = re.compile(
    r"(?<![A-Za-z'\d])(A)(?=[;:,]\s|\s(?:is|or|and)\b)|(?<![A-Za-z'\d])([B-HJ-Z])(?![A-Za-z'\d])|\(([A-Z])\)|\b(?:option|choice)\s([A-Z])\b"
)
_CLAUSE = re.compile(r"\(?([A-Z])\)?\s?[-;,.]\s")
_OPEN = re.compile(
    r"\b(?:not|or|nor|either|neither|both|maybe|perhaps|possibly|except|unless|cannot|never|wrong|incorrect|false|unsure|unknown|eliminate\w*"
    r"|rule[sd]? out|instead|rather than|other than)\b|n't\b|\?|不|或|错",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"(?:ya que|porque|parce que|puisque|weil|because|since|as|for|due to|so|which|that|by|given|the reason|因为)\b",
    re.IGNORECASE,
)


def read_options(options: Sequence[str] | Mapping[str, str] | None) -> Options | None:
    """Give every option its letter: texts in order, a mapping of letters to texts, or the letters alone ("ABCD").

    Raises:
        UserError: the options have none of these forms.
    """
    if options is None or options == "":
        return None
    is_letters = isinstance(options, str) and ascii_uppercase.startswith(options)
    if not isinstance(options, Iterable) or (isinstance(options, str) and not is_letters):
        raise UserError(
            f"options={options!r} are not options. Give a list of texts, a mapping of letters to texts, or ABCD."
        )
    if isinstance(options, Mapping):
        named = (
            (str(letter).strip(" .():").upper(), str(text)) for letter, text in options.items() if text is not None
        )
        return tuple(named) or None
    lettered = zip(ascii_uppercase, options, strict=False)
    return tuple((letter, _without_letter(str(text), letter)) for letter, text in lettered) or None


def _without_letter(text: str, letter: str) -> str:
    """Strip the letter from an option that carries its own: "B. 12"."""
    return re.sub(rf"^\s*(?:[(（]{letter}[)）]|{letter}\s?[.):：、．,])\s*(?=\S)", "", text)


def chosen_letters(text: str, options: Options | None) -> frozenset[str]:
    """Read the letters that an answer chooses; empty if the choice is unclear.

    Example:
        >>> sorted(chosen_letters("\\\\text{(B)}", None)), sorted(chosen_letters("A dog is next to B", None))
        (['B'], [])
    """
    return _letters_of(text, options) if len(text) <= MAX_RAW_CHARS else frozenset()


@lru_cache(maxsize=4096)
def _letters_of(text: str, options: Options | None) -> frozenset[str]:
    letters = {letter for letter, _ in options} if options else set(DEFAULT_LETTERS)
    chosen = _read_letters(cleaned(text), letters, options) or _by_text(cleaned(bold_statement(text) or ""), options)
    if chosen:
        return chosen
    rest, rejected = without_rejected(cleaned(text.replace("，", "；")))
    if not rejected:
        return frozenset()
    said = without_lead(rest)
    clause = _CLAUSE.match(said)
    is_plain = clause is not None and not _OPEN.search(said) and not _rivals(said, clause[1], letters)
    chosen = _read_letters(clause[1] if clause and is_plain else rest, letters, options)
    return frozenset() if chosen & rejected else chosen


def _read_letters(text: str, letters: set[str], options: Options | None) -> frozenset[str]:
    by_text = _by_text(text, options)
    if by_text:
        return by_text
    said = without_lead(text)
    alone = _BARE.fullmatch(said)
    if alone is not None:
        return frozenset({alone[1].upper()} & letters)
    if said in letters:
        return frozenset({said})
    return (
        _by_text(said, options)
        or _by_number(text, said, options)
        or _several(said, letters)
        or _with_text(said, letters, options)
        or _in_sentence(text, letters, options)
        or _by_mention(text, letters, options)
    )


def _by_text(said: str, options: Options | None) -> frozenset[str]:
    """Find the one option that has this text, or this number."""
    said = plain(said)
    same = [letter for letter, option in options or () if said and plain(cleaned(option)) == said]
    return frozenset(same) if len(same) == 1 else frozenset()


def _by_number(text: str, said: str, options: Options | None) -> frozenset[str]:
    """Read "3", "(3)", "option 3" and "the third option", where the options themselves are not numbers."""
    if not options or any(re.search(r"\d", option) for _, option in options):
        return frozenset()
    number = re.fullmatch(r"\(?(\d{1,2})\)?[.)]?", said)
    ordinal = re.fullmatch(
        rf"(?:the )?({'|'.join(_ORDINALS)})(?: (?:option|choice|answer|one|statement))?", text, re.IGNORECASE
    )
    index = int(number[1]) if number else _ORDINALS.index(ordinal[1].lower()) + 1 if ordinal else 0
    return frozenset({options[index - 1][0]}) if 1 <= index <= len(options) else frozenset()


def _several(text: str, letters: set[str]) -> frozenset[str]:
    """Read a list of letters, for questions with several right options."""
    text = text[1:-1] if re.fullmatch(r"\([A-Z](?:\s?[,;]\s?[A-Z])+\)", text) else text
    if _SEVERAL.fullmatch(text) is None:
        return frozenset()
    found = re.findall(r"[A-Z]", text)
    return frozenset(found) if set(found) <= letters and len(set(found)) == len(found) else frozenset()


def _with_text(text: str, letters: set[str], options: Options | None) -> frozenset[str]:
    """Read a letter in front of the text of its option, or behind it."""
    for pattern in (_BEFORE_TEXT, _BEHIND_TEXT):
        match = pattern.fullmatch(text)
        if match is not None:
            groups = match.groupdict()
            letter = next(filter(None, (groups.get(name) for name in ("inner", "strong", "named", "weak"))))
            chosen = _agreeing(
                letter.upper(), groups["said"], bool(groups["weak"]), pattern is _BEFORE_TEXT, letters, options
            )
            if chosen or (pattern is _BEFORE_TEXT and _by_text(_unwrapped(groups["said"]), options)):
                return chosen
    letter, _, said = text.partition(" ")
    is_own = letter in letters and said and plain(said) == plain(cleaned(dict(options or ()).get(letter, "")))
    return frozenset({letter}) if is_own else frozenset()


def _agreeing(
    letter: str, said: str, is_weak: bool, is_before: bool, letters: set[str], options: Options | None
) -> frozenset[str]:
    """Accept a letter if the text beside it belongs to its option, or to no other option and retracts nothing."""
    if letter not in letters:
        return frozenset()
    is_bracketed = said.startswith("(") and said.endswith(")")
    said = _unwrapped(said)
    own = cleaned(dict(options or ()).get(letter, ""))
    if own and plain(said) == plain(own):
        return frozenset({letter})
    if (
        _by_text(said, options)
        or _differ(said, own)
        or _OPEN.search(_without(said, own))
        or _rivals(said, letter, letters)
    ):
        return frozenset()
    if _names_another(said, letter, options):
        return frozenset()
    if not is_before:
        return frozenset() if is_weak or options else frozenset({letter})
    is_sure = not is_weak or is_bracketed or _REASON.match(said) is not None or (not options and "=" not in said[:1])
    return frozenset({letter}) if is_sure else frozenset()


def _unwrapped(said: str) -> str:
    said = said.strip(" .,;:")
    return said[1:-1].strip() if said.startswith("(") and said.endswith(")") and said.count("(") == 1 else said


def _differ(said: str, own: str) -> bool:
    """True if both are numbers and they differ."""
    numbers = read_number(said), read_number(own)
    return numbers[0] is not None and numbers[1] is not None and numbers[0].value != numbers[1].value


def _rivals(said: str, letter: str, letters: set[str]) -> bool:
    alone = _BARE.fullmatch(said)
    found = {alone[1].upper()} if alone else {next(filter(None, groups)) for groups in _RIVAL.findall(said)}
    return bool((found & letters) - {letter})


def _in_sentence(text: str, letters: set[str], options: Options | None) -> frozenset[str]:
    """Read a sentence that names one letter as the answer: "the answer must be (B)", "B is the best fit"."""
    if _OPEN.search(text):
        return frozenset()
    named = re.findall(
        rf"\(([A-Z])\)|\b{NOUN}\s(?:{IS}\s)?\(?([A-Z])\b|\b{IS}\s(?:option\s)?([B-HJ-Z])\b(?![\s-]?[a-z]{{3}})|\b([B-HJ-Z])\sis\s(?:the\s)?(?:correct|right|best|answer|true)",
        text,
    )
    found = {next(filter(None, groups)) for groups in named}
    if len(found) != 1 or not found <= letters or _rivals(text, next(iter(found)), letters):
        return frozenset()
    letter = next(iter(found))
    return frozenset() if _names_another(text, letter, options) else frozenset({letter})


def _by_mention(text: str, letters: set[str], options: Options | None) -> frozenset[str]:
    """Find the only option whose text a sentence mentions, if the sentence names no letter."""
    if any(pattern.fullmatch(text) for pattern in (_BEFORE_TEXT, _BEHIND_TEXT)):
        return frozenset()
    texts = {letter: plain(cleaned(option)) for letter, option in options or ()}
    sentence = last_sentence(text, is_whole=True) or ""
    found = mentioned(plain(sentence), texts) or mentioned(plain(last_sentence(text) or ""), texts)
    if found is None or _rivals(_without(sentence, dict(options or ())[found]), found, letters):
        return frozenset()
    return frozenset({found})


def _without(text: str, option: str) -> str:
    """Remove the text of an option."""
    return re.sub(re.escape(cleaned(option)), " ", text, flags=re.IGNORECASE) if cleaned(option) else text


def _names_another(text: str, letter: str, options: Options | None) -> bool:
    """True if a sentence contains the text of another option, other than as a part of this letter's own text."""
    said = plain(text).replace(plain(cleaned(dict(options or ()).get(letter, ""))) or "\0", " ")
    others = [plain(cleaned(option)) for other, option in options or () if other != letter]
    return any(len(other) > 1 and re.search(rf"(?<!\w){re.escape(other)}(?!\w)", said) is not None for other in others)
