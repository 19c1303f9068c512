"""The responses of one policy to one suite, on disk: one line per response, and what a kill leaves behind.

    RESPONSES/mathvista.jsonl        all of them, ordered by question, then by sample
    RESPONSES/mathvista.json         the settings they were sampled and judged with
    RESPONSES/mathvista.part.jsonl   during the evaluation, one line per batch; a torn line counts as no batch

Not here: sampling and judging (`answering`).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearfuture.record.reading import read_object, read_rows
from nearfuture.record.writing import write_whole
from nearfuture.seal import sealed
from nearfuture.types import UserError, Verdict

logger = logging.getLogger(__name__)

Key = tuple[str, int]
FREE = ("verifier_version",)
"""What may differ from existing responses: judging again costs nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One judged response.

    Attributes:
        uid: the question's id.
        sample: the sample's number, from 0.
        response: the text.
        verdict: the verifier's verdict.
        extracted: the answer that was found in it; None if none was found or the verifier does not say.
        tokens: its length.
        truncated: whether the token limit cut it off.
    """

    uid: str
    sample: int
    response: str
    verdict: Verdict
    extracted: str | None
    tokens: int
    truncated: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> Answer:
        """Restore an answer from a line."""
        return cls(**{**row, "verdict": Verdict(row["verdict"])})


class ResponseFile:
    """The answers of one policy to one suite.

    Args:
        folder: the policy's folder.
        suite: the suite's name.
        protocol: plain values that must equal those of existing responses, which else belong to another evaluation.

    Raises:
        UserError: existing responses were sampled differently.
    """

    def __init__(self, folder: Path, suite: str, protocol: dict[str, Any]) -> None:
        self.path = folder / f"{suite}.jsonl"
        self.head, self.part = folder / f"{suite}.json", folder / f"{suite}.part.jsonl"
        self.protocol = protocol
        self.before = read_object(self.head)
        self.answers: dict[Key, Answer] = {}
        for row in self._read(self.path, "uid"):
            self._hold([row])
        for batch in self._read(self.part, "answers"):
            self._hold(batch["answers"])
        if self.answers:  # settings alone are those of a call that failed before its first response
            self._refuse_other(self.before)
        self.is_judged_anew = bool(self.before) and any(self.before.get(name) != protocol.get(name) for name in FREE)

    def _read(self, path: Path, required: str) -> list[dict[str, Any]]:
        """Return the rows that are intact; the answers of damaged ones are sampled again."""
        found = read_rows(path, required, is_sealed=bool(self.before.get("is_sealed")))
        if found.damaged:
            logger.warning("%s: line %s damaged, and sampled again.", path, ", ".join(map(str, found.damaged)))
        return found.rows

    def _hold(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            answer = Answer.of(row)
            self.answers[answer.uid, answer.sample] = answer

    def _refuse_other(self, before: dict[str, Any]) -> None:
        names = [
            name for name in self.protocol if before and name not in FREE and before.get(name) != self.protocol[name]
        ]
        if names:
            changes = ", ".join(f"{name}: {before.get(name)} -> {self.protocol[name]}" for name in names)
            raise UserError(
                f"{self.path.parent} holds responses that were sampled differently ({changes}). Evaluate as before, "
                "choose another --output, or sample again with --clean."
            )

    def begin(self) -> None:
        """Record the settings that the responses are sampled with."""
        begun = {**self.protocol, "is_sealed": not self.answers or bool(self.before.get("is_sealed"))}
        write_whole(self.head, sealed(json.dumps(begun, indent=1, ensure_ascii=False)))

    def add(self, answers: Sequence[Answer]) -> None:
        """Store a batch."""
        text = json.dumps({"answers": [asdict(answer) for answer in answers]}, ensure_ascii=False)
        line = sealed(text.encode("utf-8", "replace").decode())
        with self.part.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")  # a kill tore the previous line
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        for answer in answers:
            self.answers[answer.uid, answer.sample] = answer

    def finish(self, order: Sequence[str]) -> None:
        """Write all answers in the order of the questions; those to other evaluations' questions follow after them."""
        place = {uid: index for index, uid in enumerate(order)}
        keys = sorted(self.answers, key=lambda key: (place.get(key[0], len(place)), key))
        texts = (json.dumps(asdict(self.answers[key]), ensure_ascii=False) for key in keys)
        lines = [sealed(text.encode("utf-8", "replace").decode()) + "\n" for text in texts]
        write_whole(self.path, "".join(lines))
        self.part.unlink(missing_ok=True)

    @staticmethod
    def clear(folder: Path, suite: str) -> None:
        """Discard all responses."""
        for ending in ("jsonl", "json", "part.jsonl"):
            (folder / f"{suite}.{ending}").unlink(missing_ok=True)
