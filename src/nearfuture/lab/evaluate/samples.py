"""Some questions of an evaluation with their answers, kept as plain values for people to look at.

Not here: all responses (`responses`), how samples are shown (`nearfuture.lab.report.samples`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfuture.guidance.shown import MOST_ANSWERS, cut, spread
from nearfuture.lab.evaluate.responses import Answer
from nearfuture.lab.evaluate.suites import Suite
from nearfuture.record.prompts import prompt_text
from nearfuture.record.thumbnails import thumbnails
from nearfuture.tasks.identity import images_of
from nearfuture.types import Verdict

NUM_QUESTIONS = 240
"""Questions kept per policy over all suites; a suite keeps at least `MIN_QUESTIONS`, and no more if it has images."""
MIN_QUESTIONS = 20


def kept(policy: str, suite: Suite, answers: Sequence[Sequence[Answer]], num_questions: int) -> list[dict[str, Any]]:
    """Keep some questions of a suite with their answers, spread evenly over all of them.

    Args:
        policy: the policy that answered.
        suite: the questions.
        answers: the answers to each question.
        num_questions: how many questions to keep.
    """
    has_images = bool(images_of(suite.rows[0]))
    num = MIN_QUESTIONS if has_images else num_questions
    return [_row(policy, suite, i, answers[i]) for i in spread(len(suite.questions), num)]


def _row(policy: str, suite: Suite, index: int, answers: Sequence[Answer]) -> dict[str, Any]:
    row, question = suite.rows[index], suite.questions[index]
    images = [image for image in images_of(row) if hasattr(image, "convert")]
    judged = [answer.verdict is Verdict.CORRECT for answer in answers if answer.verdict.is_judged]
    return {
        "policy": policy,
        "source": suite.name,
        "prompt_id": question.uid,
        "family": (question.facts or {}).get("family"),
        "prompt": prompt_text(row.get("prompt", "")),
        "expected": suite.expected(row),
        "pass_rate": sum(judged) / len(judged) if judged else None,
        **({"images": thumbnails(images), "num_images": len(images)} if images else {}),
        "rollouts": [
            {"text": cut(one.response), "verdict": one.verdict.value, "read": one.extracted}
            for one in answers[:MOST_ANSWERS]
        ],
    }
