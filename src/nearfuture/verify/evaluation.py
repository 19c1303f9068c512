"""Evaluate expressions: exactly if they are fractions, otherwise to as many digits as their parts call for.

Two constants are compared to 50 digits beyond the largest and the smallest number in them, so that 2^{2005} is not
2^{2005} - 1 and e^{-200} is not 0. Two expressions with variables are compared at random points, with the same
exactness. What cannot be evaluated (f(x), dy/dx, an endless sum) becomes a name, which both sides share or do not.

Not here: reading expressions (`parsing`), using the results (`symbolic`).
"""

from __future__ import annotations

import math
import random
from typing import Any

import sympy
from sympy.core.function import AppliedUndef

DIGITS, MARGIN, MAX_DIGITS = 50, 15, 20_000
NUM_POINTS, MIN_POINTS, ENOUGH_POINTS, NUM_EXACT = 10, 4, 6, 2
MAX_TERMS, ODD = 1000, (3, 5, 7, 9)
_FAILURES = (TypeError, ValueError, AttributeError, ZeroDivisionError, NotImplementedError, OverflowError)
_ENDLESS = (sympy.Integral, sympy.Limit, sympy.Sum, sympy.Product)
_OPERATORS = (*_ENDLESS, sympy.Derivative)


def is_constant(expression: Any) -> bool:
    """True if the expression contains no name."""
    return not getattr(expression, "free_symbols", None)


def evaluate(expression: Any, digits: int = DIGITS) -> Any:
    """Evaluate a constant to a number; None if that fails."""
    try:
        value = expression if expression.is_Rational else expression.evalf(digits, maxn=max(400, 3 * digits))
    except _FAILURES:
        return None
    if not getattr(value, "is_number", False) or value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return None
    real, imaginary = value.as_real_imag()
    if not (real.is_Float or real.is_Rational) or not (imaginary.is_Float or imaginary.is_Rational):
        return None
    return real if abs(imaginary) <= sympy.Float(10) ** (MARGIN - digits) * max(1, abs(real)) else value


def same_constant(a: Any, b: Any) -> bool | None:
    """Decide whether two constants are equal; None if they cannot be evaluated precisely enough.

    Example:
        >>> same_constant(sympy.Integer(2) ** 2005, sympy.Integer(2) ** 2005 - 1)
        False
        >>> same_constant(sympy.sqrt(3 + 2 * sympy.sqrt(2)), 1 + sympy.sqrt(2))
        True
    """
    if a.is_Rational and b.is_Rational:
        return bool(a == b)
    rough = evaluate(a), evaluate(b)
    if None in rough:
        return None
    if not _near(*rough, DIGITS):
        return False
    size = spread(a) + spread(b)
    if size < 1:
        return True
    digits = DIGITS + 2 * math.ceil(size)
    if digits > MAX_DIGITS:
        return None
    values = evaluate(a, digits), evaluate(b, digits)
    return None if None in values else _near(*values, digits)


def _near(a: Any, b: Any, digits: int) -> bool:
    return bool(abs(a - b) <= sympy.Float(10) ** (MARGIN - digits) * max(abs(a), abs(b), sympy.Integer(10) ** -digits))


def spread(expression: Any) -> float:
    """Add up the orders of magnitude of all numbers, powers and functions inside that are far from one."""
    total = 0.0
    for term in sympy.preorder_traversal(expression):
        if term.is_Rational:
            total += (
                max(term.p.bit_length(), term.q.bit_length()) * math.log10(2) if abs(term.p) + term.q > 10**9 else 0
            )
        elif (term.is_Pow or term.is_Function) and not term.free_symbols:
            value = term.evalf(5, maxn=400)
            if value.is_number and value.is_finite and value != 0:
                order = abs(float(sympy.log(abs(value), 10).evalf(5)))
                total += order if order > 9 else 0
    return total


def settled(expression: Any) -> Any:
    """Carry out what can be carried out; anything else becomes a name, the same one for the same text.

    A finite sum of at most `MAX_TERMS` terms is carried out, and so is d/dx of an expression that contains x.
    """
    try:
        done = expression.replace(lambda term: isinstance(term, (*_OPERATORS, AppliedUndef)), _carried_out)
        return done.doit() if hasattr(done, "doit") else done
    except _FAILURES:
        return expression


def carried_out(expression: Any) -> Any:
    """Carry out integrals, limits and endless sums as well."""
    try:
        return settled(expression.replace(lambda term: isinstance(term, _ENDLESS), _solved))
    except _FAILURES:
        return settled(expression)


def has_operators(expression: Any) -> bool:
    """True if the expression contains an integral, a limit or a sum."""
    return isinstance(expression, sympy.Basic) and expression.has(*_ENDLESS)


def _carried_out(term: Any) -> Any:
    if isinstance(term, sympy.Sum | sympy.Product):
        _, low, high = term.limits[0]
        if low.is_Integer and high.is_Integer and high - low <= MAX_TERMS:
            return term.doit()
    elif isinstance(term, sympy.Derivative) and set(term.variables) <= term.expr.free_symbols - {term.expr}:
        return term.doit()
    return _name_of(term)


