"""Answers with a parameter: `pi/3 + k pi` for every integer k, `cx` for any constant c. Its name is free.

Not here: the constant of integration (`compare_single`), what the rest of the answer means (`reading`).
"""

from __future__ import annotations

import re

from nearfuture.verify.functions import FUNCTIONS

_LETTER = r"(?<![A-Za-z\\])\$?(?P<{}>[A-Za-z])\$?"
_SORT = r"(?:arbitrary\s)?(?:integers?|constants?|reals?(?:\s(?:numbers?|constants?))?)"
_LEAD = r"\s*[,;]?\s*\(?\s?(?:(?:where|for|with|and)\s)?"
_NUMBERS = r"(?:\\(?:mathbb|mathbf|Bbb)\s?\{?\s?[ZRC]\s?\}?|\\[ZR]|[ℤℝℂ]|Z)"
_STATED = re.compile(
    rf"(?<=[^,(\s])(?:{_LEAD}(?:any|all|every|each|some|an?)\s{_SORT}\s{_LETTER.format('behind')}"
    rf"|{_LEAD}(?:(?:any|all|every|each)\s)?{_LETTER.format('member')}\s?(?:∈|\\in(?![a-z]))\s?{_NUMBERS}\$?(?:\s?(?:is\s)?arbitrary)?"
    rf"|{_LEAD}{_LETTER.format('before')}\s(?:(?:is|being)\s)?(?:(?:an?|any)\s)?{_SORT}(?:\sof\sintegration)?)\s?\)?\Z"
)
_DECLARES = re.compile(r"∈|\\in(?![a-z])|integer|constant|arbitrary|real")
_WORD = re.compile(r"\\[A-Za-z]+|[A-Za-z]+")
_OF_INTEGERS = re.compile(r"integer|(?<![A-Za-z])Z(?![A-Za-z])|ℤ")
_CONSTANTS = frozenset("CcKA")
_USUAL = frozenset("kmn")
"""Names of integers that are nothing else, where the text does not say what they are."""


def may_declare(text: str) -> bool:
    """False for a text that surely declares no parameter: a cheap test, before anything is normalised."""
    return _DECLARES.search(text) is not None


def without_parameter(text: str) -> str:
    """Leave out the words that say what a parameter is.

    Example:
        >>> without_parameter("x = 2k, k ∈ \\\\mathbb{Z}"), without_parameter("2n, where n is any integer")
        ('x = 2k', '2n')
    """
    return _STATED.sub("", text)


def parameter(text: str) -> str | None:
    """Return the name of the parameter that a text declares; None if it declares none.

    Example:
        >>> parameter("ax, for any constant a"), parameter("ax")
        ('a', None)
    """
    found = _STATED.search(text)
    return None if found is None else next(filter(None, found.groups()))


def with_parameter_of(gold: str, answer: str) -> str:
    """Rename the parameter of an answer as the gold answer names its own; both are normalised.

    Example:
        >>> with_parameter_of("2k, k ∈ \\\\mathbb{Z}", "2n"), with_parameter_of("2k", "2n")
        ('2k', '2n')
    """
    name = parameter(gold) or _constant_of(gold, answer)
    if name is None:
        return answer
    bare = without_parameter(answer)
    letters = {letter for word in _words(bare) for letter in word}
    usual = letters & _USUAL if _OF_INTEGERS.search(gold) else set()
    other = parameter(answer) or (usual.pop() if len(usual) == 1 else None)
    if other is None or other == name or name in letters:
        return answer
    return _WORD.sub(lambda word: word[0].replace(other, name) if _is_letters(word[0]) else word[0], bare)


def _constant_of(gold: str, answer: str) -> str | None:
    """Return the constant of a gold answer that declares none, if the answer declares one: Ce^{2x} has C."""
    if parameter(answer) is None:
        return None
    names = {letter for word in _words(gold) for letter in word} & _CONSTANTS
    return names.pop() if len(names) == 1 else None


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if _is_letters(word)]


def _is_letters(word: str) -> bool:
    """True for variables side by side; False for a command, a function or a word."""
    return not word.startswith("\\") and word not in FUNCTIONS and len(word) < 4
