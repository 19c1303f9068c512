"""Cut LaTeX that is spelled out into numbers, names and signs, and walk along them.

Only tokens that `descent` can read are cut; anything else sends the whole text to the grammar.

Not here: what the tokens mean (`descent`, `commands`).
"""

from __future__ import annotations

import re

_LETTER = "[abcf-z]"  # d may be a differential, e is Euler's number
_GREEK = r"\\(?:alpha|beta|theta|phi|lambda|mu|omega|sigma|pi)(?![A-Za-z])"
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?![\d.]|,\d{3}))"
    r"|(?P<differential>d\s?[a-z](?![A-Za-z]))"
    rf"|(?P<name>(?:{_LETTER}|{_GREEK})(?:_(?:(?:\d|{_LETTER})(?!\d)|\{{(?:\d+|{_LETTER}(?:[+-]\d+)?)\}}))?)"
    r"|(?P<sign>\\[A-Za-z]+|[-+*/^!(){}\[\]|,=e_≠])"
)
_WORD = re.compile(r"(?<![\\A-Za-z])(?:[A-Za-z]{3,}|tr)(?![A-Za-z])")
Token = tuple[str | None, str]
END: Token = (None, "")


class Beyond(Exception):  # noqa: N818 (no error: a text for the grammar)
    """The text cannot be read here."""


def cut(text: str) -> list[Token]:
    """Return the kind and the text of every token, followed by `END`.

    Raises:
        Beyond: the text contains something else.
    """
    if _WORD.search(text):
        raise Beyond
    tokens: list[Token] = []
    index = 0
    while index < len(text):
        if text[index] == " ":
            index += 1
            continue
        mark = _TOKEN.match(text, index)
        if mark is None:
            raise Beyond
        tokens.append((mark.lastgroup, mark.group()))
        index = mark.end()
    return [*tokens, END]


class Tokens:
    """Tokens, and the current position among them."""

    def __init__(self, text: str) -> None:
        self.tokens, self.index = cut(text), 0

    @property
    def kind(self) -> str | None:
        """Return the kind of the next token."""
        return self.tokens[self.index][0]

    @property
    def text(self) -> str:
        """Return the text of the next token; empty at the end."""
        return self.tokens[self.index][1]

    def take(self, *signs: str) -> str | None:
        """Consume the next token if it is one of these."""
        text = self.text
        if text not in signs:
            return None
        self.index += 1
        return text

    def must_take(self, *signs: str) -> str:
        """Consume the next token, which must be one of these."""
        sign = self.take(*signs)
        if sign is None:
            raise Beyond
        return sign
