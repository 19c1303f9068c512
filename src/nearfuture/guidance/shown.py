"""Samples of an evaluation for people to look at: some prompts with what was answered, read and expected.

    shown = ShownSamples(engine, task, rows, num_prompts=20)
    answers = answer(..., on_sample=shown.see)
    shown.rows(answers.rates)

Not here: sampling and judging (`held_out`), where they are written (`nearfuture.run.recorder`, `lab.study.test_split`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nearfuture.guidance.ask import Sample
from nearfuture.guidance.engine import Engine, Row
from nearfuture.record.prompts import prompt_text
from nearfuture.record.thumbnails import thumbnails
from nearfuture.tasks import shown
from nearfuture.tasks.identity import images_of, prompt_hash
from nearfuture.tasks.task import Task

MOST_CHARS = 8000
"""The most characters of a text that are kept; the number of further ones is written after them."""
MOST_ANSWERS = 4


class ShownSamples:
    """Keeps the samples of a few rows, spread evenly over all, the same at every evaluation.

    Args:
        engine: the policy; only its main process keeps anything.
        task: the task of the rows.
        rows: the rows that are evaluated.
        num_prompts: how many of them are kept.
    """

    def __init__(self, engine: Engine, task: Task, rows: Sequence[Row], num_prompts: int) -> None:
        self.engine, self.task, self.given = engine, task, rows
        self._kept: dict[int, list[Sample]] = {i: [] for i in spread(len(rows), num_prompts)} if engine.is_main else {}

    def see(self, index: int, sample: Sample) -> None:
        """Keep a sample of a row that is shown."""
        kept = self._kept.get(index)
        if kept is not None and len(kept) < MOST_ANSWERS:
            kept.append(sample)

    def rows(self, rates: Sequence[float]) -> list[dict[str, Any]]:
        """A row per prompt, with its pass rate, what was expected, and what was answered."""
        return [self._row(i, samples, rates[i]) for i, samples in self._kept.items() if samples]

    def _row(self, index: int, samples: list[Sample], rate: float) -> dict[str, Any]:
        row = self.given[index]
        images = [image for image in images_of(row) if hasattr(image, "convert")]
        texts = self.engine.decode([row] * len(samples), [sample.completion_ids for sample in samples])
        read = shown.read(self.task, texts, [row] * len(samples))
        answers = [
            {"text": cut(text), "verdict": "cut_off" if sample.is_cut_off else sample.outcome, "read": found}
            for text, sample, found in zip(texts, samples, read, strict=True)
        ]
        return {
            "prompt_id": str(row.get("prompt_id") or prompt_hash(row)),
            "prompt": prompt_text(row.get("prompt", "")),
            "family": row.get("family"),
            "expected": shown.expected(self.task, row),
            "pass_rate": None if math.isnan(rate) else rate,
            **({"images": thumbnails(images), "num_images": len(images)} if images else {}),
            "rollouts": answers,
        }


def spread(num_rows: int, wanted: int) -> list[int]:
    """Indices spread evenly over all.

    Example:
        >>> spread(10, 4), spread(2, 4)
        ([0, 2, 5, 7], [0, 1])
    """
    return [i * num_rows // wanted for i in range(wanted)] if wanted < num_rows else list(range(num_rows))


def cut(text: str) -> str:
    """Shorten a text to what is kept."""
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} … ({len(text) - MOST_CHARS} more characters)"
