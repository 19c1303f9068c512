"""What an import or export left out, row by row, and what it kept with a remark. Nothing is dropped silently.

Not here: the rules themselves (`importing`, `exporting`, `prompts`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum

NUM_NAMED = 3
"""How many rows of each kind a summary names; `as_jsonl` names all."""


class Reason(StrEnum):
    """Why a trace was left out, or a remark on one that was not."""

    DAMAGED = "damaged row"
    NO_TRAJECTORY = "no trajectory"
    NO_PROMPT = "matches no prompt"
    SEVERAL_PROMPTS = "matches several prompts"
    OTHER_PROMPT = "its prompt is not the one of its prompt_id"
    OTHER_TEXT = "the tokenizer gives back another text"
    OTHER_MEANING = "its token ids mean another text"
    TOO_LONG = "too long"
    NOT_TRAINABLE = "cannot be trained on"
    NOT_CORRECT = "the verifier does not find it correct"
    DUPLICATE = "the same token ids as an earlier one"
    HAS_IMAGES = "its prompt is more than text"
    DOES_NOT_FIT = "the format holds one trajectory per prompt"

    OTHER_IDS = "its text has other token ids"
    OTHER_TEMPERATURE = "its log-probs are at another temperature and were ignored"
    MORE_MESSAGES = "only the user's last message of its prompt was written"


REMARKS = (Reason.OTHER_IDS, Reason.OTHER_TEMPERATURE, Reason.MORE_MESSAGES)
"""Reasons for a remark, which leave nothing out."""


class RefusedError(Exception):
    """A trace that is left out."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Finding:
    """One trace of one row: `row` and `trace` count from 1; `trace` is 0 if the whole row is meant."""

    row: int
    trace: int
    prompt_id: str | None
    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        place = f"row {self.row}" + (f", trace {self.trace}" if self.trace > 1 else "")
        who = "" if self.prompt_id is None else f", prompt {self.prompt_id!r}"
        return f"{place}{who}" + (f": {self.detail}" if self.detail else "")


@dataclass(slots=True)
class Report:
    """Counts and findings of one file, and remarks about it as a whole."""

    num_rows: int = 0
    num_traces: int = 0
    num_kept: int = 0
    num_prompts: int = 0
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how often each reason was found, the most frequent first."""
        return {reason.value: number for reason, number in self._count().most_common()}

    def lines(self) -> Iterator[str]:
        """Say what became of the file, for people: each reason with its number and the first rows."""
        kept = f"{self.num_kept} kept for {self.num_prompts} prompts"
        yield f"{self.num_rows} rows, {self.num_traces} trajectories: {kept}"
        for reason, number in self._count().most_common():
            found = [finding for finding in self.findings if finding.reason is reason]
            yield f"{'kept, but' if reason in REMARKS else 'left out'}: {number} x {reason.value}"
            yield from (f"    {finding}" for finding in found[:NUM_NAMED])
            if number > NUM_NAMED:
                yield f"    ... and {number - NUM_NAMED} more"
        yield from self.remarks

    def as_jsonl(self) -> str:
        """Return every finding as one JSON line."""
        return "".join(json.dumps(asdict(finding)) + "\n" for finding in self.findings)

    def _count(self) -> Counter[Reason]:
        return Counter(finding.reason for finding in self.findings)
