"""Bring the many spellings of an answer to one: LaTeX, Unicode, Python and plain text become a small LaTeX.

`normalise` keeps what an answer says and drops its typesetting: delimiters, sizes, spaces, fonts. Relations become one
character each (`≤ ≥ ≠ < > ∈ ∪ ∩`), degrees `\\degree`, a dollar `$`. `plain` goes further, for words.

Not here: what the result means (`numbers`, `units`, `answer`).
"""

from __future__ import annotations

import re
import unicodedata

from nearfuture.verify.chinese import without_chinese
from nearfuture.verify.functions import GREEK, name_functions
from nearfuture.verify.guards import ROW_BREAK

_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_VULGAR = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅛": (1, 8), "⅜": (3, 8)} | {
    "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅝": (5, 8), "⅞": (7, 8)
}  # fmt: skip
_GREEK_CHARS = dict(zip("αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ", GREEK, strict=False))
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": r"\times ", "÷": "/", "⁄": "/", "∕": "/", "·": r"\cdot ",
    "⋅": r"\cdot ", "∙": r"\cdot ", "∗": "*", "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ", "°": r"\degree ",
    "∅": r"\emptyset ", "ℝ": r"\R ", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"', "∶": ":", "，": ",", "、": ",",
    "⟨": "(", "⟩": ")", "∠": r"\angle ", "△": r"\triangle ", "≃": "≈", "≅": "≈", "…": r"\ldots ",
    "∫": r"\int ", "ϕ": r"\phi ", "µ": r"\mu ", "∖": r"\setminus ", "∨": r"\lor ", "∧": r"\land ", "¬": r"\neg ",
}  # fmt: skip
_RELATIONS = [
    (r"\\(?:leqslant|leq|le)(?![A-Za-z])|<=|=<", "≤"),
    (r"\\(?:geqslant|geq|ge)(?![A-Za-z])|>=", "≥"),
    (r"\\(?:neq|ne)(?![A-Za-z])|!=|\\not\s*=", "≠"),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\in(?![A-Za-z])", "∈"),
    (r"\\cup(?![A-Za-z])", "∪"),
    (r"\\equiv(?![A-Za-z])", "≡"),
    (r"\\cap(?![A-Za-z])", "∩"),
    (r"\\(?:approx|simeq|doteq|approxeq)(?![A-Za-z])|~=", "≈"),
    (r"\\(?:lor|vee)(?![A-Za-z])", " ∨ "),
    (r"\\(?:land|wedge)(?![A-Za-z])", " ∧ "),
]
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ue000-\uf8ff\ud800-\udfff]"
)
_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|math(?:rm|bf|it|sf|tt|normal)|mbox|hbox|operatorname\*?|boldsymbol|bm|emph"
    r"|underline|textcolor\{[a-z]{0,20}\})\s{0,4}\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_FONT_LETTER = re.compile(r"\\(?:math(?:rm|bf|it|sf)|text(?:bf|it|rm)?|rm|bf|it)\s{1,4}(?=[A-Za-z](?![A-Za-z]))")
