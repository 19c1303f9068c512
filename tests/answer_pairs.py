"""Values printed in several notations: pairs of answers that are equal, and pairs that nearly are, from one generator.

A family draws parameters, spells them in all notations it knows, and draws a neighbour that is a different value. What
is equal is known from the parameters, never from a verifier.

Not here: who judges the pairs (`test_verify_pairs.py`, `benchmarks/verifiers.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, gcd
from random import Random
from typing import Any

Params = tuple[Any, ...]
SQUARE_FREE = (2, 3, 5, 6, 7, 10, 11, 13)


@dataclass(frozen=True)
class Family:
    """How to draw a value, spell it, and find one beside it that differs."""

    name: str
    draw: Callable[[Random], Params]
    spell: Callable[..., list[str]]
    neighbour: Callable[..., Params]


@dataclass(frozen=True)
class Pair:
    """A gold answer, an answer, and whether they are the same value."""

    family: str
    gold: str
    answer: str
    is_equal: bool


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


def nonzero(rng: Random, low: int, high: int) -> int:
    return rng.choice([n for n in range(low, high + 1) if n])


def other(rng: Random, value: int, low: int = 1, high: int = 9) -> int:
    return rng.choice([n for n in range(low, high + 1) if n != value])


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


def draw_fraction(rng: Random) -> Params:
    while True:
        p, q = nonzero(rng, -40, 40), rng.randint(2, 12)
        if gcd(p, q) == 1:
            return p, q


def fraction_neighbour(rng: Random, p: int, q: int) -> Params:
    choices = [(q, p) if p > 0 else (-q, -p), (-p, q), (p + q, q), (p, q + 1), (p + 1, q)]
    return rng.choice(
        [
            (a, b)
            for a, b in choices
            if b > 1 and a and Fraction(a, b) != Fraction(p, q) and Fraction(a, b).denominator > 1
        ]
    )


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


def integer_neighbour(rng: Random, n: int) -> Params:
    return (
        rng.choice([m for m in (n + 1, n - 1, -n, 10 * n, n + 100, int(str(abs(n))[::-1]) + 1) if m not in (n, 0)]),
    )


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
    return [f"{a}:{b}", f"{2 * a}:{2 * b}", f"{a} : {b}", f"\\frac{{{a}}}{{{b}}}", f"{a}∶{b}"]


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


def ints(*ranges: tuple[int, int]) -> Callable[[Random], Params]:
    return lambda rng: tuple(nonzero(rng, *bounds) for bounds in ranges)


def shifted(rng: Random, *params: Any) -> Params:
    """Move one parameter by one, or turn its sign."""
    index = rng.randrange(len(params))
    step = [params[index] + 1, params[index] - 1, -params[index]]
    value = rng.choice([new for new in step if new not in (0, params[index])])
    return (*params[:index], value, *params[index + 1 :])


def upward(rng: Random, *params: Any) -> Params:
    """Move one parameter up: for families whose parameters stay positive."""
    index = rng.randrange(len(params))
    return (*params[:index], params[index] + rng.randint(1, 2), *params[index + 1 :])


def ordered(rng: Random, num: int) -> Params:
    return tuple(sorted(rng.sample([n for n in range(-20, 21) if n], num)))


def flip_flag(rng: Random, a: int, b: int, left: bool, right: bool) -> Params:
    return rng.choice(
        [(a, b, not left, right), (a, b, left, not right), (a - 1, b, left, right), (a, b + 1, left, right)]
    )


def distinct_line(rng: Random, a: int, b: int, c: int) -> Params:
    return rng.choice([(a, b, c + 1 if c != -1 else 2), (a, -b, c), (-a, b, c)])


FAMILIES = (
    Family("fraction", draw_fraction, spell_fraction, fraction_neighbour),
    Family("integer", lambda rng: (rng.choice((-1, 1)) * rng.randint(1000, 99_999_999),), spell_integer, integer_neighbour),
    Family("surd", lambda rng: (nonzero(rng, -12, 12), rng.choice(SQUARE_FREE)), spell_surd, lambda rng, a, b: rng.choice([(-a, b), (a + 1 or 1, b), (a, other(rng, SQUARE_FREE.index(b), 0, 7) and SQUARE_FREE[(SQUARE_FREE.index(b) + 1) % 8] or 17)])),
    Family("surd fraction", lambda rng: (rng.choice((1, 3, 5, 7)), rng.choice(SQUARE_FREE), rng.choice((2, 4, 8))), spell_surd_fraction, lambda rng, a, b, c: rng.choice([(a + 2, b, c), (a, b, 2 * c), (a, 17, c)])),
    Family("pi", lambda rng: (rng.randint(2, 30), rng.choice((1, 3, 4, 6, 7))), spell_pi, lambda rng, p, q: (p + rng.randint(1, 2), q)),
    Family("quadratic", ints((-9, 9), (-9, 9)), spell_quadratic, lambda rng, a, b: rng.choice([(a, b + 10), (a + 10, b), (a + 10, b + 10)])),
    Family("linear", ints((-9, 9), (-20, 20)), spell_linear, shifted),
    Family("interval", lambda rng: (*ordered(rng, 2), rng.random() < 0.5, rng.random() < 0.5), spell_interval, flip_flag),
    Family("ray", lambda rng: (nonzero(rng, -20, 20), rng.random() < 0.5, rng.random() < 0.5), spell_ray, lambda rng, a, up, closed: rng.choice([(a, not up, closed), (a, up, not closed), (a + 1 or 1, up, closed)])),
    Family("union", lambda rng: ordered(rng, 2), spell_union, lambda rng, a, b: rng.choice([(a - 1, b), (a, b + 1)])),
    Family("roots", lambda rng: ordered(rng, rng.randint(2, 3)), spell_roots, lambda rng, *r: rng.choice([(*r, 21), (*r[:-1], 21), (-21, *r[1:])])),
    Family("point", lambda rng: ordered(rng, 2), spell_point, lambda rng, a, b: rng.choice([(b, a), (a, b + 1), (a - 1, b)])),
    Family("percent", lambda rng: (rng.randint(2, 99),), spell_percent, lambda rng, n: (n + rng.choice((1, -1)),)),
    Family("scientific", lambda rng: (rng.randint(11, 99), rng.choice((-6, -4, -3, 3, 4, 6, 9))), spell_scientific, lambda rng, m, e: rng.choice([(m + 1, e), (m, e + 1), (m, -e)])),
    Family("length", lambda rng: (rng.randint(2, 999),), spell_length, upward),
    Family("area", lambda rng: (rng.randint(2, 999),), spell_area, upward),
    Family("angle", lambda rng: (rng.randint(2, 359),), spell_angle, upward),
    Family("line", ints((-6, 6), (-6, 6), (-12, 12)), spell_line, distinct_line),
    Family("matrix", ints((-9, 9), (-9, 9), (-9, 9), (-9, 9)), spell_matrix, shifted),
    Family("logarithm", lambda rng: (rng.choice((2, 3, 5, 7)), rng.randint(2, 5)), spell_logarithm, lambda rng, a, n: rng.choice([(a, n + 1), (11, n)])),
    Family("trigonometric", lambda rng: (rng.randint(1, 4),), spell_trigonometric, upward),
    Family("complex", ints((-9, 9), (-9, 9)), spell_complex, shifted),
    Family("surd sum", lambda rng: (nonzero(rng, -9, 9), nonzero(rng, -6, 6), rng.choice(SQUARE_FREE)), spell_surd_sum, lambda rng, a, b, c: rng.choice([(a, -b, c), (-a, b, c), (a + 1 or 1, b, c)])),
    Family("rational", lambda rng: (rng.randint(2, 5), rng.randint(11, 19), rng.randint(1, 2)), spell_rational, lambda rng, a, b, c: (a, b + rng.randint(1, 2), c)),
    Family("power", lambda rng: (rng.randint(2, 12),), spell_power, upward),
    Family("big", lambda rng: (rng.randint(12, 60),), spell_big, upward),
    Family("ratio", lambda rng: (rng.choice((2, 3, 5)), rng.choice((7, 11, 13))), spell_ratio, lambda rng, a, b: rng.choice([(b, a), (a, b + 4), (a + 15, b)])),
    Family("count", lambda rng: (rng.randint(6, 12), rng.randint(2, 3)), spell_count, lambda rng, n, k: (n + 1, k)),
    Family("factorial", lambda rng: (rng.randint(4, 12),), spell_factorial, upward),
    Family("money", lambda rng: (rng.randint(101, 9999),), spell_money, upward),
    Family("exponential", lambda rng: (rng.randint(3, 9), rng.randint(1, 2)), spell_exponential, lambda rng, a, b: (a + 1, b)),
    Family("function", ints((2, 9), (-9, 9)), spell_function, upward),
    Family("letters", ints((2, 9), (-9, 9)), spell_letters, lambda rng, a, b: rng.choice([(a + 1, b), (a, -b)])),
    Family("sign", lambda rng: (rng.randint(1, 9), rng.choice(SQUARE_FREE)), spell_sign, lambda rng, a, b: rng.choice([(a + 1, b), (-a, b), (a, 17)])),
)  # fmt: skip


def make_pair(family: Family, rng: Random, *, is_equal: bool) -> Pair:
    """Draw two notations of one value, or one notation each of two values side by side."""
    params = family.draw(rng)
    gold = rng.choice(family.spell(*params))
    answers = [text for text in family.spell(*(params if is_equal else family.neighbour(rng, *params))) if text != gold]
    return Pair(family.name, gold, rng.choice(answers), is_equal)


def make_pairs(seed: int, num: int, *, is_equal: bool) -> Iterator[Pair]:
    """Draw pairs, the families in turn."""
    rng = Random(seed)
    for index in range(num):
        yield make_pair(FAMILIES[index % len(FAMILIES)], rng, is_equal=is_equal)