def _solved(term: Any) -> Any:
    """Carry out an operator; an integral without bounds has no single value."""
    if isinstance(term, sympy.Integral) and any(len(limit) < 3 for limit in term.limits):
        return term
    return term.doit()


def _name_of(term: Any) -> Any:
    """Name a term by its content, and its bound variables by their position."""
    if isinstance(term, sympy.Integral | sympy.Sum | sympy.Product | sympy.Limit):
        bound = [term.args[1]] if isinstance(term, sympy.Limit) else list(term.variables)
        is_free = isinstance(term, sympy.Integral) and any(len(limit) == 1 for limit in term.limits)
        plain = {} if is_free else {name: sympy.Symbol(f"_{index}") for index, name in enumerate(bound)}
        parts = [_plainly(arg.xreplace(plain)) for arg in term.args]
        return sympy.Symbol(f"{type(term).__name__}{parts}", real=True)
    return sympy.Symbol(f"{term.func}{[_plainly(arg) for arg in term.args]}", real=True)


def _plainly(part: Any) -> str:
    try:
        part = sympy.Tuple(*(x.doit() for x in part)) if isinstance(part, sympy.Tuple) else part.doit()
        if not isinstance(part, sympy.Tuple) and part.is_rational_function():
            part = sympy.factor(part)
    except _FAILURES:
        pass
    return str(part)


def agree(gold: Any, answer: Any) -> bool | None:
    """Compare at random points; None if fewer than `MIN_POINTS` could be evaluated."""
    if gold == answer:
        return True
    names, renamed = by_name(_with_real_roots(gold), _with_real_roots(answer))
    may_be_complex = all(one.has(sympy.I) for one in renamed)
    num_agreed = 0
    for point in points(names):
        values = [at(one, point) for one in renamed]
        rough = [evaluate(value) for value in values if value is not None]
        if len(rough) < 2 or None in rough:
            continue
        are_real = [bool(value.is_real) for value in rough]
        if are_real[0] != are_real[1] and not _differ_by_a_branch(*rough):
            return False
        if not (may_be_complex or all(are_real)):
            continue
        if not _near(rough[0], rough[1], DIGITS) or (num_agreed < NUM_EXACT and same_constant(*values) is False):
            return False
        num_agreed += 1
        if num_agreed == ENOUGH_POINTS:
            return True
    return True if num_agreed >= MIN_POINTS else None


def _with_real_roots(expression: Any) -> Any:
    """Take the real odd root of what may be negative: x^{2/3} is the cube root of x^2."""
    return expression.replace(
        lambda term: term.is_Pow and term.exp.is_Rational and term.exp.q in ODD and bool(term.base.free_symbols),
        lambda term: (sympy.sign(term.base) * abs(term.base) ** sympy.Rational(1, term.exp.q)) ** term.exp.p,
    )


def at(expression: Any, point: dict[Any, Any]) -> Any:
    """Substitute numbers for names."""
    try:
        value = expression.xreplace(point)
        return value if value.is_Rational else value.doit()
    except _FAILURES:
        return None


def points(symbols: list[Any]) -> list[dict[Any, Any]]:
    """Draw the same points every time: in half of them all numbers are positive, in half they have either sign."""
    draw = random.Random(len(symbols))
    drawn = []
    for index in range(NUM_POINTS):
        signs = [1 if index % 2 == 0 else draw.choice((-1, 1)) for _ in symbols]
        drawn.append(
            {s: sympy.Rational(sign * draw.randint(200, 40000), 9973) for s, sign in zip(symbols, signs, strict=True)}
        )
    return drawn


def _differ_by_a_branch(a: Any, b: Any) -> bool:
    """True if two logarithms differ only by full turns: ln(xy) and ln x + ln y for negative x and y."""
    real, imaginary = (a - b).as_real_imag()
    turns = imaginary / (2 * sympy.pi.evalf(DIGITS))
    bound = sympy.Float(10) ** (MARGIN - DIGITS) * max(1, abs(a))
    return bool(abs(real) <= bound and abs(turns - round(turns)) <= bound)


def by_name(*expressions: Any) -> tuple[list[Any], list[Any]]:
    """Give both expressions the same symbols for the same names: the parser's assumptions may differ."""
    names = sorted({symbol.name for one in expressions for symbol in one.free_symbols})
    plain = {name: sympy.Symbol(name, real=True) for name in names}
    renamed = [one.xreplace({symbol: plain[symbol.name] for symbol in one.free_symbols}) for one in expressions]
    return [plain[name] for name in names], renamed


def constant_factor(gold: Any, answer: Any) -> Any:
    """Return the constant c for which gold = c * answer at every point; None if there is none."""
    names, renamed = by_name(gold, answer)
    first: tuple[Any, Any] | None = None
    num_agreed = 0
    for point in points(names):
        values = [at(one, point) for one in renamed]
        rough = [evaluate(value) for value in values if value is not None]
        if len(rough) < 2 or None in rough or not all(value.is_real for value in rough) or 0 in rough:
            continue
        first = first or (values[0], values[1])
        if same_constant(values[0] * first[1], first[0] * values[1]) is not True:
            return None
        num_agreed += 1
    return first[0] / first[1] if first is not None and num_agreed >= MIN_POINTS else None
