"""The samples of a report: rollouts beside their guidance, and the samples of evaluations.

All stored samples can be searched on the page, up to a size limit; readers without scripts see a few.

Not here: their look (`nearfuture.lab.page`), which samples a run stores (`nearfuture.run.recorder`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nearfuture.lab.page.page import Block, Group, Picture, Quote, Samples, Text
from nearfuture.lab.page.svg import NUM_STYLES
from nearfuture.record.formats import count, percent
from nearfuture.record.prompts import prompt_text
from nearfuture.record.records import HELD_OUT, RunRecords, is_number

LONGEST_PROMPT = 2000
LONGEST_ROLLOUT = 2000
NUM_SAMPLES = 3
NUM_ROLLOUTS = 2
SMALL_IMAGE = 120
"""An image with fewer pixels per side than this is enlarged without smoothing."""
MOST_CHARS = 400_000
"""The most characters of all samples as the page holds them; beyond that, samples are left out evenly over each run."""
MARKS = {"correct": "✓", "wrong": "✗", "no_answer": "✗", "cut_off": "✗"}
Sample = Mapping[str, Any]


def samples_blocks(runs: Sequence[tuple[RunRecords, int]]) -> list[Block]:
    """The samples of some runs, each with its style, latest first, a few of them for readers without scripts."""
    stored = [_plain_rows(run, style) for run, style in runs]
    still = [block for run, style in runs for block in shown_samples(run, style)]
    return searchable(stored, still, "samples.jsonl in each run's folder")


def searchable(
    stored: Sequence[Sequence[dict[str, Any]]], still: Sequence[Block], kept_in: str, most_chars: int = MOST_CHARS
) -> list[Block]:
    """Samples to search, as many of each list as fit; if some do not, a sentence before them says how many do.

    Args:
        stored: lists of samples that share the page evenly, one per run or policy.
        still: what readers without scripts see.
        kept_in: which file has all of them.
        most_chars: the most characters of all samples together.
    """
    share = most_chars // max(1, len(stored))
    rows = [row for one in stored for row in fitting(one, share)]
    num_stored = sum(map(len, stored))
    told = (
        f"{count(len(rows))} of {count(num_stored)} stored samples are on this page, spread evenly; {kept_in} has all."
    )
    return [*([Text([told])] if len(rows) < num_stored else []), Samples("samples", rows, still)]


def fitting(rows: Sequence[dict[str, Any]], most_chars: int) -> list[dict[str, Any]]:
    """Keep as many samples as fit into a number of characters, spread evenly.

    Example:
        >>> len(fitting([{"prompt": "x" * 70, "answers": []}] * 10, 500))
        5
    """
    size = sum(map(_size, rows))
    if size <= most_chars:
        return list(rows)
    wanted = len(rows) * most_chars // size
    return [rows[i * len(rows) // wanted] for i in range(wanted)]


def _size(row: Sample) -> int:
    """Return how many characters a sample takes in the page: of short answers most are names and places."""
    return len(json.dumps(row, ensure_ascii=False))


def _plain_rows(run: RunRecords, style: int) -> list[dict[str, Any]]:
    """Return the samples of a run, latest first; a sample drawn again after a kill appears once."""
    latest = {(s.get("source"), s.get("segment"), s.get("step"), s["prompt_id"]): s for s in run.samples}
    return [plain_row(sample, run.name, f"s{style % NUM_STYLES}") for sample in reversed(latest.values())]


def plain_row(sample: Sample, run: str, look: str = "") -> dict[str, Any]:
    """Return a sample as the page's scripts read it."""
    source = str(sample.get("source") or "training")
    row = {
        "run": run,
        "look": look,
        "source": source,
        "family": None if sample.get("family") is None else str(sample["family"]),
        "step": sample.get("step"),
        "prompt_id": str(sample["prompt_id"]),
        "where": f"{run}: {_where(sample, source)}",
        "prompt": _cut(prompt_text(sample.get("prompt", "")), LONGEST_PROMPT),
        "expected": None if sample.get("expected") is None else _cut(str(sample["expected"]), LONGEST_PROMPT),
        "answers": [_answer(rollout) for rollout in sample.get("rollouts") or []],
    }
    if pictures := _shown_images(sample):
        row["images"] = [{"data": p.data, "words": p.words, "is_small": p.is_small} for p in pictures]
    if sample.get("guidance"):
        row["guidance"] = {**_told(sample["guidance"], sample.get("step")), "verdict": "verified", "mark": "✓"}
    return row


