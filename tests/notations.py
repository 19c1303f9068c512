"""One value in several notations: LaTeX, plain text, Unicode, Python.

Each function takes the parameters of a value and prints it in all the ways it knows; all of them are equal.

Not here: how values are drawn and which are neighbours (`answer_pairs`).
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial


def decimal(value: Fraction) -> str:
    """Print a fraction whose denominator has only the factors 2 and 5."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = int(value * 10**digits)
    text = f"{abs(whole):0{digits + 1}d}"
    sign = "-" if whole < 0 else ""
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)


def is_terminating(value: Fraction) -> bool:
    bottom = value.denominator
    for factor in (2, 5):
        while bottom % factor == 0:
            bottom //= factor
    return bottom == 1


def spell_fraction(p: int, q: int) -> list[str]:
    value = Fraction(p, q)
    sign, top, bottom = ("-" if p < 0 else ""), abs(value.numerator), value.denominator
    texts = [
        f"{sign}\\frac{{{top}}}{{{bottom}}}",
        f"\\dfrac{{{value.numerator}}}{{{bottom}}}",
        f"{sign}{top}/{bottom}",
        f"{sign}\\frac{{{3 * top}}}{{{3 * bottom}}}",
        f"$\\tfrac{{{value.numerator}}}{{{bottom}}}$",
        f"{sign}\\left(\\frac{{{top}}}{{{bottom}}}\\right)",
    ]
    if top < 10 and bottom < 10:
        texts.append(f"{sign}\\frac{top}{bottom}")
    if top > bottom:
        texts += [
            f"{sign}{top // bottom}\\frac{{{top % bottom}}}{{{bottom}}}",
            f"{sign}{top // bottom} {top % bottom}/{bottom}",
        ]
    if is_terminating(value):
        texts += [decimal(value), decimal(value) + "0"]
    else:
        texts.append(f"{float(value):.10f}")
    return texts


def spell_integer(n: int) -> list[str]:
    sign, size = ("-" if n < 0 else ""), abs(n)
    commas = f"{size:,}"
    texts = [
        str(n),
        f"{n}.0",
        f"{n}.",
        f"{sign}{commas}",
        sign + commas.replace(",", "{,}"),
        sign + commas.replace(",", "\\,"),
    ]
    texts += [
        f"\\text{{{n}}}",
        f"x={n}",
        f"{sign}{decimal(Fraction(size, 1000))}\\times 10^3",
        f"{n}\\text{{ units}}",
        f"**{n}**",
    ]
    return [
        *texts,
        f"{sign}{decimal(Fraction(size, 100))}e2",
        f"−{size}" if n < 0 else f"+{size}",
        f"{sign}\\frac{{{2 * size}}}{{2}}",
    ]


def spell_surd(a: int, b: int) -> list[str]:
    sign, k = ("-" if a < 0 else ""), abs(a)
    head = "" if k == 1 else str(k)
    texts = [
        f"{sign}{head}\\sqrt{{{b}}}",
        f"{sign}\\sqrt{{{k * k * b}}}",
        f"{sign}{head}√{b}",
        f"{sign}{k}\\cdot\\sqrt{{{b}}}",
    ]
    texts += [f"{sign}{k}*sqrt({b})", f"{sign}\\frac{{{k * b}}}{{\\sqrt{{{b}}}}}", f"{sign}{k}\\cdot {b}^{{1/2}}"]
    return [*texts, f"{sign}{head}\\sqrt{b}" if b < 10 else f"{sign}{head} \\sqrt{{{b}}}"]


def spell_surd_fraction(a: int, b: int, c: int) -> list[str]:
    top = "" if a == 1 else str(a)
    texts = [
        f"\\frac{{{top}\\sqrt{{{b}}}}}{{{c}}}",
        f"\\frac{{{a}}}{{{c}}}\\sqrt{{{b}}}",
        f"{top}√{b}/{c}",
        f"\\frac{{\\sqrt{{{a * a * b}}}}}{{{c}}}",
    ]
    return [*texts, f"\\frac{{{a * b}}}{{{c}\\sqrt{{{b}}}}}", f"({a}*sqrt({b}))/{c}"]


