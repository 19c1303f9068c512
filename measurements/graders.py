"""Other people's graders in verl's form: each works as `verifier: measurements/graders.py:NAME` too.

    math_verify_raw       math-verify, its defaults, the gold answer as it is
    math_verify_wrapped   the same, the gold answer in $...$
    trl                   TRL's accuracy_reward
    mathruler             what EasyR1 grades with; needs `pip install mathruler pylatexenc`

Not here: the comparison (`verifiers.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def math_verify_raw(solution_str: str, ground_truth: str) -> float:
    """math-verify with the gold answer as it stands in the data."""
    from math_verify import parse, verify

    return float(verify(parse(ground_truth), parse(solution_str)))


def math_verify_wrapped(solution_str: str, ground_truth: str) -> float:
    """math-verify with the gold answer marked as LaTeX."""
    return math_verify_raw(solution_str, f"${ground_truth}$")


def trl(solution_str: str, ground_truth: str) -> float | None:
    """TRL's reward; None where it cannot parse the gold answer."""
    from trl.rewards import accuracy_reward

    return accuracy_reward([[{"role": "assistant", "content": solution_str}]], [ground_truth])[0]


def mathruler(solution_str: str, ground_truth: str) -> float:
    """mathruler's grader on the boxed content."""
    from mathruler.grader import extract_boxed_content, grade_answer

    return float(grade_answer(extract_boxed_content(solution_str), ground_truth))


def make(name: str) -> Callable[[list[str]], Any]:
    """Build a service for a worker: grade one pair."""
    grade = globals()[name]
    grade("\\boxed{1}", "1")

    def serve(pair: list[str]) -> Any:
        return grade(*pair)

    return serve
