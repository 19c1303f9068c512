"""Unify the spellings of function names: `asinh`, `\\operatorname{arcsinh}`, `\\sinh^{-1}` become `\\arsinh`.

    a power of -1 on a name   the inverse, as usual in print: \\sin^{-1} x is \\arcsin x
    glued names               sinx, 2xlnx, \\pir: a known name with one letter beside it
    floor(x), ceil(x)         the brackets they stand for

Not here: other spellings (`latex`), what a function means (`parsing`).
"""

from __future__ import annotations

import re

_CIRCULAR, _HYPERBOLIC = ("sin", "cos", "tan", "cot", "sec", "csc"), ("sinh", "cosh", "tanh", "coth", "sech", "csch")
FUNCTIONS = (
    *(f"arc{name}" for name in _CIRCULAR), *(f"ar{name}" for name in _HYPERBOLIC), *_HYPERBOLIC, *_CIRCULAR,
    *("log", "ln", "lg", "exp", "sqrt", "min", "max", "gcd", "lcm", "det"),
)  # fmt: skip
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega varphi vartheta varepsilon"
).split()

_ALIASES = (
    {f"{prefix}{name}": f"ar{name}" for name in _HYPERBOLIC for prefix in ("a", "arc")}
    | {f"a{name}": f"arc{name}" for name in _CIRCULAR}
    | {"tg": "tan", "ctg": "cot", "cosec": "csc", "arctg": "arctan", "arcctg": "arccot"}
)
_ALIAS = re.compile(rf"(?<![A-Za-z])\\?({'|'.join(sorted(_ALIASES, key=len, reverse=True))})(?![A-Za-z])")
_INVERSE = re.compile(rf"\\?(?<![A-Za-z])({'|'.join(_HYPERBOLIC + _CIRCULAR)})\s?\^\s?\{{\s?-\s?1\s?\}}")
_BARE = re.compile(rf"(?<![\\A-Za-z])({'|'.join((*FUNCTIONS, *GREEK))})(?![A-Za-z])")
_GLUED = re.compile(r"(?<![A-Za-z\\])([A-Za-z]?)(sin|cos|tan|cot|sec|csc|ln|log|lg)([xyzt]?)(?![A-Za-z])")
_GLUED_COMMAND = re.compile(
    rf"\\({'|'.join((*sorted((*FUNCTIONS, *GREEK), key=len, reverse=True), 'cdot', 'times'))})([A-Za-z])(?![A-Za-z])"
)
_KNOWN = frozenset((*FUNCTIONS, *GREEK, "sin", "psi", "int", "inf", "infty", "cdots", "mu", "sup"))
_TIME_BEFORE, _TIME_BEHIND = re.compile(r"(?:[\d})]\s{0,3}|/)\Z"), re.compile(r"\s{0,3}(?:\Z|[.,;)]|and\b)")
_NATURAL = re.compile(r"\\log\s?_\s?(?:\{\s?e\s?\}|e)(?![A-Za-z])\s?")
_ROUND = re.compile(r"\\?(?<![A-Za-z])(floor|ceil(?:ing)?)\s?(?=[({])")
_ARGUMENT = re.compile(rf"(\\(?:{'|'.join(FUNCTIONS)})\s?(?:\^\s?\{{\d\}})?)\s?\{{\s?(\([^{{}}()]*\))\s?\}}")


def name_functions(text: str) -> str:
    """Write every function and Greek letter as one LaTeX command.

    Example:
        >>> [name_functions(text) for text in ("asin(x)", "\\\\tan^{-1} x", "2sinx", "using")]
        ['\\\\arcsin(x)', '\\\\arctan x', '2\\\\sin x', 'using']
    """
    text = _INVERSE.sub(lambda mark: rf"\ar{'' if mark[1] in _HYPERBOLIC else 'c'}{mark[1]}", text)
    text = _ALIAS.sub(lambda mark: "\\" + _ALIASES[mark[1]], text)
    text = _GLUED_COMMAND.sub(_parted, text)
    text = _GLUED.sub(_unglued, text)
    text = _BARE.sub(_command, text)
    text = _NATURAL.sub(r"\\ln ", text)
    return _rounded(_ARGUMENT.sub(r"\1\2", text))


def _command(mark: re.Match[str]) -> str:
    """Write a name as a command, except the minutes and seconds at the end of a value."""
    if mark[1] in ("min", "sec") and _TIME_BEHIND.match(mark.string, mark.end()):
        return mark[1] if _TIME_BEFORE.search(mark.string[max(0, mark.start() - 5) : mark.start()]) else f"\\{mark[1]}"
    return f"\\{mark[1]}"


def _parted(mark: re.Match[str]) -> str:
    return mark.group() if mark[1] + mark[2] in _KNOWN else rf"\{mark[1]} {mark[2]}"


def _unglued(mark: re.Match[str]) -> str:
    before, name, after = mark.groups()
    return f"{before}\\{name} {after}" if before or after else mark.group()


def _rounded(text: str) -> str:
    """Write floor(x) with its brackets; an unclosed one stays as it is."""
    start = 0
    while (mark := _ROUND.search(text, start)) is not None:
        opened = mark.end()
        close = _closing(text, opened)
        if close is None:
            start = opened
            continue
        sides = (r"\lfloor ", r" \rfloor ") if mark[1] == "floor" else (r"\lceil ", r" \rceil ")
        inner = text[opened + 1 : close]
        text = f"{text[: mark.start()]}{sides[0]}{inner}{sides[1]}{text[close + 1 :]}"
        start = mark.start() + len(sides[0])
    return text


def _closing(text: str, opened: int) -> int | None:
    depth = 0
    for index in range(opened, min(len(text), opened + 700)):
        depth += (text[index] in "({") - (text[index] in ")}")
        if depth == 0:
            return index
    return None