def spell_pi(p: int, q: int) -> list[str]:
    if q == 1:
        return [f"{p}\\pi", f"{p}π", f"\\pi\\cdot {p}", f"{p}*pi", f"{p} \\pi"]
    texts = [
        f"\\frac{{{p}\\pi}}{{{q}}}",
        f"\\frac{{{p}}}{{{q}}}\\pi",
        f"{p}π/{q}",
        f"{p}*pi/{q}",
        f"\\dfrac{{{2 * p}\\pi}}{{{2 * q}}}",
    ]
    return [*texts, f"{decimal(Fraction(p, q))}\\pi"] if is_terminating(Fraction(p, q)) else texts


def signed(n: int, tail: str = "") -> str:
    size = "" if abs(n) == 1 and tail else str(abs(n))
    return f"{'-' if n < 0 else '+'}{size}{tail}" if n else ""


def factor(n: int, x: str = "x") -> str:
    return f"({x}{signed(-n)})" if n else x


def spell_quadratic(a: int, b: int) -> list[str]:
    expanded = f"x^2{signed(-(a + b), 'x')}{signed(a * b)}"
    texts = [
        expanded,
        f"{factor(a)}{factor(b)}",
        f"{factor(b)}{factor(a)}",
        expanded.replace("^", "**"),
        f"{signed(a * b).removeprefix('+')}{signed(-(a + b), 'x')}+x^2",
    ]
    return [*texts, f"x(x{signed(-(a + b))}){signed(a * b)}" if a + b else expanded, f"{factor(a)} \\cdot {factor(b)}"]


def spell_linear(a: int, b: int) -> list[str]:
    head = f"{'' if a == 1 else '-' if a == -1 else a}x"
    return [
        f"{head}{signed(b)}",
        f"{b}{signed(a, 'x')}",
        f"{head} {signed(b)[0]} {abs(b)}",
        f"{a}(x{'+' if b * a > 0 else '-'}\\frac{{{abs(b)}}}{{{abs(a)}}})",
    ]


def spell_interval(a: int, b: int, left: bool, right: bool) -> list[str]:
    signs = ["\\le" if left else "<", "\\leq" if right else "<"]
    brackets = "[" if left else "(", "]" if right else ")"
    texts = [
        f"{brackets[0]}{a},{b}{brackets[1]}",
        f"\\left{brackets[0]}{a}, {b}\\right{brackets[1]}",
        f"{a}{signs[0]} x {signs[1]} {b}",
    ]
    back = [{"<": ">"}.get(sign, "\\ge ") for sign in signs]
    return [*texts, f"{b} {back[1]} x {back[0]} {a}", f"x \\in {brackets[0]}{a},{b}{brackets[1]}"]


def spell_ray(a: int, is_up: bool, closed: bool) -> list[str]:
    if is_up:
        interval = f"{'[' if closed else '('}{a},\\infty)"
        sign, back = ("\\ge", "\\le") if closed else (">", "<")
    else:
        interval = f"(-\\infty,{a}{']' if closed else ')'}"
        sign, back = ("\\leq", "\\geq") if closed else ("<", ">")
    return [
        interval,
        f"x{sign} {a}",
        f"{a} {back} x",
        interval.replace("\\infty)", "+\\infty)"),
        interval.replace("\\infty", "∞").replace(",", ", "),
    ]


def spell_union(a: int, b: int) -> list[str]:
    return [
        f"(-\\infty,{a})\\cup({b},\\infty)",
        f"x<{a} \\text{{ or }} x>{b}",
        f"x>{b} or x<{a}",
        f"({b}, \\infty) ∪ (-\\infty, {a})",
    ]


