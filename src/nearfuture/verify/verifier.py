"""`verify`: judge a response against a gold answer, safely, from any thread of any process.

What rules can decide is decided here, at the cost of a comparison; the rest goes to a pool of workers with a limit on
CPU time. Verdicts are cached by everything they depend on. Failures are never cached: `TIMEOUT` and `CRASH` say what
happened to a worker, not whether the answer is right.

Not here: the rules (`decide`), the workers (`pool`), rewards (`nearfuture.tasks.reward`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfuture.types import UserError, Verdict
from nearfuture.verify.cache import Cache
from nearfuture.verify.choices import read_options
from nearfuture.verify.decide import Case, Decision, ask, decide
from nearfuture.verify.numbers import read_tolerance
from nearfuture.verify.pool import CannotStart, TimedOut, WorkerPool, last_line
from nearfuture.verify.reading import MAX_RAW_CHARS
from nearfuture.verify.service_format import READABLE, pack

logger = logging.getLogger(__name__)

TIME_LIMIT = 2.0
"""Seconds of CPU time per case."""
CACHE_SIZE = 65536
VERIFIER_VERSION = "5"
"""Changes whenever a verdict may change, so that guidance judged by an older version is verified again."""


@dataclass(frozen=True, slots=True)
class Item:
    """One response to judge, with its gold answer."""

    response: str
    gold: str
    kind: str
    options: Sequence[str] | Mapping[str, str] | None = None
    tolerance: Mapping[str, Any] | None = None


class Verifier:
    """The built-in verifier with its cache and its workers.

    Args:
        strict: accept only an answer in a tag or a box.
        time_limit: seconds of CPU time per case.
        size: the most workers.
    """

    def __init__(self, *, strict: bool = False, time_limit: float = TIME_LIMIT, size: int | None = None) -> None:
        self.strict, self.time_limit = strict, time_limit
        self.pool = WorkerPool("nearfuture.verify.service:make_service", size=size)
        self._decisions: Cache[Case, Decision] = Cache(CACHE_SIZE)
        self._is_readable: Cache[str, bool] = Cache(CACHE_SIZE)

    def decide(self, item: Item) -> Decision:
        """Judge one response."""
        return self.decide_many([item])[0]

    def decide_many(self, items: Sequence[Item]) -> list[Decision]:
        """Judge responses; those that need sympy are spread over several workers, equal cases are sent once."""
        asked = [self._ask(item) for item in items]
        open_cases = list(dict.fromkeys(one for one in asked if isinstance(one, Case)))
        if not open_cases:
            return [one for one in asked if isinstance(one, Decision)]
        decisions = dict(zip(open_cases, self._with_workers(open_cases), strict=True))
        return [decisions[one] if isinstance(one, Case) else one for one in asked]

    def _ask(self, item: Item) -> Case | Decision:
        """Extract and decide by rule or from the cache; returns a case if sympy is needed."""
        gold = "" if item.gold is None else str(item.gold)
        response = item.response if isinstance(item.response, str) else ""
        options, tolerance = read_options(item.options), read_tolerance(item.tolerance)
        try:
            case = ask(response, gold, item.kind, options, tolerance, self.strict)
            if isinstance(case, Decision):
                return case
            known = self._decisions.get(case)
            decision = known or decide(case)
        except UserError:
            raise
        except Exception:
            logger.exception("the verifier failed on a response of %d characters", len(response))
            return Decision(Verdict.CRASH, Verdict.CRASH.value)
        if decision is None:
            return case
        if known is None:
            self._remember(case, decision)
        return decision

    def _with_workers(self, cases: list[Case]) -> list[Decision]:
        decisions = []
        for case, reply in zip(
            cases, self.pool.ask_many([pack(case) for case in cases], limit=self.time_limit), strict=True
        ):
            shown = ", ".join(case.answers)
            if isinstance(reply, Exception):
                _log_once(reply)
                verdict = Verdict.TIMEOUT if isinstance(reply, TimedOut) else Verdict.CRASH
                decisions.append(Decision(verdict, verdict.value, shown))
                continue
            decisions.append(Decision(Verdict(reply[0]), reply[1], shown))
            self._remember(case, decisions[-1])
        return decisions

    def unreadable(self, values: Sequence[str]) -> dict[str, str]:
        """Find the values that sympy cannot read, and say why; each is sent once, even over several calls.

        Raises:
            UserError: no worker starts, so nothing can be said about any value.
        """
        unknown = [value for value in dict.fromkeys(values) if self._is_readable.get(value) is None]
        replies = self.pool.ask_many([{"read": value} for value in unknown], limit=self.time_limit)
        faults = {}
        for value, reply in zip(unknown, replies, strict=True):
            if isinstance(reply, CannotStart):
                raise UserError(f"gold answers cannot be checked: {last_line(reply)}")
            if isinstance(reply, Exception):
                faults[value] = f"reading it fails: {last_line(reply)}"
            else:
                self._is_readable.put(value, reply == [READABLE])
        return faults | {
            value: f"{value[:40]!r} cannot be read as an expression"
            for value in values
            if self._is_readable.get(value) is False
        }

    def _remember(self, case: Case, decision: Decision) -> None:
        if sum(map(len, case.answers)) <= MAX_RAW_CHARS:
            self._decisions.put(case, decision)


_logged: set[str] = set()


def _log_once(error: Exception) -> None:
    """Log the first crash of each kind and count the rest."""
    kind = last_line(error)
    if not isinstance(error, TimedOut) and kind not in _logged:
        _logged.add(kind)
        logger.error("a verifier worker crashed; further ones of this kind are only counted:\n%s", error)


_shared = Verifier()


def verify(
    response: str,
    gold: str,
    *,
    kind: str,
    options: Sequence[str] | Mapping[str, str] | None = None,
    tolerance: Mapping[str, Any] | None = None,
) -> Verdict:
    """Judge a response against a gold answer.

    Safe from any thread and process, whatever the response holds; one that takes more than `TIME_LIMIT`
    seconds of CPU time gives `Verdict.TIMEOUT`, however busy the machine is.

    Args:
        response: what the model wrote, thoughts included.
        gold: the gold answer, with or without `$` or `\\boxed{}`.
        kind: `math`, `numeric`, `mcq`, `bool`, `text` or `list`.
        options: texts of the options in order, or a mapping of letters to texts (`mcq`).
        tolerance: how far a number may be off: any of `{"abs": ..., "rel": ..., "decimals": ...}`.

    Raises:
        UserError: the kind is unknown, or the tolerance malformed.

    Example:
        >>> verify("So it is \\\\boxed{0.5}.", "\\\\frac{1}{2}", kind="math")
        <Verdict.CORRECT: 'correct'>
        >>> verify("<answer>A or B</answer>", "A", kind="mcq", options=["red", "blue"])
        <Verdict.WRONG: 'wrong'>
    """
    return _shared.decide(Item(response, gold, kind, options, tolerance)).verdict


def verify_many(items: Sequence[Item]) -> list[Verdict]:
    """Judge many responses, on several workers at once."""
    return [decision.verdict for decision in _shared.decide_many(items)]


def explain(
    response: str,
    gold: str,
    *,
    kind: str,
    options: Sequence[str] | Mapping[str, str] | None = None,
    tolerance: Mapping[str, Any] | None = None,
) -> Decision:
    """Judge a response, and say which answer was found and which rule decided."""
    return _shared.decide(Item(response, gold, kind, options, tolerance))