_SIMPLE = [(re.compile(pattern), into) for pattern, into in [
    (r"(?<!\\)\\[()\[\]]", " "),
    (r"(?<!\\)\$", " "),
    (r"(?<=\d)(?:,?\\!\s?|\\[,;: ]|\{,\}|~)(?=\d{3}(?!\d))", ""),
    (r"(?<=\d)\{,\}(?=\d{1,2}(?!\d))", "."),
    (r"\{,\}", ","),
    (r"\\(?:[,;:!> ]|q?quad(?![A-Za-z])|hspace\{[^{}]*\}|hfill)|~|\\\n", " "),
    (r"\\m?(?:left|right)\s{0,4}\.", " "),
    (r"\\(?:m?left|m?right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits|mathstrut)(?![A-Za-z])", ""),
    (r"\\(?:langle|lgroup|lparen)(?![A-Za-z])", "("),
    (r"\\(?:rangle|rgroup|rparen)(?![A-Za-z])", ")"),
    (r"\{?\{([^{}]{1,40})\\choose(?![A-Za-z])([^{}]{1,40})\}\}?", r"\\binom{\1}{\2}"),
    (r"\\(?:lbrace|lbrack)(?![A-Za-z])", r"\{"),
    (r"\\(?:rbrace|rbrack)(?![A-Za-z])", r"\}"),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\(?:mathbb|Bbb|mathbf)\s{0,4}\{?R\}?(?![A-Za-z])|\\(?:reals|Reals)(?![A-Za-z])", r"\\R "),
    (r"\\varnothing(?![A-Za-z])|\\emptyset(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
    (r"\\infin(?![A-Za-z])|\binf(?:inity)?\b(?!\s*[({])", r"\\infty "),
    (r"\\(?:dots|cdots|ldots|dotsc)(?![A-Za-z])|\.\.\.", r"\\ldots "),
    (r"\\(?:mid|vert|lvert|rvert)(?![A-Za-z])", "|"),
    (r"\\%", "%"),
    (r"(?<=[\d)\]}])(or|and)(?=[-\d(\[{\\]|[A-Za-z](?![A-Za-z]))", r" \1 "),
    (r"(\\to\s?[\w\\]+)\s?\^\s?([+-])", r"\1^{\2}"),
    (r"(?<=[\d})])\s*(?:percentage\spoints?|percent(?:age)?|per\scent|pct\.?|个?百分点)(?![A-Za-z])", "%"),
    (r"\\&", " and "),
    (r"(?<=\d)_\{(\d{1,2})\}", r"_\1"),
    (r"(?<![\w.])0x([\dA-Fa-f]+)\b", r"\1_{16}"),
    (r"(?<![\w.])0b([01]+)\b", r"\1_2"),
    (r"\\\{\s*\\begin\{array\}(?:\{[clr| ]*\})?((?:(?!\\begin).)*)\\end\{array\}", r"\\begin{cases}\1\\end{cases}"),
    (r"\^\s{0,4}(?:\{\s{0,4}\\circ\s{0,4}\}|\\circ(?![A-Za-z]))|\\circ\s*(?=[CF]\b)", r"\\degree "),
    (r"(?<![A-Za-z\\])([kM])\s?\\Omega(?![A-Za-z])", r" \1ohm"),
    (r"\\(?:degrees|deg)(?![A-Za-z])", r"\\degree "),
    (r"(\d)\s?(?:[xX*]|\\cdot|\\times|\\ast)\s{0,4}(?=10\s?(?:\^|\*\*))", r"\1\\times "),
    (r"\*\*", "^"),
    (r"(?<![A-Za-z\d.\\_])(\d+(?:\.\d*)?|\.\d+)[eE]([+-]?\d{1,4})(?![A-Za-z\d.])", r"\1\\times 10^{\2}"),
    (r"\*", r"\\cdot "),
    (r"\^\s{0,4}([+-]?\d{2,}|[+-]\d)(?!\d*\.\d)", r"^{\1}"),
    (r"(?<![A-Za-z\\])C_\{?(\d{1,3}|[nm])\}?\s?\^\s?\{?(\d{1,3}|[kmr])\}?(?!\d)", r"\\binom{\1}{\2}"),
    (r"\\overline\s?\{\s?([A-Z]{2})\s?\}", r"\1"),
    (r"[_^]\s?\{\s*\}", " "),
    (r"(?<=[A-Za-z}])\s?\^\s?(\{[^{}]*\}|\w)\s?_\s?(\{[^{}]*\}|\w)", r"_\2^\1"),
]]  # fmt: skip
_BOLD = re.compile(r"(?<![\w)}*])\*\*(?=[^\s*])([^*\n]{1,200}?)(?<=\S)\*\*(?![\w(*])")
_SCALE = re.compile(
    r"(?<![\w.^{])(\d[\d,]*(?:\.\d+)?)\s*(hundred|thousand|million|billion|trillion)s?(?![A-Za-z])", re.IGNORECASE
)
_POWERS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_RESTATED = re.compile(
    r"(?<=[A-Za-z\d})\]%])\s*,?\s*(?:即(?:为|是)?|\bi\.e\.,?|(?<=,\s)(?:that is|or equivalently),?)\s?"
)
_FOR_ALL = re.compile(
    r"(?<=[\w})\]]),?\s*(?:for (?:all|every|any)|\\forall|∀)\s*(?:real\s)?(?:numbers?\s)?[a-z]\s?(?:∈\s?\\R)?\s*"
    r"(?=\Z|[,;.]|\s?(?:or|and)\s)"
)
_DEGREES = re.compile(r"(\d{1,3})\s?\\degree\s*(\d{1,2})\s?'(?:\s?(\d{1,2})\s?(?:''|\"))?")
_ALL_WITH = re.compile(
    r"\A(?:all|any|every)\s(?:real\s)?(?:numbers?\s|reals?\s|values?\s)?(?:of\s)?[a-z]\s(?:with|such\sthat|satisfying)\s"
)
_EXCEPT = re.compile(
    r"\A(?:all|any|every)\s(?:real\s?numbers?|reals?|real\svalues?)(?:\s(?:of\s)?[a-z])?,?\s(?:except|but|other\sthan|excluding)"
    r"(?:\sfor|\swhen|\sthat|\sat)?\s(.{1,80})\Z"
)
_SINGLE_UNIT = re.compile(r"[mgshLlNJWVAKCF]")
_SHORT_FRAC = re.compile(r"\\frac\s{0,4}(\{[^{}]*\}|\d|[A-Za-z])\s{0,4}(\d|[A-Za-z](?![A-Za-z]))")
_SHORT_FRAC_TOP = re.compile(r"\\frac\s{0,4}(\d|[A-Za-z])\s{0,4}(?=\{)")
_SHORT_ROOT = re.compile(
    r"\\sqrt\s{0,4}(\[[^\[\]]{1,9}\])?\s{0,4}(\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z])|\\(?:pi)(?![A-Za-z]))"
)
_SPACED_START = re.compile(r"\A(?:\s|\\(?:[,;:!> ]|q?quad(?![A-Za-z])))+")
_SPACED_END = re.compile(r"(?:(?<!\\)\\(?:[,;:!> ]|q?quad)\s*)+\Z")
_SPACES = re.compile(r"\s+")
_ONE_DOLLAR = re.compile(r"\A(\s*[-+−]?\s?)\$(?=\s?[\d.][^$]*\Z)")
"""A dollar sign before a number and no second one: money, not the mark of a formula."""
_LEFT_EDGE, _RIGHT_EDGE = ' \t\n,;:。*"`=', ' \t\n.,;:。*"`'


def normalise(text: str) -> str:
    """Bring an answer to one spelling, with single spaces.

    Example:
        >>> normalise("$\\\\dfrac12$")
        '\\\\frac{1}{2}'
        >>> normalise("2√3"), normalise("x²"), normalise("1e-5")
        ('2\\\\sqrt{3}', 'x^{2}', '1\\\\times 10^{-5}')
    """
    text = re.sub(r"(?<=\d)(?:\.{3,}|…)", r"\\ldots ", _ONE_DOLLAR.sub(r"\1\\$", text))
    text = _with_row_breaks(_to_latex(_trimmed(_BOLD.sub(r"\1", _INVISIBLE.sub("", text)))))
    for pattern, into in _SIMPLE:
        text = pattern.sub(into, text)
    text = _SPACES.sub(" ", text)  # what follows looks at spaces, and takes them one by one
    for relation, sign in _RELATIONS:
        text = re.sub(relation, sign, text)
    text = text.replace(r"\$", "$")
    for _ in range(3):
        text = _FONT.sub(_without_font, text)
    text = without_chinese(_RESTATED.sub(" = ", text))
    text = re.sub(r"(?<!\\)\{\s+|\s+(?=\})", lambda mark: mark.group().strip(), _FONT_LETTER.sub("", text))
    text = re.sub(r"\\degree\s*([CF])\b", lambda mark: " celsius" if mark[1] == "C" else " fahrenheit", text)
    text = _SCALE.sub(lambda mark: f"{mark[1]}\\times 10^{{{_POWERS[mark[2].lower()]}}}", text)
    text = re.sub(r"\b(sq|cu)\.(?=\s)", r"\1", text)
    text = _ALL_WITH.sub("", text)
    text = _EXCEPT.sub(_as_difference, _DEGREES.sub(_as_degrees, _FOR_ALL.sub("", text)))
    text = name_functions(text)
    text = _with_braces(text, ("\\sqrt", "^"))
    text = _SHORT_FRAC_TOP.sub(r"\\frac{\1}", text)
    text = _SHORT_FRAC.sub(lambda mark: f"\\frac{_braced(mark.group(1))}{{{mark.group(2)}}}", text)
    text = _SHORT_ROOT.sub(lambda mark: f"\\sqrt{mark.group(1) or ''}{{{mark.group(2)}}}", text)
    return _trimmed(_SPACES.sub(" ", text))


def plain(text: str) -> str:
    """Bring words to one spelling: no fonts, no case, no quotes, no article, single spaces.

    Example:
        >>> plain("\\\\text{An Isosceles Triangle.}")
        'isosceles triangle'
    """
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    text = re.sub(r"(?<!\\)\\[()\[\]]|(?<!\\)\$", " ", text)
    for _ in range(3):
        text = _FONT.sub(r" \1 ", text)
    text = re.sub(r"\\[,;:! ]|~|\*\*|__", " ", text)
    for dash in "−–—‐‑":
        text = text.replace(dash, "-")
    text = re.sub(r"[\"“”`]|(?<!\w)['‘’]|['‘’](?!\w)", "", text).replace("’", "'")
    text = _SPACES.sub(" ", text).strip(" .,;:!。").casefold()
    return re.sub(r"^(?:a|an|the)\s+(?=\w)", "", text)


def _trimmed(text: str) -> str:
    """Strip what surrounds an answer, spaces of LaTeX among it, but keep a leading decimal point (.5)."""
    text = _SPACED_END.sub("", _SPACED_START.sub("", text))
    return text.rstrip(_RIGHT_EDGE).lstrip(_LEFT_EDGE)


def _with_row_breaks(text: str) -> str:
    """Mark the rows of a matrix; elsewhere two backslashes before a word are one escaped backslash."""
    if r"\begin" in text:
        return re.sub(r"\\\\(?:\[-?[\d.]+(?:pt|ex|em|mm)\])?", ROW_BREAK, text)
    return re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)


