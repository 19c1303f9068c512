"""Judge completions with a task's verifier: one by one, or a batch at once if the verifier can.

    verify(completion, row)             a verdict, True, False, or None if it cannot be judged
    verify.many(completions, rows)      optional: a `Decision` each, several at a time (`nearfuture.verify`)

The user's own function runs in a worker that can be killed, if a worker can import it (`verify.function`).

Not here: what a verdict earns (`reward`), the verifiers (`verify`).
"""

from __future__ import annotations

import functools
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nearfuture.types import UserError, Verdict
from nearfuture.verify.decide import Decision
from nearfuture.verify.pool import Crashed, TimedOut, last_line

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]
Verify = Callable[[str, dict[str, Any]], Verdict | bool | float | None]

OWN_RULE = "own"
"""The rule recorded for a verifier that names none."""

_logged_crashes: set[tuple[str, str, str]] = set()


def judge(task_verify: Verify, completion: str, row: Row) -> Verdict:
    """Judge one completion; a verifier that fails yields a verdict too, never an exception.

    Raises:
        UserError: the verifier returned something other than a Verdict, a bool or None.
    """
    try:
        answer = task_verify(completion, dict(row))
    except (TimeoutError, TimedOut):
        return Verdict.TIMEOUT
    except Exception as error:  # noqa: BLE001 (whatever a verifier raises, it says nothing about the completion)
        _log_crash(task_verify, error)
        return Verdict.CRASH
    if isinstance(answer, Verdict):
        return answer
    if answer is None:
        return Verdict.INVALID_GOLD
    if isinstance(plain := plain_value(answer), bool):
        return Verdict.CORRECT if plain else Verdict.WRONG
    raise UserError(
        f"the verifier {_name(task_verify)} returned {answer!r} of type {type(answer).__name__}. It must return a "
        "Verdict, a bool or None. A score needs a threshold: Task(..., correct_threshold=1.0) counts a score of at "
        "least that as correct."
    )


def plain_value(answer: Any) -> Any:
    """Take a single value of numpy or torch out of its array: `numpy.bool_(True)` is True."""
    is_scalar = hasattr(answer, "item") and getattr(answer, "ndim", None) == 0
    return answer.item() if is_scalar else answer


class ScoreVerifier:
    """Turns a score into a verdict: correct if it is at least the threshold, not judged if it is NaN.

    Args:
        verify: returns a number, or anything else that a verifier may return.
        threshold: the lowest score that counts as correct.
    """

    def __init__(self, verify: Callable[[str, dict[str, Any]], Any], threshold: float) -> None:
        functools.update_wrapper(self, verify)
        self.verify, self.threshold = verify, threshold

    def __call__(self, completion: str, row: dict[str, Any]) -> Any:
        """Judge one completion."""
        answer = plain_value(self.verify(completion, row))
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            return answer
        return None if math.isnan(answer) else answer >= self.threshold


def judge_many(task_verify: Verify, completions: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[Decision]:
    """Judge completions, each with its row; all at once if the verifier has `many`.

    The completions of one row are judged together, because reading a row decodes its images.
    """
    many = getattr(task_verify, "many", None)
    if many is not None:
        return list(many(completions, rows))
    numbers_of: dict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        numbers_of[id(row)].append(number)
    verdicts: dict[int, Verdict] = {}
    for numbers in numbers_of.values():
        row = dict(rows[numbers[0]])
        verdicts |= {number: judge(task_verify, completions[number], row) for number in numbers}
    return [Decision(verdicts[number], OWN_RULE) for number in range(len(completions))]


def completion_text(completion: Any) -> str:
    """Return the text of a completion: itself, or the content of its last message (text parts joined)."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return content or ""


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _log_crash(task_verify: Verify, error: Exception) -> None:
    """Log the first crash of each kind with its traceback; the metrics count the others."""
    in_worker = isinstance(error, Crashed)
    kind = last_line(error).partition(":")[0] if in_worker else type(error).__name__
    crash = (getattr(task_verify, "__module__", ""), _name(task_verify), kind)
    if crash not in _logged_crashes:
        _logged_crashes.add(crash)
        said = "the verifier %s crashed; further %s are only counted"
        if in_worker:
            logger.error(f"{said}:\n%s", *crash[1:], error)
        else:
            logger.error(said, *crash[1:], exc_info=error)
