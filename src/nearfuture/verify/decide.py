"""Decide whether a response is right: extract, read, compare by kind. The order of the rules is the order of this file.

`decide` works by rule and returns None if sympy is needed; `decide_with` takes a judge that may use sympy, in a worker.
Both are pure: no process, no clock.

Not here: gold answers (`golds`), time limits and the cache (`verifier`), how values are compared (`compare`, `values`,
`symbolic`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nearfuture.types import Verdict
from nearfuture.verify.answer import Clock, Group, Words
from nearfuture.verify.choices import Options, chosen_letters
from nearfuture.verify.compare import same
from nearfuture.verify.compare_single import same_clocks
from nearfuture.verify.extract import Extracted, closing_sentence, extract
from nearfuture.verify.golds import clean_gold, gold_fault
from nearfuture.verify.last_sentence import closing_phrases, stated_phrase
from nearfuture.verify.latex import normalise
from nearfuture.verify.numbers import Tolerance, read_number, same_number, with_decimal_point
from nearfuture.verify.parameters import may_declare, with_parameter_of
from nearfuture.verify.reading import MAX_RAW_CHARS, read_answer
from nearfuture.verify.values import RuleJudge, Undecided
from nearfuture.verify.words import is_yes_or_no, read_bool, read_list, same_compound, same_ordinal, same_text

RULES = (
    *("identical", "number", "structure", "symbolic", "unreadable", "guard"),
    *("letter", "option", "bool", "text", "list", "no_answer", "gold"),
)
"""What can have decided; `unreadable` is an answer that sympy cannot read, `guard` one that it must not be given."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a verdict depends on: the gold answer, the answer, the kind, the options and the tolerance.

    If `answers` is only the last box of the response, `all_boxes` holds every box: together they may be the gold list.
    """

    gold: str
    answers: tuple[str, ...]
    kind: str
    options: Options | None = None
    tolerance: Tolerance | None = None
    all_boxes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the rule that decided, and the answer that was judged."""

    verdict: Verdict
    rule: str
    answer: str | None = None


def ask(
    response: str, gold: str, kind: str, options: Options | None, tolerance: Tolerance | None, strict: bool
) -> Case | Decision:
    """Turn a response into a case, or into a decision if it has no answer or its gold answer is unusable."""
    reason = gold_fault(gold, kind, options)
    if reason is not None:
        return Decision(Verdict.INVALID_GOLD, "gold")
    if kind == "math" and is_yes_or_no(clean_gold(gold)):
        kind = "bool"
    found = extract(response, kind=kind, strict=strict)
    if kind == "mcq" and options is not None and not strict and not _chooses(found, options):
        said = closing_sentence(response)
        found = said if said is not None and chosen_letters(said.text, options) else found
    if found is None:
        return Decision(Verdict.NO_ANSWER, "no_answer")
    return Case(gold, found.parts or (found.text,), kind, options, tolerance, found.all_boxes)


def _chooses(found: Extracted | None, options: Options) -> bool:
    """False for no answer, and for one that nothing marks and that chooses no letter."""
    return found is not None and (found.source != "bare" or bool(chosen_letters(found.text, options)))


def decide(case: Case, judge: RuleJudge | None = None) -> Decision | None:
    """Decide by rule; None if sympy is needed."""
    judge = judge or RuleJudge(case.tolerance)
    try:
        return decide_with(case, judge)
    except Undecided:
        return None


def decide_with(case: Case, judge: RuleJudge) -> Decision:
    """Decide with a judge; several answers given at once must be right each, or right as a list."""
    compare = _COMPARE[case.kind]
    gold = clean_gold(case.gold, case.kind)
    shown = ", ".join(case.answers)
    is_right = compare(gold, shown, case, judge)
    if not is_right and len(case.answers) > 1:
        is_right = all(compare(gold, answer, case, judge) for answer in case.answers)
    if not is_right and case.all_boxes and case.kind in ("math", "list"):
        together = ", ".join(case.all_boxes)
        if compare(gold, together, case, judge):
            return Decision(Verdict.CORRECT, judge.rule, together)
    return Decision(Verdict.CORRECT if is_right else Verdict.WRONG, judge.rule, shown)


def _same_maths(gold: str, answer: str, case: Case, judge: RuleJudge) -> bool:
    judge.rule = "structure"
    if gold == answer or same_compound(gold, answer) or same_ordinal(gold, answer):
        judge.rule = "identical"
        return True
    if (may_declare(gold) or may_declare(answer)) and len(answer) <= MAX_RAW_CHARS:
        answer = with_parameter_of(normalise(gold), normalise(answer))
    gold, answer = with_decimal_point(gold, answer, min_decimals=2), with_decimal_point(answer, gold)
    numbers = read_number(gold), read_number(answer)
    if numbers[0] is not None and numbers[1] is not None:
        judge.rule = "number"
        return same_number(numbers[0], numbers[1], case.tolerance)
    return same(read_answer(gold), read_answer(answer), judge)


def _same_choice(gold: str, answer: str, case: Case, judge: RuleJudge) -> bool:
    judge.rule = "letter"
    right = chosen_letters(gold, case.options)
    chosen = chosen_letters(answer, case.options)
    if chosen or case.options is None:
        return chosen == right
    judge.rule = "option"
    said = read_answer(answer)
    if isinstance(said, Words) or (isinstance(said, Group) and not said.items):
        return False
    matching = {letter for letter, text in case.options if same(read_answer(text), said, judge)}
    judge.rule = "option"
    return matching == right


def _same_bool(gold: str, answer: str, case: Case, judge: RuleJudge) -> bool:
    judge.rule = "bool"
    return read_bool(gold) == read_bool(answer)


def _same_text(gold: str, answer: str, case: Case, judge: RuleJudge) -> bool:
    judge.rule = "text"
    clocks = read_answer(gold), read_answer(answer)
    if isinstance(clocks[0], Clock) and isinstance(clocks[1], Clock):
        return same_clocks(clocks[0], clocks[1], judge)
    if any(same_text(gold, said) for said in (answer, stated_phrase(answer), *closing_phrases(answer)) if said):
        return True
    numbers = read_number(gold.strip()), read_number(answer.strip())
    return numbers[0] is not None and numbers[1] is not None and same_number(numbers[0], numbers[1], case.tolerance)


def _same_list(gold: str, answer: str, case: Case, judge: RuleJudge) -> bool:
    items = read_list(gold), read_list(answer)
    judge.rule = "list"
    if items[0] is None or items[1] is None or len(items[0]) != len(items[1]):
        return False
    return all(_same_item(g, a, case, judge) for g, a in zip(items[0], items[1], strict=True))


def _same_item(gold: str, answer: str, case: Case, judge: RuleJudge) -> bool:
    if same_text(gold, answer):
        return True
    nodes = read_answer(gold), read_answer(answer)
    is_same = same(nodes[0], nodes[1], judge)
    judge.rule = "list"
    return is_same


_COMPARE: dict[str, Callable[[str, str, Case, RuleJudge], bool]] = {
    "math": _same_maths,
    "numeric": _same_maths,
    "mcq": _same_choice,
    "bool": _same_bool,
    "text": _same_text,
    "list": _same_list,
}