def _to_latex(text: str) -> str:
    """Write Unicode's own forms of powers, fractions, roots and letters as LaTeX, then fold the rest (NFKC)."""
    text = re.sub(f"[{''.join(_SUPER)}]+", lambda mark: "^{" + "".join(_SUPER[c] for c in mark.group()) + "}", text)
    text = re.sub(f"[{''.join(_SUB)}]+", lambda mark: "_{" + "".join(_SUB[c] for c in mark.group()) + "}", text)
    for char, (top, bottom) in _VULGAR.items():
        text = text.replace(char, f"\\frac{{{top}}}{{{bottom}}}")
    text = re.sub(r"([√∛])\s?(\d+(?:\.\d+)?|[A-Za-zπ]|(?=[({]))", _root, text)
    for char, into in _SYMBOLS.items():
        text = text.replace(char, into)
    for char, name in _GREEK_CHARS.items():
        text = text.replace(char, f"\\{name} ")
    return unicodedata.normalize("NFKC", text)


def _root(mark: re.Match[str]) -> str:
    degree = "[3]" if mark.group(1) == "∛" else ""
    return f"\\sqrt{degree}" + (f"{{{mark.group(2)}}}" if mark.group(2) else "")


def _without_font(mark: re.Match[str]) -> str:
    """Unwrap `\\text{...}`; a single letter after a number stays marked, since `m` may be metres or a name."""
    content = mark.group(1).strip()
    behind_number = re.search(r"[\d})%]\s*$", mark.string[max(0, mark.start() - 8) : mark.start()])
    if behind_number and _SINGLE_UNIT.fullmatch(content):
        return rf" \unit{{{content}}}"
    return f" {mark.group(1)} "


