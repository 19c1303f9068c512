"""Read a normalised answer into its parts.

`read_answer` never fails: what it does not understand becomes a Scalar (which sympy may understand) or Words (compared
as text).

Not here: the types of answers (`answer`), sets of reals (`reals`), deciding when two answers are equal (`compare`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from nearfuture.verify.answer import (
    EVERYTHING,
    NOTHING,
    Chain,
    Clock,
    Congruence,
    Equation,
    Group,
    Matrix,
    Named,
    Node,
    Ratio,
    RealSet,
    Rounded,
    Scalar,
    Words,
)
from nearfuture.verify.guards import ROW_BREAK, is_blocked
from nearfuture.verify.latex import normalise, plain
from nearfuture.verify.logic import read_statement
from nearfuture.verify.numbers import read_number
from nearfuture.verify.parameters import without_parameter
from nearfuture.verify.pieces import (
    BRACKETS,
    CLOSERS,
    clean_name,
    first_close,
    has_variables,
    is_name,
    is_wordy,
    split_top,
    strip_parentheses,
)
from nearfuture.verify.reals import INFINITY, read_reals
from nearfuture.verify.units import split_unit, sum_of_units

MAX_RAW_CHARS, MAX_CHARS, MAX_DEPTH, MAX_ITEMS = 4000, 600, 8, 64
"""Beyond these limits an answer is compared as text."""

_UNDEFINED = Words("undefined")
_PHRASES: Mapping[str, Node] = (
    dict.fromkeys(("no solution", "no solutions", "no real solution", "no real solutions"), NOTHING)
    | dict.fromkeys(("empty set", "the empty set", "\\emptyset"), NOTHING)
    | dict.fromkeys(("all real numbers", "all reals", "any real number", "all real x", "\\r"), EVERYTHING)
    | dict.fromkeys(("(-\\infty, \\infty)", "(-\\infty,\\infty)"), EVERYTHING)
    | dict.fromkeys(("dne", "does not exist", "undefined", "not defined"), _UNDEFINED)
)
_WORD_SEPARATOR = re.compile(r"\s+(?:or|and)\s+|\s*;\s*|,\s*(?:or|and)\s+")
_LOGICAL = re.compile(r"[∨∧→↔]|\\(?:neg|lnot|to|rightarrow|Rightarrow|implies|iff|leftrightarrow)(?![A-Za-z])")
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?:\s?([AaPp])\.?\s?[Mm]\.?)?")
_THOUSANDS = re.compile(r"(?<![\d.,])(?!0)\d{1,3}(?:,\d{3})+(?![\d,])")
_OPERATION = re.compile(r"\d\s?(?:[-+*/]|\\times|\\cdot|\\div)\s?\d")
_RATIO_IN_WORDS = re.compile(r"(?<=\d)\s(?:to|is\sto)\s(?=\d)")
_SYSTEM = re.compile(
    r"(?:\\\{\s?)?\\begin\{(?P<kind>aligned|align\*?|gathered|split|cases)\}(?P<rows>(?:(?!\\begin).)*)\\end\{(?P=kind)\}",
    re.DOTALL,
)
_SET_BEHIND = re.compile(r"∈\s?\\\{.*\\\}\Z")
_PART = re.compile(r"\(([a-h])\)\s?[:.=]?\s?")
_MODULUS = re.compile(
    r"(?P<said>.+?)\s?(?:\\p?mod\s?\{?|\(?\s?\\?b?mod(?:ulo)?(?![a-z])\s?\{?)\s?(?P<modulus>\d+|[a-zA-Z])\s?\}?\s?\)?"
)
_MATRIX = re.compile(r"\\begin\{([pbB]?matrix|array)\}(?:\{[clr| ]*\})?((?:(?!\\begin).)*)\\end\{\1\}", re.DOTALL)
_CASES = re.compile(
    r"(?:(?P<name>[^={}]{1,20})=\s?)?\\begin\{cases\}(?P<rows>(?:(?!\\begin).)*)\\end\{cases\}", re.DOTALL
)
_TERM = re.compile(
    r"(?P<sign>\A|\s?[-+]\s?|\A-\s?)(?P<size>\d*(?:\.\d+)?|\\frac\{\d+\}\{\d+\})\s?"
    r"(?:\\(?:hat|vec|widehat|overrightarrow)\s?\{?\s?(?P<hat>[ijk])\s?\}?|(?P<bare>[ijk]))(?![A-Za-z^_{])"
)
_CONDITION_LEAD = re.compile(r"(?:if|when|for|where)\s+")


def read_answer(text: str) -> Node:
    """Read an answer, in any spelling.

    Example:
        >>> read_answer("x = 5")
        Named(name='x', value=Scalar(text='5', unit=None))
        >>> read_answer("\\\\{1, 2\\\\}").bracket, read_answer("[0, 1)").spans[0].has_high
        ('{}', False)
    """
    return Words(plain(text)) if len(text) > MAX_RAW_CHARS else _read_short(text)


@lru_cache(maxsize=4096)
def _read_short(text: str) -> Node:
    text = strip_parentheses(normalise(text))
    return Words(plain(text)) if len(text) > MAX_CHARS else _read(text, depth=0)


def _read(text: str, depth: int) -> Node:
    text = strip_parentheses(without_parameter(_without_thousands(text.strip())))
    phrase = _PHRASES.get(text.lower())
    if phrase is not None:
        return phrase
    if depth > MAX_DEPTH:
        return Words(plain(text))
    if read_number(text) is not None:
        return Scalar(text)
    if _LOGICAL.search(text):
        statement = read_statement(text)
        if statement is not None:
            return statement
        text = text.replace("∨", "or").replace("∧", "and")
    return (
        _read_clock(text)
        or _read_congruence(text)
        or _read_matrix(text)
        or _read_piecewise(text, depth)
        or _read_system(text, depth)
        or _read_vector(text)
        or read_reals(text)
        or _read_parts(text, depth)
        or _read_separated(text, depth)
        or _read_bracketed(text, depth)
        or _read_rounded(text, depth)
        or _read_equality(text, depth)
        or _read_value(text)
    )


def _without_thousands(text: str) -> str:
    """Write 45,000 * 1.3 as 45000 * 1.3: beside an operator a comma between three digits separates nothing."""
    if "," not in text or _OPERATION.search(text) is None:
        return text
    bare = _THOUSANDS.sub(lambda mark: mark[0].replace(",", ""), text)
    return text if "," in bare else bare


def _read_matrix(text: str) -> Node | None:
    match = _MATRIX.fullmatch(text.strip("[] ") if text.startswith("[") else text)
    if match is None:
        return None
    rows = [row for row in match[2].split(ROW_BREAK) if row.strip()]
    return Matrix(tuple(tuple(cell.strip() for cell in row.split("&")) for row in rows), match[0])


def _read_piecewise(text: str, depth: int) -> Node | None:
    """Read the cases of a function as a set of values with their conditions."""
    match = _CASES.fullmatch(text)
    if match is None or (match["name"] is not None and not is_name(match["name"].strip())):
        return None
    rows = [row.split("&") for row in match["rows"].split(ROW_BREAK) if row.strip()]
    if len(rows) > MAX_ITEMS or any(len(row) != 2 for row in rows):
        return None
    cells = [(value.strip(" ,"), _CONDITION_LEAD.sub("", condition.strip(" ,.;"))) for value, condition in rows]
    if not all(map(all, cells)):
        return None
    values = Group("{}", tuple(Group("()", tuple(_read(cell, depth + 1) for cell in row)) for row in cells))
    return values if match["name"] is None else Named(clean_name(match["name"].strip()), values)


def _read_system(text: str, depth: int) -> Node | None:
    """Read lines of equations below each other, aligned or in braces, as a list."""
    match = _SYSTEM.fullmatch(text)
    if match is None:
        return None
    rows = [row.replace("&", " ").strip(" ,;.") for row in match["rows"].split(ROW_BREAK)]
    rows = re.sub(r"\n\s*(?==)", " ", "\n".join(filter(None, rows))).split("\n")  # a line that begins with = goes on
    nodes = tuple(_read(row, depth + 1) for row in rows if row)
    if len(nodes) == 1:
        return nodes[0]
    is_system = 1 < len(nodes) <= MAX_ITEMS and all(isinstance(node, Named | Equation | RealSet) for node in nodes)
    return Group("", nodes) if is_system else None


def _read_vector(text: str) -> Node | None:
    """Read 2i - j + 3k, at least two of the unit vectors with plain numbers before them, as a tuple."""
    marks = list(_TERM.finditer(text))
    terms = {mark["hat"] or mark["bare"]: mark for mark in marks}
    if len(terms) < max(2, len(marks)) or not {"j", "k"} & set(terms) or _TERM.sub("", text).strip():
        return None
    signs = {unit: "-" if (mark["sign"] or "").strip() == "-" else "" for unit, mark in terms.items()}
    sizes = {unit: mark["size"].strip() or "1" for unit, mark in terms.items()}
    axes = "ijk" if "k" in terms else "ij"
    return Group("()", tuple(Scalar(signs[axis] + sizes[axis] if axis in terms else "0") for axis in axes))


def _read_clock(text: str) -> Clock | None:
    match = _CLOCK.fullmatch(text)
    if match is None or int(match[1]) > 24:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    half = (match[4] or "").lower()[:1]
    if half and hours > 12:
        half = ""
    if half:
        hours = hours % 12 + 12 * (half == "p")
    ratio = Ratio(tuple(part for part in match.groups()[:3] if part))
    return Clock(hours * 3600 + minutes * 60 + seconds, half, ratio)


def _read_congruence(text: str) -> Congruence | None:
    """Read `n ≡ 7 (mod 10)` and `7 (mod 10)`; `7 mod 10` is a number."""
    match = _MODULUS.fullmatch(text)
    if match is None or not ("≡" in text or r"\pmod" in text or "(" in text[match.end("said") :]):
        return None
    left, _, value = match["said"].rpartition("≡")
    if r"\not" in left:
        return None
    return Congruence(left.strip(), Scalar(strip_parentheses(value.strip())), match["modulus"])


def _read_rounded(text: str, depth: int) -> Node | None:
    """Read `exact ≈ rounded`; with a name or nothing before the sign, what follows is the value."""
    exact, sign, rounded = text.rpartition("≈")
    exact, rounded = exact.strip().strip("≈"), rounded.strip()
    if not sign or not rounded:
        return None
    if not exact or is_name(exact):
        return _read(f"{exact} = {rounded}" if exact else rounded, depth + 1)
    near = _read(rounded, depth + 1)
    near = near.value if isinstance(near, Named) else near
    return Rounded(_read(exact, depth + 1), near) if isinstance(near, Scalar) else None


def _read_parts(text: str, depth: int) -> Node | None:
    """Read "(a) 3 (b) 5": the answers to the parts of a question, in their order."""
    labels = list(_PART.finditer(text))
    if len(labels) < 2 or labels[0].start() or "".join(mark[1] for mark in labels) != "abcdefgh"[: len(labels)]:
        return None
    ends = [*(mark.start() for mark in labels[1:]), len(text)]
    items = [text[mark.end() : end].strip(" ,;.") for mark, end in zip(labels, ends, strict=True)]
    return Group("()", tuple(_read(item, depth + 1) for item in items)) if all(items) else None


def _read_separated(text: str, depth: int) -> Node | None:
    """Read "1, 2", "x = 1 or x = 2", "1; 2": a list without brackets."""
    if sum_of_units(text) is not None:
        return None
    items = [item for part in _split_words(text) for item in _split_commas(part)]
    if len(items) < 2 or len(items) > MAX_ITEMS or not all(items):
        return None
    nodes = tuple(_read(item, depth + 1) for item in items)
    if any(isinstance(node, Words) for node in nodes):
        return None
    nodes = tuple(inner for node in nodes for inner in _flat(node))
    solutions = _solutions(nodes)
    if solutions is not None:
        return solutions
    first = nodes[0]
    if isinstance(first, Named) and all(isinstance(node, Scalar) for node in nodes[1:]):
        return Named(first.name, Group("", (first.value, *nodes[1:])))
    names = {node.name if isinstance(node, Named) else None for node in nodes}
    if len(names) == 1 and None not in names:
        return Named(names.pop() or "", Group("", tuple(node.value for node in nodes if isinstance(node, Named))))
    return Group("", nodes)


def _solutions(nodes: tuple[Node, ...]) -> Node | None:
    """Read p = 5, q = 2, p = 7, q = 2 as two solutions of two names each."""
    names = [node.name for node in nodes if isinstance(node, Named)]
    size = len(set(names))
    if len(names) < len(nodes) or size < 2 or size == len(nodes) or len(nodes) % size:
        return None
    if names != names[:size] * (len(nodes) // size):
        return None
    return Group("", tuple(Group("", nodes[start : start + size]) for start in range(0, len(nodes), size)))


def _flat(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Group) and node.bracket == "" else (node,)


def _split_words(text: str) -> list[str]:
    if not _WORD_SEPARATOR.search(text) or _depth_varies(text):
        return [text]
    return [part.strip() for part in _WORD_SEPARATOR.split(text)]


def _depth_varies(text: str) -> bool:
    """True if a separating word stands inside brackets."""
    for mark in _WORD_SEPARATOR.finditer(text):
        before = text[: mark.start()]
        if sum(before.count(char) for char in BRACKETS) != sum(before.count(char) for char in CLOSERS):
            return True
    return False


def _split_commas(text: str) -> list[str]:
    """Split at commas, but keep 1,234 whole; if some commas are followed by a space, only those separate."""
    if read_number(split_unit(text.rpartition("= ")[2])[0]) is not None and text.count("=") < 2:
        return [text]
    parts = split_top(text.replace(", ", "\x1f"), "\x1f") if ", " in text else split_top(text, ",")
    parts = [part.replace("\x1f", ", ") for part in parts]
    return parts if len(parts) < 2 or ", " not in text else [item for part in parts for item in _split_commas(part)]


def _read_bracketed(text: str, depth: int) -> Node | None:
    is_grouped = text.startswith("{")
    text = text.replace(r"\{", "{").replace(r"\}", "}") if text.startswith(r"\{") and text.endswith(r"\}") else text
    if len(text) < 2 or text[0] not in "([{" or text[-1] != BRACKETS[text[0]] or first_close(text) != len(text) - 1:
        return None
    inner = text[1:-1].strip()
    parts = split_top(inner.replace(", ", "\x1f"), "\x1f") if ", " in inner else split_top(inner, ",")
    if len(parts) < 2:
        parts = split_top(inner, ";")
    items = [part.replace("\x1f", ", ") for part in parts]
    if (len(items) < 2 and text[0] == "(") or len(items) > MAX_ITEMS or not all(items):
        return None
    bracket = "" if is_grouped and depth == 0 else text[0] + text[-1]
    return Group(bracket, tuple(_read(item, depth + 1) for item in items))


def _read_equality(text: str, depth: int) -> Node | None:
    sides = [side for side in split_top(text.replace("==", "="), "=") if side]
    if len(sides) == 1:
        sides = [side for side in split_top(text, "∈") if side] if _SET_BEHIND.search(text) else sides
    if len(sides) < 2:
        return None
    names = 0
    while names < len(sides) - 1 and is_name(sides[names]):
        names += 1
    if names:
        name = "=".join(map(clean_name, sides[:names]))
        values = tuple(_read(side, depth + 1) for side in sides[names:])
        return Named(name, values[0] if len(values) == 1 else Chain(values))
    if len(sides) == 2 and is_name(sides[1]) and not has_variables(sides[0]):
        return Named(clean_name(sides[1]), _read(sides[0], depth + 1))
    if len(sides) == 2 and all(side[0] + side[-1] == "()" for side in sides):
        return (
            Named(clean_name(sides[0]), _read(sides[1], depth + 1)) if not has_variables(sides[1]) else Equation(*sides)
        )
    if len(sides) == 2 and any(has_variables(split_unit(side)[0]) for side in sides):
        return Equation(*sides)
    return Chain(tuple(_read(side, depth + 1) for side in sides))


def _read_value(text: str) -> Node:
    compound = sum_of_units(text)
    if compound is not None:
        return Scalar(*compound)
    value, unit = split_unit(text) if r"\int" not in text else (text, None)
    value = strip_parentheses(value)
    if unit is None and is_wordy(value):
        return Words(plain(text))
    if r"\pm" in value or r"\mp" in value:
        return Group("", tuple(Scalar(signed, unit) for signed in _both_signs(value)))
    ratio = split_top(_RATIO_IN_WORDS.sub(":", value), ":")
    if len(ratio) > 1:
        return Ratio(tuple(ratio)) if len(ratio) <= 6 and all(ratio) else Words(plain(text))
    return Scalar(value, unit)


def _both_signs(text: str) -> tuple[str, str]:
    upper = re.sub(r"\\pm\s?", "+", re.sub(r"\\mp\s?", "-", text)).removeprefix("+").strip()
    lower = re.sub(r"\\pm\s?", "-", re.sub(r"\\mp\s?", "+", text)).removeprefix("+").strip()
    return upper, lower


def unread_values(text: str) -> list[str]:
    """List the values in an answer that no rule can read, so that sympy is needed.

    Example:
        >>> unread_values("(1, \\\\sqrt{2})"), unread_values("x = 5"), unread_values("no solution")
        (['\\\\sqrt{2}'], [], [])
    """
    return [value for value in _values(read_answer(text)) if read_number(value) is None and not is_blocked(value)]


def _values(node: Node) -> Iterator[str]:
    match node:
        case Scalar():
            yield node.text
        case Rounded():
            yield from _values(node.exact)
        case Congruence():
            yield from _values(node.value)
        case Group() | Chain():
            for item in node.items:
                yield from _values(item)
        case Named():
            yield from _values(node.value)
        case Equation():
            yield from (node.left, node.right)
        case Matrix():
            yield from (cell for row in node.rows for cell in row)
        case Ratio():
            yield from node.items
        case RealSet():
            ends = [end for span in node.spans for end in (span.low, span.high)]
            yield from (end for end in ends if end.lstrip("-") != INFINITY)
