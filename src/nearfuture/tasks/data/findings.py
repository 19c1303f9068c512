"""Find what is wrong with rows that are kept, count it, and name examples.

    repeated            the same question and images as an earlier row
    contradictory       the same, but with another gold answer
    unverifiable gold   a gold answer that does not verify against itself
    image               an image that does not open, or that the model's processor does not accept
    too long            more tokens than `max_prompt_length`
    in a benchmark      the question, or an image, of one of the benchmarks

Not here: rows left out while reading (`loading`), benchmarks (`nearfuture.lab.forecast.overlap`), images and tokens
(`nearfuture.lab.forecast.data_check` adds those findings).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfuture.tasks.data.light import Light, normalised, texts_of
from nearfuture.verify import RowVerifier

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


def find_repeated(rows: Sequence[Light], findings: Findings, numbers: Sequence[int]) -> None:
    """Find rows that ask the same question; if their answers differ, they contradict each other.

    Args:
        rows: the rows that are kept.
        findings: what was found is added here.
        numbers: where each of them stands in the file, which is how a row is named.
    """
    first: dict[tuple[str, ...], int] = {}
    for index, light in enumerate(rows):
        row = light.row
        key = (normalised(texts_of(row["prompt"])), *light.hashes)
        earlier = first.setdefault(key, index)
        if earlier == index:
            continue
        before = rows[earlier].row
        if before["gold"] == row["gold"]:
            findings.add("repeated", index, f"row {numbers[index]} asks what row {numbers[earlier]} asks")
        else:
            answers = f"{before['gold']!r} and {row['gold']!r}"
            findings.add("contradictory", index, f"rows {numbers[earlier]} and {numbers[index]}: {answers}")


def find_unverifiable(rows: Sequence[Light], findings: Findings) -> None:
    """Find gold answers that the built-in verifier cannot verify against themselves."""
    for index, fault in RowVerifier().gold_faults([light.row for light in rows]).items():
        row = rows[index].row
        findings.add("unverifiable gold", index, f"{row['uid']}: {row['kind']} {row['gold']!r}: {fault}")