def _answer(rollout: Sample) -> dict[str, Any]:
    verdict = str(rollout.get("verdict", ""))
    read = rollout.get("read")
    return {
        "text": _cut(str(rollout.get("text", "")), LONGEST_ROLLOUT),
        "verdict": verdict or "no verdict written",
        "mark": MARKS.get(verdict, "?"),
        "read": None if read is None else str(read),
    }


def _told(guidance: Sample, step: Any) -> dict[str, str]:
    guide_step = guidance.get("guide_step")
    is_own = is_number(step) and is_number(guide_step) and guide_step < step
    what = "its own answer" if is_own else "guidance"
    who = f"{what} from step {guide_step} of segment {guidance.get('guide_segment')}"
    return {"text": _cut(str(guidance.get("text", "")), LONGEST_ROLLOUT), "who": who}


def _where(sample: Sample, source: str = "") -> str:
    parts = [f"prompt {sample['prompt_id']}"]
    parts += [f"{name} {sample[name]}" for name in ("segment", "step") if sample.get(name) is not None]
    where = ", ".join(parts)
    if source and source != "training":
        where = f"{source} {where}"
    pass_rate = sample.get("pass_rate")
    of = "" if source and source != "training" else " on-policy"
    return f"{where}: pass rate {percent(pass_rate)}{of}" if is_number(pass_rate) else where


def shown_samples(run: RunRecords, style: int = 0) -> list[Group]:
    """Choose a few of the latest prompts that got guidance (or else of the latest prompts), one sample of each."""
    trained = [sample for sample in run.samples if sample.get("source") != HELD_OUT]
    guided = [sample for sample in trained if sample.get("guidance")]
    chosen: dict[str, Sample] = {}
    for sample in reversed(guided or trained):
        if len(chosen) < NUM_SAMPLES:
            chosen.setdefault(str(sample["prompt_id"]), sample)
    return [still_sample(sample, style) for sample in chosen.values()]


def still_sample(sample: Sample, style: int = 0) -> Group:
    """Show a sample to readers without scripts."""
    rollouts = sorted(sample.get("rollouts") or [], key=lambda rollout: rollout.get("verdict") == "correct")
    picked = rollouts if len(rollouts) <= NUM_ROLLOUTS else [rollouts[0], *rollouts[-(NUM_ROLLOUTS - 1) :]]
    shown: list[Block] = [_quote(_answer(rollout)) for rollout in picked]
    if guidance := sample.get("guidance"):
        told = _told(guidance, sample.get("step"))
        shown.append(Quote(told["text"], told["who"], "✓", "verified", f"guidance s{style % NUM_STYLES}"))
    more = int(sample.get("num_images") or 0) - len(_shown_images(sample))
    pictures: list[Block] = [*_shown_images(sample)]
    facts = f"expected: {sample['expected']}" if sample.get("expected") is not None else ""
    return Group(
        [
            Text([_where(sample)], "where"),
            Group([*pictures, Text([f"and {more} more" if more > 0 and pictures else ""], "aside")], "pictures"),
            Quote(_cut(prompt_text(sample.get("prompt", "")), LONGEST_PROMPT), look="prompt"),
            Text([facts], "where"),
            Group(shown, "beside"),
        ],
        "sample",
    )


def _shown_images(sample: Sample) -> list[Picture]:
    """Show the images stored in the log itself: a page loads nothing from elsewhere."""
    images: Iterable[Mapping[str, Any]] = sample.get("images") or []
    return [
        Picture(
            str(image["data"]),
            f"image {number}, {image.get('width')} x {image.get('height')} pixels",
            max(int(image.get("width") or 0), int(image.get("height") or 0)) < SMALL_IMAGE,
        )
        for number, image in enumerate(images, start=1)
        if str(image.get("data", "")).startswith("data:image/")
    ]


def _quote(answer: Mapping[str, Any]) -> Quote:
    read = f", read as {answer['read']}" if answer["read"] is not None else ""
    verdict = answer["verdict"].replace("_", " ")
    return Quote(answer["text"], "rollout", answer["mark"], f"{verdict}{read}", "rollout")


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[:most]} … ({count(len(words) - most)} more characters)"
