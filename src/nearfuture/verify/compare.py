"""Decide whether two answers are the same, given a judge for single values.

    group              the same items, as often; a bare list or a set in any order, a tuple or a list in its own
    hedge              "3 or 4" is two answers, so it is not 4
    named              x = 5 is 5, and 5 is x = 5, but x = 5 is not y = 5
    equation           the same up to a factor: x + y = 2 is 2x + 2y = 4
    set of reals       the same intervals, ends included or not

Not here: single answers (`compare_single`), sets of reals (`compare_reals`), values (`values`, `symbolic`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from nearfuture.verify.answer import (
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
    Span,
    Statement,
    Words,
)
from nearfuture.verify.compare_reals import Judge, same_reals
from nearfuture.verify.compare_single import (
    clock_and_other,
    matrix_and_scalar,
    number_and_congruence,
    ratio_and_scalar,
    same_clocks,
    same_congruences,
    same_matrices,
    same_ratios,
    same_scalars,
)
from nearfuture.verify.guards import is_blocked
from nearfuture.verify.pieces import has_variables, is_quantity
from nearfuture.verify.reading import read_answer


def same(gold: Node, answer: Node, judge: Judge) -> bool:
    """Decide whether an answer is the gold answer."""
    if isinstance(answer, Rounded):
        return _same_rounded(gold, answer, judge)
    if isinstance(gold, Rounded):
        return same(gold.exact, answer, judge) or same(gold.near, answer, judge)
    if isinstance(answer, Chain):
        return _ends_in(gold, answer, judge)
    if isinstance(gold, Chain):
        return same(gold.items[-1], answer, judge)
    if isinstance(gold, Named) or isinstance(answer, Named):
        return _same_named(gold, answer, judge)
    for kinds, compare in _TABLE:
        if isinstance(gold, kinds[0]) and isinstance(answer, kinds[1]):
            return compare(gold, answer, judge)
    return False


def _same_named(gold: Node, answer: Node, judge: Judge) -> bool:
    answer = _last_of_named(answer)
    if isinstance(gold, Named) and isinstance(answer, Named):
        if gold.name == answer.name or answer.name in _shorter(gold.name) or gold.name in _shorter(answer.name):
            return same(gold.value, answer.value, judge)
        if (renamed := _with_argument_of(gold, answer)) is not None:
            return same(gold.value, renamed, judge)
        equations = _as_equation(gold), _as_equation(answer)
        return None not in equations and _same_equations(*equations, judge)  # type: ignore[arg-type]
    if isinstance(gold, Equation) or isinstance(answer, Equation):
        equations = _as_equation(gold), _as_equation(answer)
        return None not in equations and _same_equations(*equations, judge)  # type: ignore[arg-type]
    if isinstance(gold, Named):
        return same(gold.value, _without_indices(answer, gold.name), judge)
    return isinstance(answer, Named) and same(_without_indices(gold, answer.name), answer.value, judge)


def _without_indices(node: Node, name: str) -> Node:
    """Reduce x_1 = 2, x_2 = 5 to 2, 5, if the other side has the values of x."""
    if not isinstance(node, Group) or node.bracket:
        return node
    indexed = [item for item in node.items if isinstance(item, Named) and item.name.startswith(f"{name}_")]
    return Group("", tuple(item.value for item in indexed)) if len(indexed) == len(node.items) else node


def _with_argument_of(gold: Named, answer: Named) -> Node | None:
    """Write f(t) = t + 1 in the x of f(x); None if they are different functions, or x has another meaning already."""
    names = _FUNCTION.fullmatch(gold.name), _FUNCTION.fullmatch(answer.name)
    if names[0] is None or names[1] is None or names[0][1] != names[1][1] or not isinstance(answer.value, Scalar):
        return None
    new, old = names[0][2], names[1][2]
    words = re.compile(rf"\\[A-Za-z]+|{new}|{old}")
    if new in words.findall(answer.value.text):
        return None
    return Scalar(words.sub(lambda word: new if word[0] == old else word[0], answer.value.text), answer.value.unit)


_FUNCTION = re.compile(r"([A-Za-z])\(([a-z])\)")


def _shorter(name: str) -> tuple[str, ...]:
    """Return the short name of y(x), which is y."""
    return (name[0],) if re.fullmatch(r"[A-Za-z]\([a-z]\)", name) else ()


def _same_rounded(gold: Node, answer: Rounded, judge: Judge) -> bool:
    """Compare `4\\pi ≈ 12.57`: one side is the gold answer, and the second may be the first, rounded."""
    if isinstance(gold, Rounded):
        return same(gold.exact, answer.exact, judge)
    if not same(gold, answer.near, judge) and not same(gold, answer.exact, judge):
        return False
    exact = _last(answer.exact)
    return not isinstance(exact, Scalar) or judge.near(exact.text, answer.near.text)


def _last(node: Node) -> Node:
    while isinstance(node, Named | Chain):
        node = node.value if isinstance(node, Named) else node.items[-1]
    return node


def _ends_in(gold: Node, answer: Chain, judge: Judge) -> bool:
    """Compare `2 + 3 = 5`: the last value is the gold answer, and no other value contradicts it.

    A part that cannot be read (a limit, a sum in words) contradicts nothing. Neither does a slip on the way: x = 3 + 4
    = 8 and 4 + 4 + 1 = 8 + 2 = 10 end in an answer, while 2 + 2 = 5 and 4 = 5 are false claims.
    """
    *steps, last = answer.items
    if not same(gold, last, judge):
        return False
    if len(steps) > 1 and any(map(_is_calculated, steps)):
        return True
    return all(_is_opaque(step) or same(gold, step, judge) for step in steps)


def _last_of_named(node: Node) -> Node:
    """Reduce x = 3 + 4 = 8 to x = 8: a calculation for a name ends in its value."""
    if isinstance(node, Named) and isinstance(node.value, Chain) and any(map(_is_calculated, node.value.items[:-1])):
        return Named(node.name, node.value.items[-1])
    return node


def _is_calculated(node: Node) -> bool:
    return isinstance(node, Scalar) and _OPERATION.search(node.text) is not None


_OPERATION = re.compile(r"(?<=[\w)}])\s?(?:[-+*/]|\\cdot|\\times|\\div)\s?(?=[\w(\\{])")


def _is_opaque(node: Node) -> bool:
    if isinstance(node, Words):
        return True
    return isinstance(node, Scalar) and (
        _WORK.search(node.text) is not None or is_quantity(node.text) or is_blocked(node.text)
    )


def _equation_and_value(gold: Node, answer: Node, judge: Judge) -> bool:
    """Compare `expression = value` with a value: m + n = 5 and \\int_0^1 x dx = 1/2 have one, 2x = 5 does not."""
    equation, value = (gold, answer) if isinstance(gold, Equation) else (answer, gold)
    assert isinstance(equation, Equation)
    right = read_answer(equation.right)
    if not same(*((right, value) if equation is gold else (value, right)), judge):
        return False
    if _WORK.search(equation.left) or is_quantity(equation.left):
        return True
    return not is_blocked(equation.left) and equation is answer and judge.equal(equation.right, equation.left)


_WORK = re.compile(
    r"\\(?:sum|prod|int|iint|oint|lim|ldots|binom|det|frac\{d\}|mathbb|vec|overrightarrow|begin)|\.\.\.|(?<![A-Za-z\\])lim\b"
)


def _as_equation(node: Node) -> Equation | None:
    """Write y = 2x as an equation; None if the name is a word, or the value has no variables."""
    if isinstance(node, Equation):
        return node
    if isinstance(node, Named) and isinstance(node.value, Scalar) and len(node.name) == 1:
        return Equation(node.name, node.value.text) if has_variables(node.value.text) else None
    return None


def _same_words(gold: Words, answer: Words, judge: Judge) -> bool:
    return gold.text == answer.text


def _same_groups(gold: Group, answer: Group, judge: Judge) -> bool:
    if {gold.bracket, answer.bracket} in _NEVER_SAME:
        return False
    gold, answer = _as_solutions(gold), _as_solutions(answer)
    if len(gold.items) != len(answer.items):
        return False
    if _is_named(gold) ^ _is_named(answer) and {gold.bracket, answer.bracket} & {"{}", "[]"}:
        return False
    is_free = gold.bracket in _FREE and answer.bracket in _FREE and not _is_named(gold) ^ _is_named(answer)
    pair = _same_in_any_order if is_free else _same_in_order
    return pair(_by_name(gold, answer), _by_name(answer, gold), lambda g, a: same(g, a, judge))


def _as_solutions(group: Group) -> Group:
    """Count a repeated tuple in a bare list once: it is a solution, not a root with its multiplicity."""
    if group.bracket or not all(isinstance(item, Group) for item in group.items):
        return group
    return Group("", tuple(dict.fromkeys(group.items)))


_FREE = ("", "{}")
"""Brackets whose items have no order; an item that is given twice counts twice."""
_NEVER_SAME: tuple[set[str], ...] = ({"()", "[]"}, {"{}", "()"}, {"{}", "[]"})


def _by_name(group: Group, other: Group) -> tuple[Node, ...]:
    """Order items by their names (y = 2, x = 1), where the items of the other side are told apart by position alone."""
    names = [node.name for node in group.items if isinstance(node, Named)]
    if len(names) < len(group.items) or other.bracket != "()" or len(set(names)) < len(names):
        return group.items
    return tuple(node for _, node in sorted(zip(names, group.items, strict=True), key=lambda pair: pair[0]))


def _is_named(group: Group) -> bool:
    return any(isinstance(item, Named) for item in group.items)


def _same_in_order(gold: Sequence[Node], answer: Sequence[Node], is_same: Callable[[Node, Node], bool]) -> bool:
    return all(is_same(g, a) for g, a in zip(gold, answer, strict=True))


def _same_in_any_order(gold: Sequence[Node], answer: Sequence[Node], is_same: Callable[[Node, Node], bool]) -> bool:
    """Pair every gold item with a different item; equality is transitive, so the first match is enough."""
    left = list(answer)
    for item in gold:
        found = next((index for index, other in enumerate(left) if is_same(item, other)), None)
        if found is None:
            return False
        del left[found]
    return True


def _single(gold: Node, answer: Node, judge: Judge) -> bool:
    """Compare {5} with 5, and several answers each of which is the gold answer (1/2 or 0.5)."""
    group, other = (gold, answer) if isinstance(gold, Group) else (answer, gold)
    if not isinstance(group, Group) or (len(group.items) != 1 and (group is gold or group.bracket)):
        return False
    return bool(group.items) and all(
        same(*((item, other) if group is gold else (other, item)), judge) for item in group.items
    )


def _group_and_reals(gold: Node, answer: Node, judge: Judge) -> bool:
    group, reals = (gold, answer) if isinstance(gold, Group) else (answer, gold)
    assert isinstance(group, Group) and isinstance(reals, RealSet)
    if group.bracket not in ("()", "[]") or len(group.items) != 2:
        return False
    low, high = group.items
    if not isinstance(low, Scalar) or not isinstance(high, Scalar):
        return False
    closed = group.bracket == "[]"
    as_reals = RealSet((Span(low.text, high.text, closed, closed),))
    return same_reals(*((as_reals, reals) if group is gold else (reals, as_reals)), judge)


def _same_equations(gold: Equation, answer: Equation, judge: Judge) -> bool:
    sides = [f"({one.left})-({one.right})" for one in (gold, answer)]
    return judge.factor(*sides) is not None


def _matrix_and_group(gold: Node, answer: Node, judge: Judge) -> bool:
    """Compare a vector written as a column with one written as a tuple."""
    matrix, group = (gold, answer) if isinstance(gold, Matrix) else (answer, gold)
    assert isinstance(matrix, Matrix) and isinstance(group, Group)
    if group.bracket != "()" or any(len(row) != 1 for row in matrix.rows) or len(matrix.rows) != len(group.items):
        return False
    column = tuple(Scalar(row[0]) for row in matrix.rows)
    gold_items, answer_items = (column, group.items) if matrix is gold else (group.items, column)
    return _same_in_order(gold_items, answer_items, lambda g, a: same(g, a, judge))


def _same_statements(gold: Statement, answer: Statement, judge: Judge) -> bool:
    return gold == answer


_TABLE: tuple[tuple[tuple[Any, Any], Callable[..., bool]], ...] = (
    ((Scalar, Scalar), same_scalars),
    ((Words, Words), _same_words),
    ((Group, Group), _same_groups),
    ((RealSet, RealSet), same_reals),
    ((Group, RealSet), _group_and_reals),
    ((RealSet, Group), _group_and_reals),
    ((Equation, Equation), _same_equations),
    ((Matrix, Matrix), same_matrices),
    ((Matrix, Group), _matrix_and_group),
    ((Group, Matrix), _matrix_and_group),
    ((Matrix, Scalar), matrix_and_scalar),
    ((Scalar, Matrix), matrix_and_scalar),
    ((Clock, Clock), same_clocks),
    ((Clock, Scalar | Ratio), clock_and_other),
    ((Scalar | Ratio, Clock), clock_and_other),
    ((Statement, Statement), _same_statements),
    ((Congruence, Congruence), same_congruences),
    ((Scalar, Congruence), number_and_congruence),
    ((Equation, Scalar | Clock | Ratio), _equation_and_value),
    ((Scalar | Clock | Ratio, Equation), _equation_and_value),
    ((Ratio, Ratio), same_ratios),
    ((Ratio, Scalar), ratio_and_scalar),
    ((Scalar, Ratio), ratio_and_scalar),
    ((Group, object), _single),
    ((object, Group), _single),
)
