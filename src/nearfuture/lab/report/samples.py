"""The rollouts of a report beside their guidance: which prompts are shown, in which words, with which images.

Not here: their looks (`nearfuture.lab.page`), what of them is written down (`nearfuture.run.recorder`).
"""

from __future__ import annotations

from typing import Any

from nearfuture.lab.page.page import Block, Group, Picture, Quote, Text
from nearfuture.lab.page.svg import NUM_STYLES
from nearfuture.record.formats import count, percent
from nearfuture.record.records import RunRecords, is_number

LONGEST_PROMPT = 700
LONGEST_ROLLOUT = 1400
NUM_SAMPLES = 3
NUM_ROLLOUTS = 2
SMALL_IMAGE = 120
"""Pixels a side below which an image is enlarged, its pixels as they are."""
MARKS = {"correct": "✓", "wrong": "✗", "no_answer": "✗"}


def shown_samples(run: RunRecords, style: int = 0) -> list[Group]:
    """Choose the latest prompts that got guidance (else the latest prompts), one of each, a few in all."""
    guided = [sample for sample in run.samples if sample.get("guidance")]
    chosen: dict[str, dict[str, Any]] = {}
    for sample in reversed(guided or run.samples):
        if len(chosen) < NUM_SAMPLES:
            chosen.setdefault(str(sample["prompt_id"]), sample)
    return [_shown(sample, style) for sample in chosen.values()]


def _shown(sample: dict[str, Any], style: int) -> Group:
    rollouts = sorted(sample.get("rollouts") or [], key=lambda rollout: rollout.get("verdict") == "correct")
    picked = rollouts if len(rollouts) <= NUM_ROLLOUTS else [rollouts[0], *rollouts[-(NUM_ROLLOUTS - 1) :]]
    pass_rate = sample.get("pass_rate")
    where = f"prompt {sample['prompt_id']}, segment {sample.get('segment')}, step {sample.get('step')}"
    if is_number(pass_rate):
        where += f": pass rate {percent(pass_rate)} on-policy"
    shown: list[Block] = [*map(_rollout, picked)]
    if sample.get("guidance"):
        shown.append(_guidance(sample["guidance"], style))
    return Group(
        [
            Text([where], "where"),
            _pictures(sample.get("images") or [], int(sample.get("num_images") or 0)),
            Quote(_cut(prompt_text(sample.get("prompt", "")), LONGEST_PROMPT), look="prompt"),
            Group(shown, "beside"),
        ],
        "sample",
    )


def _pictures(images: list[dict[str, Any]], num_images: int) -> Group:
    """The images that lie in the log itself: a page loads nothing from elsewhere."""
    pictures: list[Block] = [
        Picture(
            str(image["data"]),
            f"image {number}, {image.get('width')} x {image.get('height')} pixels",
            max(int(image.get("width") or 0), int(image.get("height") or 0)) < SMALL_IMAGE,
        )
        for number, image in enumerate(images, start=1)
        if str(image.get("data", "")).startswith("data:image/")
    ]
    more = num_images - len(pictures)
    return Group([*pictures, Text([f"and {more} more" if more > 0 and pictures else ""], "aside")], "pictures")


def prompt_text(prompt: Any) -> str:
    """Return a prompt as a reader wants it: its text, or that of its messages, with images marked in place.

    Example:
        >>> prompt_text([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "how many?"}]}])
        '[image] how many?'
        >>> print(prompt_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1="}]))
        system: Be brief.
        user: 1+1=
    """
    if not isinstance(prompt, list) or not all(isinstance(message, dict) for message in prompt):
        return str(prompt)
    texts = [_content_text(message.get("content")) for message in prompt]
    if len(prompt) == 1:
        return texts[0]
    return "\n".join(f"{message.get('role')}: {text}" for message, text in zip(prompt, texts, strict=True))


def _content_text(content: Any) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return " ".join("[image]" if part.get("type") == "image" else str(part.get("text") or "") for part in content)


def _rollout(rollout: dict[str, Any]) -> Quote:
    verdict = str(rollout.get("verdict", ""))
    text = _cut(str(rollout.get("text", "")), LONGEST_ROLLOUT)
    said = verdict.replace("_", " ") or "no verdict written"
    return Quote(text, "rollout", MARKS.get(verdict, "?"), said, "rollout")


def _guidance(guidance: dict[str, Any], style: int) -> Quote:
    who = f"guidance from step {guidance.get('guide_step')} of segment {guidance.get('guide_segment')}"
    text = _cut(str(guidance.get("text", "")), LONGEST_ROLLOUT)
    return Quote(text, who, "✓", "verified", f"guidance s{style % NUM_STYLES}")


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[:most]} … ({count(len(words) - most)} more characters)"
