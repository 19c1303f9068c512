"""The rule of the matrix: half of all texts are odd, whatever a model writes. Without imports, as a worker loads it.

Not here: the tasks that are judged by it (`matrix_worlds`).
"""

from __future__ import annotations

from typing import Any


def is_odd(text: str) -> bool:
    return sum(map(ord, text.strip())) % 2 == 1


def verify(completion: str, row: dict[str, Any]) -> bool:
    """The rule as a task has it."""
    return is_odd(completion)


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> float:
    """The rule in verl's form."""
    return float(is_odd(solution_str))
