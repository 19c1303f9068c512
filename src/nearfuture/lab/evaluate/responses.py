"""The responses of one policy to one suite, on disk: a line a response, and what a kill leaves behind.

    RESPONSES/mathvista.jsonl        all of them, in the order of the questions, then of the samples
    RESPONSES/mathvista.json         what they were sampled and judged with
    RESPONSES/mathvista.part.jsonl   while it runs: one line per batch; a torn line is a batch that did not happen

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
"""What may differ from before: judging again costs nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One judged response.

    Attributes:
        uid: of the question.
        sample: its number, from 0.
        response: what was written.
        verdict: what the verifier said.
        extracted: the answer that was found in it, None where none was or the verifier does not tell.
        tokens: its length.
        truncated: the budget cut it off.
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
        """Read back a line."""
        return cls(**{**row, "verdict": Verdict(row["verdict"])})


class ResponseFile:
    """The answers of one policy to one suite.

    Args:
        folder: of the policy.
        suite: name of the suite.
        protocol: plain values that must be the same as before, or what is there belongs to another evaluation.

    Raises:
        UserError: responses are there that were sampled otherwise.
    """

    def __init__(self, folder: Path, suite: str, protocol: dict[str, Any]) -> None:
        self.path = folder / f"{suite}.jsonl"
        self.head, self.part = folder / f"{suite}.json", folder / f"{suite}.part.jsonl"
        self.protocol = protocol
        self.before = read_object(self.head)
        self._refuse_other(self.before)
        self.is_judged_anew = bool(self.before) and any(self.before.get(name) != protocol.get(name) for name in FREE)
        self.answers: dict[Key, Answer] = {}
        for row in self._read(self.path, "uid"):
            self._hold([row])
        for batch in self._read(self.part, "answers"):
            self._hold(batch["answers"])

    def _read(self, path: Path, required: str) -> list[dict[str, Any]]:
        """The rows that are as they were written; the answers of the others are sampled again."""
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
        """Write down what the responses are sampled with."""
        begun = {**self.protocol, "is_sealed": not self.answers or bool(self.before.get("is_sealed"))}
        write_whole(self.head, sealed(json.dumps(begun, indent=1, ensure_ascii=False)))

    def add(self, answers: Sequence[Answer]) -> None:
        """Put a batch on disk."""
        text = json.dumps({"answers": [asdict(answer) for answer in answers]}, ensure_ascii=False)
        line = sealed(text.encode("utf-8", "replace").decode())
        with self.part.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")  # a kill tore the line before
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        for answer in answers:
            self.answers[answer.uid, answer.sample] = answer

    def finish(self, order: Sequence[str]) -> None:
        """Write all answers in the order of the questions; what was asked in another evaluation stays, behind them."""
        place = {uid: index for index, uid in enumerate(order)}
        keys = sorted(self.answers, key=lambda key: (place.get(key[0], len(place)), key))
        texts = (json.dumps(asdict(self.answers[key]), ensure_ascii=False) for key in keys)
        lines = [sealed(text.encode("utf-8", "replace").decode()) + "\n" for text in texts]
        write_whole(self.path, "".join(lines))
        self.part.unlink(missing_ok=True)

    @staticmethod
    def clear(folder: Path, suite: str) -> None:
        """Forget what is there."""
        for ending in ("jsonl", "json", "part.jsonl"):
            (folder / f"{suite}.{ending}").unlink(missing_ok=True)
