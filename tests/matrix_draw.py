"""A covering array with refusals: few rows in which every admissible option, or pair of options, occurs.

One row at a time: begin with what is still missing, then give each factor the option that adds most of what is missing
and meets no refusal; where that leads into a dead end, go back. So an option or pair is left out only if no row at all
can hold it. Libraries were tried: allpairspy 2.5.1 loses admissible pairs where there are refusals, covertable 3.2.0
draws for minutes with as many as here.

Not here: factors, options and refusals themselves (`matrix_table`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations, product

Item = tuple[str, str]
Row = dict[str, str]
Rule = Mapping[str, Collection[str]]
"""Options by factor that must not meet."""


def draw(factors: Mapping[str, Collection[str]], rules: Sequence[Rule], strength: int) -> list[Row]:
    """Rows in which all admissible options (strength 1) or pairs of them (2) occur; the same at each call."""
    names = list(factors)
    missing = dict.fromkeys(
        items
        for chosen in combinations(names, strength)
        for items in product(*([(name, option) for option in factors[name]] for name in chosen))
    )
    weights = Counter(name for rule in rules for name in rule)
    order = sorted(names, key=lambda name: -weights[name])  # what is bound most is chosen first
    rows = []
    while missing:
        first = next(iter(missing))
        row = complete(dict(first), order, factors, rules, missing)
        missing.pop(first)  # no row can hold it, or this one does
        if row is not None:
            rows.append({name: row[name] for name in names})
            for items in combinations(rows[-1].items(), strength):
                missing.pop(items, None)
    return rows


def complete(
    row: Row,
    order: Sequence[str],
    factors: Mapping[str, Collection[str]],
    rules: Sequence[Rule],
    missing: Collection[tuple[Item, ...]],
) -> Row | None:
    """The row with an option for every factor, or None where refusals leave none."""
    if any(is_met(rule, row) for rule in rules):
        return None
    name = next((name for name in order if name not in row), None)
    if name is None:
        return row
    for option in sorted(factors[name], key=lambda option: -_gain(row, (name, option), missing)):
        found = complete({**row, name: option}, order, factors, rules, missing)
        if found is not None:
            return found
    return None


def is_met(rule: Rule, row: Row) -> bool:
    """True where all options of a rule have met."""
    return all(name in row and row[name] in chosen for name, chosen in rule.items())


def _gain(row: Row, item: Item, missing: Collection[tuple[Item, ...]]) -> int:
    """How many of the missing pairs, or options, an item would add."""
    return sum(items in missing for other in row.items() for items in _orders(item, other)) + ((item,) in missing)


def _orders(one: Item, other: Item) -> Iterator[tuple[Item, Item]]:
    yield one, other
    yield other, one
