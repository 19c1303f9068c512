"""Multiple choice: which letters did an answer choose?

A letter counts where it is marked as one: alone, in brackets, behind "option", or before a full stop, a colon or a
bracket. "A dog is next to B" and "I think it is B" choose nothing, "A or B" chooses two, and the text of an option
chooses that option if no other has it. A letter with the text of another option chooses nothing.

Not here: values of options that need sympy (`decide`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import ascii_uppercase

from nearfuture.tasks.verify.latex import plain
from nearfuture.tasks.verify.reading import MAX_RAW_CHARS

Options = tuple[tuple[str, str], ...]

DEFAULT_LETTERS = ascii_uppercase[:10]
_LEAD = re.compile(
    r"(?:(?:the )?(?:correct |right |best |final )?(?:option|choice|answer|letter)s?(?: is| are)?:? )+", re.IGNORECASE
)
_LETTER = re.compile(r"[(\[{]?\s?([A-Za-z])\s?[)\]}]?[.:,]?")
_LETTER_AND_TEXT = re.compile(r"(?:[(\[]\s?([A-Za-z])\s?[)\]][.:]?|([A-Za-z])\s?[.:)])\s*(\S.*)", re.DOTALL)
_SEVERAL = re.compile(r"[(\[]?[A-Z][)\]]?(?:\s?(?:,|;|and|&|\s)\s?(?:and )?[(\[]?[A-Z][)\]]?)+|[A-Z]{2,6}")
_STANDALONE = re.compile(r"(?<![A-Za-z'])([B-HJ-Z])(?![A-Za-z'])")
_MARKUP = re.compile(
    r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it)|mbox)\s?\{([^{}]*)\}"
    r"|\*\*|\$|\\[()\[\]]|\\q?quad(?![a-z])|\\[,;: ]|[`\"“”]"
)


def read_options(options: Sequence[str] | Mapping[str, str] | None) -> Options | None:
    """Give every option its letter: texts in order, or a mapping of letters to texts."""
    if not options:
        return None
    if isinstance(options, Mapping):
        return tuple((str(letter).strip().upper(), str(text)) for letter, text in options.items() if text is not None)
    return tuple(
        (letter, _without_letter(str(text), letter)) for letter, text in zip(ascii_uppercase, options, strict=False)
    )


def _without_letter(text: str, letter: str) -> str:
    """Take the letter off an option that brings its own: "B. 12"."""
    return re.sub(rf"^\s*(?:\({letter}\)|{letter}[.):])\s*(?=\S)", "", text)


def chosen_letters(text: str, options: Options | None) -> frozenset[str]:
    """Read the letters an answer chooses; empty where it chooses nothing that can be told.

    Example:
        >>> sorted(chosen_letters("\\\\text{(B)}", None)), sorted(chosen_letters("A dog is next to B", None))
        (['B'], [])
    """
    return _letters_of(text, options) if len(text) <= MAX_RAW_CHARS else frozenset()


@lru_cache(maxsize=4096)
def _letters_of(text: str, options: Options | None) -> frozenset[str]:
    letters = {letter for letter, _ in options} if options else set(DEFAULT_LETTERS)
    for _ in range(2):
        text = _MARKUP.sub(lambda mark: mark[1] or "", text)
    text = " ".join(text.split()).strip(" .,;:")
    text = _LEAD.sub("", text, count=1) if _LEAD.match(text) else text
    alone = _LETTER.fullmatch(text)
    if alone is not None:
        return frozenset({alone[1].upper()} & letters)
    return _by_text(text, options) or _letter_with_text(text, letters, options) or _several(text, letters)


def _by_text(text: str, options: Options | None) -> frozenset[str]:
    said = plain(text)
    same = [letter for letter, option in options or () if plain(option) == said and said]
    return frozenset(same) if len(same) == 1 else frozenset()


def _letter_with_text(text: str, letters: set[str], options: Options | None) -> frozenset[str]:
    match = _LETTER_AND_TEXT.fullmatch(text)
    if match is None:
        letter, _, said = text.partition(" ")
        is_own = letter in letters and said and plain(said) == plain(dict(options or ()).get(letter, ""))
        return frozenset({letter}) if is_own else frozenset()
    letter, said = (match[1] or match[2]).upper(), match[3]
    other = _by_text(said, options)
    if letter not in letters or (other and other != {letter}):
        return frozenset()
    own = dict(options or ()).get(letter, "")
    is_own = plain(said) == plain(own)
    has_rival = any(found in letters and found != letter for found in _STANDALONE.findall(said))
    return frozenset() if has_rival and not is_own else frozenset({letter})


def _several(text: str, letters: set[str]) -> frozenset[str]:
    """Read a list of letters, for questions with several right options."""
    if _SEVERAL.fullmatch(text) is None or re.search(r"\bor\b", text):
        return frozenset()
    found = re.findall(r"[A-Z]", text)
    return frozenset(found) if set(found) <= letters and len(set(found)) == len(found) else frozenset()
