"""Find the rows of a data set that are in a benchmark.

Not here: where benchmarks are stored (`nearfuture.lab.forecast.data_check`), other findings
(`nearfuture.tasks.data.findings`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from nearfuture.tasks.data.asking import CHOICE, FREE
from nearfuture.tasks.data.findings import Findings
from nearfuture.tasks.data.light import Light, Row, image_hash, normalised, pixel_hash, size_of, texts_of
from nearfuture.tasks.data.schema import TEMPLATES
from nearfuture.tasks.identity import images_of

MIN_LENGTH = 40
"""Fewest characters of a question that is recognised by its text alone: different short ones ("Find x.") look alike."""
CLOSINGS = (CHOICE, FREE, *(text for texts in TEMPLATES.values() for text in texts.values()))


class Overlap:
    """Finds rows that ask a question, or show an image, of a benchmark.

    Two images are the same if their bytes or their pixels are (`compare_pixels`): a data set may have been repacked
    without loss.
    """

    def __init__(self, rows: Sequence[Light]) -> None:
        self.rows = rows
        self.texts: dict[str, list[int]] = defaultdict(list)
        self.images: dict[str, list[int]] = defaultdict(list)
        for index, light in enumerate(rows):
            self.texts[asked_in(light.row)].append(index)
            for hashed in light.hashes:
                self.images[hashed].append(index)
        self.pixels: dict[str, set[str]] = defaultdict(set)
        self.sizes: set[tuple[int, int]] = set()

    def compare(self, name: str, questions: Iterable[Row], findings: Findings) -> int:
        """Find the questions and the stored images of a benchmark.

        Args:
            name: the benchmark's name.
            questions: its rows, images undecoded.
            findings: where to add findings.

        Returns:
            The number of questions.
        """
        number = 0
        for question in questions:
            number += 1
            images = images_of(question)
            asked = asked_in(question)
            same = self.texts.get(asked, []) if len(asked) >= MIN_LENGTH or not images else []
            hashes = list(map(image_hash, images))
            seen = [index for hashed in hashes for index in self.images.get(hashed, [])]
            for index in dict.fromkeys([*same, *seen]):
                self._add(findings, index, "question" if index in same else "image", name)
            for image, hashed in zip(images, hashes, strict=True):
                if hashed not in self.images and (pixels := pixel_hash(image)) is not None:
                    self.pixels[pixels].add(name)
                    self.sizes.add(size_of(image) or (0, 0))
        return number

    def compare_pixels(self, rows: Iterable[Row], findings: Findings) -> None:
        """Find rows that show a benchmark's image in another encoding; `rows` are all rows, images undecoded."""
        if not self.sizes:
            return
        found = findings.rows["in a benchmark"]
        for index, row in enumerate(rows):
            if index in found or not self.sizes.intersection(size for size in self.rows[index].sizes if size):
                continue
            hashes = (pixel_hash(image) for image in images_of(row) if size_of(image) in self.sizes)
            if name := next((name for hashed in hashes if hashed for name in self.pixels.get(hashed, ())), None):
                self._add(findings, index, "image", name)

    def _add(self, findings: Findings, index: int, what: str, name: str) -> None:
        findings.add("in a benchmark", index, f"{self.rows[index].row['uid']}: its {what} is in {name}")


def asked_in(row: Row) -> str:
    """The question of a row, normalised: without its options and without the text that a template added below."""
    text = texts_of(row["prompt"])
    for closing in CLOSINGS:
        text = text.removesuffix(f"\n{closing}")
    text = re.split(r"\n?\b(?:Options|Choices):", text)[0]
    lines = [line for line in text.split("\n") if not re.match(r"\s*\(?[A-J][.:)]", line)]
    return normalised("\n".join(lines))