def spell_roots(*roots: int) -> list[str]:
    turned = roots[::-1]
    texts = [
        ", ".join(map(str, roots)),
        ",".join(map(str, turned)),
        "\\{" + ", ".join(map(str, turned)) + "\\}",
        " \\text{ or } ".join(f"x={r}" for r in roots),
    ]
    return [*texts, ", ".join(map(str, roots[:-1])) + f" and {roots[-1]}", "x=" + ", x=".join(map(str, turned))]


def spell_point(a: int, b: int) -> list[str]:
    return [
        f"({a},{b})",
        f"\\left({a}, {b}\\right)",
        f"x={a}, y={b}",
        f"( {a} , {b} )",
        f"(x,y)=({a},{b})",
        f"$({a},{b})$",
    ]


def spell_percent(n: int) -> list[str]:
    return [f"{n}\\%", f"{n}%", f"{n} \\%", decimal(Fraction(n, 100)), f"\\frac{{{n}}}{{100}}", f"{n}.0\\%"]


def spell_scientific(m: int, e: int) -> list[str]:
    mantissa = decimal(Fraction(m, 10))
    texts = [
        f"{mantissa}\\times 10^{{{e}}}",
        f"{mantissa}e{e}",
        f"{mantissa} \\cdot 10^{{{e}}}",
        f"{mantissa} x 10^{e}",
        f"{m}\\times10^{{{e - 1}}}",
    ]
    return [*texts, decimal(Fraction(m, 10) * Fraction(10) ** e), f"{mantissa}E{e:+d}", f"{mantissa}×10^{{{e}}}"]


def spell_length(v: int) -> list[str]:
    return [f"{v}", f"{v}\\text{{ cm}}", f"{v} cm", f"{v}\\,\\mathrm{{cm}}", f"{v}.0 \\text{{ centimeters}}", f"{v}cm"]


def spell_area(v: int) -> list[str]:
    return [
        f"{v}\\text{{ cm}}^2",
        f"{v}\\,\\mathrm{{cm}}^{{2}}",
        f"{v} cm²",
        f"{v}\\text{{ square centimeters}}",
        f"{v} \\text{{ cm}}^{{2}}",
    ]


def spell_angle(d: int) -> list[str]:
    return [f"{d}^\\circ", f"{d}°", f"{d}^{{\\circ}}", f"{d}\\text{{ degrees}}", f"{d} degrees"]


def spell_line(a: int, b: int, c: int) -> list[str]:
    left = f"{'' if a == 1 else '-' if a == -1 else a}x{signed(b, 'y')}"
    double = f"{2 * a}x{signed(2 * b, 'y')}={2 * c}"
    return [f"{left}={c}", double, f"{left}{signed(-c)}=0", f"y=\\frac{{{c}{signed(-a, 'x')}}}{{{b}}}", f"{c}={left}"]


def spell_matrix(a: int, b: int, c: int, d: int) -> list[str]:
    body = f"{a}&{b}\\\\{c}&{d}"
    texts = [f"\\begin{{{kind}matrix}}{body}\\end{{{kind}matrix}}" for kind in "pb"]
    return [
        *texts,
        f"\\begin{{pmatrix}} {a} & {b} \\\\ {c} & {d} \\end{{pmatrix}}",
        f"\\begin{{bmatrix}}{a}.0&{b}\\\\{c}&\\frac{{{2 * d}}}{{2}}\\end{{bmatrix}}",
    ]


def spell_logarithm(a: int, n: int) -> list[str]:
    return [f"{n}\\ln {a}", f"\\ln {a**n}", f"\\ln({a}^{{{n}}})", f"\\ln {a}+{n - 1}\\ln {a}", f"{n} \\ln({a})"]


def spell_trigonometric(k: int) -> list[str]:
    x = f"{k}x" if k > 1 else "x"
    return [f"\\cos^2({x})-\\sin^2({x})", f"\\cos({2 * k}x)", f"1-2\\sin^2({x})", f"2\\cos^2({x})-1", f"\\cos {2 * k}x"]


