"""What a worker of the built-in verifier runs: a question in, a verdict and its rule out.

Not here: the worker (`worker`), the questions (`decide`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nearfuture.tasks.verify.decide import decide_with
from nearfuture.tasks.verify.service_format import unpack
from nearfuture.tasks.verify.symbolic import SymbolicJudge, read
from nearfuture.tasks.verify.values import UnreadableGold
from nearfuture.types import Verdict

READABLE, UNREADABLE = "readable", "unreadable"


def make_service(_argument: str) -> Callable[[Any], list[str]]:
    """Build the service; reads one expression, so that the first question finds everything loaded."""
    read(r"\frac{1}{2}+x")

    def serve(payload: dict[str, Any]) -> list[str]:
        if "read" in payload:
            return [READABLE if read(payload["read"]) is not None else UNREADABLE]
        question = unpack(payload)
        judge = SymbolicJudge(question.tolerance)
        try:
            decision = decide_with(question, judge)
        except UnreadableGold:
            return [Verdict.INVALID_GOLD, "gold"]
        return [decision.verdict, decision.rule]

    return serve