def _as_degrees(mark: re.Match[str]) -> str:
    """Write degrees, minutes and seconds as one fraction of degrees."""
    seconds = int(mark[1]) * 3600 + int(mark[2]) * 60 + int(mark[3] or 0)
    return f"\\frac{{{seconds}}}{{3600}}\\degree "


def _as_difference(mark: re.Match[str]) -> str:
    """Write "all real numbers except 1 and x = 2" as a difference of sets."""
    points = re.sub(r"\s?(?:,\s?)?(?:\band\b|\bor\b)\s?", ", ", mark[1])
    return r"\R \setminus \{" + re.sub(r"(?<![A-Za-z])[a-z]\s?=\s?", "", points) + r"\}"


def _braced(group: str) -> str:
    return group if group.startswith("{") else f"{{{group}}}"


def _with_braces(text: str, commands: tuple[str, ...]) -> str:
    """Write `sqrt(2)` and `e^(2x)` with braces: in LaTeX a parenthesis groups nothing."""
    for command in commands:
        start = 0
        while (
            found := re.compile(re.escape(command) + r"\s?(?:\[[^\[\]]{1,9}\])?\s?\(").search(text, start)
        ) is not None:
            start = found.end()
            close = _closing(text, found.end() - 1)
            if close is not None and close - start < 600:
                text = f"{text[: found.end() - 1]}{{{text[found.end() : close]}}}{text[close + 1 :]}"
    return text


def _closing(text: str, opened: int) -> int | None:
    """Return the index of the parenthesis that closes the one at `opened`."""
    depth = 0
    for index in range(opened, min(len(text), opened + 700)):
        depth += (text[index] == "(") - (text[index] == ")")
        if depth == 0:
            return index
    return None
