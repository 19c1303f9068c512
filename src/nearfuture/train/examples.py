"""Groups for people to look at.

Not here: what is kept of them (`nearfuture.run.recorder`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nearfuture.tasks.identity import images_of
from nearfuture.train.inject import decode
from nearfuture.train.step import Step


@dataclass(frozen=True)
class Example:
    """A group for people to look at.

    `rollouts` pairs text and verdict reward, guidance is what took the last slot, `row` is the prompt's row.
    """

    step: int
    prompt_id: str
    prompt: Any
    images: list[Any]
    pass_rate: float
    rollouts: list[tuple[str, float]]
    guidance_text: str | None = None
    guide_segment: int | None = None
    guide_step: int | None = None
    row: dict[str, Any] = field(default_factory=dict, repr=False)


def show(
    step: Step, processing_class: Any, on_group: Callable[[Example], None], shows_group: Callable[[int], bool]
) -> None:
    """Pass groups that are entirely on this process to `on_group`: the guided ones, or else the first if asked."""
    whole = [i for i in step.last_slots if i >= step.num_generations - 1]
    guided = [i for i in whole if step.guidance_B[i] is not None]
    for i in guided or (whole[:1] if shows_group(step.number + 1) else []):
        on_group(_example(step, i, processing_class))


def _example(step: Step, last_slot: int, processing_class: Any) -> Example:
    """The group that ends with a local row."""
    row, guidance, size = step.rows[last_slot], step.guidance_B[last_slot], step.num_generations
    p = (step.process_index * len(step.rows) + last_slot) // size
    texts = decode(processing_class, step.completion_ids[last_slot - size + 1 : last_slot + 1])
    return Example(
        step=step.number + 1,
        prompt_id=str(row.get("prompt_id", "")),
        prompt=row.get("prompt"),
        images=images_of(row),
        pass_rate=float(step.pass_rate_P[p]),
        rollouts=list(zip(texts, step.verdicts_P_G[p].tolist(), strict=True)),
        guidance_text=None if guidance is None else decode(processing_class, [list(guidance.completion_ids)])[0],
        guide_segment=None if guidance is None else guidance.guide_segment,
        guide_step=None if guidance is None else guidance.guide_step,
        row=row,
    )
