"""What is wrong with rows that are kept: found, counted, and named by example.

    repeated            the same question and images as an earlier row
    contradictory       the same, with another gold answer
    unverifiable gold   a gold answer that does not verify against itself
    image               placeholders and images that do not match, an image that does not open, sides the model refuses
    too long            more tokens than `max_prompt_length`
    in a benchmark      the question, or an image, of one of the benchmarks

Not here: rows that were left out when they were read (`loading`), images and tokens (`nearfuture.run.data_check` brings
what is found there).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nearfuture.tasks.data.schema import image_bytes
from nearfuture.tasks.verify import RowVerifier

Row = Mapping[str, Any]
NUM_NAMED = 3


@dataclass
class Findings:
    """Kinds of findings with their counts, and the first examples of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, kind: str, index: int, example: str) -> None:
        """Count a finding."""
        self.counts[kind] += 1
        self.rows[kind].add(index)
        if len(self.examples[kind]) < NUM_NAMED:
            self.examples[kind].append(example)


def texts_of(prompt: Any) -> str:
    """All text of a prompt, without its image blocks."""
    if isinstance(prompt, str):
        return prompt
    contents = [message.get("content") or "" for message in prompt]
    parts = [[content] if isinstance(content, str) else [p.get("text") or "" for p in content] for content in contents]
    return "\n".join(text for part in parts for text in part)


def normalised(text: str) -> str:
    """A question reduced to its letters and digits, so that spaces, placeholders and punctuation do not matter.

    Example:
        >>> normalised("<image 1> What is  $x + 1$?") == normalised("what is x+1")
        True
    """
    return re.sub(r"\W|_", "", re.sub(r"<image[ _]?\d*>", "", text).lower())


def find_repeated(rows: Sequence[Row], findings: Findings) -> None:
    """Find rows that ask the same; with another answer they contradict each other."""
    first: dict[tuple[str, ...], int] = {}
    for index, row in enumerate(rows):
        key = (normalised(texts_of(row["prompt"])), *map(image_hash, images_of(row)))
        earlier = first.setdefault(key, index)
        if earlier == index:
            continue
        if rows[earlier]["gold"] == row["gold"]:
            findings.add("repeated", index, f"{row['uid']} asks what row {earlier} asks")
        else:
            answers = f"{rows[earlier]['gold']!r} and {row['gold']!r}"
            findings.add("contradictory", index, f"{row['uid']} and row {earlier}: {answers}")


def find_unverifiable(rows: Sequence[Row], findings: Findings) -> None:
    """Find golds that the built-in verifier cannot verify against themselves."""
    for index, fault in RowVerifier().gold_faults(rows).items():
        row = rows[index]
        findings.add("unverifiable gold", index, f"{row['uid']}: {row['kind']} {row['gold']!r}: {fault}")


def find_overlap(rows: Sequence[Row], benchmarks: Mapping[str, Iterable[Row]], findings: Findings) -> dict[str, int]:
    """Find rows whose question, or one of whose images, is in a benchmark.

    Args:
        rows: that are trained on.
        benchmarks: rows of each, images undecoded.
        findings: to add to.

    Returns:
        Questions compared, by benchmark.
    """
    texts: dict[str, list[int]] = defaultdict(list)
    images: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        texts[_asked(row)].append(index)
        for image in images_of(row):
            images[image_hash(image)].append(index)
    num_compared = {}
    for name, questions in benchmarks.items():
        num_compared[name] = 0
        for question in questions:
            num_compared[name] += 1
            # Short texts ("Find x.") are alike without being the same question; their images tell.
            asked = _asked(question)
            same = texts.get(asked, []) if len(asked) >= 40 or not images_of(question) else []
            seen = [i for image in images_of(question) for i in images.get(image_hash(image), [])]
            for index in dict.fromkeys([*same, *seen]):
                what = "question" if index in same else "image"
                findings.add("in a benchmark", index, f"{rows[index]['uid']}: its {what} is in {name}")
    return num_compared


def _asked(row: Row) -> str:
    """The question without what templates put under it: its first line of some length, else all of it."""
    text = texts_of(row["prompt"])
    lines = [line for line in text.split("\n") if line.strip()]
    return normalised(lines[0] if lines and len(normalised(lines[0])) >= 40 else text)


def images_of(row: Row) -> list[Any]:
    """The images of a row, decoded or not."""
    return list(row.get("images") or ([row["image"]] if row.get("image") is not None else []))


def image_hash(image: Any) -> str:
    """Hash of the bytes an image is stored as."""
    return hashlib.sha256(image_bytes(image)).hexdigest()[:16]
