"""The quick reader of LaTeX says what math-verify's grammar says, or nothing."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfuture.verify.descent import descend
from nearfuture.verify.parsing import read_by_grammar

READ = (
    *("17", "0.125", "-3", "+5", "2x", "-2^2", "xy", r"x_1 + a_{12} - x_{n+1}", r"2\cdot -3", "1/2x", r"7\mod 3"),
    *(r"2\frac{1}{2}", r"-\frac{x+1}{2y}", r"\frac{1}{0}", r"\sqrt{12}", r"\sqrt[3]{4}^2", r"\binom{5}{2}", r"\pi/2"),
    *("(a+5)(b-2)", "x^{2}y^3", "2^{10}!", "e^{-x}", "e", "3i-e^2", r"e^{i\pi}", "x^{{3+1}}", r"\infty", "z_{9065}"),
    *(r"\sin x", r"\sin^2(x)+\cos^2(x)", r"\arctan{2y}", r"\ln(1+\sqrt{2})", r"\log_2 8", r"\arsinh(1)"),
    *("|x-1|", r"\lfloor{3.5}\rfloor", r"\lceil x \rceil", r"\max(1, -2, x)", r"\gcd(12, 18)", r"\lcm(2.4, 3.6)"),
    *("f(x)", "f(2)+1", "n(n+1)", "x(2x)", "n(-1)", r"\theta x", r"\sum_{k=1}^{10} k^2", r"\prod_{a=b}^c x"),
    *("|x||y|", "|x| |y+1|", "||x||", "|x+|y||", "2|x|", "[1+2][3-4]", "x_1 - [2y]^2", r"\log \log n"),
    *(r"\sin\cos\theta", "a^2 + b^2 ≠ 2c^2", "5 ≠ 6", r"\sin(x)\cdot e^x", r"\ln(2)\cdot x^2+1", r"\log_2\log_3 9"),
    *(r"\lim_{x \to \infty} \frac{1}{x}", r"\int_{0}^{7} dx", r"\int (x^2-y) dx", r"\int_0^1 2t dt"),
)  # fmt: skip
LEFT = (
    *("", " ", "1, 2", "(1, 2)", "{1}", "({1})", "2 3", "x2", "1,234", "x = 1", "x < 1", "5+", "(1", "1)", "5?"),
    *("|x|y", "x^2^3", r"\sin x \cos x", r"\sin^{-1} x", "d x", "2de", "x'", r"\vec{a}", r"\int x", "sin x", r"\{1\}"),
    *("|a|b|c|", "x ≠ y ≠ z", "f[2]", "[1, 2]", r"\sin^2\cos x", r"\sin x \cdot y"),
)  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_is_read_as_the_grammar_reads_it(text: str) -> None:
    assert sympy.srepr(descend(text)) == sympy.srepr(read_by_grammar(text))


@pytest.mark.parametrize("text", LEFT)
def test_is_left_to_the_grammar(text: str) -> None:
    assert descend(text) is None


NUMBERS = st.sampled_from(("2", "17", "0.5", "0", "1"))
ATOMS = NUMBERS | st.sampled_from(
    ("x", "n", r"\pi ", "a_{12}", "x_1", "i", "e", r"\alpha ", "t", "z_{9065}", r"\infty ")
)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One step more: two joined, or one enclosed."""
    joins = st.sampled_from(("", "+", "-", r"\cdot ", "/", " ", "-2"))
    frames = st.sampled_from(
        (
            *(("(", ")"), (r"\sqrt{", "}"), (r"\frac{1}{", "}"), (r"\frac{", "}{3}"), (r"\sin(", ")"), (r"\ln ", "")),
            *(
                ("x^{", "}"),
                ("{", "}"),
                ("|", "|"),
                ("[", "]"),
                ("-", "!"),
                ("", "^2"),
                ("e^{", "}"),
                ("f(", ")"),
                ("n", ""),
            ),
            *(
                (r"\lfloor ", r" \rfloor"),
                (r"\max(", ", 2)"),
                (r"\sum_{k=1}^n ", ""),
                (r"\int ", " dx"),
                (r"\log_2", ""),
            ),
        )
    )
    joined = st.tuples(inner, joins, inner).map("".join)
    return joined | st.tuples(frames, inner).map(lambda pair: pair[0][0] + pair[1] + pair[0][1])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.recursive(ATOMS, grown, max_leaves=3))
def test_whatever_it_reads_is_what_the_grammar_reads(text: str) -> None:
    said = descend(text)
    if said is not None:
        assert sympy.srepr(said) == sympy.srepr(read_by_grammar(text)), text