def spell_complex(a: int, b: int) -> list[str]:
    return [
        f"{a}{signed(b, 'i')}",
        f"{signed(b, 'i').removeprefix('+')}{signed(a)}",
        f"{a} {signed(b)[0]} {abs(b)}i",
        f"{a}.0{signed(b, 'i')}",
    ]


def spell_surd_sum(a: int, b: int, c: int) -> list[str]:
    root = f"\\sqrt{{{c}}}"
    return [
        f"{a}{signed(b, root)}",
        f"{signed(b, root).removeprefix('+')}{signed(a)}",
        f"{a}{'+' if b > 0 else '-'}\\sqrt{{{b * b * c}}}",
        f"{a}{signed(b)}*sqrt({c})",
    ]


def spell_rational(a: int, b: int, c: int) -> list[str]:
    top, bottom = f"{a}x{signed(b)}", f"x{signed(c)}"
    return [
        f"\\frac{{{top}}}{{{bottom}}}",
        f"({top})/({bottom})",
        f"\\frac{{{b}+{a}x}}{{{c}+x}}",
        f"{a}{signed(b - a * c)[0]}\\frac{{{abs(b - a * c)}}}{{{bottom}}}",
    ]


def spell_power(n: int) -> list[str]:
    return [
        f"x^{{-{n}}}",
        f"\\frac{{1}}{{x^{n}}}" if n < 10 else f"\\frac{{1}}{{x^{{{n}}}}}",
        f"1/x^{{{n}}}",
        f"x^(-{n})",
        f"\\left(\\frac{{1}}{{x}}\\right)^{{{n}}}",
    ]


def spell_big(n: int) -> list[str]:
    return [f"2^{{{n}}}", str(2**n), f"{2**n:,}", f"2**{n}", f"2\\cdot 2^{{{n - 1}}}"]


def spell_ratio(a: int, b: int) -> list[str]:
    """A multiple that looks like a time of day (2:10) is one: it is not 1:5."""
    return [f"{a}:{b}", f"{30 * a}:{30 * b}", f"{a} : {b}", f"\\frac{{{a}}}{{{b}}}", f"{a}∶{b}"]


def spell_count(n: int, k: int) -> list[str]:
    return [f"\\binom{{{n}}}{{{k}}}", str(comb(n, k)), f"\\frac{{{n}!}}{{{k}!{n - k}!}}", f"\\dbinom{{{n}}}{{{n - k}}}"]


def spell_factorial(n: int) -> list[str]:
    return [f"{n}!", str(factorial(n)), f"{n}\\cdot {n - 1}!", f"{factorial(n):,}"]


def spell_money(v: int) -> list[str]:
    amount = decimal(Fraction(v, 100))
    return [f"\\${amount}", amount, f"{amount} dollars", f"\\text{{\\${amount}}}"]


def spell_exponential(a: int, b: int) -> list[str]:
    return [
        f"e^{{{a}x}}",
        f"e^({a}x)",
        f"(e^x)^{{{a}}}",
        f"e^{{{a - b}x}}e^{{{b}x}}" if a > b else f"e^{{{a}x}}",
        f"\\exp({a}x)",
    ]


def spell_function(a: int, b: int) -> list[str]:
    return [f"f(x)={a}x^2{signed(b)}", f"{a}x^2{signed(b)}", f"f(x) = {b}+{a}x^2", f"{a}x²{signed(b)}"]


def spell_letters(a: int, b: int) -> list[str]:
    return [
        f"{a}ab{signed(b, 'c')}",
        f"{a}ba{signed(b, 'c')}",
        f"{signed(b, 'c').removeprefix('+')}+{a}ab",
        f"{a}a\\cdot b{signed(b)}\\cdot c",
    ]


def spell_sign(a: int, b: int) -> list[str]:
    root = f"\\sqrt{{{b}}}"
    return [
        f"{a}\\pm{root}",
        f"{a}+{root}, {a}-{root}",
        f"{a}-{root} \\text{{ and }} {a}+{root}",
        f"x={a}\\pm {root}",
        f"{a} ± √{b}",
    ]
