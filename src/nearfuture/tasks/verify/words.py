"""Words: yes or no, phrases, and lists of both.

Not here: values (`compare`), choices (`choices`).
"""

from __future__ import annotations

import ast
import re

from nearfuture.tasks.verify.latex import plain
from nearfuture.tasks.verify.pieces import split_top

_TRUE = frozenset(("yes", "true", "correct", "right", "y", "t"))
_FALSE = frozenset(("no", "false", "incorrect", "wrong", "n", "f"))
_LONG_TRUE, _LONG_FALSE = _TRUE - set("yt"), _FALSE - set("nf")
_NEGATIONS = frozenset(("not", "isn't", "neither", "nor", "maybe", "perhaps", "or"))


def read_bool(text: str) -> bool | None:
    """Read yes or no; None where the text says neither, or both.

    Example:
        >>> read_bool("\\\\text{Yes}"), read_bool("No, it is a square."), read_bool("yes and no"), read_bool("not true")
        (True, False, None, None)
    """
    if len(text) > 600:
        return None
    words = re.findall(r"[a-z']+", plain(text))
    if len(words) == 1:
        return True if words[0] in _TRUE else False if words[0] in _FALSE else None
    if not words or words[0] not in _LONG_TRUE | _LONG_FALSE:
        return None
    if not re.match(r"\w+[,.;:!]", plain(text)) or "or" in words:
        return None
    is_true = words[0] in _TRUE
    against = _LONG_FALSE if is_true else _LONG_TRUE
    return None if against & set(words[1:]) else is_true


def same_text(gold: str, answer: str) -> bool:
    """Compare phrases without case, fonts, quotes and a leading article.

    Example:
        >>> same_text("east", "\\\\text{East}"), same_text("east", "\\\\text{seat}")
        (True, False)
    """
    return _phrase(gold) == _phrase(answer)


def _phrase(text: str) -> str:
    return re.sub(r"\s*([,:;/])\s*", r"\1", plain(text).removesuffix("^\\circ")).replace("{", "").replace("}", "")


def read_list(text: str) -> list[str] | None:
    """Read the items of a list: JSON, Python, brackets of any kind, or none; None where it is empty.

    Example:
        >>> read_list("['a', 'b']"), read_list("[2007, 2008]"), read_list("red and blue")
        (['a', 'b'], ['2007', '2008'], ['red', 'blue'])
    """
    text = re.sub(r"\\(?:left|right)|\$", "", text).replace(r"\{", "{").replace(r"\}", "}").strip(" .\n\t")
    for _ in range(2):
        text = re.sub(r"^\\text\s?\{(.*)\}$", r"\1", text, flags=re.DOTALL)
    if len(text) > 4000:
        return None
    literal = _literal(text)
    if literal is not None:
        return literal or None
    if text[:1] in ("[", "(", "{") and text[-1:] == {"[": "]", "(": ")", "{": "}"}[text[0]]:
        text = text[1:-1]
    separator = ";" if len(split_top(text, ";")) > 1 else ","
    items = [
        item for part in split_top(text, separator) for item in re.split(r"\s+and\s+|^and\s+", part) if item.strip()
    ]
    return [item.strip().strip("'\"").strip() for item in items] or None


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
